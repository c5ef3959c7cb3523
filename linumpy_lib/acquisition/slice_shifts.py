"""Shifts between the mosaics of consecutive slices, from the stage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.acquisition.stage import SliceStage, StageAxes, infer_axes, nominal_mm
from linumpy_lib.io.shift_table import Shift

Array = npt.NDArray[Any]


def mosaic_bounds(positions_mm: Array, field_mm: tuple[float, float]) -> tuple[Array, Array]:
    """Low and high corner (x, y) of a mosaic.

    Parameters
    ----------
    positions_mm : ndarray, shape (n, 2)
        Centres of the tiles along the image axes.
    field_mm : tuple of float
        Extent (x, y) of a tile.

    Returns
    -------
    low, high : ndarray, shape (2,)
    """
    half = np.asarray(field_mm) / 2
    return positions_mm.min(axis=0) - half, positions_mm.max(axis=0) + half


def estimate_shifts(slices: Sequence[SliceStage]) -> tuple[list[Shift], StageAxes, list[str]]:
    """Estimate how far each mosaic lies from the next one.

    Both boundaries of the mosaics are compared and the smaller difference counts, so that a mosaic that grows on one
    side does not look like a jump. Shifts are along the image axes: the direction in which tile indices grow, not that
    of the stage's counter.

    Parameters
    ----------
    slices : sequence of SliceStage
        Any order; ids between present slices are missing slices.

    Returns
    -------
    shifts : list of Shift
        One for each pair of neighbouring present slices, fixed minus moving.
    axes : StageAxes
        What was inferred of the stage.
    notes : list of str
        Assumptions and doubts, for the log and the report.
    """
    ordered = sorted(slices, key=lambda s: s.slice_id)
    axes = infer_axes(ordered)
    notes = []
    without = [s.slice_id for s in ordered if s.stage_mm is None]
    if without:
        notes.append(
            f"no stage position in info.txt of slices {without}: tiles are assumed to overlap by 20 % and shifts that "
            "involve these slices are marked unreliable"
        )
    if len(without) < len(ordered):
        notes.append(f"stage axes, from tile indices and positions: {axes.describe()}")
        if not axes.trusted:
            notes.append("stage positions do not follow the tile indices; all shifts are marked unreliable")
    odd = {s.slice_id for s in ordered if _contradicts(s, axes)}
    if odd:
        notes.append(f"stage positions of slices {sorted(odd)} run against those of the others; marked unreliable")
    if not ordered:
        return [], axes, notes
    pixel = ordered[0].pixel_mm
    shifts = []
    for fixed, moving in pairwise(ordered):
        known = fixed.stage_mm is not None and moving.stage_mm is not None
        (low_f, high_f), (low_m, high_m) = _bounds(fixed, axes, known), _bounds(moving, axes, known)
        low, high = low_f - low_m, high_f - high_m
        shift = np.where(np.abs(low) <= np.abs(high), low, high)
        reliable = known and axes.trusted and fixed.grid == moving.grid and not odd & {fixed.slice_id, moving.slice_id}
        shifts.append(
            Shift(
                fixed.slice_id,
                moving.slice_id,
                float(shift[0] / pixel[0]),
                float(shift[1] / pixel[1]),
                float(shift[0]),
                float(shift[1]),
                reliable,
            )
        )
    return shifts, axes, notes


def _bounds(one: SliceStage, axes: StageAxes, known: bool) -> tuple[Array, Array]:
    if known and one.stage_mm is not None:
        return mosaic_bounds(axes.image_mm(one.stage_mm), one.field_mm)
    return mosaic_bounds(nominal_mm(one.index, one.field_mm), one.field_mm)


def _contradicts(one: SliceStage, axes: StageAxes) -> bool:
    if one.stage_mm is None:
        return False
    own = infer_axes([one])
    if not own.trusted or own.assumed:
        return False
    return (own.x_from, own.x_sign, own.y_sign) != (axes.x_from, axes.x_sign, axes.y_sign)
