"""Names that a shell would take for commands, in every place where a user can write one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from support.nextflow_runs import Nextflow

from linumpy_lib.io import open_volume
from linumpy_lib.simulation import simulate_oct

# Every sign that Nextflow can carry: quotes, blanks, brackets, pipes, a backtick command, a comment, a backslash.
ODD = ' it\'s a "q" (x) [y] & ; | > < # ~ ! % = , `touch PWNED` \\n é 切片 -rf'
SMALL = {"tiles_x": 2, "tiles_y": 1, "slices": 2, "tile_shape": "12,16,20", "interval_um": 60, "axial_um": 5}


def intruders(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*PWNED*") if "touch" not in path.name]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    simulate_oct(output=folder / "plain", layout="nested", **SMALL)
    return folder / "plain" / "raw"


def test_a_real_run_with_every_odd_sign_in_every_path(raw: Path, tmp_path: Path) -> None:
    nextflow = Nextflow(tmp_path / f"launched{ODD}")
    given = tmp_path / f"input{ODD}"
    shutil.copytree(raw, given)
    (given / "z00").rename(given / f"slice{ODD}")
    run = nextflow.run(
        *("-profile", "cpu", "--workflow", "preprocess", "--input", str(given)),
        *("--output", str(tmp_path / f"results{ODD}"), "--generate_aips", "--generate_previews"),
    )
    assert run.status == 0, run.text
    results = tmp_path / f"results{ODD}" / "preprocess"
    assert open_volume(results / "mosaic_grid_3d_z00.ome.zarr").read().any()
    assert (results / "previews" / "mosaic_grid_z01_preview.png").is_file()
    assert (results / "aips" / "aip_z01.png").is_file()
    assert (results / "slice_config.csv").is_file()
    assert intruders(tmp_path) == []


def test_a_stub_run_of_volumes_with_odd_names(tmp_path: Path) -> None:
    nextflow = Nextflow(tmp_path / "run")
    names = ["-rf", "it's 切片", "x; touch PWNED;", "&& `touch PWNED2` # (a|b>c<d)"]
    (tmp_path / "in").mkdir()
    for name in names:
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", np.zeros((8, 8, 8), np.uint8))
    glob = str(tmp_path / "in" / "*.tif")
    output = str(tmp_path / "$(touch PWNED) out")
    run = nextflow.run(
        *("-profile", "cpu", "-stub", "--workflow", "anisotropy", "--input", glob, "--output", output),
    )
    assert run.status == 0, run.text
    assert len(list((Path(output) / "anisotropy").glob("*_measures.ome.zarr"))) == len(names)
    assert intruders(tmp_path) == []


def test_what_cannot_be_quoted_is_refused_by_name(raw: Path, tmp_path: Path) -> None:
    nextflow = Nextflow(tmp_path / "run")
    inside = tmp_path / "inside"
    shutil.copytree(raw, inside)
    (inside / "z00").rename(inside / "$(touch PWNED)")
    (inside / "z01").rename(inside / "line\nbreak")
    (inside / "tile_x00_y00_z99999999999999999999").mkdir()
    run = nextflow.run("--workflow", "preprocess", "--input", str(inside))
    assert run.status == 1
    assert "$(touch PWNED)/tile_x00_y00_z00' holds the character '$'" in run.text
    assert "line\\u000abreak/tile_x00_y00_z01' holds the character '\\u000a'" in run.text
    assert "index of more than 6 digits" in run.text
    assert "Submitted" not in run.text
    assert intruders(tmp_path) == []


def test_a_name_that_is_no_name_and_a_file_that_cannot_be_quoted(raw: Path, tmp_path: Path) -> None:
    nextflow = Nextflow(tmp_path / "run $(touch PWNED)")
    table = tmp_path / "t$(touch PWNED).json"
    table.write_text("{}")
    run = nextflow.run(
        *("--workflow", "preprocess", "--input", str(raw), "--subject_name", "a;touch PWNED"),
        *("--report_thresholds", str(table)),
    )
    assert run.status == 1
    assert "--subject_name: 'a;touch PWNED' is not allowed" in run.text
    assert "--report_thresholds: " in run.text
    assert "launch directory: " in run.text
    assert intruders(tmp_path) == []
