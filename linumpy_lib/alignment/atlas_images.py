"""Volume and template as images for registration: in RAS, of a size that fits memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.atlas_template import ALLEN_NAME, ALLEN_ORIENTATION, allen_template
from linumpy_lib.alignment.orientation import Orientation, reorient
from linumpy_lib.errors import InputError
from linumpy_lib.io import Volume, open_volume

MOST_VOXELS = 1 << 26
"""Voxels of the level that is registered; a finer one is left to the resampling."""
PREVIEW_VOXELS = 400


@dataclass(frozen=True)
class RasImage:
    """An image whose axes (z, y, x) point to superior, anterior, right.

    Attributes
    ----------
    image : ndarray of float32, shape (z, y, x)
    spacing_mm : tuple of float
        Voxel size (z, y, x); the centre of the first voxel is the origin.
    name : str
        File that it came from.
    """

    image: npt.NDArray[np.float32]
    spacing_mm: tuple[float, float, float]
    name: str


def single_channel(volume: Volume) -> Volume:
    """Drop axes t and c of one element.

    Raises
    ------
    InputError
        If other axes than z, y, x are left.
    """
    for axis in "tc":
        if axis in volume.axes and volume.shape[volume.axes.index(axis)] == 1:
            volume = volume.pick(**{axis: 0})
    if volume.axes != "zyx":
        raise InputError(f"{volume.name}: axes are '{volume.axes}'; give a volume of one channel with axes z, y, x")
    return volume


def known_template(given: Volume | None, resolution_um: int, orientation: str) -> tuple[Volume, Orientation]:
    """Return the template that was given, the Allen template where none was, with its voxel size.

    Parameters
    ----------
    given : Volume or None
        A template of the user's own.
    resolution_um : int
        Voxel size of the Allen template.
    orientation : str
        Where its axes point to; empty where the file's name tells it.

    Returns
    -------
    volume : Volume
        With a voxel size.
    orientation : Orientation
        Where its axes point to.

    Raises
    ------
    InputError
        If it has other axes or no voxel size, or the Allen template cannot be fetched.
    """
    volume = single_channel(open_volume(allen_template(resolution_um)) if given is None else given)
    file = "" if volume.path is None else volume.path.name
    allen = file.startswith(ALLEN_NAME)
    if volume.spacing_um is None and allen:  # the Allen files tell no unit, but their names do
        digits = file.removeprefix(ALLEN_NAME).split(".")[0]
        if digits.isdigit() and int(digits) > 0:
            volume = replace(volume, spacing_um=(float(digits),) * 3)
    if volume.spacing_um is None:
        raise InputError(
            f"{volume.name}: does not tell its voxel size in a unit of length; write 'space units' into the header "
            "of a NRRD file, or give the template as NIfTI or OME-Zarr"
        )
    return volume, Orientation.parse(orientation or (ALLEN_ORIENTATION if allen else "SAR"))


def template_image(volume: Volume, code: Orientation) -> RasImage:
    """Read a template and turn it to RAS."""
    return _turned(volume, code)


def subject_image(volume: Volume, level: int, code: Orientation) -> RasImage:
    """Read the wanted level of a volume's pyramid, a coarser one where that is too large, and turn it to RAS.

    Raises
    ------
    InputError
        If even the coarsest level is too large.
    """
    last = max(0, len(volume.levels) - 1)
    index = min(level, last)
    chosen = volume.level(index) if index else volume
    while math.prod(chosen.shape) > MOST_VOXELS and index < last:
        index += 1
        chosen = volume.level(index)
    if math.prod(chosen.shape) > MOST_VOXELS:
        raise InputError(
            f"{volume.name}: its coarsest level has {chosen.shape} voxels, too many to register; write it "
            "with a pyramid"
        )
    return _turned(chosen, code)


def annotation_image(given: Volume, code: Orientation, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Read an annotation and turn it to RAS.

    Raises
    ------
    InputError
        If it is not on the template's grid.
    """
    volume = single_channel(given)
    labels = reorient(np.asarray(volume.read()), code)
    if labels.shape != shape:
        raise InputError(
            f"{volume.name}: has {labels.shape} voxels in RAS, the template {shape}; give that template's annotation"
        )
    return labels


def working_image(image: RasImage, target_mm: float) -> tuple[RasImage, npt.NDArray[np.float64]]:
    """Average blocks of voxels so that they are about as large as `target_mm`.

    Returns
    -------
    image : RasImage
    origin : ndarray, shape (3,)
        Centre of its first voxel in the frame of the one that came in, millimetres.
    """
    factors = [max(1, round(target_mm / s)) for s in image.spacing_mm]
    factors = [min(f, n) for f, n in zip(factors, image.image.shape, strict=True)]
    cut = image.image[tuple(slice(0, n // f * f) for n, f in zip(image.image.shape, factors, strict=True))]
    split = [part for n, f in zip(cut.shape, factors, strict=True) for part in (n // f, f)]
    small = np.ascontiguousarray(cut).reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)
    z, y, x = (s * f for s, f in zip(image.spacing_mm, factors, strict=True))
    origin = np.array([(f - 1) / 2 * s for s, f in zip(image.spacing_mm, factors, strict=True)])
    return RasImage(small, (z, y, x), image.name), origin


def thinned(image: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], tuple[int, ...]]:
    """Take every n-th voxel, so that no side is longer than a picture can show; return it and the steps."""
    steps = tuple(max(1, -(-n // PREVIEW_VOXELS)) for n in image.shape)
    return image[tuple(slice(None, None, step) for step in steps)], steps


def _turned(volume: Volume, code: Orientation) -> RasImage:
    spacing = volume.require_spacing()
    z, y, x = (spacing[axis] / 1000 for axis in code.transpose())
    return RasImage(reorient(np.asarray(volume.read(), np.float32), code), (z, y, x), volume.name)
