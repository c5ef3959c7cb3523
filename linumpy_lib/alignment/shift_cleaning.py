"""Shifts that the stage recorded but nobody made: encoder glitches and steps of the mosaic's border."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from linumpy_lib.io.shift_table import Shift

Kind = Literal["glitch", "tile_step", "rehoming"]


@dataclass(frozen=True)
class Event:
    """Something that happened between two slices.

    Attributes
    ----------
    kind : {'glitch', 'tile_step', 'rehoming'}
        A spike of the encoder; a border that moved by whole fields of view; a step that stays.
    fixed_id, moving_id : int
        The slices.
    recorded_mm, kept_mm : tuple of float
        Shift (x, y), fixed minus moving, in the table and after the correction.
    returned : float or None
        Of a spike or a re-homing: the smallest length of its sum with a neighbouring step, over its own length. A
        spike returns (0), a re-homing does not (about 1). None without a neighbour.
    slice_id : int or None
        Of a glitch: the slice whose position was recorded wrongly.
    """

    kind: Kind
    fixed_id: int
    moving_id: int
    recorded_mm: tuple[float, float]
    kept_mm: tuple[float, float]
    returned: float | None = None
    slice_id: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON form for the report."""
        return {
            "kind": self.kind,
            "fixed_id": self.fixed_id,
            "moving_id": self.moving_id,
            "recorded_mm": [round(v, 9) for v in self.recorded_mm],
            "kept_mm": [round(v, 9) for v in self.kept_mm],
            "returned": None if self.returned is None else round(self.returned, 6),
            "slice_id": self.slice_id,
        }


def clean_shifts(
    shifts: Sequence[Shift],
    *,
    max_shift_mm: float,
    return_fraction: float,
    tile_fov_mm: float = 0.0,
    tile_fov_tolerance: float = 0.05,
) -> tuple[list[Shift], list[Event]]:
    """Take encoder glitches and border steps out of a table of shifts; keep what is real.

    1. With `tile_fov_mm`, whole fields of view are subtracted from components that are such multiples (to within
       `tile_fov_tolerance` fields of view): the mosaic's border moved, the tissue did not.
    2. A step longer than `max_shift_mm` whose sum with a neighbouring step is shorter than `return_fraction` of it is a
       spike: one slice's position was recorded wrongly. Both steps are replaced by their sum, divided in proportion to
       the ids they lead over, so that all other slices keep their recorded places.
    3. Any other step longer than `max_shift_mm` is a re-homing; it stays.

    Whatever was corrected or is longer than `max_shift_mm` is marked unreliable; what was unreliable stays so.

    Parameters
    ----------
    shifts : sequence of Shift
        In the order of the slices.
    max_shift_mm : float
        Length from which on a step is looked at.
    return_fraction : float
        Fraction of the step that may be left after it has returned.
    tile_fov_mm : float
        Step of the border; 0 skips the first pass.
    tile_fov_tolerance : float
        Fraction of a field of view.

    Returns
    -------
    cleaned : list of Shift
        `removed_mm` holds what was taken off as a glitch.
    events : list of Event
        What was found, in the order of the slices.
    """
    cleaned, events = [], []
    for shift in shifts:
        x, y = (
            without_tile_steps(v, tile_fov_mm, tile_fov_tolerance) if tile_fov_mm > 0 else v
            for v in (shift.x_mm, shift.y_mm)
        )
        if (x, y) != (shift.x_mm, shift.y_mm):
            events.append(
                Event("tile_step", shift.fixed_id, shift.moving_id, (shift.x_mm, shift.y_mm), (x, y)),
            )
            shift = replace(shift.moved(x, y), reliable=False)  # noqa: PLW2901
        cleaned.append(shift)
    spikes = _spikes(cleaned, max_shift_mm, return_fraction)
    returned = {k: _returned(cleaned, k) for k, shift in enumerate(cleaned) if shift.length_mm > max_shift_mm}
    before = list(cleaned)
    for pair in spikes:
        first, second = (cleaned[k] for k in pair)
        total = (first.x_mm + second.x_mm, first.y_mm + second.y_mm)
        for k in pair:
            share = cleaned[k].interval / (first.interval + second.interval)
            cleaned[k] = replace(cleaned[k].moved(total[0] * share, total[1] * share, removed=True), reliable=False)
            old, new = before[k], cleaned[k]
            back = math.hypot(*total) / old.length_mm if old.length_mm else 0.0
            events.append(
                Event(
                    "glitch",
                    old.fixed_id,
                    old.moving_id,
                    (old.x_mm, old.y_mm),
                    (new.x_mm, new.y_mm),
                    back,
                    before[pair[0]].moving_id,
                )
            )
    corrected = {k for pair in spikes for k in pair}
    for k, shift in enumerate(cleaned):
        if k not in corrected and shift.length_mm > max_shift_mm:
            cleaned[k] = replace(shift, reliable=False)
            here = (shift.x_mm, shift.y_mm)
            events.append(Event("rehoming", shift.fixed_id, shift.moving_id, here, here, returned[k]))
    return cleaned, sorted(events, key=lambda e: (e.fixed_id, e.kind))


def without_tile_steps(value_mm: float, tile_fov_mm: float, tolerance: float) -> float:
    """Subtract whole fields of view from a component that is a multiple of one.

    Examples
    --------
    >>> round(without_tile_steps(1.78, 0.875, 0.05), 3), without_tile_steps(0.6, 0.875, 0.05)
    (0.03, 0.6)
    """
    count = round(value_mm / tile_fov_mm)
    rest = value_mm - count * tile_fov_mm
    return rest if count and abs(rest) < tolerance * tile_fov_mm else value_mm


def _together(first: Shift, second: Shift) -> float:
    return math.hypot(first.x_mm + second.x_mm, first.y_mm + second.y_mm)


def _returned(shifts: Sequence[Shift], k: int) -> float | None:
    around = [
        _together(a, b)
        for i, (a, b) in enumerate(pairwise(shifts))
        if k in (i, i + 1) and a.moving_id == b.fixed_id and shifts[k].length_mm > 0
    ]
    return min(around) / shifts[k].length_mm if around else None


def _spikes(shifts: Sequence[Shift], max_shift_mm: float, return_fraction: float) -> list[tuple[int, int]]:
    """Neighbouring steps that cancel, the best matches first; each step belongs to one pair at most."""
    found = []
    for k, (a, b) in enumerate(pairwise(shifts)):
        longest = max(a.length_mm, b.length_mm)
        if a.moving_id == b.fixed_id and longest > max_shift_mm and _together(a, b) < return_fraction * longest:
            found.append((_together(a, b) / longest, k))
    taken: set[int] = set()
    pairs = []
    for _, k in sorted(found):
        if not {k, k + 1} & taken:
            taken |= {k, k + 1}
            pairs.append((k, k + 1))
    return sorted(pairs)
