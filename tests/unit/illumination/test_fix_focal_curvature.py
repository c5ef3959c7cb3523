"""The step fix_focal_curvature: the bend of the simulator found to half a voxel, nothing wraps, nothing invented."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.acquisition.steps.create_mosaic_grid import STEP as CREATE
from linumpy_lib.cli import execute
from linumpy_lib.device import Device, get_device
from linumpy_lib.illumination.focal_curvature import fit_curvature, raise_lines, surface_places
from linumpy_lib.illumination.seams import overlap_fraction
from linumpy_lib.illumination.steps.fix_focal_curvature import STEP
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid, mosaic_grid
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
    volume = open_volume(mosaic)
    grid = mosaic_grid(volume)
    places = list(grid.places())
    surfaces = [surface_places(volume.read(grid.box(*place)).astype(np.float32)) for place in places]
    overlap = overlap_fraction(grid)
    found = fit_curvature(surfaces, places, (1 - overlap[0], 1 - overlap[1]))
    residual = found.lowering(true.shape) - true
    assert np.std(residual) < 0.5, "depth samples, rms over all A-lines of a tile"


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


BEND = 4.0


def bent(path: Path, *, tiles: tuple[int, int] = (3, 3), edit=None, edge: int = 32) -> MosaicGrid:
    """Write tiles of speckled tissue below water, bent by BEND samples at the middle of each border."""
    grid = MosaicGrid(3, (40, edge, edge), tiles)
    y, x = np.meshgrid(np.linspace(-1, 1, edge), np.linspace(-1, 1, edge), indexing="ij")
    depth, rng = np.arange(40)[:, None, None], np.random.default_rng(0)
    below = depth - (10 + BEND * (x * x + y * y))
    voxels = np.zeros(grid.shape, np.float32)
    for row, column in grid.places():
        tissue = np.exp(-below / 60) * (0.7 + 0.3 * rng.standard_exponential((40, edge, edge)))
        tile = 100 * (0.03 + tissue / (1 + np.exp(-below / 0.6)))
        voxels[grid.box(row, column)] = tile if edit is None else edit(row, column, tile)
    write_volume(path, voxels, spacing_um=(10, 10, 10), levels=1, provenance={KEY: grid.as_json()})
    return grid


def flatten(path: Path, out: Path) -> tuple[np.ndarray, dict]:
    execute(STEP, ["--input", str(path), "--output", str(out), "--name", "z03", "--quiet", "--device", "cpu"])
    data = json.loads((out / "z03_fix_focal_curvature_metrics.json").read_text())
    return open_volume(out / "mosaic_grid_z03_focal_fix.ome.zarr").read(), data


def spoil(row: int, column: int, tile: np.ndarray) -> np.ndarray:
    tile = tile.copy()
    if (row, column) == (0, 0):
        return 0 * tile
    if (row, column) == (0, 1):
        tile[:] = 500  # saturated from the first sample to the last
    if (row, column) == (1, 1):
        tile[:, 4:9, 7] = np.nan
    if (row, column) == (1, 2):
        tile[3:8] = -20
    if (row, column) == (2, 0):
        tile[20, 3, 3] = np.inf
    return tile


def test_bad_tiles_do_not_spoil_the_others(tmp_path: Path) -> None:
    grid = bent(tmp_path / "m.ome.zarr", edit=spoil)
    bent(tmp_path / "clean.ome.zarr")
    result, data = flatten(tmp_path / "m.ome.zarr", tmp_path / "out")
    clean, _ = flatten(tmp_path / "clean.ome.zarr", tmp_path / "clean")
    assert data["metrics"]["corrected"]["value"] == 1
    assert data["metrics"]["curvature_range"]["value"] == pytest.approx(2 * BEND, abs=0.8)
    assert np.isfinite(result).all()
    assert not result[grid.box(0, 0)].any()
    good = grid.box(2, 2)
    assert np.abs(result[good] - clean[good]).mean() < 0.02 * clean[good].max()


@pytest.mark.parametrize("kind", ["one tile", "one row", "two tiles, one empty"])
def test_few_tiles_are_flattened_too(kind: str, tmp_path: Path) -> None:
    tiles = {"one tile": (1, 1), "one row": (1, 3), "two tiles, one empty": (1, 2)}[kind]
    empty = kind.endswith("empty")
    bent(tmp_path / "m.ome.zarr", tiles=tiles, edit=lambda _r, c, tile: 0 * tile if empty and c else tile)
    result, data = flatten(tmp_path / "m.ome.zarr", tmp_path / "out")
    assert np.isfinite(result).all()
    assert data["metrics"]["curvature_range"]["value"] == pytest.approx(2 * BEND, abs=0.8)
    # the surface of the tile's border and of its middle are now at one depth, to half a voxel
    surface = [
        float(np.interp(0.5, column / column[:25].max(), np.arange(len(column[:25]))))
        for column in (result[:25, :6, :6].mean((1, 2)), result[:25, 13:19, 13:19].mean((1, 2)))
        if column.size
    ]
    assert abs(surface[0] - surface[1]) < 0.8


@pytest.mark.parametrize("value", [0.0, -5.0, 7.0, np.nan])
def test_tiles_of_one_value_stay_as_they_are(value: float, tmp_path: Path) -> None:
    bent(tmp_path / "m.ome.zarr", tiles=(2, 2), edit=lambda _r, _c, tile: np.full_like(tile, value))
    result, data = flatten(tmp_path / "m.ome.zarr", tmp_path / "out")
    assert data["metrics"]["corrected"]["value"] == 0
    assert any("left as it is" in note for note in data["notes"])
    assert (result == np.nan_to_num(value)).all()
