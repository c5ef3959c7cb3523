"""The preprocess workflow on real tasks, from a simulated acquisition."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.nextflow_runs import Nextflow, Run

from linumpy_lib.io import open_volume
from linumpy_lib.io.mosaic_grid import mosaic_grid
from linumpy_lib.io.shift_table import read_shifts
from linumpy_lib.io.slice_config import read_slice_config
from linumpy_lib.simulation import simulate_oct

SMALL = {"tiles_x": 3, "tiles_y": 2, "tile_shape": "16,24,32", "interval_um": 60, "axial_um": 5}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Nextflow, Run, Path]:
    nextflow = Nextflow(tmp_path_factory.mktemp("preprocess") / "a run")
    simulate_oct(
        output=nextflow.folder / "sub-07 x",
        slices=3,
        first_id=99,
        missing_slices="100",
        missing_tiles="1_0_99",
        **SMALL,
    )
    raw = nextflow.folder / "sub-07 x" / "raw"
    run = nextflow.run(*words(raw), "--generate_aips", "--generate_previews", "--detect_galvo")
    return nextflow, run, raw


def words(raw: Path) -> tuple[str, ...]:
    return ("-profile", "cpu", "--workflow", "preprocess", "--input", str(raw), "--axial_resolution", "5")


def test_results_are_those_of_the_contract(done: tuple[Nextflow, Run, Path]) -> None:
    nextflow, run, _ = done
    assert run.status == 0, run.text
    results = nextflow.folder / "results" / "preprocess"
    assert sorted(
        path.relative_to(results).as_posix() for path in [*results.glob("*.*"), *results.glob("*/*.png")]
    ) == [
        "aips/aip_z101.png",
        "aips/aip_z99.png",
        "mosaic_grid_3d_z101.ome.zarr",
        "mosaic_grid_3d_z99.ome.zarr",
        "previews/mosaic_grid_z101_preview.png",
        "previews/mosaic_grid_z99_preview.png",
        "raw_quality_generate_report_metrics.json",
        "raw_quality_report.html",
        "raw_quality_report.json",
        "raw_quality_report.txt",
        "shifts_xy.csv",
        "slice_config.csv",
    ]
    volume = open_volume(results / "mosaic_grid_3d_z99.ome.zarr")
    assert mosaic_grid(volume).missing == ((0, 1),)
    assert volume.spacing_um == (5.0, 10.0, 10.0)
    assert [(s.fixed_id, s.moving_id) for s in read_shifts(results / "shifts_xy.csv")] == [(99, 101)]
    rows = read_slice_config(results / "slice_config.csv")
    truth = json.loads((nextflow.folder / "sub-07 x" / "truth" / "truth.json").read_text())
    shifts = {item["id"]: item["galvo_shift_px"] for item in truth["slices"]}
    assert {k: row["galvo_fix"] == "true" for k, row in rows.items()} == {k: shifts[k] != 0 for k in (99, 101)}


def test_resume_makes_only_the_changed_slice_again(done: tuple[Nextflow, Run, Path]) -> None:
    nextflow, _, raw = done
    shutil.rmtree(raw / "tile_x02_y01_z101")
    run = nextflow.run(*words(raw), "-resume")
    assert run.status == 0, run.text
    fresh = {name for name, status in run.tasks().items() if status != "CACHED"}
    assert fresh == {
        *("CREATE_MOSAIC_GRID (raw z101)", "ESTIMATE_XY_SHIFTS (raw)", "GENERATE_SLICE_CONFIG (raw)"),
        "GENERATE_REPORT (raw)",
    }
    volume = open_volume(nextflow.folder / "results" / "preprocess" / "mosaic_grid_3d_z101.ome.zarr")
    assert mosaic_grid(volume).missing == ((1, 2),)
    assert not np.any(volume.read(mosaic_grid(volume).box(1, 2)))


def test_a_damaged_tile_stops_the_run_by_name(done: tuple[Nextflow, Run, Path], tmp_path: Path) -> None:
    _, _, raw = done
    nextflow = Nextflow(tmp_path / "run")
    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    next((copy / "tile_x01_y01_z99").glob("*.bin")).write_bytes(b"short")
    check = nextflow.run(*words(copy), "--check")
    assert check.status == 1
    assert "tile_x01_y01_z99" in check.text
    run = nextflow.run(*words(copy))
    assert run.status == 1
    assert "5 bytes are" in run.text
    assert "tile_x01_y01_z99" in run.text


def test_two_tiles_with_one_id_stop_the_run_before_the_first_task(tmp_path: Path) -> None:
    nextflow = Nextflow(tmp_path / "run")
    for folder in ("a/tile_x00_y00_z01", "b/tile_x0_y0_z1"):
        (tmp_path / "raw" / folder).mkdir(parents=True)
    run = nextflow.run(*words(tmp_path / "raw"))
    assert run.status == 1
    assert "two tiles with one id" in run.text
    assert "Submitted" not in run.text
