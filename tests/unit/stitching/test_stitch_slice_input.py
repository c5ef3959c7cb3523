"""`stitch_slice` on input of every bad kind, and with every parameter changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cut_mosaic import MakeMosaic

from linumpy_lib.acquisition.steps.resample_mosaic_grid import STEP as RESAMPLE
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.slice_frame import slice_frame
from linumpy_lib.stitching.steps.estimate_global_transform import STEP as POOL
from linumpy_lib.stitching.steps.stitch_slice import STEP

AFFINE = np.array([[1.02, 0.012], [-0.015, 0.98]])


def stitch(path: Path, out: Path, *options: str) -> tuple[dict[str, Any], list[str], np.ndarray]:
    """Run the step; figures, notes and voxels."""
    execute(STEP, ["--input", str(path), "--output", str(out), "--name", "z03", "--quiet", *options])
    told = json.loads((out / "z03_stitch_slice_metrics.json").read_text())
    figures = {name: figure["value"] for name, figure in told["metrics"].items()}
    return figures, told["notes"], open_volume(out / "slice_z03_stitch_3d.ome.zarr").read()


def positions(out: Path) -> dict[tuple[int, int], np.ndarray]:
    rows = [line.split(",") for line in (out / "slice_z03_tile_positions.csv").read_text().splitlines()[1:]]
    return {(int(r[0]), int(r[1])): np.array([float(r[5]), float(r[6])]) for r in rows if r[2] == "used"}


def test_a_slice_of_one_tile(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((1, 1))
    figures, notes, voxels = stitch(mosaic.path, tmp_path)
    np.testing.assert_array_equal(voxels, mosaic.volume.read())
    assert figures["positions_method"] == "motor"
    assert any("no two tiles lie side by side" in note for note in notes)


@pytest.mark.parametrize("grid", [(1, 4), (4, 1)])
def test_one_row_and_one_column(tmp_path: Path, make_mosaic: MakeMosaic, grid: tuple[int, int]) -> None:
    mosaic = make_mosaic(grid)
    figures, _, _ = stitch(mosaic.path, tmp_path)
    assert figures["pairs_measured"] == 3
    assert mosaic.error_px(positions(tmp_path)) <= 0.25


def background(voxels: np.ndarray) -> np.ndarray:
    return 5 + np.abs(np.random.default_rng(1).standard_normal(voxels.shape)).astype(np.float32)


def test_nothing_but_background_keeps_the_stage(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((3, 3), change=background)
    figures, notes, _ = stitch(mosaic.path, tmp_path)
    assert figures["positions_method"] == "motor"
    assert any("motor positions of the tiles, since" in note for note in notes)
    found = positions(tmp_path)
    step = found[0, 1] - found[0, 0]
    assert step == pytest.approx([0, 112 * 0.85])


def test_no_tile_at_all_is_refused(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((2, 2), change=lambda voxels: voxels * 0)
    with pytest.raises(InputError, match="use=false in slice_config"):
        stitch(mosaic.path, tmp_path)


def test_holes_stay_holes(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((3, 3), missing=((1, 1),), empty=((0, 2),))
    figures, notes, voxels = stitch(mosaic.path, tmp_path)
    assert (figures["tiles"], figures["missing_tiles"], figures["empty_tiles"]) == (7, 1, 1)
    assert any("0,2" in note for note in notes)
    assert not voxels[:, 120:140, 150:170].any()
    assert figures["empty_fraction"] > 0.1


def saturated(voxels: np.ndarray) -> np.ndarray:
    """A row of tiles whose detector is full over most of the tile."""
    voxels[:, :, :112] = np.minimum(voxels[:, :, :112], 0.8)
    return voxels


def test_saturated_tiles_are_told_and_placed(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((3, 3), change=saturated)
    _, notes, _ = stitch(mosaic.path, tmp_path)
    assert any("saturated" in note for note in notes)
    assert mosaic.error_px(positions(tmp_path)) <= 0.5


def broken(voxels: np.ndarray) -> np.ndarray:
    voxels[0, 5, 5] = np.nan
    return voxels


def test_voxels_that_are_no_numbers_are_refused_and_mended_by_resampling(
    tmp_path: Path, make_mosaic: MakeMosaic
) -> None:
    mosaic = make_mosaic((2, 2), change=broken)
    with pytest.raises(InputError, match="row 0, column 0 holds voxels that are not finite"):
        stitch(mosaic.path, tmp_path)
    words = ["--input", str(mosaic.path), "--output", str(tmp_path), "--name", "z03", "--quiet", "--resolution=-1"]
    execute(RESAMPLE, words)
    figures, _, voxels = stitch(tmp_path / "mosaic_grid_z03_resampled.ome.zarr", tmp_path)
    assert np.isfinite(voxels).all()
    assert figures["tiles"] == 4


def test_negative_values_are_kept(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    plain = make_mosaic((3, 3), name="a.ome.zarr")
    lower = make_mosaic((3, 3), name="b.ome.zarr", change=lambda voxels: voxels - 0.4)
    stitch(plain.path, tmp_path / "a")
    _, notes, voxels = stitch(lower.path, tmp_path / "b")
    assert any("negative" in note for note in notes)
    assert voxels.min() < 0
    assert lower.error_px(positions(tmp_path / "b")) <= 0.25


def test_a_mosaic_of_another_program_is_imported(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((3, 3))
    bare = tmp_path / "mosaic_grid_3d_z03.ome.zarr"
    write_volume(bare, mosaic.volume.read(), spacing_um=(5, 10, 10), levels=1)
    with pytest.raises(InputError, match="tile grid"):
        stitch(bare, tmp_path)
    words = ["--input", str(bare), "--output", str(tmp_path), "--name", "z03", "--quiet", "--resolution=-1"]
    execute(RESAMPLE, [*words, "--import_tile_shape", "96,112"])
    figures, notes, _ = stitch(
        tmp_path / "mosaic_grid_z03_resampled.ome.zarr", tmp_path, "--stitch_overlap_fraction", "0.25"
    )
    assert figures["positions_start"] == "overlap"
    assert any("no stage positions" in note for note in notes)
    assert any("stitch_overlap_fraction" in note and "the measured overlap is used" in note for note in notes)
    assert mosaic.error_px(positions(tmp_path)) <= 0.25


def test_every_parameter_has_an_effect(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((2, 3), matrix=AFFINE, jitter=2)
    _, _, base = stitch(mosaic.path, tmp_path / "base")
    for name, value in (
        ("use_motor_positions_for_stitching", "false"),
        ("stitch_positions", "affine"),
        ("stitch_positions", "motor"),
        ("stitch_blending_method", "none"),
        ("stitch_blending_method", "average"),
        ("stitch_blending_method", "distance"),
        ("max_blend_refinement_px", "0"),
    ):
        figures, _, voxels = stitch(mosaic.path, tmp_path / f"{name}{value}", f"--{name}", value)
        if name.startswith("use"):
            assert figures["positions_start"] == "overlap"
        else:
            assert voxels.shape != base.shape or not np.array_equal(voxels, base), name
    figures, _, _ = stitch(mosaic.path, tmp_path / "m", "--stitch_positions", "motor")
    assert figures["grid_step"] == "stage"


def test_pairs_beyond_the_limit_are_discarded(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    """As unreliable: a limit of 10 px keeps the stage's wrong place of one tile, a limit of 20 px mends it."""
    mosaic = make_mosaic((3, 3), jitter=0.5, stage_errors={(1, 1): (0, 14)})
    stitch(mosaic.path, tmp_path / "10", "--max_blend_refinement_px", "10")
    kept, _, _ = stitch(mosaic.path, tmp_path / "20", "--max_blend_refinement_px", "20")
    assert mosaic.error_px(positions(tmp_path / "20")) <= 0.25
    assert kept["moved_max"] > 12
    assert mosaic.error_px(positions(tmp_path / "10")) > 3


def test_a_slice_with_few_pairs_takes_the_step_of_all_slices(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    for k in range(3):
        name = f"mosaic_grid_z0{k}.ome.zarr"
        make_mosaic((3, 3), matrix=AFFINE, seed=k, slice_id=k, name=f"{name}", jitter=0.7)
    small = make_mosaic((1, 2), matrix=AFFINE, seed=8, slice_id=3, name="mosaic_grid_z03.ome.zarr", jitter=0.7)
    execute(POOL, ["--mosaics", str(tmp_path), "--output", str(tmp_path / "p"), "--name", "brain", "--quiet"])
    transform = str(tmp_path / "p" / "brain_global_transform.json")
    steps = {}
    for name, options in (
        ("own", ()),
        ("fallback", ("--fallback_transform", transform)),
        ("trusted", ("--fallback_transform", transform, "--stitch_min_pairs", "0")),
        ("always", ("--global_transform", transform)),
    ):
        figures, _, _ = stitch(small.path, tmp_path / name, "--stitch_positions", "affine", *options)
        steps[name] = figures["grid_step"]
    assert steps == {"own": "slice", "fallback": "slices", "trusted": "slice", "always": "slices"}
    figures, _, _ = stitch(tmp_path / "mosaic_grid_z00.ome.zarr", tmp_path / "many", "--fallback_transform", transform)
    assert figures["grid_step"] == "slice"
    # The slice itself shows nothing: the step of the others still applies.
    blank = make_mosaic((1, 2), slice_id=4, name="blank.ome.zarr", change=background)
    figures, _, _ = stitch(blank.path, tmp_path / "blank", "--fallback_transform", transform)
    assert figures["grid_step"] == "slices"
    found = positions(tmp_path / "blank")
    assert found[0, 1] - found[0, 0] == pytest.approx(AFFINE @ [0, 112 * 0.85], abs=0.7)


def test_results_do_not_depend_on_threads(tmp_path: Path, make_mosaic: MakeMosaic) -> None:
    mosaic = make_mosaic((2, 3), matrix=AFFINE)
    files: list[dict[str, bytes]] = []
    for threads in ("1", "2"):
        out = tmp_path / threads
        stitch(mosaic.path, out, "--processes", threads)
        store = out / "slice_z03_stitch_3d.ome.zarr"
        found = {str(p.relative_to(store)): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}
        files.append(found)
        assert slice_frame(open_volume(store)).slice_id == 3
    assert files[0] == files[1]
