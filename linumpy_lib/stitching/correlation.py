"""Normalised correlation of two overlapping images at every whole-pixel displacement in a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MIN_OVERLAP_PX = 32
"""Pixels that two images must share for their correlation to mean anything."""


# Smoothed noise is alike over so many pixels (4 pi sigma^2 at one pixel): that many count as one.
_ALIKE_PX = 12.6
_DEVIATIONS = 3.0


def assured(ncc: Array, count: Array) -> Array:
    """Lower bound of Fisher's z of a correlation: what it tells for certain, so that few pixels do not win by chance.

    Unrelated images stay below 0 with a probability of 99.9 %.

    Parameters
    ----------
    ncc : ndarray
        Correlation coefficients.
    count : ndarray
        Pixels they are from.
    """
    effective = np.maximum(np.asarray(count) / _ALIKE_PX, 4.0)
    result: Array = np.arctanh(np.clip(ncc, -0.9999, 0.9999)) - _DEVIATIONS / np.sqrt(effective - 3)
    return result


@dataclass(frozen=True)
class Window:
    """Displacements (y, x) of image b against image a, whole pixels, both ends included."""

    low: tuple[int, int]
    high: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of displacements along (y, x)."""
        return self.high[0] - self.low[0] + 1, self.high[1] - self.low[1] + 1

    def axes(self) -> tuple[Array, Array]:
        """Displacements along y and along x."""
        return np.arange(self.low[0], self.high[0] + 1), np.arange(self.low[1], self.high[1] + 1)


def overlap(length: tuple[int, int], displacement: tuple[int, int]) -> tuple[slice, slice, slice, slice]:
    """Return what two images of one shape share: rows and columns in a, then in b, where b lies `displacement` further.

    Examples
    --------
    >>> overlap((10, 10), (2, -3))
    (slice(2, 10, None), slice(0, 7, None), slice(0, 8, None), slice(3, 10, None))
    """
    parts = []
    for n, d in zip(length, displacement, strict=True):
        parts.append((slice(max(0, d), min(n, n + d)), slice(max(0, -d), min(n, n - d))))
    return parts[0][0], parts[1][0], parts[0][1], parts[1][1]


@dataclass
class Sums:
    """Weighted sums over the shared pixels, per displacement of a window; sums of several pairs can be added.

    Attributes
    ----------
    cross, energy_a, energy_b : ndarray of float64
        Covariance of the two images, and variance of each, times the number of shared pixels.
    count : ndarray of float64
        Shared pixels.
    """

    cross: Array
    energy_a: Array
    energy_b: Array
    count: Array

    def __iadd__(self, other: Sums) -> Sums:
        self.cross = self.cross + other.cross
        self.energy_a = self.energy_a + other.energy_a
        self.energy_b = self.energy_b + other.energy_b
        self.count = self.count + other.count
        return self

    def ncc(self) -> Array:
        """Correlation coefficient, 0 where too few pixels are shared or nothing varies."""
        scale = np.sqrt(np.maximum(self.energy_a, 0) * np.maximum(self.energy_b, 0))
        floor = 1e-9 * float(scale.max(initial=0.0)) + 1e-30
        usable = (scale > floor) & (self.count >= MIN_OVERLAP_PX)
        return np.where(usable, self.cross / np.maximum(scale, floor), 0.0)

    def assured(self) -> Array:
        """Correlation that is assured: see `assured`; lowest where nothing can be told."""
        return np.where(self.count >= MIN_OVERLAP_PX, assured(self.ncc(), self.count), -np.inf)


def correlate(a: Array, b: Array, weights: Array, window: Window) -> Sums:
    """Correlate two stacks of images over a window of displacements, exactly normalised by what they share.

    Parameters
    ----------
    a, b : ndarray, shape (bands, y, x)
        Two tiles, equal shapes.
    weights : ndarray, shape (bands,)
        Weight of each band.
    window : Window
        Displacements of b against a.

    Returns
    -------
    Sums
        One value for each displacement.
    """
    from scipy import fft

    height, width = a.shape[1:]
    # Only what some displacement shares is transformed: a strip along the seam, not the tile.
    (y0, x0), (y1, x1) = window.low, window.high
    rows_a, rows_b = _reach(height, y0, y1)
    columns_a, columns_b = _reach(width, x0, x1)
    part_a, part_b = a[:, rows_a, columns_a], b[:, rows_b, columns_b]
    size = [fft.next_fast_len(p + q - 1, real=True) for p, q in zip(part_a.shape[1:], part_b.shape[1:], strict=True)]
    spectrum = np.zeros(1)
    for band, weight in enumerate(weights):
        one = fft.rfft2(part_a[band], size)
        spectrum = spectrum + float(weight) * one * np.conj(fft.rfft2(part_b[band], size))
    full = fft.irfft2(spectrum, size)
    dy, dx = window.axes()
    at_y = (dy + rows_b.start - rows_a.start) % size[0]
    at_x = (dx + columns_b.start - columns_a.start) % size[1]
    cross = full[np.ix_(at_y, at_x)]
    count = np.maximum(height - np.abs(dy), 0)[:, None] * np.maximum(width - np.abs(dx), 0)[None, :]
    safe = np.maximum(count, 1)
    energy_a, energy_b = np.zeros(cross.shape), np.zeros(cross.shape)
    for band, weight in enumerate(weights):
        sum_a, square_a = _box_sums(a[band], dy, dx)
        sum_b, square_b = _box_sums(b[band], -dy, -dx)
        cross = cross - float(weight) * sum_a * sum_b / safe
        energy_a += float(weight) * (square_a - sum_a**2 / safe)
        energy_b += float(weight) * (square_b - sum_b**2 / safe)
    return Sums(cross, energy_a, energy_b, count.astype(np.float64))


def _reach(length: int, low: int, high: int) -> tuple[slice, slice]:
    """Rows (or columns) of a and of b that displacements low..high can share."""
    return (
        slice(min(max(0, low), length - 1), max(1, min(length, length + high))),
        slice(min(max(0, -high), length - 1), max(1, min(length, length - low))),
    )


def _box_sums(image: Array, dy: Array, dx: Array) -> tuple[Array, Array]:
    """Sum and sum of squares of the part of an image that displacements share."""
    height, width = image.shape
    top, bottom = np.clip(dy, 0, height), np.clip(height + dy, 0, height)
    left, right = np.clip(dx, 0, width), np.clip(width + dx, 0, width)
    results = []
    for values in (image, image.astype(np.float64) ** 2):
        total = np.zeros((height + 1, width + 1))
        np.cumsum(np.cumsum(values, axis=0, dtype=np.float64), axis=1, out=total[1:, 1:])
        results.append(
            total[np.ix_(bottom, right)]
            - total[np.ix_(top, right)]
            - total[np.ix_(bottom, left)]
            + total[np.ix_(top, left)]
        )
    return results[0], results[1]
