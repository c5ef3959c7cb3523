"""`stitch_slice` on mosaics cut from one picture: known positions, and input of every bad kind."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cut_mosaic import CutMosaic, MakeMosaic

from linumpy_lib.cli import execute
from linumpy_lib.io import open_volume
from linumpy_lib.io.slice_frame import slice_frame
from linumpy_lib.stitching.steps.stitch_slice import STEP

AFFINE = np.array([[1.01, 0.012], [-0.015, 0.99]])


def stitch(mosaic: CutMosaic, out: Path, *options: str) -> tuple[dict[tuple[int, int], Any], dict[str, Any]]:
    """Run the step; positions by tile and the contents of the metrics file."""
    execute(STEP, ["--input", str(mosaic.path), "--output", str(out), "--name", "z03", "--quiet", *options])
    with (out / "slice_z03_tile_positions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "used"]
    found = {(int(r["row"]), int(r["column"])): np.array([float(r["y_px"]), float(r["x_px"])]) for r in rows}
    return found, json.loads((out / "z03_stitch_slice_metrics.json").read_text())


@pytest.mark.parametrize(("overlap", "shading"), [(0.1, False), (0.15, False), (0.2, False), (0.15, True), (0.2, True)])
def test_positions_are_found_to_a_quarter_of_a_pixel(
    tmp_path: Path, make_mosaic: MakeMosaic, overlap: float, shading: bool
) -> None:
    mosaic = make_mosaic((4, 4), overlap=overlap, matrix=AFFINE, shading=shading)
    found, metrics = stitch(mosaic, tmp_path / "out")
    assert mosaic.error_px(found) <= 0.25
    assert metrics["metrics"]["positions_method"]["value"] == "global"


def test_the_slice_knows_where_it_lies(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((2, 2), jitter=0, noise=0)
    found, _ = stitch(mosaic, tmp_path / "out", "--stitch_positions", "motor")
    volume = open_volume(tmp_path / "out" / "slice_z03_stitch_3d.ome.zarr")
    frame = slice_frame(volume)
    assert frame.slice_id == 3
    assert frame.origin_um == (0, 0, 0)
    # The centre of the field of view is 5 mm + half of it; the first voxel's centre is half a voxel in.
    assert frame.stage_origin_mm == pytest.approx((5.005, 5.005))
    assert volume.dtype == np.float32
    assert volume.shape == (6, 96 + int(96 * 0.85), 112 + int(112 * 0.85))
    assert mosaic.error_px(found) < 0.01
