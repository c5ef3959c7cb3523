"""A mosaic resampled on a GPU equals that of the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from linumpy_lib.acquisition.steps.create_mosaic_grid import STEP as CREATE
from linumpy_lib.acquisition.steps.resample_mosaic_grid import STEP as RESAMPLE
from linumpy_lib.cli import execute
from linumpy_lib.device import Device
from linumpy_lib.io import open_volume
from linumpy_lib.resample import resample, resampling_matrix


def test_mosaics_agree(cuda: Device, write_tile, tmp_path: Path) -> None:
    for x in range(3):
        write_tile(x, 0, 1, shape=(60, 40, 50))
    made, resampled = [], []
    for device in ("cpu", "cuda"):
        words = ["--output", str(tmp_path / device), "--quiet", "--device", device]
        execute(CREATE, ["--input", str(tmp_path / "raw"), *words, "--mosaic_resolution", "9"])
        mosaic = tmp_path / device / "mosaic_grid_3d_z01.ome.zarr"
        made.append(open_volume(mosaic).read())
        execute(RESAMPLE, ["--input", str(mosaic), *words, "--name", "z01", "--resolution", "14"])
        resampled.append(open_volume(tmp_path / device / "mosaic_grid_z01_resampled.ome.zarr").read())
    np.testing.assert_allclose(made[1], made[0], rtol=1e-5)
    np.testing.assert_allclose(resampled[1], resampled[0], rtol=1e-5)


def test_every_axis_is_resampled_alike(other: Device) -> None:
    tile = np.random.default_rng(0).random((31, 40, 52), dtype=np.float32)
    matrices = [resampling_matrix(n, 1.0, t) for n, t in zip(tile.shape, (2.3, 0.7, 1.0), strict=True)]
    here = resample(tile, matrices)
    there = other.to_numpy(resample(other.to_device(tile), [other.to_device(m) for m in matrices]))
    np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-6)
