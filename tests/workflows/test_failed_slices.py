"""A slice whose data are damaged: the run stops and says why, or goes on without it where the user allows that."""

from __future__ import annotations

import csv
import json
import re
from html import unescape
from pathlib import Path

import pytest
from support.nextflow_runs import Nextflow

from linumpy_lib.cli import execute
from linumpy_lib.quality.steps.generate_report import STEP as REPORT
from linumpy_lib.simulation.steps.simulate_oct import STEP as SIMULATE


def acquisition(folder: Path, slices: int, tile: str, cut: tuple[int, ...]) -> Path:
    """Raw tiles of some slices, with a file of each slice of `cut` cut off."""
    sizes = {"slices": str(slices), "tiles_x": "2", "tiles_y": "2", "tile_shape": tile, "interval_um": "100"}
    words = [word for name, value in sizes.items() for word in (f"--simulate_oct_{name}", value)]
    execute(SIMULATE, [*words, "--output", str(folder), "--name", "brain", "--quiet"])
    raw = folder / "brain_raw"
    for number in cut:
        path = sorted((raw / f"tile_x01_y00_z{number:02d}").glob("image_*.bin"))[0]
        path.write_bytes(path.read_bytes()[:1000])
    return raw


def ledger(page: str) -> dict[int, tuple[str, str]]:
    """State and reason of every slice in the table of a report's page."""
    row = r'<tr[^>]*data-slice="(\d+)"[^>]*>.*?<span class="state (\w+)">\2</span></td><td class="why">(.*?)</td>'
    return {int(found[1]): (found[2], unescape(found[3])) for found in re.finditer(row, page)}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return acquisition(tmp_path_factory.mktemp("acquisition"), 4, "40,32,32", (2, 3))


@pytest.fixture(scope="module")
def runs(damaged: Path, tmp_path_factory: pytest.TempPathFactory) -> Nextflow:
    return Nextflow(tmp_path_factory.mktemp("runs") / "run")


def words(damaged: Path, allowed: int) -> tuple[str, ...]:
    base = ("-profile", "cpu", "--workflow", "preprocess", "--input", str(damaged), "--output", f"out{allowed}")
    return (*base, "--max_failed_slices", str(allowed), "-resume")


@pytest.mark.parametrize("allowed", [0, 1])
def test_the_run_stops_when_more_slices_fail_than_it_may_lose(runs: Nextflow, damaged: Path, allowed: int) -> None:
    run = runs.run(*words(damaged, allowed))
    assert run.status == 1
    assert "The run has failed." in run.text
    assert f"--max_failed_slices is {allowed}" in run.text
    assert "the file is truncated" in run.text
    assert "the report will say so" in run.text


def test_the_run_goes_on_without_the_slices_that_it_may_lose(runs: Nextflow, damaged: Path) -> None:
    run = runs.run(*words(damaged, 2))
    assert run.status == 0, run.text
    assert "without z02, z03: failed, and --max_failed_slices is 2" in run.text
    assert "z03 in create_mosaic_grid: tiles/tile_x01_y00_z03/image_" in run.text
    output = runs.folder / "out2"
    failed = json.loads((output / "pipeline_info" / "failed_slices.json").read_text())
    assert [one["slice"] for one in failed] == ["z02", "z03"]
    assert not (output / "preprocess" / "mosaic_grid_3d_z02.ome.zarr").exists()

    execute(REPORT, [str(output)])
    page = next((output / "preprocess").glob("*_report.html")).read_text(encoding="utf-8")
    report = json.loads(next((output / "preprocess").glob("*_report.json")).read_text())
    assert report["status"] == "error"
    assert [row["state"] for row in report["slices"]] == ["excluded", "used", "failed", "failed"]
    assert "the file is truncated" in report["slices"][2]["why"]
    assert report["verdict"][0] == "2 slices failed and are not in the result."
    assert report["slice_counts"]["failed"] == 2
    assert report["verdict"][0] in page
    assert [state for state, _ in ledger(page).values()] == ["excluded", "used", "failed", "failed"]
    assert ledger(page)[2][1] == report["slices"][2]["why"]


def test_a_volume_keeps_the_place_of_a_slice_that_failed(tmp_path: Path) -> None:
    nextflow = Nextflow(tmp_path / "run")
    raw = acquisition(tmp_path, 5, "60,48,48", (2,))
    call = ("-profile", "cpu", "--workflow", "preprocess,reconstruct", "--input", str(raw), "--subject_name", "brain")
    sizes = ("--registration_slicing_interval_mm", "0.1", "--axial_resolution", "5", "--max_failed_slices", "1")
    run = nextflow.run(*call, *sizes, "--interpolate_missing_slices", "false")
    assert run.status == 0, run.text
    assert "without z02: failed, and --max_failed_slices is 1" in run.text
    results = nextflow.folder / "results" / "reconstruct"
    assert "z02 in create_mosaic_grid: tiles/tile_x01_y00_z02/image_" in run.text
    report = json.loads((results / "brain_quality_report.json").read_text())
    assert [row["state"] for row in report["slices"]] == ["excluded", "used", "failed", "used", "used"]
    assert "the file is truncated" in report["slices"][2]["why"]
    assert report["status"] == "error"
    # as the run made it by itself, page and text too
    page = (results / "brain_quality_report.html").read_text(encoding="utf-8")
    rows = ledger(page)
    assert [rows[number][0] for number in range(5)] == ["excluded", "used", "failed", "used", "used"]
    assert "failed: tiles/tile_x01_y00_z02/image_" in rows[2][1]
    assert "1 slice failed and is not in the result." in page
    text = (results / "brain_quality_report.txt").read_text(encoding="utf-8")
    assert "1 slice failed and is not in the result." in text
    assert "the file is truncated" in text
    with (results / "stack" / "stacking_decisions.csv").open() as stream:
        tops = {int(row["slice_id"]): int(row["first_plane"]) for row in csv.DictReader(stream)}
    assert (tops[3] - tops[1], tops[4] - tops[3]) == (20, 10)
