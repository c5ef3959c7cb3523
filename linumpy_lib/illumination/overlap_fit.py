"""Flat field from what neighbouring tiles show twice, for mosaics with too few tiles to average the tissue out.

Where two tiles overlap they show the same tissue, so that the ratio of their intensities is the ratio of the flat field
at two places, whatever the tissue is:

    ln I_1(p) - ln I_2(p - step) = f(p) - f(p - step) + noise,        f = ln F.

Between the overlaps nothing is compared; there a prior decides. Quadratic polynomials, which are what lenses and
Gaussian beams give, are all but free (an overlap's slope is a parabola's curvature); what is left is a sum of cosines
whose variance falls with the fourth power of their frequency and is estimated from the data (empirical Bayes, by
expectation maximisation). Residuals are Huber's; those within one overlap are not independent, so that the scatter
from overlap to overlap tells how much they count (a sandwich estimate with overlaps as clusters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.illumination.basic import FLAT_ORDER, BasicFit
from linumpy_lib.illumination.cosines import Float64, coefficients_of, cosine_basis
from linumpy_lib.illumination.tile_pool import TilePool

FEWEST_OVERLAPS = 4

# Cosines along an axis.
_ORDER = 12
_SLOPE = 4.0
# Standard deviation of ln F that a polynomial is given: more than any microscope shows.
_FREE = 3.0
_HUBER = 1.345
_NARROWEST_PX = 2
_SMALLEST_SCALE = 1e-3
_TOLERANCE = 1e-4
# The smoothness at which the cosines have the variance that was estimated, and the least that they are held down.
_AS_ESTIMATED = 0.05
_SMALLEST_HOLD = 1e-6
# Start of the cosines' variance; it is estimated.
_VARIANCE = 1e-3


@dataclass(frozen=True)
class _Borders:
    """Overlaps along one axis: differences of functions (pixels, functions), log ratios, weights (overlaps, pixels)."""

    differences: Float64
    ratios: Float64
    weights: Float64


def fit_overlaps(
    pool: TilePool,
    chosen: npt.NDArray[np.bool_],
    overlap: tuple[float, float] | None,
    *,
    smoothness: float = 0.05,
    max_iterations: int = 500,
) -> tuple[BasicFit | None, str]:
    """Fit a flat field to the overlaps of neighbouring tiles.

    Parameters
    ----------
    pool : TilePool
        Pictures of the tiles.
    chosen : bool array, shape (tiles, depths)
        Pictures to use.
    overlap : tuple of float, optional
        Overlap (y, x), fractions of a tile.
    smoothness : float
        How strongly the cosines are held down: at 0.05 as their estimated variance says, at twice as much as if they
        were half as large; at 0 not at all, and what no overlap shows stays unknown.
    max_iterations : int
        Iterations at most.

    Returns
    -------
    BasicFit or None
        Without dark field; None if too few tiles overlap.
    str
        Why, then; else empty.

    References
    ----------
    Huber (1964) Robust estimation of a location parameter. Annals of Mathematical Statistics 35:73-101.
    Liang and Zeger (1986) Longitudinal data analysis using generalized linear models. Biometrika 73:13-22.
    """
    if overlap is None:
        return None, "the overlap of the tiles is unknown"
    grid = (pool.images.shape[2], pool.images.shape[3])
    borders = [found for axis in (0, 1) if (found := _borders(pool, chosen, overlap[axis], axis)) is not None]
    count = sum(len(one.ratios) for one in borders)
    if count < FEWEST_OVERLAPS:
        return None, f"{count} tiles overlap; {FEWEST_OVERLAPS} are needed"
    weights, iterations, converged = _solve(borders, smoothness, max_iterations)
    flat = np.exp(np.tensordot(weights, _functions(np.arange(grid[0]), np.arange(grid[1]), grid), 1))
    flat /= flat.mean()
    level = [float(np.median(one / flat)) for one in pool.images[chosen]]
    dark = np.zeros((1, 1))
    bases = [cosine_basis(length, min(FLAT_ORDER, length)) for length in grid]
    return BasicFit(coefficients_of(flat, bases), dark, np.array(level), grid, iterations, converged), ""


def _frequencies() -> list[tuple[int, int]]:
    return [(a, b) for a in range(_ORDER) for b in range(_ORDER) if a + b > 0]


def _functions(rows: npt.ArrayLike, columns: npt.ArrayLike, grid: tuple[int, int]) -> Float64:
    """Values (functions, rows, columns) of the cosines, then the polynomials, each of mean square 1 over the tile."""
    cosines, polynomials = [], []
    for positions, length in zip((rows, columns), grid, strict=True):
        part = (np.asarray(positions, np.float64) + 0.5) / length
        order = np.arange(_ORDER)[:, None]
        cosines.append(np.cos(np.pi * order * part) * np.where(order == 0, 1, np.sqrt(2)))
        u = 2 * part - 1
        polynomials.append(np.stack([np.ones_like(u), np.sqrt(3) * u, np.sqrt(5) * (1.5 * u * u - 0.5)]))
    values = [np.outer(cosines[0][a], cosines[1][b]) for a, b in _frequencies()]
    values += [np.outer(polynomials[0][a], polynomials[1][b]) for a, b in ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2))]
    return np.stack(values)


def _borders(pool: TilePool, chosen: npt.NDArray[np.bool_], fraction: float, axis: int) -> _Borders | None:
    """Compare every tile with the next one along an axis."""
    grid = (pool.images.shape[2], pool.images.shape[3])
    length = grid[axis]
    step = length * (1 - fraction)
    here = np.arange(length)[np.arange(length) >= step - 1e-9]
    if len(here) < _NARROWEST_PX or step < 1:
        return None
    there = here - step
    index = {place: k for k, place in enumerate(pool.places)}
    ratios, weights = [], []
    for (row, column), k in index.items():
        other = index.get((row + (axis == 0), column + (axis == 1)))
        if other is None or not (both := chosen[k] & chosen[other]).any():
            continue
        ratio, known = _ratio(pool, (k, other), both, (here, there), axis)
        if known.mean() >= 0.5:
            ratios.append(ratio.reshape(-1))
            weights.append(known.reshape(-1).astype(np.float64))
    if not ratios:
        return None
    across = np.arange(grid[1 - axis])
    if axis == 0:
        functions = _functions(here, across, grid) - _functions(there, across, grid)
    else:
        functions = (_functions(across, here, grid) - _functions(across, there, grid)).swapaxes(1, 2)
    return _Borders(functions.reshape(len(functions), -1).T, np.array(ratios), np.array(weights))


def _ratio(
    pool: TilePool,
    pair: tuple[int, int],
    depths: npt.NDArray[np.bool_],
    positions: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    axis: int,
) -> tuple[Float64, npt.NDArray[np.bool_]]:
    """Log ratio of two tiles, summed over depth, at (positions, across), and where it is known."""
    sums, seen = [], []
    for k, where in zip(pair, positions, strict=True):
        images = np.moveaxis(pool.images[k][depths], 1 + axis, 1)
        known = np.moveaxis(pool.weights[k][depths] > 0, 1 + axis, 1)
        low = np.floor(where + 1e-9).astype(int)
        part = np.clip(where - low, 0, 1)[:, None]
        high = np.minimum(low + 1, images.shape[1] - 1)
        sums.append(images[:, low] * (1 - part) + images[:, high] * part)
        seen.append(known[:, low] & known[:, high])
    both = seen[0] & seen[1]
    first, second = ((one * both).sum(axis=0, dtype=np.float64) for one in sums)
    lit = (first > 0) & (second > 0)
    ratio: Float64 = np.where(lit, np.log(np.where(lit, first, 1)) - np.log(np.where(lit, second, 1)), 0)
    return ratio, lit


def _solve(borders: list[_Borders], smoothness: float, max_iterations: int) -> tuple[Float64, int, bool]:
    """Weights of the functions, iterations, and whether they came to rest."""
    fall = np.array([np.hypot(a, b) for a, b in _frequencies()]) ** -_SLOPE
    cosines, count = len(fall), borders[0].differences.shape[1]
    found, variance, iterations, rested = np.zeros(count), _VARIANCE, 0, False
    for _ in range(max_iterations):
        residuals = [one.ratios - found @ one.differences.T for one in borders]
        sizes = [np.abs(r)[one.weights > 0] for r, one in zip(residuals, borders, strict=True)]
        scale = max(1.4826 * float(np.median(np.concatenate(sizes))), _SMALLEST_SCALE)
        normal, right, scores = np.zeros((count, count)), np.zeros(count), []
        for residual, one in zip(residuals, borders, strict=True):
            trust = one.weights / np.maximum(np.abs(residual) / (_HUBER * scale), 1)
            normal += (one.differences * trust.sum(axis=0)[:, None]).T @ one.differences
            right += one.differences.T @ (trust * one.ratios).sum(axis=0)
            scores.append((trust * residual) @ one.differences)
        noise = scale**2 * _inflation(normal, np.concatenate(scores), scale)
        prior = np.concatenate([variance * fall, np.full(count - cosines, _FREE**2)])
        covariance = np.linalg.inv(normal / noise + np.diag(1 / prior))
        previous, found = found, covariance @ (right / noise)
        variance = float(np.mean((found[:cosines] ** 2 + np.diag(covariance)[:cosines]) / fall))
        iterations += 1
        rested = bool(np.abs(found - previous).max() < _TOLERANCE)
        if rested:
            break
    held = np.full(count, (smoothness / _AS_ESTIMATED) ** 2)
    held[cosines:] = 1
    # where nothing is held down and no overlap tells, the smallest solution
    precision = np.maximum(held, _SMALLEST_HOLD) / prior
    found = np.linalg.inv(normal / noise + np.diag(precision)) @ (right / noise)
    return found, iterations, rested


def _inflation(normal: Float64, scores: Float64, scale: float) -> float:
    """How much more the overlaps' scores (overlaps, functions) scatter than those of independent pixels would."""
    inverse = np.linalg.pinv(normal + 1e-6 * np.trace(normal) / len(normal) * np.eye(len(normal)), hermitian=True)
    expected = scale**2 * float(np.trace(inverse @ normal))
    return max(1.0, float(np.einsum("bi,ij,bj->", scores, inverse, scores)) / expected)
