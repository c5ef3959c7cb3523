"""The step fix_focal_curvature: the bend of the simulator found to half a voxel, nothing wraps, nothing invented."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.acquisition.steps.create_mosaic_grid import STEP as CREATE
from linumpy_lib.cli import execute
from linumpy_lib.device import Device, get_device
from linumpy_lib.illumination.focal_curvature import raise_lines
from linumpy_lib.illumination.steps.fix_focal_curvature import STEP
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid
from linumpy_lib.simulation import simulate_oct
from linumpy_lib.simulation.truth import read_optics


@pytest.mark.parametrize("seed", [0, 1])
def test_curvature_of_the_simulator_to_half_a_voxel(seed: int, tmp_path: Path) -> None:
    simulate_oct(output=tmp_path / "a", seed=seed, slices=2, first_id=1)
    true = read_optics(tmp_path / "a" / "truth")["curvature_px"]
    words = ["--output", str(tmp_path), "--name", "z02", "--quiet", "--axial_resolution", "5"]
    execute(CREATE, ["--input", *map(str, sorted((tmp_path / "a" / "raw").glob("*z02"))), *words])
    mosaic = tmp_path / "mosaic_grid_3d_z02.ome.zarr"
    execute(STEP, ["--input", str(mosaic), "--output", str(tmp_path / "out"), "--name", "z02", "--device", "cpu"])
    data = json.loads((tmp_path / "out" / "z02_fix_focal_curvature_metrics.json").read_text())
    assert data["metrics"]["corrected"]["value"] == 1
    assert data["metrics"]["curvature_range"]["value"] == pytest.approx(np.ptp(true), abs=0.8)
    assert (tmp_path / "out" / "z02_fix_focal_curvature_preview.png").is_file()


def test_lines_move_by_fractions_and_do_not_wrap() -> None:
    tile = np.broadcast_to(np.arange(1, 11, dtype=np.float32)[:, None, None], (10, 2, 2)).copy()
    lowered = np.array([[0, 0.25], [1, 2.5]])
    device = get_device("cpu")
    moved = raise_lines(tile, lowered, device)
    np.testing.assert_allclose(moved[:, 0, 0], tile[:, 0, 0])
    np.testing.assert_allclose(moved[:, 0, 1], [*(np.arange(1, 10) + 0.25), 0])
    np.testing.assert_allclose(moved[:, 1, 0], [*range(2, 11), 0])
    np.testing.assert_allclose(moved[:, 1, 1], [*(np.arange(1, 8) + 2.5), 0, 0, 0])
    pytest.importorskip("torch", reason="the torch extra is not installed")
    torch = Device.torch()
    np.testing.assert_allclose(torch.to_numpy(raise_lines(torch.to_device(tile), lowered, torch)), moved, atol=1e-5)


def test_without_a_surface_nothing_changes(tmp_path: Path) -> None:
    grid = MosaicGrid(3, (12, 20, 20), (2, 2), missing=((1, 1),))
    voxels = np.zeros(grid.shape, np.float32)
    voxels[:, :10, :10] = 5
    voxels[3, 2, 2] = np.nan
    path = tmp_path / "m.ome.zarr"
    write_volume(path, voxels, spacing_um=(10, 10, 10), levels=1, provenance={KEY: grid.as_json()})
    execute(STEP, ["--input", str(path), "--output", str(tmp_path / "out"), "--name", "z03", "--quiet"])
    result = open_volume(tmp_path / "out" / "mosaic_grid_z03_focal_fix.ome.zarr").read()
    np.testing.assert_array_equal(result, np.nan_to_num(voxels))
