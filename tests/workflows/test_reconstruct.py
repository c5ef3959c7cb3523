"""The reconstruct workflow on real tasks: raw tiles or mosaics to a stacked volume with a report."""

from __future__ import annotations

import csv
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from support.nextflow_runs import Nextflow, Run, digests

from linumpy_lib.io import open_volume
from linumpy_lib.quality.report import format_value

SMALL = {
    "slices": "5",
    "first_id": "9",
    "tiles_x": "2",
    "tiles_y": "2",
    "tile_shape": "60,48,48",
    "interval_um": "100",
    "missing_slices": "11",
}
SIMULATED = (
    *("-profile", "cpu", "--input", "simulate", "--subject_name", "brain_one"),
    *(word for name, value in SMALL.items() for word in (f"--simulate_oct_{name}", value)),
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Nextflow, Run]:
    nextflow = Nextflow(tmp_path_factory.mktemp("reconstruct") / "a run")
    run = nextflow.run(
        *SIMULATED, "--workflow", "preprocess,reconstruct", "--correct_bias_field", "--fix_curvature_enabled"
    )
    assert run.status == 0, run.text
    return nextflow, run


def test_results_are_those_of_the_contract(done: tuple[Nextflow, Run]) -> None:
    nextflow, run = done
    results = nextflow.folder / "results" / "reconstruct"
    names = {path.relative_to(results).as_posix() for path in [*results.glob("*"), *results.glob("*/*")]}
    name = "brain_one"
    assert {
        f"stack/{name}.ome.zarr",
        f"stack/{name}.ome.zarr.zip",
        f"stack/{name}.png",
        f"stack/{name}_annotated.png",
        "stack/z_matches.csv",
        "stack/stacking_decisions.csv",
        f"correct_bias_field/{name}_corrected.ome.zarr",
        "slice_config_final.csv",
        "register_pairwise/slice_z12_pairwise_registration",
        f"{name}_quality_report.html",
    } <= names
    assert "report" in run.text
    assert not any(path.is_symlink() for path in results.rglob("*"))


def test_the_volume_has_its_depth_and_its_slices(done: tuple[Nextflow, Run]) -> None:
    nextflow, _run = done
    results = nextflow.folder / "results" / "reconstruct"
    volume = open_volume(results / "stack" / "brain_one.ome.zarr")
    with (results / "stack" / "stacking_decisions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    # slice 9 is the calibration slice; slice 11 is missing, and filled or left a gap of its thickness
    assert {int(row["slice_id"]) for row in rows} - {11} == {10, 12, 13}
    tops = {int(row["slice_id"]): int(row["first_plane"]) for row in rows}
    assert (tops[12], tops[13]) == (20, 30)
    assert volume.spacing_um == (10.0, 10.0, 10.0)
    data = volume.read()
    assert np.isfinite(data).all()
    assert (data[5:35] > 0).mean() > 0.2


def test_the_report_tells_every_slice(done: tuple[Nextflow, Run]) -> None:
    nextflow, _run = done
    report = json.loads((nextflow.folder / "results" / "reconstruct" / "brain_one_quality_report.json").read_text())
    states = {row["slice_id"]: row["state"] for row in report["slices"]}
    assert states[9] == "excluded"
    assert states[11] in ("interpolated", "gap")
    assert [states[k] for k in (10, 12, 13)] == ["used"] * 3
    figures = {figure["name"]: figure["max"] for figure in report["steps"]["compare_with_truth"]["figures"]}
    assert figures["truth_total_depth"] == pytest.approx(0, abs=1e-6)
    assert figures["truth_position_rms"] < 1.5
    assert "create_mosaic_grid" in report["steps"]


def plain(markup: str) -> str:
    """Text of a piece of a page."""
    return unescape(re.sub(r"<[^>]+>", "", markup))


def test_the_page_has_the_truth_in_its_appendix(done: tuple[Nextflow, Run]) -> None:
    nextflow, _run = done
    results = nextflow.folder / "results" / "reconstruct"
    page = (results / "brain_one_quality_report.html").read_text(encoding="utf-8")
    report = json.loads((results / "brain_one_quality_report.json").read_text())
    title = "Appendix: the truth of the simulated input"
    assert page.count(f">{title}</a>") == 1, "the contents lead to it"
    appendix = page.split(f"<h2>{title}")[1].split("</section>")[0]
    cards = {card.split("<")[0]: plain(card) for card in appendix.split('<div class="name">')[1:]}

    words = {"ok": "in range", "warning": "look at this", "error": "out of range"}
    figures = {figure["name"].replace("_", " "): figure for figure in report["steps"]["compare_with_truth"]["figures"]}
    assert cards.keys() == figures.keys()
    for name, figure in figures.items():
        unit = f" {figure['unit']}" if figure["unit"] else ""
        value = figure["texts"] if figure["max"] is None else f"{format_value(figure['max'])}{unit}"
        assert value in cards[name]
        assert words.get(figure["status"], "") in cards[name]
        assert all(f"{rule} {format_value(bound)}" in cards[name] for rule, bound in figure["thresholds"].items())
    targets = {name for name, figure in figures.items() if figure["thresholds"]}
    assert targets >= {"truth position rms", "truth position max", "truth rotation rms", "truth correlation"}
    rows = [[plain(cell) for cell in re.findall(r"<td.*?</td>", row)] for row in re.findall(r"<tr>.*?</tr>", appendix)]
    shown = {row[0]: row for row in rows if row}
    # what the simulator did to each slice, and what became of it
    assert [shown[str(number)][1] for number in (10, 11, 12)] == ["yes", "no", "yes"]
    assert [shown[str(number)][-2] for number in (9, 10)] == ["excluded", "used"]
    assert shown["11"][-2] in ("interpolated", "gap")


def test_tables_of_the_user_take_the_place_of_those_that_are_made(done: tuple[Nextflow, Run]) -> None:
    nextflow, _run = done
    table = nextflow.folder / "my slices.csv"
    made = (nextflow.folder / "results" / "preprocess" / "slice_config.csv").read_text()
    table.write_text("\n".join("12,false,torn," if row.startswith("12,") else row for row in made.splitlines()))
    words = ("--workflow", "preprocess,reconstruct", "--slice_config", str(table), "--fix_curvature_enabled")
    run = nextflow.run(*SIMULATED, *words, "--output", "mine", "-resume")
    assert run.status == 0, run.text
    assert run.tasks("mine")["CREATE_MOSAIC_GRID (brain_one z12)"] == "CACHED"
    report = json.loads((nextflow.folder / "mine" / "reconstruct" / "brain_one_quality_report.json").read_text())
    [row] = [row for row in report["slices"] if row["slice_id"] == 12]
    assert row["state"] != "used"
    assert "torn" in row["why"]


def test_mosaics_by_themselves_give_the_same_volume(done: tuple[Nextflow, Run]) -> None:
    nextflow, _run = done
    mosaics = nextflow.folder / "results" / "preprocess"
    call = ("-profile", "cpu", "--workflow", "reconstruct", "--input", str(mosaics), "--subject_name", "brain_one")
    words = ("--registration_slicing_interval_mm", "0.1", "--fix_curvature_enabled", "--output", "again", "-resume")
    run = nextflow.run(*call, *words)
    assert run.status == 0, run.text
    whole = digests(nextflow.folder / "results" / "reconstruct" / "stack", "*.zarr")
    assert whole
    assert digests(nextflow.folder / "again" / "reconstruct" / "stack", "*.zarr") == whole


def test_what_cannot_start_says_why(nextflow: Nextflow, tmp_path: Path) -> None:
    run = nextflow.run("--workflow", "reconstruct", "--input", "simulate")
    assert run.status == 1
    assert "use --workflow preprocess,reconstruct" in run.text
    (tmp_path / "empty").mkdir()
    run = nextflow.run("--workflow", "reconstruct", "--input", str(tmp_path / "empty"))
    assert run.status == 1
    assert "holds no mosaic_grid" in run.text
    assert "shifts_xy.csv' is no file" in run.text
    words = ("--slice_config", "gone.csv", "--report_thresholds", "gone.json")
    run = nextflow.run(*SIMULATED, "--workflow", "preprocess", *words)
    assert run.status == 1
    assert "--slice_config: is read by reconstruct, which this run does not contain" in run.text
    assert "--report_thresholds: 'gone.json' does not exist" in run.text
    run = nextflow.run(*SIMULATED, "--workflow", "preprocess,reconstruct", "--registration_slicing_interval_mm", "0.3")
    assert run.status == 1
    assert "--registration_slicing_interval_mm: is 0.3, but --simulate_oct_interval_um is 100" in run.text
