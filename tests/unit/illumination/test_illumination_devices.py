"""Flat fields, their removal and the flattening of tiles agree on every device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.cli import execute
from linumpy_lib.device import Device, get_device
from linumpy_lib.illumination.basic import fit_basic
from linumpy_lib.illumination.cosines import evaluate
from linumpy_lib.illumination.focal_curvature import raise_lines
from linumpy_lib.illumination.shading import Shading, undo_shading
from linumpy_lib.illumination.steps import fix_focal_curvature, fix_illumination
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid
from linumpy_lib.simulation.shaded_tiles import shaded_tiles


@pytest.mark.parametrize("darkfield", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_fit_agrees(darkfield: bool, weighted: bool, other: Device) -> None:
    images = shaded_tiles(60, (64, 64)).images
    weights = None
    if weighted:
        weights = np.ones_like(images)
        weights[3], weights[7, :20], images[3] = 0, 0, 0
    darkest = np.percentile(images, 10, axis=0).astype(np.float32) if darkfield else None
    options = {"weights": weights, "darkfield": darkfield, "darkest": darkest}
    here, there = (fit_basic(images, device=device, **options) for device in (get_device("cpu"), other))
    assert there.converged
    flats = [evaluate(fit.flat, fit.grid, (64, 64)) for fit in (here, there)]
    assert np.abs(flats[1] - flats[0]).max() < 1e-4
    darks = [evaluate(fit.dark, fit.grid, (64, 64)) for fit in (here, there)]
    assert np.abs(darks[1] - darks[0]).max() < 1e-3 * np.median(images)
    assert np.abs(there.baseline / here.baseline - 1).max() < 1e-4 or weighted


def test_fields_are_taken_out_alike(other: Device) -> None:
    rng = np.random.default_rng(1)
    tile = rng.uniform(-1, 50, (9, 30, 40)).astype(np.float32)
    tile[4, 3, 2] = 0
    flat, dark = rng.uniform(0.5, 1.5, (3, 30, 40)).astype(np.float32), rng.uniform(0, 3, (3, 30, 40))
    shading = Shading(np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), np.array([0.0, 3, 7]), (30, 40), 1, True)
    found = []
    for device in (get_device("cpu"), other):
        fields = device.to_device(flat), device.to_device(dark)
        found.append(device.to_numpy(undo_shading(device.to_device(tile), range(9), shading, fields, device.xp)))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-5)


def test_lines_rise_alike(other: Device) -> None:
    rng = np.random.default_rng(2)
    tile, lowered = rng.random((25, 18, 30), dtype=np.float32), rng.uniform(0, 6, (18, 30))
    here, there = (d.to_numpy(raise_lines(d.to_device(tile), lowered, d)) for d in (get_device("cpu"), other))
    np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-6)


def bent_mosaic(path: Path) -> None:
    """Write tiles of layered tissue below water, bent and shaded."""
    grid = MosaicGrid(3, (40, 48, 48), (3, 3))
    y, x = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 48), indexing="ij")
    rng = np.random.default_rng(0)
    voxels = np.zeros(grid.shape, np.float32)
    z = np.arange(40)[:, None, None]
    for row, column in grid.places():
        surface = 9 + 3 * (x * x + 0.6 * y * y) + 0.3 * row
        tissue = (1 + 0.3 * rng.random((40, 48, 48))) * np.exp(-(z - surface) / 60)
        bright = 1 / (1 + np.exp(-(z - surface) / 0.7))
        voxels[grid.box(row, column)] = 100 * (0.05 + bright * tissue) * (1 - 0.25 * (x - 0.1) ** 2)
    write_volume(path, voxels, spacing_um=(10, 10, 10), levels=1, provenance={KEY: grid.as_json()})


@pytest.mark.parametrize(
    ("step", "store"),
    [
        (fix_illumination.STEP, "mosaic_grid_z03_illum_fix.ome.zarr"),
        (fix_focal_curvature.STEP, "mosaic_grid_z03_focal_fix.ome.zarr"),
    ],
)
def test_the_steps_agree(step, store: str, cuda: Device, tmp_path: Path) -> None:
    bent_mosaic(tmp_path / "m.ome.zarr")
    before = open_volume(tmp_path / "m.ome.zarr").read()
    found = []
    for device in ("cpu", "cuda"):
        words = ["--input", str(tmp_path / "m.ome.zarr"), "--output", str(tmp_path / device), "--name", "z03"]
        execute(step, [*words, "--quiet", "--device", device])
        found.append(open_volume(tmp_path / device / store).read())
    assert np.abs(found[0] - before).max() > 5
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-3 * before.max())
