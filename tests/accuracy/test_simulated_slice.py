"""Raw tiles of the simulator to stitched slices: positions against the truth, seams."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.acquisition.steps.create_mosaic_grid import STEP as CREATE
from linumpy_lib.acquisition.steps.resample_mosaic_grid import STEP as RESAMPLE
from linumpy_lib.cli import execute
from linumpy_lib.illumination.steps.fix_focal_curvature import STEP as CURVATURE
from linumpy_lib.illumination.steps.fix_illumination import STEP as ILLUMINATION
from linumpy_lib.simulation import simulate_oct
from linumpy_lib.stitching.steps.stitch_slice import STEP as STITCH

# Step, and the mosaic that it writes.
CHAIN = ((RESAMPLE, "resampled"), (CURVATURE, "focal_fix"), (ILLUMINATION, "illum_fix"))


@pytest.mark.parametrize(("missing", "allowed"), [("", 0.25), ("1_1_0,3_2_0", 0.5)])
def test_tiles_lie_where_they_were_recorded(tmp_path: Path, missing: str, allowed: float) -> None:
    """Jitter of 8 um, rotation, skew, vignetting, curvature, speckle and noise of the simulator's defaults."""
    truth = simulate_oct(
        output=tmp_path / "a",
        slices=1,
        tiles_x=4,
        tiles_y=3,
        tile_shape="60,96,96",
        overlap=0.15,
        missing_tiles=missing,
        threads=2,
        seed=1,
    )
    words = ["--output", str(tmp_path), "--quiet", "--processes", "2"]
    raw = ["--input", str(tmp_path / "a" / "raw"), "--axial_resolution", "5", "--mosaic_resolution=-1"]
    execute(CREATE, [*raw, *words])
    source = tmp_path / "mosaic_grid_3d_z00.ome.zarr"
    for step, ending in CHAIN:
        execute(step, ["--input", str(source), "--name", "z00", *words])
        source = tmp_path / f"mosaic_grid_z00_{ending}.ome.zarr"
    execute(STITCH, ["--input", str(source), "--name", "z00", *words])
    true = truth.tile_positions_px(0)
    errors, nominal = [], []
    with (tmp_path / "slice_z00_tile_positions.csv").open() as file:
        for row in csv.DictReader(file):
            if row["status"] == "used":
                at = np.array(true[int(row["column"]), int(row["row"])])
                errors.append([float(row["x_px"]), float(row["y_px"])] - at)
                nominal.append([float(row["nominal_x_px"]), float(row["nominal_y_px"])] - at)
    rms = [float(np.sqrt(np.mean(np.sum((d - np.mean(d, axis=0)) ** 2, axis=1)))) for d in (errors, nominal)]
    assert rms[0] <= allowed
    assert rms[1] > 0.8  # the stage alone
    figures = json.loads((tmp_path / "z00_stitch_slice_metrics.json").read_text())["metrics"]
    assert figures["positions_method"]["value"] == "global"
    assert figures["seam_visibility"]["value"] <= 1.05
