"""Seams: how much more a picture changes across the borders of its tiles than beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.stitching.canvas import Canvas

Array = npt.NDArray[Any]

NEAR_PX = 25
"""Pixels on both sides of a border that are looked at."""
# Where "beside" begins: interpolation spreads a step over a few pixels.
_BESIDE_PX = 4


@dataclass(frozen=True)
class Seam:
    """A straight piece of a tile's border that another tile continues.

    Attributes
    ----------
    axis : int
        Axis (0 for y, 1 for x) across the border.
    at : int
        First pixel on the far side of the border along that axis.
    along : slice
        Pixels along the other axis.
    """

    axis: int
    at: int
    along: slice


@dataclass(frozen=True)
class SeamProfile:
    """Mean absolute difference of neighbouring pixels across all seams, by distance.

    Attributes
    ----------
    change : ndarray, shape (2 NEAR_PX + 1,)
        Of pixels ``at + k - 1`` and ``at + k``, k from -NEAR_PX to NEAR_PX; NaN where nothing could be compared.
    pixels : int
        Pixels of seams.
    """

    change: Array
    pixels: int

    @property
    def visibility(self) -> float:
        """Change at the border relative to beside it; 1 is no seam, NaN where there is none to judge."""
        distance = np.abs(np.arange(-NEAR_PX, NEAR_PX + 1))
        beside = self.change[distance >= _BESIDE_PX]
        if not np.isfinite(self.change[NEAR_PX]) or not np.isfinite(beside).any():
            return math.nan
        reference = float(np.nanmedian(beside))
        at = float(self.change[NEAR_PX])
        return at / reference if reference > 0 else (1.0 if at == 0 else math.inf)

    @property
    def gradient(self) -> float:
        """Mean change within `NEAR_PX` of a seam, in the picture's unit per pixel."""
        return float(np.nanmean(self.change)) if self.pixels else math.nan


def seams_of(canvas: Canvas) -> Iterator[Seam]:
    """Borders of tiles that lie within other tiles."""
    count = canvas.count()
    height, width = canvas.shape
    for tile in canvas.tiles:
        (y, x), (h, w) = tile.corner, tile.size
        for axis, at, inner, limit in (
            (0, y, y, height),
            (0, y + h, y + h - 1, height),
            (1, x, x, width),
            (1, x + w, x + w - 1, width),
        ):
            if not 0 < at < limit:
                continue
            along = slice(x, x + w) if axis == 0 else slice(y, y + h)
            shared = (count[inner, along] if axis == 0 else count[along, inner]) > 1
            for start, stop in _runs(shared):
                yield Seam(axis, at, slice(along.start + start, along.start + stop))


def lattice(shape: Sequence[int], step_px: int) -> Iterator[Seam]:
    """Seams at every multiple of a step along y and x, for pictures that do not tell where their tiles lie."""
    for axis in (0, 1):
        for at in range(step_px, shape[axis], step_px):
            yield Seam(axis, at, slice(0, shape[1 - axis]))


def seam_profile(picture: Array, covered: Array, seams: Iterable[Seam]) -> SeamProfile:
    """Measure what changes across seams.

    Parameters
    ----------
    picture : ndarray, shape (y, x)
        A picture, for instance the mean over depth.
    covered : ndarray of bool, shape (y, x)
        Pixels that show anything.
    seams : iterable of Seam
        Where to look.
    """
    total, number = np.zeros(2 * NEAR_PX + 1), np.zeros(2 * NEAR_PX + 1)
    pixels = 0
    for seam in seams:
        values, mask = (image if seam.axis == 0 else image.T for image in (picture, covered))
        low, high = max(1, seam.at - NEAR_PX), min(values.shape[0] - 1, seam.at + NEAR_PX)
        if high < low:
            continue
        part = values[low - 1 : high + 1, seam.along].astype(np.float64)
        inside = mask[low - 1 : high + 1, seam.along]
        both = inside[1:] & inside[:-1]
        change = np.abs(np.diff(part, axis=0))
        first = low - (seam.at - NEAR_PX)
        total[first : first + len(change)] += np.where(both, change, 0).sum(axis=1)
        number[first : first + len(change)] += both.sum(axis=1)
        pixels += seam.along.stop - seam.along.start
    with np.errstate(invalid="ignore"):
        return SeamProfile(np.where(number > 0, total / np.maximum(number, 1), np.nan), pixels)


def _runs(flags: Array) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield int(start), int(stop)
