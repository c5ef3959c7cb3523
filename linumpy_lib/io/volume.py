"""`Volume`: a lazily read array that knows its axes, its voxel size and where it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import ArraySource, LazyArray, PickedSource, Source, TransposedSource

CANONICAL_AXES = "tczyx"
SPATIAL_AXES = "zyx"


@dataclass(frozen=True)
class Level:
    """One resolution of a pyramid: `path` inside the store and voxel size `scale` (raw numbers, one per axis)."""

    path: str
    scale: tuple[float, ...]


@dataclass(frozen=True)
class Volume:
    """A lazily read image volume.

    Attributes
    ----------
    array : LazyArray
        Voxels, read on indexing; axes as in `axes`.
    axes : str
        Subset of ``"tczyx"`` in that order.
    spacing_um : tuple of float or None
        Voxel size of the spatial axes (z first), micrometres; None if the file does not tell a length unit.
    origin_um : tuple of float
        Centre of the first voxel, spatial axes, micrometres.
    channel_names : tuple of str
        Names along the c axis, empty if the file has none.
    window : tuple of dict
        OMERO display window (min, max, start, end) per channel, empty if the file has none.
    provenance : dict
        How the store was made, as written by this package; empty for others.
    path : Path or None
        File or store it was read from.
    levels : tuple of Level
        Resolutions of the pyramid, finest first.
    level_index : int
        Which of them this is.
    """

    array: LazyArray
    axes: str
    spacing_um: tuple[float, ...] | None = None
    origin_um: tuple[float, ...] = (0.0, 0.0, 0.0)
    channel_names: tuple[str, ...] = ()
    window: tuple[dict[str, float], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    levels: tuple[Level, ...] = ()
    level_index: int = 0
    _opener: Callable[[int], Volume] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents along `axes`."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type in native byte order."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.axes)

    @property
    def name(self) -> str:
        """What messages call this volume."""
        return "array" if self.path is None else str(self.path)

    def read(self, region: Any = ...) -> npt.NDArray[Any]:
        """Read `region` (anything that indexes a NumPy array by integers and slices) into memory."""
        return self.array[region]

    def level(self, index: int) -> Volume:
        """Open another level of the pyramid; negative numbers count from the coarsest.

        Raises
        ------
        InputError
            If there is no such level.
        """
        if self._opener is None:
            if index in (0, -1):
                return self
            raise InputError(f"{self.name}: holds one resolution, level {index} does not exist; use level 0")
        return self._opener(index)

    def pick(self, **indices: int) -> Volume:
        """Fix the index of axes (``volume.pick(c=1)``) and drop them.

        Raises
        ------
        InputError
            If the axis is absent, spatial, or shorter than the index.
        """
        volume = self
        for axis, index in indices.items():
            if axis in SPATIAL_AXES or axis not in volume.axes:
                raise InputError(f"{self.name}: axes are '{volume.axes}', there is no axis '{axis}' to pick from")
            position = volume.axes.index(axis)
            extent = volume.shape[position]
            if not -extent <= index < extent:
                raise InputError(f"{self.name}: {axis} index {index} is out of range, the axis has {extent} elements")
            at = index % extent
            source = PickedSource(volume.array.source, position, at)
            parent = volume._opener
            volume = replace(
                volume,
                array=LazyArray(source),
                axes=volume.axes.replace(axis, ""),
                channel_names=volume.channel_names[at : at + 1] if axis == "c" else volume.channel_names,
                window=volume.window[at : at + 1] if axis == "c" else volume.window,
                _opener=None if parent is None else _picking(parent, axis, at),
            )
        return volume

    def channel(self, channel: int | str) -> Volume:
        """One channel by index or name, without the c axis.

        Raises
        ------
        InputError
            If there is no such channel.
        """
        if isinstance(channel, str):
            if channel not in self.channel_names:
                names = ", ".join(self.channel_names) or "indices"
                raise InputError(f"{self.name}: no channel named {channel!r}; choose from {names}")
            channel = self.channel_names.index(channel)
        if "c" not in self.axes and channel in (0, -1):
            return self
        return self.pick(c=channel)

    def corner(self, size: int) -> Volume:
        """Read the first `size` voxels along every spatial axis into memory, as a volume of one resolution."""
        box = tuple(slice(0, size if axis in SPATIAL_AXES else None) for axis in self.axes)
        return replace(self, array=LazyArray(ArraySource(self.read(box))), levels=(), level_index=0, _opener=None)

    def require_spacing(self) -> tuple[float, ...]:
        """Voxel size in micrometres.

        Raises
        ------
        InputError
            If the file does not tell it.
        """
        if self.spacing_um is None:
            raise InputError(
                f"{self.name}: the voxel size has no length unit; give the spacing in micrometres yourself"
            )
        return self.spacing_um


def _picking(opener: Callable[[int], Volume], axis: str, index: int) -> Callable[[int], Volume]:
    return lambda level: opener(level).pick(**{axis: index})


def as_source(array: Any) -> Source:
    """Wrap an array (NumPy, memory map, or the array of a Volume) as a source."""
    if isinstance(array, LazyArray):
        return array.source
    return ArraySource(np.asanyarray(array))


def canonical(source: Source, axes: str, where: str) -> tuple[Source, str, tuple[int, ...]]:
    """Bring `source` into t, c, z, y, x order.

    Returns
    -------
    source : Source
    axes : str
        Axes in the new order.
    order : tuple of int
        Old position of each new axis.

    Raises
    ------
    InputError
        If axes repeat, are unknown, differ in number from the array, or an extent is zero.
    """
    if len(axes) != len(source.shape) or len(set(axes)) != len(axes) or not set(axes) <= set(CANONICAL_AXES):
        raise InputError(
            f"{where}: axes '{axes}' do not describe an array of shape {source.shape}; "
            f"name each axis once, out of '{CANONICAL_AXES}'"
        )
    if 0 in source.shape:
        raise InputError(f"{where}: the array is empty, shape {source.shape}; check how the file was written")
    if source.dtype.kind not in "uif":
        raise InputError(
            f"{where}: data type {source.dtype} is not supported; convert it to integers or floats first "
            "(masks to uint8, complex data to magnitude)"
        )
    order = tuple(axes.index(axis) for axis in CANONICAL_AXES if axis in axes)
    if order != tuple(range(len(axes))):
        source = TransposedSource(source, order)
    return source, "".join(axes[k] for k in order), order
