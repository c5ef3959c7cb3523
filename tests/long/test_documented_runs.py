"""The documentation's commands as they stand, in a checkout of their own with small inputs of their names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from support.documented_commands import ROOT, Command, documented_commands
from support.nextflow_runs import copy_project

from linumpy_lib.cli import execute
from linumpy_lib.simulation.steps.simulate_fibres import STEP as FIBRES
from linumpy_lib.simulation.steps.simulate_oct import STEP as SIMULATE

TUTORIAL = ROOT / "docs" / "tutorial-volume.md"
# Profiles of machines that are not here: the plan of the run is asked for instead.
ABSENT = ("gpu", "mps", "slurm", "apptainer", "docker")
# Written for other files than those that are made here.
OWN_FILES = ("my.json", "align_to_ras.py", "view_", "simulate_oct.py --truth", "benchmark_compression", "-with-")
PROGRAMS = ("nextflow", ".venv/bin/nextflow", "bin/", "generate_report.py", "simulate_oct.py", "correct_", "compute_")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("docs") / "checkout")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for name in ("Makefile", "docs"):
        (folder / name).symlink_to(ROOT / name)
    axial = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"]["create_mosaic_grid"]["properties"]
    sizes = {"slices": "5", "first_id": "1", "tiles_x": "3", "tiles_y": "3", "tile_shape": "170,48,48"}
    sizes["axial_um"] = str(axial["axial_resolution"]["default"])
    words = [word for name, value in sizes.items() for word in (f"--simulate_oct_{name}", value)]
    execute(SIMULATE, [*words, "--output", str(folder / "made"), "--name", "some", "--quiet"])
    (folder / "made" / "some_raw").rename(folder / "raw_tiles")
    shutil.copytree(folder / "raw_tiles", folder / "raw")
    execute(FIBRES, ["--output", str(folder / "made"), "--name", "brain", "--simulate_shape", "32,40,48", "--quiet"])
    volume = next((folder / "made").glob("*.ome.zarr"))
    volume.rename(folder / "brain.ome.zarr")
    (folder / "data").mkdir()
    tifffile.imwrite(folder / "data" / "a.tif", np.zeros((8, 8, 8), np.uint16), metadata={"axes": "ZYX"})
    (folder / "slices.csv").write_text(
        "slice_id,use,exclude_reason,notes\n" + "01,false,calibration_slice,\n"
        "02,true,,\n03,true,,\n04,false,blurred,\n05,true,,\n"
    )
    return folder


def call(command: Command, folder: Path) -> None:
    text = command.text
    if any(f"-profile {name}" in text or f",{name}" in text for name in ABSENT):
        text += " --check"
    env = {
        **os.environ,
        "PATH": os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(folder),
        "NXF_ANSI_LOG": "false",
    }
    done = subprocess.run(
        ["bash", "-c", text], cwd=folder, env=env, capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_the_tutorial(checkout: Path) -> None:
    for command in documented_commands(TUTORIAL):
        if not command.text.startswith(("make", ". ", "rm")):
            call(command, checkout)
    assert (checkout / "maps" / "anisotropy").is_dir()
    table = (checkout / "results" / "reconstruct" / "slice_config_final.csv").read_text()
    assert "blurred" in table


OTHERS = [
    command
    for command in documented_commands()
    if command.page != TUTORIAL.name
    and not command.abridged
    and command.text.startswith(PROGRAMS)
    and not any(word in command.text for word in OWN_FILES)
]


def test_other_pages_have_commands() -> None:
    assert len(OTHERS) > 15


@pytest.mark.parametrize("command", OTHERS, ids=str)
def test_a_command(checkout: Path, command: Command) -> None:
    call(command, checkout)
