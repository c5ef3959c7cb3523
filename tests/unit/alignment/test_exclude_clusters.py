"""The step exclude_clusters: runs of bad pairs mark their slices, single ones and unknown ones do not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.alignment.bad_pairs import LOW_CORRELATION, OUTLIER, JudgedPair, judge_pairs, longest_run
from linumpy_lib.alignment.pair_folder import PairRecord
from linumpy_lib.alignment.rigid import Rigid, write_tfm
from linumpy_lib.alignment.steps.exclude_clusters import STEP
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io.slice_config import read_slice_config

USUAL = {"min_correlation": 0.6, "consecutive": 3, "radius": 1.0, "min_samples": 3}


def record(moving: int, correlation: float | None, translation: float | None, fixed: int | None = None) -> PairRecord:
    before = moving - 1 if fixed is None else fixed
    return PairRecord(before, moving, Rigid(), 10, 0, 10.0, correlation, 0.8, "ok", translation_px=translation)


def usual(count: int, bad: dict[int, tuple[float, float]]) -> list[PairRecord]:
    """Pairs 1 to `count` of a good stack, apart from some."""
    random = np.random.default_rng(3)
    found = []
    for k in range(1, count + 1):
        alike, moved = 0.9 + 0.02 * random.standard_normal(), abs(2 * random.standard_normal())
        found.append(record(k, *bad.get(k, (alike, moved))))
    return found


def excluded(records: list[PairRecord], interpolated: set[int] = frozenset(), **changed: float) -> dict[int, str]:  # type: ignore[assignment]
    judged = judge_pairs(records, set(interpolated), **{**USUAL, **changed})  # type: ignore[arg-type]
    return {pair.moving_id: pair.reason for pair in judged if pair.excluded}


def judged_of(records: list[PairRecord]) -> list[JudgedPair]:
    return judge_pairs(records, set(), **USUAL)  # type: ignore[arg-type]


def test_a_run_of_unlike_pairs_marks_its_slices() -> None:
    records = usual(20, dict.fromkeys((8, 9, 10), (0.2, 3.0)))
    assert excluded(records) == dict.fromkeys((8, 9, 10), LOW_CORRELATION)
    assert excluded(records, consecutive=4) == {}
    assert excluded(records, min_correlation=0.1, radius=0.0) == {}


def test_far_and_somewhat_unlike_pairs_are_no_part_of_the_cluster() -> None:
    """All are above the threshold of correlation: only the company they keep tells."""
    records = usual(30, {k: (0.88, 60.0 + 15 * k) for k in (12, 13, 14, 15)})
    assert excluded(records) == dict.fromkeys((12, 13, 14, 15), OUTLIER)
    assert excluded(records, radius=0.0) == {}
    assert excluded(records, radius=500.0) == {}
    assert excluded(records, min_samples=31) == {}


def test_better_pairs_than_the_rest_are_never_bad() -> None:
    assert excluded(usual(20, dict.fromkeys((4, 5, 6), (0.999, 0.0)))) == {}


def test_single_bad_pairs_and_broken_runs_mark_nothing() -> None:
    bad = (0.1, 50.0)
    assert excluded(usual(20, {3: bad, 4: bad, 9: bad, 15: bad})) == {}
    # slice 5 is not there, so that pairs 4 and 6 are no neighbours
    records = [r for r in usual(20, dict.fromkeys((3, 4, 6, 7), bad)) if r.moving_id not in (5,)]
    assert excluded(records) == {}


def test_pairs_that_tell_nothing_end_a_run() -> None:
    bad = dict.fromkeys((5, 6, 7, 8), (0.1, 3.0))
    assert set(excluded(usual(12, bad))) == {5, 6, 7, 8}
    assert excluded(usual(12, bad), {6}) == {}  # pairs 6 and 7 touch the interpolated slice
    records = [record(6, None, None) if r.moving_id == 6 else r for r in usual(12, bad)]
    assert excluded(records) == {}


def test_many_bad_pairs_do_not_become_the_norm() -> None:
    records = usual(20, dict.fromkeys(range(9, 21), (0.65, 40.0)))
    assert set(excluded(records)) == set(range(9, 21))


def test_pairs_two_slices_apart_do_not_count() -> None:
    records = [*usual(6, {}), *(record(k, 0.0, 90.0, fixed=k - 2) for k in range(2, 7))]
    judged = judge_pairs(records, set(), **USUAL)  # type: ignore[arg-type]
    assert [pair.fixed_id for pair in judged] == [0, 1, 2, 3, 4, 5]
    assert LOW_CORRELATION not in {pair.reason for pair in judged}
    assert longest_run(judged_of(usual(12, dict.fromkeys((3, 4, 8), (0.1, 9.0))))) == 2


def write(folder: Path, one: PairRecord) -> None:
    place = folder / f"slice_z{one.moving_id:02d}_pairwise_registration"
    place.mkdir(parents=True)
    write_tfm(place / "transform.tfm", one.motion)
    (place / "offsets.txt").write_text("10\n0\n")
    metrics = {
        "fixed_id": {"value": one.fixed_id},
        "moving_id": {"value": one.moving_id},
        "z_correlation": {"value": one.correlation},
        "translation_magnitude": {"value": one.translation_px},
        "registration_confidence": {"value": 0.5},
    }
    (place / "pairwise_registration_metrics.json").write_text(json.dumps({"metrics": metrics}))


def test_the_step_keeps_the_table_and_marks_it(tmp_path: Path) -> None:
    for one in usual(10, dict.fromkeys((4, 5, 6), (0.2, 3.0))):
        write(tmp_path / "pairs", one)
    table = tmp_path / "given.csv"
    rows = [f"{k:02d},{'false' if k == 9 else 'true'},mine {k}" for k in range(10)]
    table.write_text("slice_id,use,notes\n" + "\n".join(rows) + "\n")
    given = ["--pairs", str(tmp_path / "pairs"), "--slice_config", str(table), "--output", str(tmp_path / "out")]
    execute(STEP, [*given, "--name", "brain"])
    found = read_slice_config(tmp_path / "out" / "slice_config.csv")
    assert [k for k, row in found.items() if row["auto_excluded"] == "true"] == [4, 5, 6]
    assert {found[k]["auto_exclude_reason"] for k in (4, 5, 6)} == {LOW_CORRELATION}
    assert found[9]["use"] == "false"
    assert found[3]["notes"] == "mine 3"
    metrics = json.loads((tmp_path / "out" / "brain_exclude_clusters_metrics.json").read_text())
    marked = metrics["metrics"]["auto_excluded"]
    assert (marked["value"], marked["status"]) == (3, "warning")
    assert any("slices 4, 5, 6" in note for note in metrics["notes"])
    assert (tmp_path / "out" / "brain_exclude_clusters_preview.png").stat().st_size > 5000
    header = (tmp_path / "out" / "excluded_pairs.csv").read_text().splitlines()[0]
    assert header == "fixed_id,moving_id,z_correlation,translation_px,cluster,reason,excluded"


def test_what_an_earlier_step_marked_stays_marked(tmp_path: Path) -> None:
    for one in usual(6, dict.fromkeys((2, 3, 4), (0.2, 3.0))):
        write(tmp_path / "pairs", one)
    table = tmp_path / "given.csv"
    table.write_text("slice_id,use,auto_excluded,auto_exclude_reason\n3,true,true,low_quality\n5,true,true,mine\n")
    given = ["--pairs", str(tmp_path / "pairs"), "--slice_config", str(table), "--output", str(tmp_path / "out")]
    execute(STEP, given)
    found = read_slice_config(tmp_path / "out" / "slice_config.csv")
    assert {k: row["auto_exclude_reason"] for k, row in found.items()} == {
        2: LOW_CORRELATION,
        3: "low_quality",
        4: LOW_CORRELATION,
        5: "mine",
    }


def test_unreadable_figures_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "slice_z01_pairwise_registration"
    folder.mkdir()
    write_tfm(folder / "transform.tfm", Rigid())
    (folder / "offsets.txt").write_text("10\n0\n")
    (folder / "pairwise_registration_metrics.json").write_text("{")
    table = tmp_path / "given.csv"
    table.write_text("slice_id,use\n1,true\n")
    with pytest.raises(InputError, match="register the pair again"):
        execute(STEP, ["--pairs", str(folder), "--slice_config", str(table), "--output", str(tmp_path / "out")])
    assert not list((tmp_path / "out").glob("*"))
