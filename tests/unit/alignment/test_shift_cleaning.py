"""Glitches go, re-homings stay, the sum of the steps is kept; the steps analyze_shifts and detect_rehoming."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.alignment.shift_analysis import analyse, path_mm
from linumpy_lib.alignment.shift_cleaning import clean_shifts, without_tile_steps
from linumpy_lib.alignment.steps.analyze_shifts import STEP as ANALYZE
from linumpy_lib.alignment.steps.detect_rehoming import STEP as DETECT
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io.shift_table import Shift, read_shifts, write_shifts
from linumpy_lib.io.slice_config import read_slice_config, write_slice_config

PIXEL = (0.003, 0.0035)


def table(positions_mm: dict[int, tuple[float, float]], unreliable: tuple[int, ...] = ()) -> list[Shift]:
    """Shifts of slices at the given positions; `unreliable` names moving slices."""
    ids = sorted(positions_mm)
    shifts = []
    for fixed, moving in itertools.pairwise(ids):
        x, y = np.subtract(positions_mm[fixed], positions_mm[moving]).tolist()
        shifts.append(Shift(fixed, moving, x / PIXEL[0], y / PIXEL[1], x, y, moving not in unreliable))
    return shifts


def drifting(n: int, seed: int = 0, gap: int | None = None) -> dict[int, tuple[float, float]]:
    steps = 0.03 * np.random.default_rng(seed).standard_normal((n, 2))
    where = np.cumsum(steps, axis=0)
    return {k: tuple(where[k]) for k in range(n) if k != gap}


def clean(shifts: list[Shift], **changes: float):
    return clean_shifts(shifts, **{"max_shift_mm": 0.5, "return_fraction": 0.4, **changes})


@pytest.mark.parametrize("gap", [None, 6, 8])
def test_a_glitch_is_taken_out_and_all_other_slices_keep_their_places(gap: int | None) -> None:
    real = drifting(12, gap=gap)
    recorded = {k: (p[0] + 0.9 * (k == 7), p[1] - 0.3 * (k == 7)) for k, p in real.items()}
    cleaned, events = clean(table(recorded))
    assert [e.kind for e in events] == ["glitch", "glitch"]
    assert {e.slice_id for e in events} == {7}
    ids = sorted(real)
    expected = np.array([real[k] for k in ids])
    found = path_mm(cleaned) + expected[len(ids) // 2]
    error = np.abs(found - expected).max(axis=1)
    assert error[[k for k, i in enumerate(ids) if i != 7]].max() < 1e-9 or ids[len(ids) // 2] == 7
    relative = found - found[0] - (expected - expected[0])
    assert np.abs(np.delete(relative, ids.index(7), axis=0)).max() < 1e-9
    assert np.abs(relative[ids.index(7)]).max() < 0.08
    by_pair = {(s.fixed_id, s.moving_id): s for s in cleaned}
    touching = [s for pair, s in by_pair.items() if 7 in pair]
    assert all(not s.reliable for s in touching)
    assert all(s.reliable for pair, s in by_pair.items() if 7 not in pair)
    # what was recorded is what is kept and what was removed
    for new, old in zip(cleaned, table(recorded), strict=True):
        assert new.x_mm + new.removed_mm[0] == pytest.approx(old.x_mm)
        assert new.y_mm + new.removed_mm[1] == pytest.approx(old.y_mm)
        assert new.x_px * PIXEL[0] == pytest.approx(new.x_mm)
        assert new.y_px * PIXEL[1] == pytest.approx(new.y_mm)


def test_a_rehoming_stays_and_is_not_believed_blindly() -> None:
    real = drifting(12)
    recorded = {k: (p[0] + 0.6 * (k >= 5), p[1]) for k, p in real.items()}
    cleaned, events = clean(table(recorded))
    assert [(e.kind, e.moving_id) for e in events] == [("rehoming", 5)]
    assert [(s.x_mm, s.y_mm) for s in cleaned] == [(s.x_mm, s.y_mm) for s in table(recorded)]
    assert [s.moving_id for s in cleaned if not s.reliable] == [5]
    assert events[0].returned is not None
    assert events[0].returned > 0.7


def test_glitches_beside_each_other_are_kept_apart() -> None:
    real = drifting(12)
    recorded = {k: (p[0] + 0.9 * (k in (4, 6)), p[1]) for k, p in real.items()}
    _, events = clean(table(recorded))
    assert {e.slice_id for e in events} == {4, 6}


@pytest.mark.parametrize("k", [0, 11])
def test_a_step_at_the_end_cannot_return_and_stays(k: int) -> None:
    recorded = {i: (p[0] + 0.9 * (i == k), p[1]) for i, p in drifting(12).items()}
    _, events = clean(table(recorded))
    assert [e.kind for e in events] == ["rehoming"]


def test_every_parameter_matters() -> None:
    recorded = {k: (p[0] + 0.9 * (k == 7) + 0.2 * (k >= 7), p[1]) for k, p in drifting(12).items()}
    assert any(e.kind == "glitch" for e in clean(table(recorded))[1])
    assert not any(e.kind == "glitch" for e in clean(table(recorded), return_fraction=0.05)[1])
    assert not clean(table(recorded), max_shift_mm=2)[1]
    jumped = {k: (p[0] - 0.875 * (k >= 4), p[1]) for k, p in drifting(12).items()}
    events = clean(table(jumped), tile_fov_mm=0.875, tile_fov_tolerance=0.2)[1]
    assert [e.kind for e in events] == ["tile_step"]
    assert [e.kind for e in clean(table(jumped), tile_fov_mm=0.875, tile_fov_tolerance=1e-6)[1]] == ["rehoming"]


def test_what_was_unreliable_stays_so() -> None:
    cleaned, _ = clean(table(drifting(8), unreliable=(3,)))
    assert [s.moving_id for s in cleaned if not s.reliable] == [3]


def test_whole_fields_of_view_are_subtracted() -> None:
    assert without_tile_steps(0.02, 0.875, 0.05) == 0.02
    assert without_tile_steps(-1.74, 0.875, 0.05) == pytest.approx(0.01)
    assert without_tile_steps(0.6, 0.875, 0.05) == 0.6


def test_outliers_by_quartiles() -> None:
    real = drifting(30)
    recorded = {k: (p[0] + 0.9 * (k == 7), p[1]) for k, p in real.items()}
    analysis = analyse(table(recorded), 1.5)
    assert {6, 7} <= set(analysis.outliers)
    assert max(s.length_mm for s in analysis.filtered) < 0.2
    assert len(analyse(table(recorded), 50).outliers) == 0
    assert analyse([], 1.5).filtered == ()


def test_the_steps_write_what_they_declare(tmp_path: Path) -> None:
    real = drifting(10, gap=4)
    recorded = {k: (p[0] + 0.9 * (k == 7) + 0.7 * (k >= 2), p[1]) for k, p in real.items()}
    write_shifts(tmp_path / "shifts_xy.csv", table(recorded))
    rows = {k: {"use": k > 0, "exclude_reason": "calibration_slice" if k == 0 else "", "mine": "x"} for k in range(9)}
    write_slice_config(tmp_path / "slice_config.csv", rows)
    words = ["--shifts", str(tmp_path / "shifts_xy.csv"), "--output", str(tmp_path / "out"), "--name", "s"]
    execute(ANALYZE, words)
    config = ["--slice_config", str(tmp_path / "slice_config.csv")]
    execute(DETECT, [*words, *config, "--rehoming_diagnostics", "true"])
    out = tmp_path / "out"
    for step in (ANALYZE, DETECT):
        for pattern in step.outputs:
            assert (out / pattern.format(name="s")).stat().st_size > 0, pattern
    report = json.loads((out / "rehoming_report.json").read_text())
    assert report["n_corrected"] == 2
    assert [e["slice_id"] for e in report["corrected_spikes"]] == [7, 7]
    assert [e["moving_id"] for e in report["kept_rehomings"]] == [2]
    stamped = read_slice_config(out / "slice_config.csv")
    assert [k for k, row in stamped.items() if row["rehomed"] == "true"] == [2]
    assert [k for k, row in stamped.items() if row["rehoming_reliable"] == "false"] == [2, 7, 8]
    assert stamped[0]["use"] == "false"
    assert stamped[9]["use"] == "true"
    assert all(row["mine"] == "x" for k, row in stamped.items() if k < 9)
    assert stamped[7]["notes"] == "encoder_glitch_corrected"
    again = read_shifts(out / "shifts_xy_clean.csv")
    assert any(any(s.removed_mm) for s in again)
    text = (out / "shifts_analysis.txt").read_text()
    assert "over 1 missing" in text
    assert "outlier" in text


def test_a_single_slice_and_a_table_of_another_program(tmp_path: Path) -> None:
    (tmp_path / "shifts_xy.csv").write_text("fixed_id,moving_id,x_shift,y_shift,x_shift_mm,y_shift_mm\n")
    words = ["--shifts", str(tmp_path / "shifts_xy.csv"), "--output", str(tmp_path), "--name", "s"]
    execute(DETECT, words)
    execute(ANALYZE, words)
    assert read_shifts(tmp_path / "shifts_xy_clean.csv") == []
    (tmp_path / "shifts_xy.csv").write_text(
        "fixed_id,moving_id,x_shift,y_shift,x_shift_mm,y_shift_mm\n0.0,1.0,10.0,-5.0,0.03,-0.0175\n"
        "1.0,3.0,1.0,1.0,0.003,0.0035\n"
    )
    execute(DETECT, words)
    assert [(s.fixed_id, s.moving_id) for s in read_shifts(tmp_path / "shifts_xy_clean.csv")] == [(0, 1), (1, 3)]
    (tmp_path / "shifts_xy.csv").write_text(
        "fixed_id,moving_id,x_shift,y_shift,x_shift_mm,y_shift_mm\n3,1,1.0,1.0,0.003,0.0035\n"
    )
    with pytest.raises(InputError, match="runs backwards"):
        execute(DETECT, words)
