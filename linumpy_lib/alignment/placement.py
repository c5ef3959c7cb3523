"""From recorded shifts to places: the table's convention, growing mosaics, excluded slices, one path for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.shift_analysis import local_median
from linumpy_lib.errors import InputError
from linumpy_lib.io.shift_table import Shift
from linumpy_lib.io.slice_frame import SliceFrame

Array = npt.NDArray[Any]
Pair = tuple[float, float]
ExcludedMode = Literal["local_median", "keep", "median", "zero"]

# A mosaic that differs by less is the same grid, stitched a little differently.
_SAME_GRID_PX = 12
# Two records of one stage that differ by less agree.
_AGREES_MM = 0.01


@dataclass(frozen=True)
class SliceFacts:
    """What placing needs to know of a slice: shape (z, y, x), voxel size (z, y, x) in micrometres and frame."""

    shape: tuple[int, int, int]
    spacing_um: tuple[float, float, float]
    frame: SliceFrame


@dataclass(frozen=True)
class PlacedStep:
    """How far one used slice lies from the next one; lengths along (y, x), micrometres.

    Attributes
    ----------
    fixed_id, moving_id : int
        Neighbours among the slices that are used.
    step_um : tuple of float
        Position of the moving slice's nominal grid minus that of the fixed one.
    candidates_um : tuple of tuple of float
        Further steps that the records allow: what the stage told, before any correction.
    reliable : bool
        Whether the step is believed without a look at the images.
    glitch : bool
        Whether it is one half of a glitch, so that its sum with the other half is right.
    source : {'stage', 'replaced', 'image'}
        Where the step comes from.
    correlation : float or None
        Of the images at this step, if they were looked at.
    """

    fixed_id: int
    moving_id: int
    step_um: Pair
    candidates_um: tuple[Pair, ...] = ()
    reliable: bool = True
    glitch: bool = False
    source: Literal["stage", "replaced", "image"] = "stage"
    correlation: float | None = None


def require_chain(shifts: Sequence[Shift], ids: Sequence[int], path: Path) -> None:
    """Make sure that the table leads from the first to the last of these slices.

    Raises
    ------
    InputError
        If a slice is not in the table, or the table has a break between two of them.
    """
    if len(ids) < 2:
        return
    named = {shift.fixed_id for shift in shifts} | {shift.moving_id for shift in shifts}
    absent = [slice_id for slice_id in ids if slice_id not in named]
    if absent:
        raise InputError(
            f"{path}: names no slice {absent[0]} (and {len(absent) - 1} more of {len(ids)}); give the table of the "
            "same acquisition, or leave the slice out with use=false in slice_config.csv"
        )
    for before, after in pairwise(shifts):
        if before.moving_id != after.fixed_id and before.moving_id < ids[-1] and after.fixed_id >= ids[0]:
            raise InputError(
                f"{path}: leads from slice {before.fixed_id} to {before.moving_id} and goes on at {after.fixed_id}; "
                f"add the row {before.moving_id},{after.fixed_id}"
            )


def image_axes(shifts: Sequence[Shift], facts: Mapping[int, SliceFacts]) -> tuple[list[Shift], str]:
    """Turn the shifts along the image axes, whichever axes the table is written in.

    Tables of this program follow the image axes; those of others follow the stage's counters. The slices tell where
    the stage stood along the image axes, so that the signed permutation of axes that makes the table agree with them is
    found from steps between mosaics of the same grid.

    Parameters
    ----------
    shifts : sequence of Shift
        As in the table.
    facts : mapping of int to SliceFacts
        The slices by id.

    Returns
    -------
    shifts : list of Shift
        Along the image axes.
    note : str
        What was found, empty if the table follows the image axes or nothing can be told.
    """
    rows, stage = [], []
    for shift in shifts:
        pair = facts.get(shift.fixed_id), facts.get(shift.moving_id)
        if pair[0] is None or pair[1] is None or not _same_grid(pair[0], pair[1]):
            continue
        moved = _stage_step(pair[0], pair[1])
        if moved is not None:
            rows.append((-shift.x_mm - shift.removed_mm[0], -shift.y_mm - shift.removed_mm[1]))
            stage.append((moved[1], moved[0]))
    if not rows:
        return list(shifts), ""
    table, seen = np.array(rows), np.array(stage)
    costs = {}
    for swap, sx, sy in product((False, True), (1, -1), (1, -1)):
        turned = (table[:, ::-1] if swap else table) * [sx, sy]
        costs[swap, sx, sy] = float(np.minimum(np.abs(turned - seen).sum(axis=1), 1.0).mean())
    plain = costs[False, 1, 1]
    best = min(costs, key=lambda key: (costs[key], key != (False, 1, 1)))
    if plain <= _AGREES_MM:
        return list(shifts), ""
    if costs[best] > 0.25 * plain:
        return list(shifts), (
            f"the shifts differ from the stage positions that the slices tell, by {plain:.3f} mm on average; they are "
            "taken as they are, along the image axes"
        )
    swap, sx, sy = best

    def turn(x: float, y: float) -> Pair:
        return (sx * y, sy * x) if swap else (sx * x, sy * y)

    turned_shifts = []
    for shift in shifts:
        x, y = turn(shift.x_mm, shift.y_mm)
        px = turn(shift.x_px, shift.y_px)
        removed = turn(*shift.removed_mm)
        turned_shifts.append(replace(shift, x_mm=x, y_mm=y, x_px=px[0], y_px=px[1], removed_mm=removed))
    axes = [f"{'-' if sign < 0 else '+'}{axis}" for sign, axis in zip((sx, sy), "yx" if swap else "xy", strict=True)]
    return turned_shifts, (
        f"the shifts are written along the stage's axes: image x is their {axes[0]}, image y their {axes[1]} (found "
        "from the stage positions of the slices)"
    )


def without_excluded(
    shifts: Sequence[Shift], excluded: set[int], mode: ExcludedMode, window: int
) -> tuple[list[Shift], set[int]]:
    """Replace the shifts from and to excluded slices.

    Parameters
    ----------
    shifts : sequence of Shift
        Along the table.
    excluded : set of int
        Slices whose recorded positions are not believed.
    mode : {'local_median', 'keep', 'median', 'zero'}
        By the median of the other shifts at most `window` rows away, by nothing else, by the median of all others, by
        no shift. Medians are for one interval.
    window : int
        Rows of the table.

    Returns
    -------
    shifts : list of Shift
    replaced : set of int
        Rows that were.
    """
    touched = {k for k, s in enumerate(shifts) if {s.fixed_id, s.moving_id} & excluded}
    if mode == "keep" or not touched:
        return list(shifts), set()
    usable = [k for k in range(len(shifts)) if k not in touched]
    result = list(shifts)
    for k in touched:
        x, y = (
            (0.0, 0.0)
            if mode == "zero"
            else local_median(shifts, k, usable, window if mode == "local_median" else len(shifts))
        )
        result[k] = replace(shifts[k].moved(x, y), reliable=False)
    return result, touched


def placed_steps(
    recorded: Sequence[Shift],
    kept: Sequence[Shift],
    replaced: set[int],
    ids: Sequence[int],
    facts: Mapping[int, SliceFacts],
) -> tuple[list[PlacedStep], list[str]]:
    """Add the shifts up between the used slices and see where mosaics have grown.

    A shift compares the nearer borders of two mosaics. Where a mosaic has grown at its low side, its first voxel lies
    whole tile steps further out than the shift tells; the stage positions of both first tiles show it.

    Parameters
    ----------
    recorded, kept : sequence of Shift
        The table along the image axes, before and after excluded slices were treated.
    replaced : set of int
        Rows that differ.
    ids : sequence of int
        Used slices, ascending.
    facts : mapping of int to SliceFacts
        The slices by id.

    Returns
    -------
    steps : list of PlacedStep
        Between consecutive used slices.
    notes : list of str
        Mosaics that grew or shrank.
    """
    steps, notes = [], []
    for fixed, moving in pairwise(ids):
        rows = [k for k, s in enumerate(recorded) if s.fixed_id >= fixed and s.moving_id <= moving]
        told = _sum(
            [
                (-recorded[k].y_mm - recorded[k].removed_mm[1], -recorded[k].x_mm - recorded[k].removed_mm[0])
                for k in rows
            ]
        )
        clean = _sum([(-recorded[k].y_mm, -recorded[k].x_mm) for k in rows])
        used = _sum([(-kept[k].y_mm, -kept[k].x_mm) for k in rows])
        growth, known = _growth_mm(facts[fixed], facts[moving], told)
        if any(growth):
            notes.append(
                f"slice {moving}: its mosaic begins {growth[1] * 1000:+.0f} um in x and {growth[0] * 1000:+.0f} um in "
                f"y from where that of slice {fixed} does: it has grown or shrunk"
            )
        if not known:
            notes.append(
                f"slice {moving}: its mosaic has another size than that of slice {fixed}, and no stage position tells "
                "where it grew"
            )
        options = [tuple(1000 * (v + g) for v, g in zip(one, growth, strict=True)) for one in (used, clean, told)]
        first = (options[0][0], options[0][1])
        others = tuple(dict.fromkeys((o[0], o[1]) for o in options[1:] if o != options[0]))
        steps.append(
            PlacedStep(
                fixed,
                moving,
                first,
                others,
                reliable=known and all(kept[k].reliable for k in rows),
                glitch=len(rows) == 1 and any(recorded[rows[0]].removed_mm),
                source="replaced" if replaced & set(rows) else "stage",
            )
        )
    return steps, notes


def positions_um(steps: Sequence[PlacedStep], ids: Sequence[int]) -> dict[int, Pair]:
    """Add steps up to positions (y, x) of the nominal grids, the middle slice at the origin.

    The two halves of a glitch whose slice was found in the images are adjusted together, so that their sum, which the
    stage knows, stays: the slice takes the place that both neighbours agree on best.

    Parameters
    ----------
    steps : sequence of PlacedStep
        Between consecutive slices.
    ids : sequence of int
        The slices, ascending.
    """
    moved = np.array([step.step_um for step in steps], dtype=float).reshape(-1, 2)
    for k in range(len(steps) - 1):
        first, second = steps[k], steps[k + 1]
        total = _glitch_sum(first, second)
        if total is None:
            continue
        images = [s for s in (first, second) if s.source == "image"]
        if len(images) == 2:
            moved[k] = (moved[k] + np.array(total) - moved[k + 1]) / 2
        elif images == [second]:
            moved[k] = np.array(total) - moved[k + 1]
        moved[k + 1] = np.array(total) - moved[k]
    places = np.concatenate([np.zeros((1, 2)), np.cumsum(moved, axis=0)]) if len(ids) else np.zeros((0, 2))
    if len(ids):
        places -= places[len(ids) // 2].copy()
    return {slice_id: (float(p[0]), float(p[1])) for slice_id, p in zip(ids, places, strict=True)}


def _glitch_sum(first: PlacedStep, second: PlacedStep) -> Pair | None:
    """Sum of the stage's steps over a glitch; None if the two are not its halves."""
    if not (first.glitch and second.glitch):
        return None
    told = [step.candidates_um for step in (first, second)]
    if not (told[0] and told[1]):
        return None
    (ay, ax), (by, bx) = told[0][-1], told[1][-1]
    return ay + by, ax + bx


def _sum(pairs: Sequence[Pair]) -> Pair:
    return float(sum(p[0] for p in pairs)), float(sum(p[1] for p in pairs))


def _stage_step(fixed: SliceFacts, moving: SliceFacts) -> Pair | None:
    a, b = fixed.frame.stage_origin_mm, moving.frame.stage_origin_mm
    return None if a is None or b is None else (b[0] - a[0], b[1] - a[1])


def _longer(fixed: SliceFacts, moving: SliceFacts) -> Pair:
    """By how much the moving mosaic is longer along (y, x), millimetres; 0 if it has the same grid."""
    found = []
    for axis in (1, 2):
        pixels = moving.shape[axis] - fixed.shape[axis]
        found.append(pixels * moving.spacing_um[axis] / 1000 if abs(pixels) > _SAME_GRID_PX else 0.0)
    return found[0], found[1]


def _same_grid(fixed: SliceFacts, moving: SliceFacts) -> bool:
    return not any(_longer(fixed, moving))


def _growth_mm(fixed: SliceFacts, moving: SliceFacts, told_mm: Pair) -> tuple[Pair, bool]:
    """How much further the moving mosaic's first tile lies than the shift tells, and whether that is known."""
    longer, stage = _longer(fixed, moving), _stage_step(fixed, moving)
    if not any(longer):
        return (0.0, 0.0), True
    if stage is None:
        return (0.0, 0.0), False
    growth = [0.0, 0.0]
    for axis in (0, 1):
        # either border may be the one that the shift compares: the first tile then moved by nothing more, or by all
        # that was added
        rest = stage[axis] - told_mm[axis]
        if longer[axis] and abs(rest + longer[axis]) < abs(rest):
            growth[axis] = rest
    return (growth[0], growth[1]), True
