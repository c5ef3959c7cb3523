"""How tasks are put into containers; the engine is a stand-in that notes its options and runs the command as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.nextflow_runs import ROOT, Nextflow, launcher, recording_tools

from linumpy_lib import __version__

pytestmark = [pytest.mark.nextflow, pytest.mark.skipif(launcher() is None, reason="no nextflow: make setup")]
# The image is the first word that begins like one; what follows is the command.
# Engines begin with an empty environment, in which the stand-ins for the steps still have to find their notebook.
ENGINE = """#!/bin/bash
export RECORDER_CALLS="{notes}"
printf '%s\\t' "$@" >>"{calls}"
echo >>"{calls}"
while (($#)); do
    case $1 in
        *linumpy-pipeline-*.sif | linumpy-pipeline:*) shift; exec "$@" ;;
        rm | kill | stop) exit 0 ;;
    esac
    shift
done
"""


def started(engine: str, folder: Path, *words: str, profile: str = "") -> dict[str, str]:
    """Run the test profile on stand-ins; return the engine's options by step."""
    tools = recording_tools(folder / "tools")
    calls = folder / "engine_calls"
    (tools / engine).write_text(ENGINE.format(calls=calls, notes=folder / "notes"))
    (tools / engine).chmod(0o755)
    nextflow = Nextflow(folder / "a run", tools=tools)
    run = nextflow.run("-profile", profile or f"test,{engine}", *words)
    assert run.status == 0, run.text
    assert calls.exists()
    found = {}
    for script in (nextflow.folder / "work").rglob(".command.run"):
        text = script.read_text()
        name = re.search(r"^### name: '(.+)'$", text, re.MULTILINE)
        found[name[1].split(":")[-1].split(" ")[0]] = re.search(rf"^.*\b{engine} (?:exec|run) .*$", text, re.MULTILINE)[
            0
        ]
        assert f'export PYTHONPATH="{ROOT}"' in text
    return found


def test_apptainer_takes_the_file_of_this_version_and_the_checkout(tmp_path: Path) -> None:
    options = started("apptainer", tmp_path)
    assert {"SIMULATE_FIBRES", "COMPUTE_ANISOTROPY"} <= options.keys()
    for text in options.values():
        assert f"{ROOT}/containers/linumpy-pipeline-{__version__}.sif" in text
        assert f"--bind '{ROOT}/linumpy_lib:{ROOT}/linumpy_lib:ro'" in text
        assert "--nv" not in text


@pytest.mark.parametrize(
    ("engine", "profile", "device", "image"),
    [
        ("apptainer", "test,apptainer,gpu", "--nv", f"{ROOT}/containers/linumpy-pipeline-{__version__}-cuda.sif"),
        ("docker", "test,gpu,docker", "--gpus all", f"linumpy-pipeline:{__version__}-cuda"),
    ],
)
def test_with_devices_it_is_the_other_image_and_only_their_tasks_see_them(
    engine: str, profile: str, device: str, image: str, tmp_path: Path
) -> None:
    """In whatever order the profiles are given."""
    options = started(engine, tmp_path, profile=profile)
    assert {name for name, text in options.items() if device in text} == {"COMPUTE_ANISOTROPY"}, options
    assert all(image in text for text in options.values())


def test_an_image_of_ones_own(tmp_path: Path) -> None:
    image = tmp_path / "linumpy-pipeline-mine.sif"
    options = started("apptainer", tmp_path, "--container", str(image))
    assert all(f" {image} " in text for text in options.values())
