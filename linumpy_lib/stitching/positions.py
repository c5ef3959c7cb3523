"""Positions of tiles from what pairs of them say: one linear map of the layout, then each tile by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.stitching.layout import Layout, Pair, Place
from linumpy_lib.stitching.matching import Match

Array = npt.NDArray[Any]

# What a linear map may be expected to differ from the layout, as a fraction: 3 degrees, 5 % of scale.
_PRIOR = 0.05
# Accuracy that no displacement exceeds, whatever its formal one.
_FLOOR_PX = 0.04
_ROUNDS = 40
# Spread of tiles that is expected before any is seen, and how many pairs that counts for.
_EXPECTED_SPREAD_PX, _EXPECTED_PAIRS = 1.0, 2
# How well the pairs of a tile must agree on another place for it, to be believed against the model.
_AGREE_PX = 1.0
_CHANCES = 3
# Standardised residual where a pair counts half, and where it is called an outlier.
_HALF, _OUTLIER = 3.0, 6.0
_OUTLIER_PX = 0.75


@dataclass(frozen=True)
class Solution:
    """Positions and how well the pairs agree with them.

    Attributes
    ----------
    positions : dict of (row, column) to ndarray, shape (2,)
        First pixel (y, x) of every tile.
    residuals : dict of Pair to float
        Distance of each measured displacement from the positions' one, pixels.
    outliers : frozenset of Pair
        Pairs that were not believed.
    clamped : int
        Tiles whose distance from the model reached the limit.
    spread_px : float
        Robust standard deviation of the tiles' distance from the model, per axis.
    """

    positions: dict[Place, Array]
    residuals: dict[Pair, float]
    outliers: frozenset[Pair]
    clamped: int = 0
    spread_px: float = 0.0

    @property
    def inlier_residuals(self) -> Array:
        """Residuals of the pairs that are believed, pixels."""
        return np.array([r for pair, r in self.residuals.items() if pair not in self.outliers])


def fit_matrix(matches: Sequence[Match], layout: Layout, start: Array | None = None) -> Array:
    """Fit a linear map M so that measured displacement = M (offset in the layout), outliers left aside.

    Parameters
    ----------
    matches : sequence of Match
        What was measured, in this or in several slices.
    layout : Layout
        Nominal places; only offsets are used.
    start : ndarray, shape (2, 2), optional
        Expected map, the identity by default; directions that nothing measures keep it.

    Returns
    -------
    ndarray, shape (2, 2)
    """
    offsets = np.array([layout.offset(match.pair) for match in matches]).reshape(-1, 2)
    return fit_linear_map(matches, offsets, np.eye(2) if start is None else start)


def fit_linear_map(matches: Sequence[Match], offsets: Array, expected: Array) -> Array:
    """Fit the map from offsets, shape (pairs, 2), to displacements by iteratively reweighted least squares."""
    matrix = np.array(expected, dtype=float)
    if not matches:
        return matrix
    measured = np.array([match.displacement for match in matches])
    noise = np.array([_covariance(match.information) for match in matches])
    prior = np.eye(4) / _PRIOR**2
    # The start decides what is an outlier: the median of all pairs along an axis does not mind some.
    matrix = _median_map(measured, offsets, matrix)
    for _ in range(_ROUNDS):
        residual = measured - offsets @ matrix.T
        spread = max(_FLOOR_PX, robust_std(residual))
        weight = np.linalg.inv(noise + spread**2 * np.eye(2))
        believed = _belief(np.einsum("ni,nij,nj->n", residual, weight, residual))
        # Unknowns M00, M01, M10, M11: displacement_i = sum_j M_ij offset_j
        normal = prior + np.einsum("n,nik,nj,nl->ijkl", believed, weight, offsets, offsets).reshape(4, 4)
        right = prior @ np.asarray(expected, float).ravel()
        right = right + np.einsum("n,nik,nk,nj->ij", believed, weight, measured, offsets).ravel()
        new = np.linalg.solve(normal, right).reshape(2, 2)
        done = np.abs(new - matrix).max() < 1e-9
        matrix = new
        if done:
            break
    return matrix


def _median_map(measured: Array, offsets: Array, expected: Array) -> Array:
    """Correct each column of a map by the median residual of the pairs along that axis."""
    matrix = expected.copy()
    along = np.abs(offsets[:, 1]) > np.abs(offsets[:, 0])
    for axis, those in ((0, ~along), (1, along)):
        if those.any():
            step = np.median(offsets[those], axis=0)
            off = np.median(measured[those] - offsets[those] @ expected.T, axis=0)
            matrix[:, axis] += off / step[axis]
    return matrix


def solve(
    matches: Sequence[Match],
    places: Sequence[Place],
    model: Mapping[Place, Array],
    limit_px: float,
) -> Solution:
    """Place every tile by robust least squares over all pairs.

    Minimised is the sum of the pairs' squared residuals, each in units of its own uncertainty and bounded (Geman and
    McClure), and of the tiles' squared distances from the model, in units of the spread that the pairs show. So a tile
    that no pair holds stays with the model, and a wrong pair is outvoted by it and by the other ways around.

    Parameters
    ----------
    matches : sequence of Match
        What was measured.
    places : sequence of (row, column)
        Tiles to place.
    model : mapping of (row, column) to ndarray, shape (2,)
        Where they should lie, (y, x), pixels.
    limit_px : float
        Largest distance of a tile from the model.

    Returns
    -------
    Solution
    """
    index = {place: k for k, place in enumerate(places)}
    positions = {place: np.asarray(model[place], float) for place in places}
    if not matches or limit_px <= 0:
        return _judged(matches, positions, frozenset(), 0, 0.0)
    first = np.array([index[match.pair.first] for match in matches])
    second = np.array([index[match.pair.second] for match in matches])
    wanted = np.array([m.displacement - (model[m.pair.second] - model[m.pair.first]) for m in matches])
    noise = np.array([_covariance(match.information) for match in matches])
    spread = spread_of(wanted)
    problem = _Problem(first, second, wanted, noise, spread, len(places))
    moves, squares = problem.converge(np.zeros((len(places), 2)), np.full(len(places), spread), 2 * spread**2)
    for _ in range(_CHANCES):
        start, scale = problem.elsewhere(moves, squares, limit_px)
        if (scale == spread).all():
            break
        moves, squares = problem.converge(start, scale, 0.0)
    residual = wanted - (moves[second] - moves[first])
    distance = np.hypot(*residual.T)
    far = (squares > _OUTLIER**2) & (distance > _OUTLIER_PX)
    outliers = frozenset(match.pair for match, one in zip(matches, far, strict=True) if one)
    length = np.hypot(*moves.T)
    moves *= np.minimum(1.0, limit_px / np.maximum(length, 1e-12))[:, None]
    for place, move in zip(places, moves, strict=True):
        positions[place] = positions[place] + move
    return _judged(matches, positions, outliers, int(np.count_nonzero(length > limit_px)), spread)


def spread_of(wanted: Array) -> float:
    """Spread of single tiles around the model, pixels, from the pairs' deviations; an expectation where few tell."""
    seen = robust_std(wanted) / math.sqrt(2)  # two tiles contribute to the deviation of a pair
    count = len(wanted)
    mean = (count * seen**2 + _EXPECTED_PAIRS * _EXPECTED_SPREAD_PX**2) / (count + _EXPECTED_PAIRS)
    return max(_FLOOR_PX, math.sqrt(mean))


@dataclass(frozen=True)
class _Problem:
    """Pairs of tiles by index, what each wants of its second tile's move against its first's, and their covariances."""

    first: Array
    second: Array
    wanted: Array
    noise: Array
    spread: float
    count: int

    def converge(self, start: Array, scale: Array, doubt: float) -> tuple[Array, Array]:
        """Find moves, shape (tiles, 2), and the pairs' squared standardised residuals, by reweighting from a start.

        `scale` is the standard deviation of each tile's move, `doubt` the variance of the start.
        """
        residual = self.wanted - (start[self.second] - start[self.first])
        believed = _belief(_squares(residual, self.noise + doubt * np.eye(2)))
        moves = start
        squares = np.zeros(len(self.wanted))
        for _ in range(_ROUNDS):
            weight = believed[:, None, None] * np.linalg.inv(self.noise)
            new = _least_squares(self.first, self.second, self.wanted, weight, scale, self.count)
            squares = _squares(self.wanted - (new[self.second] - new[self.first]), self.noise)
            # Formal uncertainties of real tiles are too small by a common factor: speckle differs between the tiles.
            squares = squares / max(1.0, float(np.median(squares)) / 1.386)
            believed = _belief(squares)
            done = np.abs(new - moves).max() < 1e-6
            moves = new
            if done:
                break
        return moves, squares

    def elsewhere(self, moves: Array, squares: Array, limit_px: float) -> tuple[Array, Array]:
        """Move tiles to where most of their pairs agree that they are, against the model: a new start, and scales."""
        start, scale = moves.copy(), np.full(self.count, self.spread)
        doubted = squares > _OUTLIER**2
        for tile in np.unique(np.concatenate([self.first[doubted], self.second[doubted]])):
            ahead, behind = self.first == tile, self.second == tile
            implied = np.concatenate(
                [
                    moves[self.first[behind & doubted]] + self.wanted[behind & doubted],
                    moves[self.second[ahead & doubted]] - self.wanted[ahead & doubted],
                ]
            )
            place = np.median(implied, axis=0)
            agreeing = int(np.count_nonzero(np.hypot(*(implied - place).T) < _AGREE_PX))
            content = int(np.count_nonzero((ahead | behind) & ~doubted))
            if agreeing >= 2 and agreeing > content and math.hypot(*place) <= limit_px:
                start[tile], scale[tile] = place, limit_px
        return start, scale


def _least_squares(first: Array, second: Array, wanted: Array, weight: Array, scale: Array, count: int) -> Array:
    """Solve for the moves of the tiles, shape (tiles, 2)."""
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    rows, columns, values = [], [], []
    right = np.zeros((count, 2))
    pull = np.einsum("nij,nj->ni", weight, wanted)
    np.add.at(right, second, pull)
    np.add.at(right, first, -pull)
    for a, b, sign in ((first, first, 1), (second, second, 1), (first, second, -1), (second, first, -1)):
        for i in (0, 1):
            for j in (0, 1):
                rows.append(2 * a + i)
                columns.append(2 * b + j)
                values.append(sign * weight[:, i, j])
    diagonal = np.arange(2 * count)
    rows.append(diagonal)
    columns.append(diagonal)
    values.append(np.repeat(1 / scale**2, 2))
    matrix = sparse.csc_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(2 * count, 2 * count)
    )
    return np.asarray(spsolve(matrix, right.ravel())).reshape(count, 2)


def _judged(
    matches: Sequence[Match], positions: dict[Place, Array], outliers: frozenset[Pair], clamped: int, spread: float
) -> Solution:
    residuals = {}
    for match in matches:
        found = positions[match.pair.second] - positions[match.pair.first]
        residuals[match.pair] = float(np.hypot(*(match.displacement - found)))
    return Solution(positions, residuals, outliers, clamped, spread)


def model_solution(matches: Sequence[Match], places: Sequence[Place], model: Mapping[Place, Array]) -> Solution:
    """Judge the model itself as positions."""
    return _judged(matches, {place: np.asarray(model[place], float) for place in places}, frozenset(), 0, 0.0)


def _covariance(information: Array) -> Array:
    """Covariance (2, 2) of a displacement; large but finite along a direction that nothing tells."""
    values, vectors = np.linalg.eigh(information)
    variance = np.minimum(1.0 / np.maximum(values, 1e-4), 1e4) + _FLOOR_PX**2
    result: Array = (vectors * variance) @ vectors.T
    return result


def _squares(residual: Array, covariance: Array) -> Array:
    result: Array = np.einsum("ni,nij,nj->n", residual, np.linalg.inv(covariance), residual)
    return result


def _belief(squares: Array) -> Array:
    """Geman-McClure weights of squared standardised residuals."""
    result: Array = 1.0 / (1.0 + squares / _HALF**2) ** 2
    return result


def robust_std(residual: Array) -> float:
    """1.4826 times the median absolute residual of both components, around zero."""
    return 1.4826 * float(np.median(np.abs(residual)))
