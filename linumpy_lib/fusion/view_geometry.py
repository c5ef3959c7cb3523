"""Crop, quarter turns and mirrors of a view; of arrays, and of views that are read slab by slab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.io import LazyArray

Counts = npt.NDArray[np.uint16]


def crop_volume(
    volume: Any,
    top: int = 0,
    left: int = 0,
    height: int | None = None,
    width: int | None = None,
    front: int = 0,
    depth: int | None = None,
) -> Any:
    """Cut a box out of a view.

    Parameters
    ----------
    volume : array_like
        View (z, y, x).
    top, left, front : int
        First row (y), column (x) and plane (z), from 0.
    height, width, depth : int, optional
        How many; None or 0 goes to the end.

    Returns
    -------
    ndarray
        The box, a view of a NumPy array.

    Raises
    ------
    ParameterError
        If the box does not lie in the view.

    Examples
    --------
    >>> crop_volume(np.zeros((4, 6, 8)), top=1, width=5).shape
    (4, 5, 5)
    """
    return volume[crop_box(volume.shape, Crop(left, top, width or 0, height or 0, front, depth or 0))]


@dataclass(frozen=True)
class Crop:
    """What is kept of a view: first and number of columns, rows and planes; the number 0 goes to the end."""

    left: int = 0
    top: int = 0
    width: int = 0
    height: int = 0
    front: int = 0
    depth: int = 0


def crop_box(shape: Sequence[int], crop: Crop) -> tuple[slice, slice, slice]:
    """Return the box (z, y, x) that is kept.

    Raises
    ------
    ParameterError
        If it does not lie in the view.
    """
    spans = []
    for axis, (first, count, names) in enumerate(
        (
            (crop.front, crop.depth, ("crop_front", "crop_depth", "planes")),
            (crop.top, crop.height, ("crop_top", "crop_height", "rows")),
            (crop.left, crop.width, ("crop_left", "crop_width", "columns")),
        )
    ):
        extent = int(shape[axis])
        last = first + count if count else extent
        if not 0 <= first < last <= extent:
            raise ParameterError(
                f"{names[0]} = {first}, {names[1]} = {count}: the view has {extent} {names[2]}, keep some of 0 to "
                f"{extent - 1}"
            )
        spans.append(slice(first, last))
    return spans[0], spans[1], spans[2]


def rotate_volume(volume: npt.NDArray[Any], rotation: int) -> npt.NDArray[Any]:
    """Turn every plane by 90 degrees.

    Parameters
    ----------
    volume : ndarray
        View (z, y, x).
    rotation : {0, 1, -1}
        1 clockwise, -1 counter-clockwise, 0 not at all.

    Raises
    ------
    ParameterError
        For any other rotation.

    Examples
    --------
    >>> rotate_volume(np.array([[[1, 2], [3, 4]]]), 1)[0].tolist()
    [[3, 1], [4, 2]]
    """
    if rotation not in (-1, 0, 1):
        raise ParameterError(f"rotation = {rotation}: choose 1 (clockwise), -1 (counter-clockwise) or 0")
    return np.rot90(volume, -rotation, (1, 2)) if rotation else volume


def flip_volume(volume: npt.NDArray[Any], horizontal: bool = False, vertical: bool = False) -> npt.NDArray[Any]:
    """Mirror every plane along x (horizontal), y (vertical) or both.

    Examples
    --------
    >>> flip_volume(np.array([[[1, 2], [3, 4]]]), horizontal=True)[0].tolist()
    [[2, 1], [4, 3]]
    """
    axes = tuple(axis for axis, wanted in ((1, vertical), (2, horizontal)) if wanted)
    return np.flip(volume, axes) if axes else volume


def crop_of_camera(camera: int, lists: dict[str, tuple[int, ...]]) -> Crop:
    """Take a camera's numbers out of lists that hold one for all cameras, or one for each from camera 0.

    Parameters
    ----------
    camera : int
        The camera.
    lists : dict of str to tuple of int
        For ``crop_left`` and the like.

    Raises
    ------
    ParameterError
        If a list has no number for the camera, or a number is negative.
    """
    found = {}
    for name, values in lists.items():
        if len(values) > 1 and camera >= len(values):
            raise ParameterError(
                f"{name} = {list(values)}: has no number for camera {camera}; give one for all, or one for each from "
                "camera 0"
            )
        value = (values[0] if len(values) == 1 else values[camera]) if values else 0
        if value < 0:
            raise ParameterError(f"{name} = {list(values)}: must not be negative")
        found[name.removeprefix("crop_")] = value
    return Crop(**found)


class TurnedView:
    """A view that is cropped, turned and mirrored while planes of it are read.

    Parameters
    ----------
    array : LazyArray
        The view (z, y, x) as it lies on disk.
    crop : Crop
        What is kept of it, before it is turned.
    rotation : {0, 1, -1}
        Quarter turn of every plane.
    horizontal, vertical : bool
        Mirror after turning.
    where : str
        What messages call the view.
    """

    def __init__(
        self,
        array: LazyArray,
        crop: Crop = Crop(),
        rotation: int = 0,
        horizontal: bool = False,
        vertical: bool = False,
        where: str = "view",
    ) -> None:
        self._array, self._rotation, self._flips, self._where = array, rotation, (horizontal, vertical), where
        self._box = crop_box(array.shape, crop)
        z, y, x = (span.stop - span.start for span in self._box)
        self.shape = (z, x, y) if rotation else (z, y, x)

    def planes(self, first: int, last: int) -> Counts:
        """Read planes `first` to `last` (exclusive) of the turned view, as counts.

        Raises
        ------
        InputError
            If a voxel is no count of 0 to 65535, or cannot be read.
        """
        from linumpy_lib.fusion.bands import counts_of

        start = self._box[0].start
        values = self._array[start + first : start + last, self._box[1], self._box[2]]
        try:
            counts = counts_of(values)
        except InputError as error:
            raise InputError(f"{self._where}: {error}") from None
        turned = flip_volume(rotate_volume(counts, self._rotation), *self._flips)
        return np.ascontiguousarray(turned)
