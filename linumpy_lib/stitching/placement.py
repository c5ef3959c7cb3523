"""From what neighbouring tiles show to positions, never worse than where the stage says they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.stitching.layout import Layout, Pair, Place, neighbours
from linumpy_lib.stitching.matching import Match, agreement, match_pairs, pooled_step
from linumpy_lib.stitching.positions import Solution, fit_matrix, model_solution, robust_std, solve
from linumpy_lib.stitching.tile_images import TileImages

Array = npt.NDArray[Any]
Method = Literal["global", "affine", "motor"]

# Correlations that differ by less are equal.
_ALIKE = 1e-3
# By how much (Fisher's z) a far place of a pair has to fit better than one near the map.
_BETTER = 0.1
# How far from the map a pair may be, in standard deviations of all pairs and pixels.
_CLOSE, _CLOSE_PX = 4.0, 1.0


@dataclass(frozen=True)
class Known:
    """Linear map of the layout that other slices tell.

    Attributes
    ----------
    matrix : ndarray, shape (2, 2)
        The map.
    min_pairs : int or None
        Used only where fewer pairs along an axis are measured; None: always.
    """

    matrix: Array
    min_pairs: int | None = None


@dataclass(frozen=True)
class Placement:
    """Positions of tiles and how they came about.

    Attributes
    ----------
    solution : Solution
        Positions and residuals.
    method : {"global", "affine", "motor"}
        Where the positions come from in the end.
    reason : str
        Why not from the method that was asked for; empty if they do.
    matrix : ndarray, shape (2, 2)
        Linear map of the layout that the positions scatter around.
    matches : list of Match
        Pairs that could be measured.
    silent : list of Pair
        Pairs that could not.
    correlation : dict of str to float
        Correlation of all overlaps by method; NaN where no overlap can be judged.
    unseen : tuple of str
        Axes ("rows", "columns") along which all pairs together showed no step.
    step : {"slice", "slices", "stage"}
        Where the linear map comes from: this slice, all slices together, or the layout.
    """

    solution: Solution
    method: Method
    reason: str
    matrix: Array
    matches: list[Match] = field(default_factory=list)
    silent: list[Pair] = field(default_factory=list)
    correlation: dict[str, float] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
    step: str = "stage"


def place_tiles(
    images: TileImages,
    layout: Layout,
    method: Method,
    limit_px: float,
    *,
    known: Known | None = None,
    threads: int = 1,
) -> Placement:
    """Find the positions of the tiles of one slice.

    Parameters
    ----------
    images : TileImages
        The tiles.
    layout : Layout
        Where they should lie.
    method : {"global", "affine", "motor"}
        Each tile by itself; one linear map of the layout; the layout.
    limit_px : float
        Largest distance of a tile from the linear map. Pairs that are farther from it are discarded as unreliable.
    known : Known, optional
        Linear map from all slices.
    threads : int
        Threads that correlate.
    """
    places = images.places
    pairs = list(neighbours(places))
    nominal = model_solution([], places, layout.positions)
    if method == "motor" or not pairs:
        reason = "" if method == "motor" else "no two tiles lie side by side"
        return Placement(nominal, "motor", reason, np.eye(2))
    matrix = known.matrix if known is not None and known.min_pairs is None else None
    start, unseen = (matrix, ()) if matrix is not None else pooled_matrix(images, layout, pairs, threads)
    matches, silent = _measured(images, layout, start, pairs, limit_px, threads)
    if matrix is None and known is not None and _few(matches, pairs, known.min_pairs or 0):
        matrix, unseen = known.matrix, ()
        matches, silent = _measured(images, layout, matrix, pairs, limit_px, threads)
    if not matches and matrix is None:
        return Placement(nominal, "motor", "no overlap shows anything that matches", np.eye(2), [], silent, {}, unseen)
    fitted = fit_matrix(matches, layout, start) if matrix is None else matrix
    matches, silent = _second_look(images, layout, fitted, matches, silent, limit_px, threads)
    if matrix is None:
        fitted = fit_matrix(matches, layout, fitted)
    matches, silent = _within(matches, silent, layout, fitted, limit_px)
    nominal = model_solution(matches, places, layout.positions)
    model = layout.transformed(fitted)
    candidates: dict[Method, Solution] = {"affine": model_solution(matches, places, model), "motor": nominal}
    if method == "global":
        candidates = {"global": solve(matches, places, model, limit_px), **candidates}
    judged = [match.pair for match in matches]
    scores = {name: agreement(images, one.positions, judged) for name, one in candidates.items()}
    chosen, reason = choose(method, scores)
    return Placement(
        candidates[chosen],
        chosen,
        reason,
        np.eye(2) if chosen == "motor" else fitted,
        matches,
        silent,
        {str(name): score for name, score in scores.items()},
        unseen,
        "stage" if chosen == "motor" else "slice" if matrix is None else "slices",
    )


def _measured(
    images: TileImages, layout: Layout, matrix: Array, pairs: list[Pair], limit_px: float, threads: int
) -> tuple[list[Match], list[Pair]]:
    return match_pairs(images, {pair: matrix @ layout.offset(pair) for pair in pairs}, limit_px, threads)


def _few(matches: list[Match], pairs: list[Pair], least: int) -> bool:
    """Whether fewer pairs than that were measured along an axis that has any."""
    axes = {pair.axis for pair in pairs}
    return min(sum(match.pair.axis == axis for match in matches) for axis in axes) < least


def _within(
    matches: list[Match], silent: list[Pair], layout: Layout, matrix: Array, limit_px: float
) -> tuple[list[Match], list[Pair]]:
    """Discard pairs that are farther from the map than the limit; a limit of 0 moves no tile and discards none."""
    if limit_px <= 0:
        return matches, silent
    near = [m for m in matches if math.hypot(*(m.displacement - matrix @ layout.offset(m.pair))) <= limit_px]
    kept = {match.pair for match in near}
    return near, [*silent, *(match.pair for match in matches if match.pair not in kept)]


def _second_look(
    images: TileImages,
    layout: Layout,
    matrix: Array,
    matches: list[Match],
    silent: list[Pair],
    limit_px: float,
    threads: int,
) -> tuple[list[Match], list[Pair]]:
    """Measure pairs again that disagree with the others or were silent, as close to the map as most pairs are."""
    offsets = {pair: matrix @ layout.offset(pair) for pair in [*(match.pair for match in matches), *silent]}
    away = np.array([match.displacement - offsets[match.pair] for match in matches]).reshape(-1, 2)
    if not matches:
        return matches, silent
    radius = min(limit_px, _CLOSE * robust_std(away) + _CLOSE_PX)
    kept = [m for m, one in zip(matches, away, strict=True) if np.abs(one).max() <= radius]
    again = {pair: offset for pair, offset in offsets.items() if pair not in {match.pair for match in kept}}
    if radius >= limit_px or not again:
        return matches, silent
    found, unseen = match_pairs(images, again, radius, threads)
    near = {match.pair: match for match in found if np.abs(match.displacement - again[match.pair]).max() <= radius}
    # Far places that fit better stay: a tile may lie elsewhere, which all of its pairs will tell.
    for match in matches:
        if match.pair in again and (match.pair not in near or near[match.pair].assured < match.assured - _BETTER):
            near[match.pair] = match
    return kept + list(near.values()), [pair for pair in unseen if pair not in near]


def choose(wanted: Method, scores: dict[Method, float]) -> tuple[Method, str]:
    """Keep the wanted method unless a simpler one makes the overlaps agree better.

    Examples
    --------
    >>> choose("affine", {"affine": 0.9, "motor": 0.8})
    ('affine', '')
    >>> choose("affine", {"affine": 0.7, "motor": 0.8})
    ('motor', 'overlaps agree less (correlation 0.7000) than with motor positions (0.8000)')
    """
    known = {name: score for name, score in scores.items() if not math.isnan(score)}
    if wanted not in known:
        return wanted, ""
    best = max(known, key=lambda name: known[name])
    if known[best] <= known[wanted] + _ALIKE:
        return wanted, ""
    text = f"overlaps agree less (correlation {known[wanted]:.4f}) than with {best} positions ({known[best]:.4f})"
    return best, text


def pooled_matrix(
    images: TileImages, layout: Layout, pairs: list[Pair], threads: int = 1
) -> tuple[Array, tuple[str, ...]]:
    """Linear map of the layout, to about a pixel for each step, from all pairs together; axes without an answer."""
    matrix = np.eye(2)
    unseen = []
    for axis, name in enumerate(("rows", "columns")):
        along = [pair for pair in pairs if pair.axis == axis]
        if not along:
            continue
        pooled = pooled_step(images, layout, along, threads)
        if not pooled.found:
            unseen.append(name)
            continue
        step = np.median([layout.offset(pair) for pair in along], axis=0)
        matrix[:, axis] += pooled.correction / step[axis]
    return matrix, tuple(unseen)


def measured_overlap(layout: Layout, matrix: Array) -> dict[str, float]:
    """Overlap of neighbours along y and x as a fraction of a tile, after a linear map of the layout."""
    result = {}
    for axis, name in enumerate("yx"):
        step = layout.step(axis)
        if step is not None:
            result[name] = 1 - float((matrix @ step)[axis]) / layout.tile[axis]
    return result


def angles_deg(layout: Layout, matrix: Array) -> dict[str, float]:
    """Rotation of the tile grid's columns direction, and deviation of its axes from a right angle, degrees."""
    along, down = layout.step(1), layout.step(0)
    result = {}
    if along is not None:
        y, x = matrix @ along
        result["rotation"] = math.degrees(math.atan2(-y, x))
    if along is not None and down is not None:
        (ay, ax), (by, bx) = matrix @ along, matrix @ down
        cosine = (ay * by + ax * bx) / (math.hypot(ay, ax) * math.hypot(by, bx))
        result["perpendicularity"] = 90 - math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
    return result


def place_names(places: list[Place]) -> str:
    """Text of rows and columns: ``1,2 3,4``."""
    return " ".join(f"{row},{column}" for row, column in places)
