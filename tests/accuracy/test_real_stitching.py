"""`stitch_slice` on mosaics of other microscopes: overlaps agree as well as at the positions that others found."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.real_mosaics import BRAIN_SECTION, TWO_TILES, Positions, brain_section, overlap_correlations, two_tiles

from linumpy_lib.cli import execute
from linumpy_lib.illumination.steps.fix_illumination import STEP as ILLUMINATION
from linumpy_lib.stitching.layout import neighbours
from linumpy_lib.stitching.steps.stitch_slice import STEP


def stitch(mosaic: Path, out: Path) -> tuple[Positions, dict[str, Any]]:
    execute(STEP, ["--input", str(mosaic), "--output", str(out), "--name", "z00", "--quiet"])
    with (out / "slice_z00_tile_positions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "used"]
    found = {(int(r["row"]), int(r["column"])): np.array([float(r["y_px"]), float(r["x_px"])]) for r in rows}
    return found, json.loads((out / "z00_stitch_slice_metrics.json").read_text())["metrics"]


def test_brain_section_beats_its_registered_positions(tmp_path: Path) -> None:
    if not BRAIN_SECTION.is_file():
        pytest.skip("the brain section is not beside this checkout (../shared/data)")
    mosaic = brain_section(tmp_path / "mosaic_grid_3d_z00.ome.zarr", slice(1, 5), slice(2, 6))
    execute(ILLUMINATION, ["--input", str(mosaic.path), "--output", str(tmp_path), "--name", "z00", "--quiet"])
    corrected = tmp_path / "mosaic_grid_z00_illum_fix.ome.zarr"
    found, metrics = stitch(corrected, tmp_path)
    pairs = [(pair.first, pair.second) for pair in neighbours(found)]
    ours, theirs, stage = (
        overlap_correlations(corrected, positions, pairs) for positions in (found, mosaic.registered, mosaic.stage)
    )
    assert metrics["positions_method"]["value"] in ("global", "affine")
    assert metrics["seam_visibility"]["value"] <= 1.05
    assert len(pairs) == 24
    assert metrics["pairs_measured"]["value"] >= 20
    assert np.isfinite(ours).all()
    assert ours.mean() > theirs.mean()
    assert (ours >= theirs - 0.01).mean() >= 0.9
    assert ours.mean() > stage.mean() + 0.1
    # Independent software and ours agree on where neighbours lie.
    differences = [np.hypot(*((found[b] - found[a]) - (mosaic.registered[b] - mosaic.registered[a]))) for a, b in pairs]
    assert np.median(differences) < 0.4


def test_two_tiles_of_a_czi_file(tmp_path: Path) -> None:
    if not TWO_TILES.is_file():
        pytest.skip("mosaic_test.czi is not beside this checkout (../shared/data)")
    pytest.importorskip("czifile", reason="czifile reads the test's input")
    mosaic = two_tiles(tmp_path / "mosaic_grid_3d_z00.ome.zarr")
    found, metrics = stitch(mosaic.path, tmp_path)
    pair = [((0, 0), (0, 1))]
    ours, stage = (overlap_correlations(mosaic.path, positions, pair)[0] for positions in (found, mosaic.stage))
    assert stage < 0.5
    assert ours > 0.95
    assert metrics["pairs_measured"]["value"] == 1
