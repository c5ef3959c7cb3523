"""`estimate_global_transform`: one map of the grid from pairs of several slices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.cut_mosaic import MakeMosaic

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.stitching.steps.estimate_global_transform import STEP
from linumpy_lib.stitching.steps.stitch_slice import STEP as STITCH

AFFINE = np.array([[1.01, 0.012], [-0.015, 0.99]])


def pool(out: Path, *words: str) -> tuple[np.ndarray, dict[str, dict[str, float]]]:
    """Run the step; step in pixels and figures."""
    execute(STEP, ["--output", str(out), "--name", "brain", "--quiet", *words])
    step = np.array(json.loads((out / "brain_global_transform.json").read_text())["step_um"]) / 10
    return step, json.loads((out / "brain_estimate_global_transform_metrics.json").read_text())["metrics"]


@pytest.fixture
def three(tmp_path: Path, make_mosaic: MakeMosaic) -> Path:
    for k in range(3):
        make_mosaic((2, 3), matrix=AFFINE, seed=k, slice_id=k, name=f"mosaic_grid_z0{k}.ome.zarr", shading=True)
    return tmp_path


def test_slices_are_pooled(three: Path) -> None:
    step, metrics = pool(three / "all", "--mosaics", str(three))
    truth = AFFINE @ np.diag([96 * 0.85, 112 * 0.85])
    assert np.abs(step - truth).max() < 0.6  # the jitter of 1 px, over 9 and 12 pairs
    assert metrics["pairs_measured"]["value"] == 21
    assert metrics["residual_median"]["value"] < metrics["residual_median_nominal"]["value"]


def test_every_parameter_has_an_effect(three: Path) -> None:
    base, _ = pool(three / "a", "--mosaics", str(three))
    for name, value in (("slices", "0,2"), ("histogram_match", "false"), ("n_samples", "8")):
        step, metrics = pool(three / name, "--mosaics", str(three), f"--stitch_global_transform_{name}", value)
        assert not np.array_equal(step, base), name
        assert np.abs(step - base).max() < 1.5
    again, metrics = pool(
        three / "b",
        "--mosaics",
        str(three),
        "--stitch_global_transform_n_samples",
        "8",
        "--stitch_global_transform_seed",
        "1",
    )
    assert metrics["pairs_measured"]["value"] == 8
    assert not np.array_equal(again, step)
    _, metrics = pool(three / "c", "--mosaics", str(three), "--stitch_global_transform_max_empty_fraction", "0.2")
    assert metrics["pairs_empty"]["value"] > 0


def test_a_slice_takes_the_pooled_step(three: Path) -> None:
    step, _ = pool(three / "all", "--mosaics", str(three))
    execute(
        STITCH,
        [
            *("--input", str(three / "mosaic_grid_z01.ome.zarr"), "--output", str(three / "s"), "--name", "z01"),
            *("--global_transform", str(three / "all" / "brain_global_transform.json")),
            *("--stitch_positions", "affine", "--quiet"),
        ],
    )
    rows = (three / "s" / "slice_z01_tile_positions.csv").read_text().splitlines()[1:]
    first, second = (np.array([float(v) for v in row.split(",")[-2:]]) for row in (rows[0], rows[1]))
    assert np.abs((second - first) - step[:, 1]).max() < 0.01


def test_input_is_checked(three: Path) -> None:
    with pytest.raises(InputError, match="none of the slices 7"):
        pool(three / "x", "--mosaics", str(three), "--stitch_global_transform_slices", "7")
    with pytest.raises(InputError, match="twice"):
        pool(three / "x", "--mosaics", str(three), str(three / "mosaic_grid_z01.ome.zarr"))
