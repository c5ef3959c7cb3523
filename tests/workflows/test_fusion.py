"""The fusion workflow: real tasks from a simulated recording, and the plan of a large one as stubs."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from support.nextflow_runs import Nextflow, Run

from linumpy_lib.io import open_volume
from linumpy_lib.simulation import simulate_multiview

FIRST, SECOND = (f"SPM00_TM00000{t}_CM00_CM01_CHN00" for t in (0, 1))


def words(raw: Path, *more: str) -> tuple[str, ...]:
    return ("-profile", "cpu", "--workflow", "fusion", "--input", str(raw), "--processes", "1", *more)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Nextflow, Run, Path]:
    nextflow = Nextflow(tmp_path_factory.mktemp("fusion") / "a run")
    folder = nextflow.folder / "larva 7"
    simulate_multiview(output=folder, shape=(32, 72, 64), timepoints=2, cameras="0,1", fill=0.1, shift_px="1,-3,4")
    return nextflow, nextflow.run(*words(folder / "raw")), folder / "raw"


def test_results_are_those_of_the_contract(done: tuple[Nextflow, Run, Path]) -> None:
    nextflow, run, _raw = done
    assert run.status == 0, run.text
    results = nextflow.folder / "results" / "fusion"
    assert sorted(path.name for path in (results / "corrected").iterdir()) == [
        f"SPM00_TM00000{t}_CM0{c}_CHN00.ome.zarr" for t in (0, 1) for c in (0, 1)
    ]
    assert sorted(path.name for path in (results / "fused").iterdir()) == [f"{n}.ome.zarr" for n in (FIRST, SECOND)]
    names = {"registration", "intensity_correction", "fusion_result", "blending_weights", "fused_overview"}
    for t in (0, 1):
        pictures = {path.stem for path in (results / "diagnostics" / f"TM00000{t}" / "cam0_1").iterdir()}
        assert pictures == names | {"quality_over_depth"}
    assert (results / "fusion_report.html").exists()
    with (results / "parameters.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == [FIRST, SECOND]
    for row in rows:
        assert [float(row[f"{axis}_offset"]) for axis in "zyx"] == pytest.approx([-1, 3, -4], abs=0.2)
    fused = open_volume(results / "fused" / f"{FIRST}.ome.zarr")
    assert fused.spacing_um == pytest.approx((0.40625,) * 3)
    assert fused.provenance["view"]["timepoint"] == 0


def test_resume_makes_only_what_a_changed_view_touches(done: tuple[Nextflow, Run, Path]) -> None:
    nextflow, _run, raw = done
    stack = next(raw.rglob("SPC00_TM00001_ANG000_CM1_*.stack"))
    values = bytearray(stack.read_bytes())
    values[:4000] = bytes(4000)
    stack.write_bytes(values)
    run = nextflow.run(*words(raw), "-resume")
    assert run.status == 0, run.text
    fresh = {name for name, status in run.tasks().items() if status != "CACHED"}
    assert {name for name in fresh if name.startswith(("CORRECT", "REGISTER", "FUSE"))} == {
        "CORRECT_VIEW (SPM00_TM000001_CM01_CHN00)",
        f"REGISTER_VIEWS ({SECOND})",
        f"FUSE_VIEWS ({SECOND})",
    }


def test_views_that_do_not_match_are_kept_apart(done: tuple[Nextflow, Run, Path], tmp_path: Path) -> None:
    _nextflow, _run, raw = done
    nextflow = Nextflow(tmp_path / "run")
    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    shutil.rmtree(copy / "SPM00" / "TM00001")
    stack = next(copy.rglob("*CM1_*.stack"))
    # Another scene altogether.
    other = simulate_multiview(shape=(32, 72, 64), cameras="0,1", fill=0.02, seed=77)
    stack.write_bytes(other.view(0, 0).volume[::-1, ::-1].tobytes())
    run = nextflow.run(*words(copy))
    assert run.status == 0, run.text
    results = nextflow.folder / "results" / "fusion"
    assert [path.name for path in (results / "fused").iterdir()] == [f"{FIRST}_apart.ome.zarr"]
    figures = json.loads((results / "diagnostics" / "TM000000" / f"{FIRST}_fuse_views_metrics.json").read_text())
    assert figures["metrics"]["fused"]["status"] == "error"


def test_four_cameras_two_channels_five_time_points_as_stubs(nextflow: Nextflow) -> None:
    sizes = {"channels": "2", "timepoints": "5", "missing_timepoints": "3"}
    simulation = [word for name, value in sizes.items() for word in (f"--simulate_multiview_{name}", value)]
    choices = ("--fusion_channel_pairs", "0-1", "--fusion_4view_only", "--fusion_temporal_smoothing")
    run = nextflow.run(*words(Path("simulate"), *simulation, *choices), "-stub")
    assert run.status == 0, run.text
    results = nextflow.folder / "results" / "fusion"
    pairs = [f"SPM00_TM00000{t}_{c}_CHN00_CHN01.ome.zarr" for t in (0, 1, 2, 4) for c in ("CM00_CM01", "CM02_CM03")]
    assert sorted(path.name for path in (results / "fused").iterdir()) == pairs
    with (results / "parameters.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 4 * 6


def test_orthogonal_cameras_take_global_masks_of_their_own_as_stubs(nextflow: Nextflow) -> None:
    sizes = ("--simulate_multiview_wiring", "pairs", "--simulate_multiview_shape", "32,64,64")
    run = nextflow.run(*words(Path("simulate"), *sizes, "--segment_mode", "3", "--rotation", "-1"), "-stub")
    assert run.status == 0, run.text
    assert {name for name in run.tasks() if name.startswith("JOIN")} == {
        f"JOIN_MASKS (global_{pair})" for pair in ("CM00_CM01", "CM02_CM03")
    }
    results = nextflow.folder / "results" / "fusion"
    assert len(list((results / "corrected").glob("SPM00_*.ome.zarr"))) == 4
    assert len(list((results / "fused").iterdir())) == 2


def test_check_names_what_is_wrong(tmp_path: Path, nextflow: Nextflow) -> None:
    (tmp_path / "empty").mkdir()
    run = nextflow.run(*words(tmp_path / "empty", "--check"))
    assert run.status == 1
    assert "holds no stack" in run.text
