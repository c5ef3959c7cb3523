"""What the launcher tells, and refuses, before the first task."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile
from support.nextflow_runs import Nextflow, schema_parameters


def test_help_lists_every_parameter_and_writes_nothing(nextflow: Nextflow) -> None:
    run = nextflow.run("--help")
    assert run.status == 0
    assert set(re.findall(r"^  --(\w+)", run.text, re.MULTILINE)) == set(schema_parameters())
    assert not (nextflow.folder / "results").exists()


def test_help_of_one_parameter_tells_all_of_it(nextflow: Nextflow) -> None:
    run = nextflow.run("--help", "anisotropy_mask_threshold")
    assert run.status == 0
    for text in ("number", "fraction", "0.0196", "at least 0 and at most 1", "compute_anisotropy", "background"):
        assert text in run.text


def test_help_of_a_mistyped_name_suggests_the_right_one(nextflow: Nextflow) -> None:
    assert "did you mean anisotropy_sigma?" in nextflow.run("--help", "anisotropy_sgima").text


def test_all_problems_are_listed_at_once(nextflow: Nextflow) -> None:
    (nextflow.folder / "taken").write_text("a file")
    run = nextflow.run(
        *("--workflow", "anisotropi"),
        *("--input", "nothing*.tif"),
        *("--output", "taken/results"),
        *("--outputt", "x"),
        *("--anisotropy-sigma", "2"),
        *("--subject_name", "a b"),
        *("--device", "gpu"),
        *("--processes", "-1"),
        *("--anisotropy_mask_threshold", "1e3"),
        *("--anisotropy_eigenvalues", "maybe"),
        *("--simulate_seed", "1.5"),
        "--simulate_noise",
    )
    assert run.status == 1
    for line in (
        "This run cannot start, for 12 reasons:",
        "--workflow: no workflow 'anisotropi'; did you mean anisotropy?",
        "--input: nothing matches 'nothing*.tif'; check the path, and quote a glob against the shell",
        f"--output: '{nextflow.folder / 'taken'}' is a file, needs a directory",
        "--outputt: no such parameter; did you mean --output?",
        "--anisotropy-sigma: no such parameter; did you mean --anisotropy_sigma?",
        "--subject_name: 'a b' is not allowed",
        "--device: 'gpu' is not allowed, needs one of auto, cpu, cuda, mps",
        "--processes: '-1' is not allowed, needs a whole number at least 0",
        "--anisotropy_mask_threshold: '1e3' is not allowed, needs a number at least 0 and at most 1",
        "--anisotropy_eigenvalues: 'maybe' is not allowed, needs true or false",
        "--simulate_seed: '1.5' is not allowed, needs a whole number",
        "--simulate_noise: has no value",
    ):
        assert line in run.text
    assert sorted(path.name for path in nextflow.folder.iterdir() if not path.name.startswith(".")) == ["taken", "work"]


@pytest.mark.parametrize(
    ("chain", "answer"),
    [
        ("preprocess,anisotropy", "'anisotropy' cannot follow 'preprocess'; preprocess is followed by reconstruct"),
        ("anisotropy,anisotropy", "'anisotropy' is named twice"),
        ("fusion,reconstruct", "'reconstruct' cannot follow 'fusion'; fusion is followed by anisotropy"),
    ],
)
def test_impossible_chains_are_refused(nextflow: Nextflow, chain: str, answer: str) -> None:
    run = nextflow.run("--workflow", chain, "--input", "simulate")
    assert run.status == 1
    assert answer in run.text


def test_inputs_are_named_one_by_one(nextflow: Nextflow) -> None:
    plane = np.zeros((8, 8, 8), np.uint8)
    for name in ("a.tif", "a.tiff", "a$b.tif", "notes.txt"):
        tifffile.imwrite(nextflow.folder / name, plane)
    (nextflow.folder / "empty").mkdir()
    run = nextflow.run("--workflow", "anisotropy", "--input", "*", "--output", "results")
    assert run.status == 1
    assert re.search(r"/a\.tif and \S+/a\.tiff would both be called 'a'; rename one", run.text)
    assert "a$b.tif' holds the character '$'" in run.text
    assert "notes.txt' is of no known format" in run.text
    assert "/empty' is no Zarr store and holds no TIFF planes" in run.text


def test_output_inside_the_input_is_refused(nextflow: Nextflow) -> None:
    store = nextflow.folder / "volume.zarr"
    store.mkdir()
    run = nextflow.run("--workflow", "anisotropy", "--input", "volume.zarr", "--output", "volume.zarr/maps")
    assert run.status == 1
    assert "lies inside the input" in run.text
    assert list(store.iterdir()) == []


def test_check_prints_the_plan_and_runs_nothing(nextflow: Nextflow) -> None:
    tifffile.imwrite(nextflow.folder / "my volume.tif", np.zeros((20, 24, 28), np.uint8))
    run = nextflow.run("--workflow", "anisotropy", "--input", "my volume.tif", "--check")
    assert run.status == 0
    assert "20 x 24 x 28 voxels (uint8)" in run.text
    assert "process >" not in run.text
    assert not (nextflow.folder / "results").exists()


def test_check_fails_on_an_input_that_the_workflow_cannot_use(nextflow: Nextflow) -> None:
    tifffile.imwrite(nextflow.folder / "whole.tif", np.arange(64**3, dtype=np.uint16).reshape(64, 64, 64))
    whole = (nextflow.folder / "whole.tif").read_bytes()
    (nextflow.folder / "cut.tif").write_bytes(whole[: len(whole) // 2])
    run = nextflow.run("--workflow", "anisotropy", "--input", "*.tif", "--check")
    assert run.status == 1
    assert "cut.tif" in run.text.split("This run cannot start")[1]
    assert "whole.tif" not in run.text.split("This run cannot start")[1]


def test_preview_builds_the_run_without_running_it(nextflow: Nextflow) -> None:
    run = nextflow.run("-profile", "test,cpu", "-preview")
    assert run.status == 0
    assert "Submitted" not in run.text


def test_runs_without_tasks_do_not_come_between_a_run_and_its_resume(nextflow: Nextflow) -> None:
    words = ("-profile", "test,cpu", "-stub")
    assert nextflow.run(*words).status == 0
    assert nextflow.run("--help", "anisotropy_rho").status == 0
    assert nextflow.run("--workflow", "anisotropy", "--input", "simulate", "--check").status == 0
    assert nextflow.run("--workflow", "nonsense").status == 1
    resumed = nextflow.run(*words, "-resume")
    assert resumed.status == 0
    assert set(resumed.tasks("test_results").values()) == {"CACHED"}
