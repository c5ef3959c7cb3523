"""How the workflow calls the steps: every parameter arrives, and only what changed runs again.

The step scripts are stand-ins that note their command lines, so these tests see the wiring alone.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.nextflow_runs import ROOT, Nextflow, Run, copy_project, recording_tools, schema_parameters, wired_steps

from linumpy_lib.params import to_text
from linumpy_lib.provenance import code_hash

RUN_ALL = ("-profile", "test,cpu", "--output", "results", "--anisotropy_slabs", "2", "--anisotropy_npz")
RUN_RECONSTRUCT = (
    *("-profile", "cpu", "--workflow", "preprocess,reconstruct", "--input", "simulate", "--output", "results_slices"),
    *("--generate_aips", "--generate_previews", "--fix_curvature_enabled", "--stitch_global_transform"),
    *("--correct_bias_field", "--align_to_ras_enabled", "--publish_intermediates", "--diagnostic_mode"),
    *(
        "--auto_assess_quality",
        "--export_manual_align",
        "--refine_manual_transforms",
        "--manual_transforms_dir",
        "by hand",
    ),
)
RUN_FUSION = ("-profile", "cpu", "--workflow", "fusion", "--input", "simulate", "--output", "results_fusion")
STEPS = wired_steps()
# Changed, this one would leave out a step.
KEPT = {"apply_pairwise_transforms"}
OWNED = {name: item for name, item in schema_parameters().items() if item.get("step") in STEPS and name not in KEPT}


def changed(item: dict[str, Any]) -> Any:
    """Return an allowed value other than the default, awkward for the shell where it may be."""
    default = item["default"]
    if "enum" in item:
        return next(value for value in item["enum"] if value != default)
    if item["type"] == "boolean":
        return not default
    if "pattern" in item and item["type"] == "string":
        candidates = ("1.5,2,3", "0.5,9", "7,8,9", "PIR", "90 0 0", "5:6", "8,9", "1,2")
        return next(text for text in candidates if re.search(item["pattern"], text) and text != default)
    if item["type"] == "string":
        return 'it\'s 1,2 $HOME `x` "y" \\ ;'
    if default and item.get("minimum") == 0:
        return 0
    if default + 1 <= item.get("maximum", default + 1):
        return default + 1
    return (
        default - 1 if item["type"] == "integer" else (default + item.get("minimum", item.get("exclusiveMinimum"))) / 2
    )


VALUES = {name: changed(item) for name, item in OWNED.items()}
VALUES["simulate_multiview_gain_drift"] = 0.5
# What the simulation makes is what the steps are told to read.
VALUES["simulate_oct_axial_um"] = VALUES["axial_resolution"]
VALUES["simulate_oct_interval_um"] = 1000 * VALUES["registration_slicing_interval_mm"]


def text(value: Any) -> str:
    return to_text(value)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Nextflow, Run]:
    """Run every step with every parameter changed."""
    folder = tmp_path_factory.mktemp("recorded")
    nextflow = Nextflow(folder / "run", tools=recording_tools(folder / "tools"))
    (nextflow.folder / "changed.json").write_text(json.dumps(VALUES))
    first = nextflow.run(*RUN_ALL, "-params-file", "changed.json")
    assert first.status == 0, first.text
    (nextflow.folder / "by hand").mkdir()
    second = nextflow.run(*RUN_FUSION, "-params-file", "changed.json")
    assert second.status == 0, second.text
    return nextflow, nextflow.run(*RUN_RECONSTRUCT, "-params-file", "changed.json")


def words(nextflow: Nextflow, step: str) -> list[list[str]]:
    return [json.loads(line) for line in (nextflow.calls / f"{step}.jsonl").read_text().splitlines()]


def test_every_step_is_called(recorded: tuple[Nextflow, Run]) -> None:
    nextflow, run = recorded
    assert run.status == 0, run.text
    assert {path.stem for path in nextflow.calls.iterdir()} == STEPS


@pytest.mark.parametrize("name", OWNED)
def test_a_changed_parameter_reaches_its_step_and_no_other(recorded: tuple[Nextflow, Run], name: str) -> None:
    nextflow, _run = recorded
    item = OWNED[name]
    for step in sorted(STEPS):
        for call in words(nextflow, step):
            if step == item["step"]:
                assert call[call.index(f"--{name}") + 1] == text(VALUES[name])
            else:
                assert f"--{name}" not in call


@pytest.mark.parametrize("step", sorted(STEPS))
def test_flags_are_sorted_and_the_code_hash_is_that_of_the_library(recorded: tuple[Nextflow, Run], step: str) -> None:
    nextflow, _run = recorded
    owned = {name for name, item in schema_parameters().items() if item.get("step") == step}
    for call in words(nextflow, step):
        assert call[call.index("--code") + 1] == code_hash(ROOT / "bin" / f"{step}.py")
        flags = [word[2:] for word in call if word.startswith("--") and word[2:] in owned]
        assert flags == sorted(owned)


def test_slabs_are_gathered_in_their_order(recorded: tuple[Nextflow, Run]) -> None:
    nextflow, _run = recorded
    slabs = {call[call.index("--slab") + 1] for call in words(nextflow, "compute_anisotropy")}
    assert slabs == {"1/2", "2/2"}
    (gather,) = words(nextflow, "gather_anisotropy")
    start = gather.index("--input") + 1
    assert gather[start : start + 2] == ["part1/slab_1_of_2", "part2/slab_2_of_2"]


class Scenario:
    """One project and one cache of tasks, changed between runs."""

    def __init__(self, folder: Path) -> None:
        self.project = copy_project(folder / "the project")
        self.nextflow = Nextflow(folder / "run", self.project, recording_tools(folder / "tools"))

    def again(self, *words: str) -> set[str]:
        """Run with -resume; return the steps that were not taken from the cache."""
        run = self.nextflow.run("-resume", *words)
        assert run.status == 0, run.text
        return {name.split(" ")[0].lower() for name, status in run.tasks().items() if status != "CACHED"}


def test_resume_repeats_what_a_change_touches_and_nothing_else(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path)
    store = scenario.nextflow.folder / "a volume.zarr"
    (store / "0" / "c").mkdir(parents=True)
    (store / "zarr.json").write_text("{}")
    (store / "0" / "c" / "0").write_bytes(b"one")
    call = ("-profile", "cpu", "--workflow", "anisotropy", "--input", str(store))

    assert scenario.again(*call) == {"compute_anisotropy", "report_anisotropy", "generate_report"}

    published = scenario.nextflow.folder / "results" / "anisotropy"
    shard = published / "a_volume_measures.ome.zarr" / "0" / "c" / "0"
    shard.unlink()
    (published / "a_volume_mask.ome.zarr" / "zarr.json").write_text("{half")
    # threads and the spelling of numbers are no change either
    assert scenario.again(*call, "--processes", "1", "--anisotropy_sigma", "1.0") == set()
    assert shard.exists()
    assert (published / "a_volume_mask.ome.zarr" / "zarr.json").read_text() == "{}"

    assert scenario.again(*call, "--anisotropy_npz") == {"export_npz", "generate_report"}
    assert scenario.again(*call, "--anisotropy_rho", "3") == {
        "compute_anisotropy",
        "report_anisotropy",
        "generate_report",
    }

    (store / "0" / "c" / "0").write_bytes(b"two, longer")
    assert scenario.again(*call) == {"compute_anisotropy", "report_anisotropy", "generate_report"}

    script = scenario.project / "linumpy_lib" / "anisotropy" / "steps" / "report_anisotropy.py"
    script.write_text(script.read_text() + "\n# changed\n")
    assert scenario.again(*call) == {"report_anisotropy", "generate_report"}

    kernel = scenario.project / "linumpy_lib" / "anisotropy" / "eigen.py"
    kernel.write_text(kernel.read_text() + "\n# changed\n")
    assert "compute_anisotropy" in scenario.again(*call)


def test_a_result_that_cannot_be_published_fails_the_run(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path)
    publishing = scenario.project / "conf" / "base.config"
    publishing.write_text(publishing.read_text().replace('/anisotropy" }', '/elsewhere" }'))
    (scenario.nextflow.folder / "results").mkdir()
    (scenario.nextflow.folder / "results" / "anisotropy").write_text("a file where the folder should be")
    run = scenario.nextflow.run("-profile", "test,cpu", "--output", "results")
    assert run.status == 1
    assert "The run has failed: published results are not complete." in run.text
    assert "fibres_preview.png: cannot be completed from" in run.text
