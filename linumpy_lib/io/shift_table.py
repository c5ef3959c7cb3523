"""`shifts_xy.csv`: how far the mosaic of each slice lies from the next one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from linumpy_lib.errors import InputError
from linumpy_lib.io.csv_file import read_rows, whole_number, write_rows

COLUMNS = ("fixed_id", "moving_id", "x_shift", "y_shift", "x_shift_mm", "y_shift_mm", "reliable")
REMOVED = ("x_removed_mm", "y_removed_mm")
"""Further columns of a corrected table: what was taken off the recorded shift because it was not real."""


@dataclass(frozen=True)
class Shift:
    """Position of slice `fixed_id` minus that of the next slice, `moving_id`, along the image axes x and y.

    Attributes
    ----------
    fixed_id, moving_id : int
        Slice ids; ids between them are missing slices.
    x_px, y_px : float
        Shift in pixels of the raw tiles.
    x_mm, y_mm : float
        Shift in millimetres.
    reliable : bool
        Whether it can be believed without looking at the images.
    removed_mm : tuple of float
        What was taken off the recorded shift (x, y) as an error of the encoder, millimetres.
    """

    fixed_id: int
    moving_id: int
    x_px: float
    y_px: float
    x_mm: float
    y_mm: float
    reliable: bool = True
    removed_mm: tuple[float, float] = (0.0, 0.0)

    @property
    def length_mm(self) -> float:
        """Length of the shift, millimetres."""
        return math.hypot(self.x_mm, self.y_mm)

    @property
    def interval(self) -> int:
        """Slices that the shift leads over, counted in ids."""
        return self.moving_id - self.fixed_id

    def moved(self, x_mm: float, y_mm: float, *, removed: bool = False) -> Shift:
        """Return the shift with other millimetres and the pixels that follow; `removed` books what it loses."""
        px = [
            new * px / mm if mm else (new * other_px / other_mm if other_mm else 0.0)
            for new, mm, px, other_mm, other_px in (
                (x_mm, self.x_mm, self.x_px, self.y_mm, self.y_px),
                (y_mm, self.y_mm, self.y_px, self.x_mm, self.x_px),
            )
        ]
        lost = (self.removed_mm[0] + self.x_mm - x_mm, self.removed_mm[1] + self.y_mm - y_mm)
        return replace(
            self,
            x_px=px[0],
            y_px=px[1],
            x_mm=x_mm,
            y_mm=y_mm,
            removed_mm=lost if removed else self.removed_mm,
        )


def write_shifts(path: Path, shifts: Iterable[Shift]) -> None:
    """Write `shifts_xy.csv`: integer ids, shifts with 9 decimals, `reliable` as 1 or 0; `REMOVED` where it applies."""
    shifts = list(shifts)
    corrected = any(any(s.removed_mm) for s in shifts)
    write_rows(
        path,
        (*COLUMNS, *REMOVED) if corrected else COLUMNS,
        (
            {
                "fixed_id": str(s.fixed_id),
                "moving_id": str(s.moving_id),
                "x_shift": _text(s.x_px),
                "y_shift": _text(s.y_px),
                "x_shift_mm": _text(s.x_mm),
                "y_shift_mm": _text(s.y_mm),
                "reliable": str(int(s.reliable)),
                **({name: _text(mm) for name, mm in zip(REMOVED, s.removed_mm, strict=True)} if corrected else {}),
            }
            for s in shifts
        ),
    )


def read_shifts(path: Path) -> list[Shift]:
    """Read `shifts_xy.csv`, of this program or another; ids may be written as floats, `reliable` may be absent.

    Raises
    ------
    InputError
        If a column is absent, a value is no number, or a pair of slices occurs twice.
    """
    shifts = []
    for row in read_rows(path, COLUMNS[:-1]):
        numbers = {}
        for column in (*COLUMNS[2:-1], *REMOVED):
            try:
                numbers[column] = float(row.get(column, "0" if column in REMOVED else ""))
            except ValueError:
                numbers[column] = math.nan
            if not math.isfinite(numbers[column]):
                raise InputError(f"{path}: {column} '{row.get(column)}' is not a number; correct the table")
        shifts.append(
            Shift(
                whole_number(row["fixed_id"], path, "fixed_id"),
                whole_number(row["moving_id"], path, "moving_id"),
                numbers["x_shift"],
                numbers["y_shift"],
                numbers["x_shift_mm"],
                numbers["y_shift_mm"],
                row.get("reliable", "1").lower() in ("1", "1.0", "true", "yes"),
                (numbers[REMOVED[0]], numbers[REMOVED[1]]),
            )
        )
        if shifts[-1].interval <= 0:
            raise InputError(
                f"{path}: the pair ({shifts[-1].fixed_id}, {shifts[-1].moving_id}) runs backwards; fixed_id has to be "
                "below moving_id"
            )
    pairs = [(s.fixed_id, s.moving_id) for s in shifts]
    twice = {pair for pair in pairs if pairs.count(pair) > 1}
    if twice:
        raise InputError(f"{path}: slices {sorted(twice)[0]} occur twice; keep one row for each pair")
    return sorted(shifts, key=lambda s: (s.fixed_id, s.moving_id))


def _text(value: float) -> str:
    rounded = round(value, 9)
    return f"{rounded + 0.0:.9f}"
