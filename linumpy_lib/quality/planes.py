"""Planes of volumes for pictures, read from the pyramid level that a picture can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import ParameterError
from linumpy_lib.io import Volume

PLANE_NAMES = ("XY", "XZ", "YZ")


class ArrayLike(Protocol):
    """What is read: anything with a shape that is indexed like a NumPy array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents, spatial axes (z, y, x) last."""

    def __getitem__(self, key: Any, /) -> Any:
        """Read a part."""


Image3D = Volume | ArrayLike


@dataclass(frozen=True)
class Geometry:
    """Size of a volume and where it is cut.

    Attributes
    ----------
    shape : tuple of int
        Extents (z, y, x) of the finest level [voxels].
    spacing_um : tuple of float
        Voxel size (z, y, x) [um].
    cut : tuple of int
        The voxel (z, y, x) through which the three planes pass.
    """

    shape: tuple[int, int, int]
    spacing_um: tuple[float, float, float]
    cut: tuple[int, int, int]

    @classmethod
    def of(
        cls, volume: Image3D, spacing_um: tuple[float, float, float], cut: tuple[int, int, int] | None = None
    ) -> Geometry:
        """Describe ``volume``; the middle is cut unless ``cut`` names a voxel.

        Raises
        ------
        ParameterError
            If the cut lies outside.
        """
        depth, height, width = volume.shape[-3:]
        middle = (depth // 2, height // 2, width // 2)
        chosen = middle if cut is None else cut
        if not all(0 <= c < n for c, n in zip(chosen, (depth, height, width), strict=True)):
            raise ParameterError(
                f"cut={chosen} lies outside the volume of {depth} x {height} x {width} voxels (z, y, x)"
            )
        return cls((depth, height, width), spacing_um, chosen)

    @property
    def extent_um(self) -> tuple[float, float, float]:
        """Edge lengths (z, y, x) of the volume [um]."""
        z, y, x = (n * s for n, s in zip(self.shape, self.spacing_um, strict=True))
        return z, y, x

    def plane_extent_um(self, normal: int) -> tuple[float, float]:
        """Height and width [um] of the plane across axis ``normal`` as `read_plane` returns it."""
        first, second = (e for axis, e in enumerate(self.extent_um) if axis != normal)
        return first, second


def read_plane(volume: Image3D, geometry: Geometry, normal: int, max_px: int) -> npt.NDArray[Any]:
    """Read one plane, leading axes (channels) kept.

    Parameters
    ----------
    volume : Volume or array-like
        Spatial axes (z, y, x) last. Of a `Volume` the finest level is taken whose plane has at most ``max_px`` pixels
        along either side, else the coarsest; what is still larger is thinned out by whole steps.
    geometry : Geometry
        Size and cut of the finest level.
    normal : {0, 1, 2}
        Axis that the plane is perpendicular to: 0 gives (y, x), 1 (z, x), 2 (z, y).
    max_px : int
        Largest side of the picture.

    Returns
    -------
    ndarray
        Shape (..., rows, columns).
    """
    source: ArrayLike = _fitting_level(volume, normal, max_px) if isinstance(volume, Volume) else volume
    size = source.shape[-3:]
    index: list[Any] = [slice(None, None, max(1, -(-n // max_px))) for n in size]
    fraction = (geometry.cut[normal] + 0.5) / geometry.shape[normal]
    index[normal] = min(int(fraction * size[normal]), size[normal] - 1)
    return np.asarray(source[(..., *index)])


def _fitting_level(volume: Volume, normal: int, max_px: int) -> ArrayLike:
    level = volume
    for index in range(max(1, len(volume.levels))):
        level = volume.level(index) if index else volume
        sides = [n for axis, n in enumerate(level.shape[-3:]) if axis != normal]
        if max(sides) <= max_px:
            break
    return level.array


def same_size(image: npt.NDArray[Any], like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Repeat or drop pixels (nearest) so that the last two axes of ``image`` have the size of those of ``like``."""
    if image.shape[-2:] == like.shape[-2:]:
        return image
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(like.shape[-2:], image.shape[-2:], strict=True)
    )
    return image[..., rows[:, None], columns]
