"""Shifts from stage positions: exact, in the direction of the image, whatever the instrument's convention."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.acquisition.slice_shifts import estimate_shifts
from linumpy_lib.acquisition.stage import SliceStage, infer_axes
from linumpy_lib.errors import InputError
from linumpy_lib.io.shift_table import Shift, read_shifts, write_shifts

FIELD, PIXEL = (0.9, 0.7), (0.003, 0.0035)
CONVENTIONS = [(swap, sx, sy) for swap, sx, sy in product((False, True), (1, -1), (1, -1))]


def stage_slice(
    slice_id: int,
    offset: tuple[float, float],
    convention: tuple[bool, int, int] = (False, 1, 1),
    columns: range = range(4),
    rows: range = range(3),
    jitter: float = 0.0,
) -> SliceStage:
    index = np.array([(x, y) for y in rows for x in columns])
    rng = np.random.default_rng(slice_id)
    image = index * np.array(FIELD) * 0.8 + np.array(offset) + jitter * rng.normal(size=index.shape)
    swap, sx, sy = convention
    stage = np.stack([sx * image[:, 0], sy * image[:, 1]], axis=1)
    return SliceStage(slice_id, index, stage[:, ::-1] if swap else stage, FIELD, PIXEL)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_shifts_follow_the_image_under_every_convention(convention: tuple[bool, int, int]) -> None:
    offsets = {3: (1.0, 2.0), 4: (1.25, 1.9), 7: (0.5, 2.5), 100: (-3.0, 0.0)}
    shifts, axes, notes = estimate_shifts([stage_slice(k, o, convention) for k, o in offsets.items()])
    assert [(s.fixed_id, s.moving_id) for s in shifts] == [(3, 4), (4, 7), (7, 100)]
    for shift in shifts:
        expected = np.array(offsets[shift.fixed_id]) - np.array(offsets[shift.moving_id])
        np.testing.assert_allclose((shift.x_mm, shift.y_mm), expected, atol=1e-9)
        np.testing.assert_allclose((shift.x_px, shift.y_px), expected / np.array(PIXEL), atol=1e-6)
        assert shift.reliable
    swap, sx, sy = convention
    assert (axes.x_from, axes.y_from, axes.x_sign, axes.y_sign) == (int(swap), int(not swap), sx, sy)
    assert any(axes.describe() in note for note in notes)


def test_growth_on_one_side_is_no_jump_but_is_not_trusted() -> None:
    small = stage_slice(0, (0.0, 0.0))
    grown = stage_slice(1, (0.1 - 0.8 * FIELD[0], 0.05), columns=range(5))
    shifts, _, _ = estimate_shifts([small, grown])
    np.testing.assert_allclose((shifts[0].x_mm, shifts[0].y_mm), (-0.1, -0.05), atol=1e-9)
    assert not shifts[0].reliable


def test_missing_stage_keys_are_assumed_and_said() -> None:
    first, second = stage_slice(0, (0, 0)), stage_slice(1, (5, 5))
    bare = SliceStage(1, second.index, None, FIELD, PIXEL)
    shifts, _, notes = estimate_shifts([first, bare])
    assert (shifts[0].x_mm, shifts[0].y_mm, shifts[0].reliable) == (0.0, 0.0, False)
    assert "slices [1]" in notes[0]
    assert "20 %" in notes[0]


def test_one_tile_says_that_the_axes_are_assumed() -> None:
    shifts, axes, notes = estimate_shifts(
        [stage_slice(k, (0.1 * k, 0.0), columns=range(1), rows=range(1)) for k in range(2)]
    )
    assert axes.assumed == ("x", "y")
    assert not shifts[0].reliable
    assert any("assumed" in note for note in notes)


def test_one_row_leaves_only_the_other_axis_assumed() -> None:
    axes = infer_axes([stage_slice(0, (0, 0), (True, -1, 1), rows=range(1))])
    assert (axes.x_from, axes.x_sign, axes.assumed) == (1, -1, ("y",))


def test_jitter_does_not_hide_the_axes() -> None:
    axes = infer_axes([stage_slice(k, (k, -k), (True, 1, -1), jitter=0.03) for k in range(3)])
    assert axes.trusted
    assert (axes.x_from, axes.x_sign, axes.y_sign) == (1, 1, -1)


def test_positions_without_a_grid_are_not_trusted() -> None:
    rng = np.random.default_rng(0)
    index = np.array([(x, y) for y in range(3) for x in range(3)])
    slices = [SliceStage(k, index, rng.normal(size=(9, 2)), FIELD, PIXEL) for k in range(2)]
    shifts, axes, notes = estimate_shifts(slices)
    assert not axes.trusted
    assert not shifts[0].reliable
    assert any("do not follow" in note for note in notes)


def test_table_round_trip(tmp_path: Path) -> None:
    shifts = [Shift(0, 1, 1.25, -3.5, 0.00375, -0.01225, True), Shift(1, 1000, 0.0, -0.0, 0.0, 0.0, False)]
    path = tmp_path / "shifts_xy.csv"
    write_shifts(path, shifts)
    assert path.read_text().splitlines()[0] == "fixed_id,moving_id,x_shift,y_shift,x_shift_mm,y_shift_mm,reliable"
    assert path.read_text().splitlines()[1].startswith("0,1,1.25")
    assert "-0.000" not in path.read_text().splitlines()[2]
    assert read_shifts(path) == shifts


def test_float_ids_of_other_programs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "shifts_xy.csv"
    path.write_text("fixed_id,moving_id,x_shift,y_shift,x_shift_mm,y_shift_mm\n0.0,1.0,2,3,0.1,0.2\n")
    assert read_shifts(path) == [Shift(0, 1, 2.0, 3.0, 0.1, 0.2, True)]


@pytest.mark.parametrize(
    ("row", "message"),
    [("a,1,2,3,4,5", "fixed_id 'a'"), ("0,1,x,3,4,5", "x_shift 'x'"), ("0,1,2", "row 2 has 3 values")],
)
def test_malformed_tables_are_refused(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "shifts_xy.csv"
    path.write_text(f"fixed_id,moving_id,x_shift,y_shift,x_shift_mm,y_shift_mm\n{row}\n")
    with pytest.raises(InputError, match=message):
        read_shifts(path)
