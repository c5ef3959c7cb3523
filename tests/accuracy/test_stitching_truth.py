"""`stitch_slice` against mosaics whose tile positions are known."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cut_mosaic import CutMosaic, cut_mosaic

from linumpy_lib.cli import execute
from linumpy_lib.io import open_volume
from linumpy_lib.stitching.canvas import plan_canvas
from linumpy_lib.stitching.steps.stitch_slice import STEP

# Two percent of scale along each axis, and a grid that is turned and askew.
AFFINE = np.array([[1.02, 0.012], [-0.015, 0.98]])
# Five of 25 tiles hold nothing.
HOLES = ((0, 1), (1, 3), (2, 0), (3, 2), (4, 4))


def stitch(mosaic: CutMosaic, out: Path, *options: str) -> tuple[dict[tuple[int, int], Any], dict[str, Any]]:
    execute(STEP, ["--input", str(mosaic.path), "--output", str(out), "--name", "z03", "--quiet", *options])
    with (out / "slice_z03_tile_positions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "used"]
    found = {(int(r["row"]), int(r["column"])): np.array([float(r["y_px"]), float(r["x_px"])]) for r in rows}
    return found, json.loads((out / "z03_stitch_slice_metrics.json").read_text())["metrics"]


@pytest.mark.parametrize("overlap", [0.1, 0.15, 0.2])
@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_positions_with_a_fifth_of_the_tiles_empty(tmp_path: Path, overlap: float, kind: str) -> None:
    mosaic = cut_mosaic(
        tmp_path / "mosaic.ome.zarr", (5, 5), (4, 96, 112), overlap, matrix=AFFINE, seed=2, **{kind: HOLES}
    )
    found, metrics = stitch(mosaic, tmp_path)
    assert len(found) == 20
    assert mosaic.error_px(found) <= 0.5
    assert metrics[f"{kind}_tiles"]["value"] == 5


def test_sub_pixel_shifts_of_26_pixel_overlaps(tmp_path: Path) -> None:
    """32 pairs of 256-pixel seams, one plane, 5 % noise: median error at most 0.2 px, all below 0.5 px."""
    mosaic = cut_mosaic(tmp_path / "mosaic.ome.zarr", (3, 7), (1, 256, 256), 26 / 256, jitter=1.5, seed=5)
    stitch(mosaic, tmp_path)
    errors = []
    with (tmp_path / "slice_z03_tile_pairs.csv").open() as file:
        for row in csv.DictReader(file):
            first, second = (tuple(int(v) for v in row[name].split()) for name in ("first", "second"))
            true = mosaic.positions[second] - mosaic.positions[first]
            errors.append(np.abs(np.array([float(row["dy_px"]), float(row["dx_px"])]) - true))
    assert len(errors) == 32
    assert np.median(errors) <= 0.05  # 0.2 is asked for
    assert np.max(errors) < 0.2  # 0.5 is asked for


def gains(voxels: np.ndarray) -> np.ndarray:
    """Tiles of different brightness, by a few percent."""
    rng = np.random.default_rng(9)
    for y in range(0, voxels.shape[1], 96):
        for x in range(0, voxels.shape[2], 112):
            voxels[:, y : y + 96, x : x + 112] *= 1 + 0.06 * rng.standard_normal()
    return voxels


def test_no_seam_is_visible_after_diffusion(tmp_path: Path) -> None:
    """Tiles whose brightness differs by 6 %: mean of three pictures, since structure at a seam counts as well."""
    visible: dict[str, list[float]] = {}
    for seed in (3, 4, 5):
        path = tmp_path / f"{seed}.ome.zarr"
        mosaic = cut_mosaic(path, (4, 4), (2, 96, 112), 0.15, matrix=AFFINE, change=gains, seed=seed)
        for blending in ("diffusion", "none"):
            _, metrics = stitch(mosaic, tmp_path / f"{seed}{blending}", "--stitch_blending_method", blending)
            visible.setdefault(blending, []).append(metrics["seam_visibility"]["value"])
    assert np.mean(visible["diffusion"]) <= 1.05, visible
    assert (np.array(visible["none"]) > np.array(visible["diffusion"]) + 0.1).all(), visible


@pytest.mark.parametrize("tile", [0.12, 0.27])
@pytest.mark.parametrize("stage", [True, False])
def test_a_stated_overlap_that_contradicts_the_tiles_is_reported(tmp_path: Path, tile: float, stage: bool) -> None:
    """The stage's steps, or stitch_overlap_fraction, are wrong by far: the measured overlap is used and told."""
    wrong = 0.2
    scale = (1 - tile) / (1 - wrong)
    mosaic = cut_mosaic(
        tmp_path / "mosaic.ome.zarr", (3, 3), (4, 96, 112), wrong, matrix=scale * np.eye(2), stage=stage, seed=4
    )
    found, metrics = stitch(mosaic, tmp_path, "--stitch_overlap_fraction", str(wrong))
    assert mosaic.error_px(found) <= 0.25
    for axis in "yx":
        assert metrics[f"overlap_{axis}"]["value"] == pytest.approx(tile, abs=0.012)
        assert metrics[f"overlap_{axis}_difference"]["status"] in ("warning", "error")
    notes = json.loads((tmp_path / "z03_stitch_slice_metrics.json").read_text())["notes"]
    assert sum("the measured overlap is used" in note for note in notes) == 2
    assert any(("the stage" if stage else "stitch_overlap_fraction") in note for note in notes)


def test_the_slice_equals_the_picture(tmp_path: Path) -> None:
    mosaic = cut_mosaic(tmp_path / "mosaic.ome.zarr", (3, 3), (2, 96, 112), 0.2, noise=0, seed=6)
    found, _ = stitch(mosaic, tmp_path)
    voxels = open_volume(tmp_path / "slice_z03_stitch_3d.ome.zarr").read()
    canvas = plan_canvas(found, (96, 112))
    # Where the picture was sampled for a canvas pixel, the mean offset of all tiles taken into account.
    from scipy import ndimage

    shift = np.mean([mosaic.positions[place] - found[place] for place in found], axis=0)
    low = np.min(list(mosaic.positions.values()), axis=0) - 10
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(float)
    at = np.stack([y + canvas.origin[0] + shift[0] - low[0], x + canvas.origin[1] + shift[1] - low[1]])
    picture = ndimage.map_coordinates(mosaic.picture, at, order=5)
    inside = canvas.count() > 0
    error = np.sqrt(np.mean((voxels[0] - picture)[inside] ** 2))
    assert error < 0.03 * picture[inside].std()
