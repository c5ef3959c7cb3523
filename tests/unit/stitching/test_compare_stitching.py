"""`stitch_motor_only` and `compare_stitching`: what the overlaps gained, seen at the seams."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from support.cut_mosaic import CutMosaic, MakeMosaic

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.stitching.canvas import plan_canvas
from linumpy_lib.stitching.frame import canvas_of
from linumpy_lib.stitching.seams import NEAR_PX, seam_profile, seams_of
from linumpy_lib.stitching.steps.compare_stitching import STEP as COMPARE
from linumpy_lib.stitching.steps.stitch_motor_only import STEP as MOTOR
from linumpy_lib.stitching.steps.stitch_slice import STEP as STITCH


def run_both(mosaic: CutMosaic, out: Path, *options: str) -> tuple[Path, Path]:
    for step in (STITCH, MOTOR):
        execute(step, ["--input", str(mosaic.path), "--output", str(out), "--name", "z03", "--quiet", *options])
    return out / "slice_z03_stitch_3d.ome.zarr", out / "slice_z03_motor_only.ome.zarr"


def compare(refined: Path, motor: Path, out: Path, *options: str) -> dict[str, dict[str, float]]:
    execute(
        COMPARE,
        [*("--refined", str(refined), "--motor", str(motor)), *("--output", str(out), "--name", "z03"), *options],
    )
    figures: dict[str, dict[str, float]] = json.loads((out / "z03_compare_stitching_metrics.json").read_text())[
        "metrics"
    ]
    return figures


def test_a_step_of_brightness_is_visible_and_a_ramp_is_not() -> None:
    canvas = plan_canvas({(0, 0): np.zeros(2), (0, 1): np.array([0, 50.0])}, (40, 60))
    rng = np.random.default_rng(0)
    picture = 1 + 0.01 * rng.standard_normal(canvas.shape)
    covered = np.ones(canvas.shape, bool)
    assert seam_profile(picture, covered, seams_of(canvas)).visibility == pytest.approx(1, abs=0.15)
    picture[:, 60:] += 0.05
    profile = seam_profile(picture, covered, seams_of(canvas))
    assert profile.visibility > 2.5
    assert np.nanargmax(profile.change) == NEAR_PX
    assert profile.pixels == 80


def test_overlaps_beat_the_motor(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((3, 3), jitter=2.5, matrix=np.array([[1.0, 0.01], [-0.01, 1.0]]))
    refined, motor = run_both(mosaic, tmp_path)
    metrics = compare(refined, motor, tmp_path / "compared")
    assert metrics["seam_visibility_refined"]["value"] <= 1.05
    assert metrics["correlation"]["value"] > 0.5
    with (tmp_path / "compared" / "slice_z03_seam_profiles.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["distance_px"]) for row in rows] == list(range(-NEAR_PX, NEAR_PX + 1))
    tiles = canvas_of(open_volume(motor))
    assert tiles is not None
    assert len(tiles.tiles) == 9


def test_motor_only_parameters_have_an_effect(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((2, 2), stage=False)
    shapes, voxels = {}, {}
    for overlap in ("0.1", "0.2"):
        for blending in ("none", "average"):
            out = tmp_path / f"{overlap}{blending}"
            options = ["--motor_only_overlap", overlap, "--motor_only_stitch_blending", blending]
            execute(MOTOR, ["--input", str(mosaic.path), "--output", str(out), "--name", "z03", "--quiet", *options])
            volume = open_volume(out / "slice_z03_motor_only.ome.zarr")
            shapes[overlap], voxels[overlap, blending] = volume.shape, volume.read()
    assert shapes["0.1"][1] == 96 + int(96 * 0.9)
    assert shapes["0.2"] < shapes["0.1"]
    assert not np.array_equal(voxels["0.1", "none"], voxels["0.1", "average"])


def test_slices_of_other_programs_are_compared_on_a_lattice(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    voxels = (1 + 0.01 * rng.standard_normal((4, 120, 150))).astype(np.float32)
    voxels[:, :, 50:] += 0.1
    frame = {"slice": {"slice_id": 1, "origin_um": [0, 0, 0], "stage_origin_mm": None}}
    for name in ("a", "b"):
        write_volume(tmp_path / f"{name}.ome.zarr", voxels, spacing_um=(5, 10, 10), levels=1, provenance=frame)
    stores = (tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr")
    hit = compare(*stores, tmp_path / "1", "--comparison_tile_step", "50")
    missed = compare(*stores, tmp_path / "2", "--comparison_tile_step", "40")
    assert hit["seam_visibility_refined"]["value"] > 2 * missed["seam_visibility_refined"]["value"]
    write_volume(tmp_path / "c.ome.zarr", voxels, spacing_um=(5, 20, 20), levels=1, provenance=frame)
    with pytest.raises(InputError, match="one mosaic"):
        compare(stores[0], tmp_path / "c.ome.zarr", tmp_path / "3")


def test_stubs_fit_together(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    refined, motor = run_both(make_mosaic((2, 2)), tmp_path, "--stub")
    compare(refined, motor, tmp_path / "compared", "--stub")
