"""A resampled mosaic made on a GPU equals that of the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.acquisition.steps.create_mosaic_grid import STEP
from linumpy_lib.cli import execute
from linumpy_lib.io import open_volume


@pytest.mark.gpu
def test_mosaic_on_cuda(write_tile, tmp_path: Path) -> None:
    pytest.importorskip("cupy", reason="needs CuPy and a CUDA device")
    for x in range(3):
        write_tile(x, 0, 1, shape=(60, 40, 50))
    voxels = []
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        words = ["--input", str(tmp_path / "raw"), "--output", str(out), "--mosaic_resolution", "9", "--device", device]
        execute(STEP, [*words, "--quiet"])
        voxels.append(open_volume(out / "mosaic_grid_3d_z01.ome.zarr").read())
    np.testing.assert_allclose(voxels[1], voxels[0], rtol=1e-5)
