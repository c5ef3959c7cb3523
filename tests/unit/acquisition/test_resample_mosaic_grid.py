"""The step resample_mosaic_grid: geometry kept, nothing aliased, other programs' mosaics let in on request only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.acquisition.steps.resample_mosaic_grid import STEP
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid, mosaic_grid

SPACING = (2.0, 3.0, 4.0)
GRID = MosaicGrid(
    slice_id=7,
    tile_shape=(40, 30, 24),
    grid=(2, 3),
    first_index=(1, 4),
    missing=((1, 2),),
    stage_mm={(0, 0): (1.0, 2.0), (0, 1): (1.0, 2.07)},
    field_of_view_um=(90.0, 96.0),
)


def scene(row: int, column: int) -> np.ndarray:
    """A smooth pattern over one tile, in micrometres from the tile's edge, told apart by row and column."""
    z, y, x = np.meshgrid(
        *[(np.arange(n) + 0.5) * s for n, s in zip(GRID.tile_shape, SPACING, strict=True)], indexing="ij"
    )
    return (2 + np.sin(z / 25 + row) + np.cos(y / 30 - column) + 0.01 * x).astype(np.float32)


@pytest.fixture
def mosaic(tmp_path: Path) -> Path:
    voxels = np.zeros(GRID.shape, np.float32)
    for row, column in GRID.places():
        voxels[GRID.box(row, column)] = scene(row, column)
    path = tmp_path / "mosaic_grid_3d_z07.ome.zarr"
    write_volume(path, voxels, spacing_um=SPACING, levels=1, provenance={KEY: GRID.as_json(), "stage_axes": {"x": 1}})
    return path


def run(path: Path, out: Path, *words: str) -> Path:
    execute(STEP, ["--input", str(path), "--output", str(out), "--name", "z07", "--quiet", *words])
    return out / "mosaic_grid_z07_resampled.ome.zarr"


def test_tiles_keep_their_place_and_the_grid_its_metadata(mosaic: Path, tmp_path: Path) -> None:
    volume = open_volume(run(mosaic, tmp_path / "out", "--resolution", "5", "--resample_prefetch", "0"))
    grid = mosaic_grid(volume)
    assert volume.spacing_um == (5.0, 5.0, 5.0)
    assert grid.tile_shape == (16, 18, 19)
    assert (grid.missing, grid.stage_mm, grid.first_index) == (GRID.missing, GRID.stage_mm, GRID.first_index)
    assert (grid.field_of_view_um, grid.slice_id) == (GRID.field_of_view_um, 7)
    assert volume.provenance["stage_axes"] == {"x": 1}
    assert volume.provenance["step"] == "resample_mosaic_grid"
    z, y, x = np.meshgrid(*[(np.arange(n) + 0.5) * 5 for n in grid.tile_shape], indexing="ij")
    for row, column in grid.places():
        wanted = 2 + np.sin(z / 25 + row) + np.cos(y / 30 - column) + 0.01 * x
        assert np.abs(volume.read(grid.box(row, column)) - wanted).max() < 0.03
    assert not volume.read(grid.box(1, 2)).any()


def test_threads_change_no_byte_and_minus_one_no_voxel(mosaic: Path, tmp_path: Path) -> None:
    one = open_volume(run(mosaic, tmp_path / "one", "--resolution", "6", "--processes", "1")).read()
    two = open_volume(run(mosaic, tmp_path / "two", "--resolution", "6", "--processes", "3")).read()
    np.testing.assert_array_equal(one, two)
    kept = open_volume(run(mosaic, tmp_path / "kept", "--resolution", "-1"))
    np.testing.assert_array_equal(kept.read(), open_volume(mosaic).read())
    assert kept.spacing_um == SPACING
    assert mosaic_grid(kept) == GRID


def test_the_device_agrees(mosaic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the torch extra is not installed")
    from linumpy_lib import device

    cpu = open_volume(run(mosaic, tmp_path / "cpu", "--resolution", "5")).read()
    monkeypatch.setattr(device, "get_device", lambda _name: device.Device.torch())
    there = open_volume(run(mosaic, tmp_path / "torch", "--resolution", "5", "--device", "auto"))
    assert there.provenance["device"] == "mps"
    np.testing.assert_allclose(there.read(), cpu, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", ["0", "-0.5", "-2", "ten"])
def test_a_resolution_that_makes_no_sense_is_refused(mosaic: Path, tmp_path: Path, value: str) -> None:
    with pytest.raises(ParameterError, match="resolution"):
        run(mosaic, tmp_path / "out", "--resolution", value)


def foreign(tmp_path: Path, voxels: np.ndarray, name: str = "mosaic_grid_3d_z12.ome.zarr") -> Path:
    write_volume(tmp_path / name, voxels, spacing_um=SPACING, levels=1, chunks=(40, 30, 24), shards=(40, 30, 24))
    return tmp_path / name


def test_a_mosaic_of_another_program_needs_its_tile_shape(tmp_path: Path) -> None:
    voxels = np.zeros(GRID.shape, np.float32)
    for row, column in GRID.places():
        voxels[GRID.box(row, column)] = scene(row, column)
    voxels[3, 4, 5] = np.nan
    path = foreign(tmp_path, voxels)
    with pytest.raises(InputError, match="--import_tile_shape 30,24"):
        run(path, tmp_path / "out")
    with pytest.raises(InputError, match="no whole number of tiles of 31 x 24"):
        run(path, tmp_path / "out", "--import_tile_shape", "31,24")
    with pytest.raises(ParameterError, match="import_tile_shape"):
        run(path, tmp_path / "out", "--import_tile_shape", "31")
    out = tmp_path / "out"
    words = ["--import_tile_shape", "30,24", "--resolution", "-1", "--quiet"]
    execute(STEP, ["--input", str(path), "--output", str(out), *words])
    volume = open_volume(out / "mosaic_grid_mosaic_grid_3d_z12_resampled.ome.zarr")
    grid = mosaic_grid(volume)
    assert (grid.slice_id, grid.grid, grid.missing, dict(grid.stage_mm)) == (12, (2, 3), ((1, 2),), {})
    assert grid.field_of_view_um == (90.0, 96.0)
    np.testing.assert_array_equal(volume.read(), np.nan_to_num(voxels))
    report = json.loads((out / "mosaic_grid_3d_z12_resample_mosaic_grid_metrics.json").read_text())
    assert report["metrics"]["not_finite_voxels"] == {
        "value": 1,
        "unit": "voxels",
        "status": "warning",
        "thresholds": {},
        "description": "",
    }
    assert any("imported as slice 12" in note for note in report["notes"])


def test_linumpys_own_axes_can_be_swapped(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).random(GRID.shape, dtype=np.float32)
    path = foreign(tmp_path, voxels)
    out = run(path, tmp_path / "out", "--import_tile_shape", "30,24", "--import_swap_xy", "true", "--resolution", "-1")
    volume = open_volume(out)
    assert volume.spacing_um == (2.0, 4.0, 3.0)
    assert mosaic_grid(volume).grid == (3, 2)
    assert mosaic_grid(volume).tile_shape == (40, 24, 30)
    np.testing.assert_array_equal(volume.read(), voxels.transpose(0, 2, 1))


def test_a_name_without_a_slice_is_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path, np.ones(GRID.shape, np.float32), "mosaic.ome.zarr")
    with pytest.raises(InputError, match="tells no slice id"):
        execute(STEP, ["--input", str(path), "--output", str(tmp_path / "out"), "--import_tile_shape", "30,24"])


def test_metadata_win_over_what_the_user_states(mosaic: Path, tmp_path: Path) -> None:
    out = run(mosaic, tmp_path / "out", "--resolution", "-1", "--import_tile_shape", "40,36")
    assert mosaic_grid(open_volume(out)) == GRID
    report = json.loads((tmp_path / "out" / "z07_resample_mosaic_grid_metrics.json").read_text())
    assert any("ignored" in note for note in report["notes"])


def test_stub_keeps_the_grid(mosaic: Path, tmp_path: Path) -> None:
    volume = open_volume(run(mosaic, tmp_path / "out", "--stub"))
    assert mosaic_grid(volume).tile_shape == (12, 12, 12)
    assert mosaic_grid(volume).grid == GRID.grid
    np.testing.assert_array_equal(volume.read(mosaic_grid(volume).box(1, 1)), scene(1, 1)[:12, :12, :12])
