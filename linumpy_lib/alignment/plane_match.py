"""Which plane of a slice shows the same depth as a plane of the next slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.planar import (
    Image,
    content_box,
    correlation,
    parabola_peak,
    resample,
    shared_box,
    smooth_inside,
)
from linumpy_lib.alignment.rigid import Rigid
from linumpy_lib.io.volume import Volume

Stack = npt.NDArray[np.float32]

SEARCH_SIDE = 512
"""Longest side of the images that depths are searched in, pixels."""

_BAND_VOXELS = 1 << 24


def binning(shape: tuple[int, ...]) -> int:
    """Pixels that are averaged along y and x, so that the longest side does not exceed `SEARCH_SIDE`."""
    return max(1, math.ceil(max(shape[-2:]) / SEARCH_SIDE))


def binned_motion(motion: Rigid, factor: int) -> Rigid:
    """Return a motion in the pixels of images that are binned by a factor."""
    y, x = (n / factor for n in motion.shift)
    c_y, c_x = ((c - (factor - 1) / 2) / factor for c in motion.centre)
    return Rigid(motion.angle_rad, (y, x), (c_y, c_x))


def binned_planes(volume: Volume, low: int, high: int, factor: int) -> Stack:
    """Read planes `low` to `high` (exclusive) averaged over `factor` pixels, band by band.

    Returns
    -------
    ndarray, float32
        (planes, y // factor, x // factor); planes are lightly smoothed where nothing was averaged.
    """
    _, height, width = volume.shape
    rows, columns = max(1, height // factor), max(1, width // factor)
    out = np.empty((high - low, rows, columns), np.float32)
    for first, last in _bands(rows, factor, (high - low) * width):
        part = volume.read((slice(low, high), slice(first * factor, last * factor), slice(0, columns * factor)))
        part = part.reshape(high - low, last - first, -1, columns, part.shape[2] // columns)
        out[:, first:last] = part.mean(axis=(2, 4), dtype=np.float32)
    if factor < 3:
        inside = (out != 0).any(axis=0)
        for plane in out:
            plane[...] = smooth_inside(plane, inside, 1.0 if factor == 1 else 0.6)
    return out


def mean_plane(volume: Volume, planes: Sequence[int], sigma: float = 1.0) -> Image:
    """Average of planes, smoothed with a Gaussian of `sigma` pixels inside what holds anything, read band by band."""
    _, height, width = volume.shape
    low, high = min(planes), max(planes) + 1
    picked = [z - low for z in planes]
    out = np.empty((height, width), np.float32)
    for first, last in _bands(height, 1, (high - low) * width):
        part = volume.read((slice(low, high), slice(first, last), slice(0, width)))
        out[first:last] = part[picked].mean(axis=0, dtype=np.float32)
    return smooth_inside(out, out != 0, sigma) if sigma else out


def _bands(rows: int, factor: int, per_row: int) -> list[tuple[int, int]]:
    step = max(1, _BAND_VOXELS // max(1, per_row * factor))
    # whole chunks: a band that cuts them would read them twice
    step = rows if step >= rows else max(64, step // 64 * 64)
    return [(start, min(rows, start + step)) for start in range(0, rows, step)]


@dataclass(frozen=True)
class Depths:
    """Which planes may match: ``fixed plane = moving plane + offset``.

    Attributes
    ----------
    expected : float
        Offset that the cutting interval tells, planes.
    offsets : range
        Whole offsets to try; empty if the slices do not overlap.
    planes : tuple of int
        Planes of the moving slice that are compared.
    """

    expected: float
    offsets: range
    planes: tuple[int, ...]


def plan_depths(
    fixed_planes: int, moving_planes: int, expected: float, reach: float, first_plane: int, count: int
) -> Depths:
    """Choose offsets and planes that can be compared.

    Parameters
    ----------
    fixed_planes, moving_planes : int
        Depths of the two slices.
    expected : float
        Expected offset, planes: the cutting interval times the difference of the ids.
    reach : float
        How far the offset may be from that.
    first_plane : int
        First plane of the moving slice to believe.
    count : int
        Most planes to compare.

    Examples
    --------
    >>> plan_depths(60, 60, 20.0, 2.0, 4, 3)
    Depths(expected=20.0, offsets=range(18, 23), planes=(4, 18, 33))
    """
    first = min(first_plane, moving_planes - 1)
    low, high = math.ceil(expected - reach - 1e-9), math.floor(expected + reach + 1e-9)
    low = min(low, round(expected))
    high = min(max(high, round(expected)), fixed_planes - 1 - first)
    low = max(low, first - (moving_planes - 1) - first)
    if round(expected) > high:
        return Depths(expected, range(0), (first,))
    offsets = range(low, high + 1)
    # planes that every offset finds in the fixed slice; fewer than 3 of them are too few, then some offsets see less
    last = min(moving_planes - 1, fixed_planes - 1 - high)
    if last - first < 2:
        last = min(moving_planes - 1, fixed_planes - 1 - round(expected))
    chosen = np.linspace(first, last, min(count, last - first + 1))
    return Depths(expected, offsets, tuple(sorted({int(z) for z in chosen})))


@dataclass(frozen=True)
class DepthMatch:
    """Result of a search along z.

    Attributes
    ----------
    offset : int
        Fixed plane minus moving plane.
    fine_offset : float
        The same with a fraction, from a parabola through the three best values.
    correlation : float
        Mean correlation of the matched planes.
    sharpness : float
        How far that lies above the median over all offsets.
    at_limit : bool
        The best offset is the first or the last that was tried: no maximum was found.
    """

    offset: int
    fine_offset: float
    correlation: float
    sharpness: float
    at_limit: bool


def match_depth(fixed: Stack, moving: Stack, depths: Depths, first_fixed: int, motion: Rigid) -> DepthMatch:
    """Find the offset whose planes are most alike.

    Parameters
    ----------
    fixed : ndarray
        Planes (z, y, x) of the fixed slice from plane `first_fixed` on.
    moving : ndarray
        One plane for each of ``depths.planes``.
    depths : Depths
        What to try.
    first_fixed : int
        Number of the first plane in `fixed`.
    motion : Rigid
        From fixed to moving pixels, as far as known.
    """
    boxes = content_box(fixed.max(axis=0)), content_box(moving.max(axis=0))
    box = shared_box(*boxes, motion)
    aligned = [resample(plane, motion, box) for plane in moving]
    curve = np.full(len(depths.offsets), -1.0)
    for k, offset in enumerate(depths.offsets):
        values = [
            correlation(fixed[z + offset - first_fixed][box], plane)
            for z, plane in zip(depths.planes, aligned, strict=True)
            if 0 <= z + offset - first_fixed < len(fixed)
        ]
        if values:
            curve[k] = float(np.mean(values))
    best = int(np.argmax(curve))
    inside = 0 < best < len(curve) - 1
    fraction = parabola_peak(*curve[best - 1 : best + 2].tolist()) if inside else 0.0
    offset = depths.offsets[best]
    sharpness = float(curve[best] - np.median(curve))
    return DepthMatch(offset, offset + fraction, float(curve[best]), sharpness, not inside and len(curve) > 1)
