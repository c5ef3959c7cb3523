"""The report of a run: made from whatever a run left, and honest about what it could not read."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.published_run import add_picture, add_task, figure, published_run

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.generate import steps
from linumpy_lib.quality.run_files import read_run
from linumpy_lib.quality.run_home import report_home
from linumpy_lib.quality.run_order import ORDER
from linumpy_lib.quality.run_report import run_report
from linumpy_lib.quality.run_report_text import report_text
from linumpy_lib.quality.slice_ledger import slice_ledger
from linumpy_lib.quality.steps.generate_report import STEP

HOSTILE = "</script><img src=x onerror=alert(1)> & \"' \u202e"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return published_run(tmp_path / "results")


def report(output: Path, *words: str) -> tuple[str, str, dict[str, Any]]:
    place = output.parent / "made"
    execute(STEP, [str(output), "--output", str(place), "--name", "mouse_quality", *words])
    parts = [
        (place / f"mouse_quality_report.{ending}").read_text(encoding="utf-8") for ending in ("html", "txt", "json")
    ]
    return parts[0], parts[1], json.loads(parts[2])


def test_the_ledger_tells_what_became_of_every_slice_and_why(output: Path) -> None:
    rows = {row.id: row for row in slice_ledger(read_run(output))}
    states = [rows[n].state for n in range(10)]
    assert states == ["excluded", *["used"] * 4, "interpolated", "gap", "gap", "failed", "used"]
    assert rows[0].why == "calibration_slice"
    assert rows[3].why == "placed by the stage alone: bad run"
    assert "zmorph" in rows[5].why
    assert "ncc too low" in rows[6].why
    assert "last finished step is 'Cut face'" in rows[8].why
    assert rows[4].steps == {"crop_interface": "info", "register_pair": "warning"}


def test_a_failure_that_the_launcher_tells_of_has_its_reason(output: Path) -> None:
    told = [{"slice": "z08", "step": "normalize_slice", "name": "mouse z08", "reason": "no such plane"}]
    (output / "pipeline_info" / "failed_slices.json").write_text(json.dumps(told))
    row = next(row for row in slice_ledger(read_run(output)) if row.id == 8)
    assert (row.state, row.why) == ("failed", "Common intensity scale failed: no such plane")


def test_verdict_and_counts(output: Path) -> None:
    page, text, data = report(output)
    assert data["status"] == "error"
    assert data["slice_counts"] == {"used": 5, "excluded": 1, "interpolated": 1, "gap": 2, "failed": 1}
    assert "1 slice failed and is not in the result." in text
    # the signed figure is judged by its magnitude: -1.2 deg and -2.7 deg
    (issue,) = data["issues"]
    assert issue["found"] == {"z09": "-2.7 deg", "z04": "-1.2 deg"}
    assert issue["status"] == "error"
    assert data["steps"]["crop_interface"]["cost"] == {
        **{"tasks": 6, "wall_s": 12.0, "longest_s": 2.0},
        **{"cpu_s": 21.0, "peak_rss_mb": 250.0},
    }
    assert data["versions"]["nextflow"] == "24.10.0"
    assert data["parameters"]["workflow"] == "preprocess,reconstruct"
    assert page.startswith("<!doctype html>")
    assert "seen once" in page


def test_the_page_needs_nothing_from_outside(output: Path) -> None:
    page, _, _ = report(output)
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]+"', page)
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    assert page.count("<script>") == 1
    assert "script-src 'sha256-" in page
    assert page.count("data:image/") == 7


def test_equal_results_give_equal_bytes(output: Path) -> None:
    assert report(output) == report(output)


def test_thresholds_of_a_file_replace_the_built_in_ones(output: Path, tmp_path: Path) -> None:
    table = tmp_path / "strict.json"
    table.write_text(json.dumps({"z_offset_std": {"bad": "above", "warning": 0.5, "error": 1.0}}))
    _, _, data = report(output, "--thresholds", str(table))
    assert {issue["figure"] for issue in data["issues"]} == {"rotation_degrees", "z_offset_std"}
    table.write_text(json.dumps({"rotation_degrees": {"bad": "magnitude", "warning": 3, "error": 5}}))
    _, _, data = report(output, "--thresholds", str(table))
    assert data["issues"] == []
    table.write_text("{")
    with pytest.raises(InputError, match=r"strict\.json"):
        report(output, "--thresholds", str(table))


def test_everything_is_escaped(tmp_path: Path) -> None:
    root = tmp_path / "results"
    hostile = {"value": HOSTILE, "unit": HOSTILE, "status": "error", "thresholds": {HOSTILE: 1}, "description": HOSTILE}
    number = {"value": 3.0, "unit": HOSTILE, "status": "warning", "thresholds": {"error above": 1}}
    for name in ("z01", "z02"):
        path = add_task(root, "step", name, {HOSTILE: hostile, f"n {HOSTILE}": number}, (HOSTILE,))
        path.write_text(path.read_text().replace('"step": "step"', f'"step": {json.dumps(HOSTILE)}'))
        path.rename(root / f"{HOSTILE.replace('/', ' ')}{name}_metrics.json")
        number = {**number, "value": 4.0}
    add_picture(root / "a" / f"{HOSTILE.replace('/', ' ')}.png")
    (root / "slice_config.csv").write_text(
        f'slice_id,use,exclude_reason\n01,false,"{HOSTILE.replace(chr(34), chr(39))}"\n'
    )
    facts = tmp_path / "run.json"
    facts.write_text(json.dumps({"subject": HOSTILE, "parameters": {HOSTILE: HOSTILE}, "versions": {HOSTILE: HOSTILE}}))
    page, text, _ = report(root, "--facts", str(facts))
    assert "<img src=x" not in page
    assert page.count("</script>") == 1
    assert "\u202e" not in text, "no name steers a terminal"


def test_damaged_and_odd_files_are_named_and_the_rest_is_used(output: Path) -> None:
    home = output / "reconstruct"
    damage = {
        "z10_a_metrics.json": b"{broken",
        "z11_a_metrics.json": b"[1, 2]",
        "z12_a_metrics.json": b"\xff\xfe\x00",
        "z13_a_metrics.json": b"[" * 200_000,
        "z14_a_metrics.json": b'{"step": 3}',
        "z15_a_metrics.json": b'{"step": "a", "metrics": {"b": 3}}',
        "z16_a_preview.png": b"no picture",
        "z17_a_preview.png": b"\x89PNG\r\n\x1a\n",
        "z_matches.csv": b"",
        "truth.json": b'"no object"',
    }
    for name, content in damage.items():
        (home / name).write_bytes(content)
    (output / "pipeline_info" / "params.json").write_bytes(b"{")
    odd = {
        "a": {"value": math.nan, "status": "error"},
        "b": {"value": 10**400, "status": "strange", "thresholds": 3},
        "c": {"value": [1, {"d": None}]},
        "d": {"value": True, "status": ["ok"]},
    }
    add_task(home, "odd", "z01", odd, notes=(), resources=3, provenance=[])
    (home / "surrogate_metrics.json").write_text('{"step": "odd", "name": "\\ud800", "metrics": {}}')
    page, _, data = report(output)
    unreadable = {Path(entry["file"]).name for entry in data["unreadable"]}
    assert unreadable == {*damage, "params.json"}
    assert "z16_a_preview.png" in page
    assert "11 files could not be read" in page
    assert data["slice_counts"]["failed"] == 1


def test_an_empty_folder_is_a_report_without_verdict(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    page, text, data = report(tmp_path / "results")
    assert data["status"] == "warning"
    assert "No step left figures, so there is nothing to judge." in text
    assert "Slices" not in page
    with pytest.raises(InputError, match="no such file or folder"):
        execute(STEP, [str(tmp_path / "absent")])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is no folder"):
        execute(STEP, [str(tmp_path / "file"), "--output", str(tmp_path)])


def test_a_run_without_slices(tmp_path: Path) -> None:
    add_task(
        tmp_path / "results" / "anisotropy",
        "compute_anisotropy",
        "fibres",
        {"mask_coverage": figure("mask_coverage", 0.4)},
    )
    add_picture(tmp_path / "results" / "anisotropy" / "fibres_preview.png")
    page, _, data = report(tmp_path / "results")
    assert data["status"] == "ok"
    assert data["slices"] == []
    assert "Orthogonal views" in page


def test_every_choice(output: Path) -> None:
    plain, text, _ = report(output)
    assert "Every task" not in plain
    page, long_text, _ = report(
        output, "--report_verbose", "true", "--report_pictures_mb", "0.001", "--report_format", "zip"
    )
    assert "Every task" in page
    assert len(long_text) > len(text)
    assert "at most 220 pixels" in page
    assert len(page) < len(plain)
    with zipfile.ZipFile(output.parent / "made" / "mouse_quality_report.zip") as archive:
        names = archive.namelist()
        assert archive.read("index.html").decode() == page
        assert archive.testzip() is None
    assert "pictures/reconstruct/stack/mouse.png" in names
    assert len(names) == 10


def test_by_hand_it_goes_where_the_run_puts_it(output: Path) -> None:
    assert report_home(output) == (output / "reconstruct", "mouse_quality")
    script = Path(__file__).parents[3] / "bin" / "generate_report.py"
    done = subprocess.run([sys.executable, script, str(output)], capture_output=True, text=True, check=True)
    assert (output / "reconstruct" / "mouse_quality_report.html").is_file()
    assert "mouse_quality_report.txt" in done.stdout
    first = (output / "reconstruct" / "mouse_quality_report.html").read_bytes()
    subprocess.run([sys.executable, script, str(output)], capture_output=True, check=True)
    assert (output / "reconstruct" / "mouse_quality_report.html").read_bytes() == first


def test_failed_tasks_are_found_in_the_trace(output: Path) -> None:
    (output / "pipeline_info" / "trace_2026-01-01_00-00-00.txt").write_text(
        "task_id\tprocess\ttag\tname\tstatus\texit\tworkdir\n"
        "1\tSLICES:NORMALIZE_SLICE\tmouse z08\tNORMALIZE_SLICE (mouse z08)\tFAILED\t1\t/w/1\n"
        "2\tSLICES:CROP_INTERFACE\tmouse z01\tCROP_INTERFACE (mouse z01)\tFAILED\t137\t/w/2\n"
        "3\tSLICES:CROP_INTERFACE\tmouse z01\tCROP_INTERFACE (mouse z01)\tCOMPLETED\t0\t/w/3\n"
        "4\tVOLUME:STACK_SLICES\tmouse\tSTACK_SLICES (mouse)\tFAILED\t1\t/w/4\n"
    )
    made = run_report(read_run(output))
    rows = {row.id: row for row in made.slices}
    assert rows[8].state == "failed"
    assert "exit status 1" in rows[8].why
    assert rows[1].state == "used"
    assert made.failures() == ["Stacking (mouse) failed: exit status 1; see /w/4/.command.log"]
    assert "Stacking (mouse) failed" in report_text(made)


def test_staged_files_are_called_by_their_published_names(tmp_path: Path) -> None:
    for number in (1, 2):
        add_task(tmp_path / "results" / str(number), "crop_interface", "z01")
    facts = tmp_path / "run.json"
    facts.write_text(json.dumps({"files": ["a/z01_crop_interface_metrics.json", "b/other_metrics.json"]}))
    found = read_run(tmp_path / "results", facts)
    assert [task.where for task in found.tasks] == [
        "2/z01_crop_interface_metrics.json",
        "a/z01_crop_interface_metrics.json",
    ]


def test_what_the_user_chose_comes_first(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    facts = tmp_path / "run.json"
    facts.write_text(json.dumps({"parameters": {"a": 1, "b": 2}, "defaults": {"a": 1, "b": 3}}))
    page, text, _ = report(tmp_path / "results", "--facts", str(facts))
    assert page.index("<td>b</td>") < page.index("1 parameters at their defaults") < page.index("<td>a</td>")
    assert "a = 1" in text


def test_pairs_with_slices_between_them_are_no_slices_and_show_what_neighbours_got_wrong(tmp_path: Path) -> None:
    root = published_run(tmp_path / "results")
    pairs = root / "reconstruct" / "register_pairwise"
    near = {1: (0, 1.0), 2: (1, 1.5), 3: (2, -0.5), 4: (3, 2.0), 9: (4, 0.0)}
    for number, (fixed, shift) in near.items():
        figures = {"translation_x": figure("translation_x", shift, "px"), "fixed_id": figure("fixed_id", fixed)}
        add_task(pairs, "register_pair", f"z{number:02d}", figures)
    for fixed, number, shift in ((1, 3, 1.25), (2, 4, 1.75), (1, 4, 3.5), (4, 6, 9.0)):
        figures = {"translation_x": figure("translation_x", shift, "px"), "z_correlation": figure("z_correlation", 0.9)}
        add_task(pairs, "register_pair", f"z{number:02d}_from_z{fixed:02d}", figures)
    doubtful = {"z_correlation": figure("z_correlation", 0.1)}
    add_task(pairs, "register_pair", "z09_from_z03", doubtful)
    add_picture(root / "reconstruct" / "previews" / "register_pair" / "z04_from_z02_register_pair_preview.png")
    made = run_report(read_run(root))

    series = {s.name: s.points for s in made.series if s.step == "register_pair"}
    # from 1 to 3 neighbours add up to 1.0, from 1 to 4 to 3.0, which is the longest way to 4; nothing leads to 6
    assert series["translation_x beyond neighbours"] == ((3, 0.25, "info"), (4, 0.5, "info"))
    assert series["sum of translation_x"][-1][:2] == (9, 4.0)
    assert [row.id for row in made.slices] == list(range(10))
    assert next(row for row in made.slices if row.id == 9).steps["register_pair"] == "info", "its neighbour is well"

    page, text, data = report(root)
    (issue,) = data["issues"]
    assert (issue["figure"], issue["status"], issue["found"]) == ("z_correlation", "error", {"z09_from_z03": "0.1"})
    assert "z09_from_z03" in text
    assert "z09_from_z03" in page
    assert "translation_x beyond neighbours [px]" in page
    trends = page.split("<h2>Trends over slices")[1].split("</section>")[0]
    assert trends.split("<details>")[0].count("<h3>Registration of neighbours</h3>") == 1
    assert "<figcaption>slices 2 and 4</figcaption>" in page
    assert 'alt="Registration of neighbours, slices 2 and 4"' in page


def test_a_note_of_many_slices_is_one_line(tmp_path: Path) -> None:
    for name in ("z01", "z02"):
        figures = {f"{name}_tiles": {"value": 9}}
        add_task(tmp_path / "results", "crop_interface", name, figures, (f"{name}: in/{name}.zarr is thin",))
    add_task(tmp_path / "results", "stack_slices", "mouse", {}, ("mouse: whole",))
    made = run_report(read_run(tmp_path / "results"))
    assert made.notes() == [
        ("in/z*.zarr is thin", ["crop_interface z01", "crop_interface z02"]),
        ("mouse: whole", ["stack_slices mouse"]),
    ]
    assert list(made.run.tasks[0].figures) == ["tiles"]


def test_every_step_of_a_run_has_its_place() -> None:
    beside = {"generate_report", "benchmark_compression"}
    assert {step.name for step in steps()} - beside <= {name for name, _ in ORDER}
