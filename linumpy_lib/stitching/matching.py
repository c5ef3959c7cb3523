"""How neighbouring tiles really lie: one pooled step along rows and columns, then every pair by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.stitching.correlation import Sums, Window, correlate, overlap
from linumpy_lib.stitching.interpolation import REACH, shift_images
from linumpy_lib.stitching.layout import Layout, Pair, Place
from linumpy_lib.stitching.refinement import refine
from linumpy_lib.stitching.tile_images import TileImages, in_order

Array = npt.NDArray[Any]

# Smoothed noise is alike over so many pixels (4 pi sigma^2 at one pixel): that many count as one.
_ALIKE_PX = 12.6
# Correlations of unrelated tiles, in standard deviations: their maximum over a window of a thousand places stays below.
_SIGNIFICANT = 5.0
# Overlaps, as fractions of a tile, that the pooled search looks at, and how far tiles may lie askew.
_OVERLAPS = (0.02, 0.5)
_ASKEW = 0.06
_POOLED_PAIRS = 48
# Standard deviation of a displacement that only the whole-pixel peak tells.
_COARSE_PX = 0.4


@dataclass(frozen=True)
class Match:
    """Measured displacement of a pair's second tile against its first.

    Attributes
    ----------
    pair : Pair
        The tiles.
    displacement : ndarray, shape (2,)
        (y, x), pixels.
    information : ndarray, shape (2, 2)
        Inverse covariance, 1 / px^2.
    ncc : float
        Correlation of the levelled images at the best whole pixel.
    """

    pair: Pair
    displacement: Array
    information: Array
    ncc: float


@dataclass(frozen=True)
class PooledStep:
    """What all pairs along one axis say together.

    Attributes
    ----------
    correction : ndarray, shape (2,)
        What to add to the layout's offsets (y, x), whole pixels; zeros where nothing was found.
    significance : float
        Correlation there, in standard deviations of unrelated tiles.
    found : bool
        Whether that is beyond chance.
    """

    correction: Array
    significance: float
    found: bool


def pooled_step(images: TileImages, layout: Layout, pairs: Sequence[Pair], threads: int = 1) -> PooledStep:
    """Find the step that fits all pairs along one axis, whatever the layout says about their overlap.

    Parameters
    ----------
    images : TileImages
        The tiles.
    layout : Layout
        Where they should lie.
    pairs : sequence of Pair
        Neighbours along one axis.
    threads : int
        Threads that correlate.
    """
    if not pairs:
        return PooledStep(np.zeros(2), 0.0, found=False)
    axis = pairs[0].axis
    offsets = {pair: layout.offset(pair) for pair in pairs}
    typical = np.median(list(offsets.values()), axis=0)
    length = layout.tile[axis]
    low, high = np.zeros(2, int), np.zeros(2, int)
    low[axis] = math.floor((1 - _OVERLAPS[1]) * length - typical[axis])
    high[axis] = math.ceil((1 - _OVERLAPS[0]) * length - typical[axis])
    across = max(4, round(_ASKEW * layout.tile[1 - axis]))
    low[1 - axis], high[1 - axis] = -across, across
    weights = np.ones(len(images.bands))
    chosen = pairs[:: max(1, len(pairs) // _POOLED_PAIRS)]

    def one(pair: Pair) -> Sums:
        at = np.rint(offsets[pair]).astype(int)
        window = Window(_pair(at + low), _pair(at + high))
        return correlate(images.level(pair.first), images.level(pair.second), weights, window)

    total: Sums | None = None
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for sums in in_order(pool, one, chosen, threads + 1):
            if total is None:
                total = sums
            else:
                total += sums
    assert total is not None
    significance = total.significance() / math.sqrt(_ALIKE_PX)
    peak = np.unravel_index(int(np.argmax(significance)), significance.shape)
    found = float(significance[peak])
    correction = low + np.array(peak)
    inside = all(0 < k < n - 1 for k, n in zip(peak, significance.shape, strict=True))
    if found < _SIGNIFICANT or not inside:
        return PooledStep(np.zeros(2), found, found=False)
    return PooledStep(correction.astype(float), found, found=True)


def match_pairs(
    images: TileImages, expected: Mapping[Pair, Array], radius: float, threads: int = 1
) -> tuple[list[Match], list[Pair]]:
    """Measure every pair.

    Parameters
    ----------
    images : TileImages
        The tiles.
    expected : mapping of Pair to ndarray, shape (2,)
        Where the second tile of each pair should lie against the first, (y, x), pixels.
    radius : float
        How far from there to look, pixels.
    threads : int
        Threads that correlate.

    Returns
    -------
    matches : list of Match
        Pairs that agree somewhere within the radius beyond chance.
    silent : list of Pair
        The others: nothing to see where they overlap, or it fits nowhere.
    """
    reach = max(2, math.ceil(radius) + 1)
    weights = np.ones(len(images.bands))

    def one(pair: Pair) -> Match | None:
        at = np.rint(expected[pair]).astype(int)
        window = Window(_pair(at - reach), _pair(at + reach))
        sums = correlate(images.level(pair.first), images.level(pair.second), weights, window)
        significance = sums.significance() / math.sqrt(_ALIKE_PX)
        peak = np.unravel_index(int(np.argmax(significance)), significance.shape)
        if significance[peak] < _SIGNIFICANT or any(
            k in (0, n - 1) for k, n in zip(peak, significance.shape, strict=True)
        ):
            return None
        ncc = sums.ncc()
        start = at - reach + np.array(peak)
        refined = refine(images.smooth(pair.first), images.smooth(pair.second), weights, _pair(start))
        if refined is not None:
            return Match(pair, refined.displacement, refined.information, float(ncc[peak]))
        coarse = start + _vertex(significance, (int(peak[0]), int(peak[1])))
        return Match(pair, coarse, np.eye(2) / _COARSE_PX**2, float(ncc[peak]))

    matches, silent = [], []
    pairs = list(expected)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for pair, match in zip(pairs, in_order(pool, one, pairs, threads + 1), strict=True):
            if match is None:
                silent.append(pair)
            else:
                matches.append(match)
    return matches, silent


def agreement(images: TileImages, positions: Mapping[Place, Array], pairs: Sequence[Pair]) -> float:
    """Correlation of all overlaps together, the tiles at given positions.

    Parameters
    ----------
    images : TileImages
        The tiles.
    positions : mapping of (row, column) to ndarray, shape (2,)
        First pixel (y, x) of each tile.
    pairs : sequence of Pair
        Which overlaps to look at.

    Returns
    -------
    float
        Pooled correlation coefficient of the levelled images; NaN where no overlap can be judged.
    """
    cross = energy_a = energy_b = 0.0
    for pair in pairs:
        displacement = positions[pair.second] - positions[pair.first]
        whole = np.rint(displacement).astype(int)
        half = (displacement - whole) / 2
        rows_a, columns_a, rows_b, columns_b = overlap(images.tile, _pair(whole))
        size = rows_a.stop - rows_a.start, columns_a.stop - columns_a.start
        if min(size) < 2 * REACH + 3:
            continue
        a = shift_images(images.level(pair.first)[:, rows_a, columns_a], (half[0], half[1])).astype(np.float64)
        b = shift_images(images.level(pair.second)[:, rows_b, columns_b], (-half[0], -half[1])).astype(np.float64)
        a -= a.mean(axis=(1, 2), keepdims=True)
        b -= b.mean(axis=(1, 2), keepdims=True)
        cross += float(np.sum(a * b))
        energy_a += float(np.sum(a * a))
        energy_b += float(np.sum(b * b))
    scale = math.sqrt(energy_a * energy_b)
    return cross / scale if scale > 0 else math.nan


def _pair(values: Array) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _vertex(surface: Array, peak: tuple[int, int]) -> Array:
    """Vertex of the parabolas through a peak and its neighbours, (y, x), against the peak."""
    result = np.zeros(2)
    for axis in (0, 1):
        lower, upper = list(peak), list(peak)
        lower[axis] -= 1
        upper[axis] += 1
        before, at, after = surface[tuple(lower)], surface[peak], surface[tuple(upper)]
        bend = before - 2 * at + after
        if bend < 0:
            result[axis] = float(np.clip((before - after) / (2 * bend), -0.5, 0.5))
    return result
