"""How neighbouring tiles really lie: one pooled step along rows and columns, then every pair by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.stitching.correlation import MIN_OVERLAP_PX, Sums, Window, assured, correlate, overlap
from linumpy_lib.stitching.interpolation import shift_images, with_margin
from linumpy_lib.stitching.layout import Layout, Pair, Place
from linumpy_lib.stitching.refinement import MIN_SIDE_PX, refine
from linumpy_lib.stitching.tile_images import TileImages, in_order

Array = npt.NDArray[Any]

# What a correlation has to assure (Fisher's z): the best of many places of unrelated tiles stays below.
_ASSURED = 0.1
_PEAKS = 5
_QUANTILES = 17
# What a distance of one pixel from the expected place costs, Fisher's z.
_FAR = 0.002
# Overlaps, as fractions of a tile, that the pooled search looks at, and how far tiles may lie askew.
_OVERLAPS = (0.02, 0.5)
_ASKEW = 0.06
_POOLED_PAIRS = 48
# Standard deviation of a displacement that only the whole-pixel peak tells.
_COARSE_PX = 1.0


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
    assured : float
        Correlation of the levelled images that is assured there, Fisher's z.
    """

    pair: Pair
    displacement: Array
    information: Array
    assured: float


@dataclass(frozen=True)
class PooledStep:
    """What all pairs along one axis say together.

    Attributes
    ----------
    correction : ndarray, shape (2,)
        What to add to the layout's offsets (y, x), whole pixels; zeros where nothing was found.
    assured : float
        Correlation that is assured there, Fisher's z.
    found : bool
        Whether that is beyond chance.
    """

    correction: Array
    assured: float
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
    surface = total.assured()
    peak = np.unravel_index(int(np.argmax(surface)), surface.shape)
    found = float(surface[peak])
    inside = all(0 < k < n - 1 for k, n in zip(peak, surface.shape, strict=True))
    if found < _ASSURED or not inside:
        return PooledStep(np.zeros(2), found, found=False)
    return PooledStep((low + np.array(peak)).astype(float), found, found=True)


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

    def one(pair: Pair) -> Match | None:
        return match_pair(images, pair, expected[pair], reach)

    matches, silent = [], []
    pairs = list(expected)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for pair, match in zip(pairs, in_order(pool, one, pairs, threads + 1), strict=True):
            if match is None:
                silent.append(pair)
            else:
                matches.append(match)
    return matches, silent


def match_pair(
    images: TileImages, pair: Pair, expected: Array, reach: int, *, match_histograms: bool = False
) -> Match | None:
    """Measure one pair: the best places of the window compete after each was refined to fractions of a pixel.

    Parameters
    ----------
    images : TileImages
        The tiles.
    pair : Pair
        Which two.
    expected : ndarray, shape (2,)
        Where the second should lie against the first, (y, x), pixels.
    reach : int
        How far from there to look, pixels.
    match_histograms : bool
        Bring the second tile's brightness to that of the first before they are refined, by what their expected
        overlap shows.

    Returns
    -------
    Match or None
        None if they agree nowhere beyond chance.
    """
    weights = np.ones(len(images.bands))
    at = np.rint(expected).astype(int)
    window = Window(_pair(at - reach), _pair(at + reach))
    level = images.level(pair.first), images.level(pair.second)
    logs = images.log(pair.first), images.log(pair.second)
    if match_histograms:
        logs = logs[0], histogram_matched(*logs, at)
    surface = correlate(*level, weights, window).assured()
    best: Match | None = None
    for peak in peaks(surface, _PEAKS):
        if surface[peak] < _ASSURED:
            break
        start = at - reach + np.array(peak)
        refined = refine(*logs, weights, _pair(start), np.asarray(expected))
        if refined is None and not too_thin(images.tile, _pair(start)):
            continue
        if refined is None:
            found = Match(pair, start + _vertex(surface, peak), np.eye(2) / _COARSE_PX**2, float(surface[peak]))
        else:
            score = assured_at(*level, refined.displacement)
            found = Match(pair, refined.displacement, refined.information, score)
        if np.abs(found.displacement - expected).max() <= reach and (
            best is None or _rank(found, expected) > _rank(best, expected)
        ):
            best = found
    return best


def histogram_matched(a: Array, b: Array, displacement: Array) -> Array:
    """Return b with the histogram, band by band, that a has where the two overlap at a whole displacement."""
    rows_a, columns_a, rows_b, columns_b = overlap((a.shape[1], a.shape[2]), _pair(displacement))
    part_a, part_b = a[:, rows_a, columns_a], b[:, rows_b, columns_b]
    if part_a[0].size < MIN_OVERLAP_PX:
        return b
    percentiles = np.linspace(0, 100, _QUANTILES)
    result = np.empty_like(b)
    for band in range(len(b)):
        high, low = np.percentile(part_a[band], percentiles), np.percentile(part_b[band], percentiles)
        low += np.linspace(0, 1e-6, _QUANTILES)
        inside = np.interp(b[band], low, high)
        # Beyond what the overlap shows, brightness goes on in parallel.
        result[band] = inside + np.minimum(b[band] - low[0], 0) + np.maximum(b[band] - low[-1], 0)
    return result


def _rank(match: Match, expected: Array) -> float:
    """Rank competing places of a pair: of two that fit alike, the nearer one wins."""
    return match.assured - _FAR * float(np.sum((match.displacement - expected) ** 2))


def too_thin(tile: tuple[int, int], displacement: tuple[int, int]) -> bool:
    """Whether an overlap is too thin to be refined: its whole-pixel peak is all there is."""
    return min(n - abs(d) for n, d in zip(tile, displacement, strict=True)) < MIN_SIDE_PX


def peaks(surface: Array, most: int) -> list[tuple[int, int]]:
    """Highest local maxima that are not on the border, best first."""
    from scipy import ndimage

    local = surface == ndimage.maximum_filter(surface, 3, mode="nearest")
    local[[0, -1]] = local[:, [0, -1]] = False
    where = np.flatnonzero(local & np.isfinite(surface))
    order = where[np.argsort(-surface.ravel()[where], kind="stable")[:most]]
    return [(int(k // surface.shape[1]), int(k % surface.shape[1])) for k in order]


def assured_at(a: Array, b: Array, displacement: Array) -> float:
    """Assured correlation of two tiles at a fraction of a pixel; -inf where they share too little."""
    shared = shared_parts(a, b, displacement)
    if shared is None:
        return -math.inf
    cross, energy_a, energy_b = covariances(*shared)
    scale = math.sqrt(energy_a * energy_b)
    if scale <= 0:
        return -math.inf
    return float(assured(np.array(cross / scale), np.array(shared[0].shape[1] * shared[0].shape[2])))


def shared_parts(a: Array, b: Array, displacement: Array) -> tuple[Array, Array] | None:
    """Return what two tiles show of the same place, both interpolated half-way: (bands, y, x); None if too little."""
    whole = np.rint(displacement).astype(int)
    half = (displacement - whole) / 2
    rows_a, columns_a, rows_b, columns_b = overlap((a.shape[1], a.shape[2]), _pair(whole))
    height, width = rows_a.stop - rows_a.start, columns_a.stop - columns_a.start
    if min(height, width) < 1 or height * width < MIN_OVERLAP_PX:
        return None
    return (
        shift_images(with_margin(a, rows_a, columns_a), (half[0], half[1])),
        shift_images(with_margin(b, rows_b, columns_b), (-half[0], -half[1])),
    )


def covariances(a: Array, b: Array) -> tuple[float, float, float]:
    """Return the covariance and both variances, times the number of pixels, summed over bands."""
    one, other = a.astype(np.float64), b.astype(np.float64)
    one -= one.mean(axis=(1, 2), keepdims=True)
    other -= other.mean(axis=(1, 2), keepdims=True)
    return float(np.sum(one * other)), float(np.sum(one * one)), float(np.sum(other * other))


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
    sums = [0.0, 0.0, 0.0]
    for pair in pairs:
        displacement = positions[pair.second] - positions[pair.first]
        shared = shared_parts(images.level(pair.first), images.level(pair.second), displacement)
        if shared is None:
            continue
        for k, value in enumerate(covariances(*shared)):
            sums[k] += value
    cross, energy_a, energy_b = sums
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
