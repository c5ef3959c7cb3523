"""`compare_with_truth` finds errors that were put into a volume, and none in the truth itself."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.simulation.steps.compare_with_truth import STEP
from linumpy_lib.simulation.steps.simulate_oct import STEP as SIMULATE
from linumpy_lib.simulation.truth import read_truth
from linumpy_lib.simulation.truth_comparison import TruthPlanes

THICKNESS, SHOWN = 10, 14
SHAPE = (140, 150)
ERRORS = {0: (1.2, -0.8, 0.3, 0), 1: (-0.5, 0.4, -0.5, 0), 2: (0.3, 0.9, 0.1, 2), 3: (-1.0, -0.5, 0.1, 0)}
"""Shift (y, x) [px], rotation [deg] and depth [planes] by slice."""
WHOLE = (7.0, -11.0)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    sizes = {"slices": "4", "tile_shape": "20,48,48", "interval_um": "100", "noise": "0", "speckle": "0"}
    words = [word for name, value in sizes.items() for word in (f"--simulate_oct_{name}", value)]
    execute(SIMULATE, [*words, "--output", str(folder), "--name", "brain", "--quiet"])
    return folder / "brain_truth"


def stack(truth_folder: Path, path: Path, errors: dict[int, tuple[float, float, float, int]]) -> Path:
    """Slices of the truth with errors, gain and speckle, one after another as `stack_slices` puts them."""
    truth = read_truth(truth_folder)
    volume = open_volume(truth_folder / "volume.ome.zarr")
    planes = TruthPlanes(truth, volume.read(), SHAPE, (10.0, 10.0))
    generator = np.random.default_rng(1)
    out = np.zeros((3 * THICKNESS + SHOWN, *SHAPE), np.float32)
    centre = (np.array(SHAPE) - 1) / 2
    for number, (dy, dx, angle, deeper) in errors.items():
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        matrix = np.array([[c, s], [-s, c]])
        shift = np.array([dy, dx]) + WHOLE
        for k in range(SHOWN):
            true = planes.at(truth.slice(number).face_um + (k + 0.5 + deeper) * 10.0, np.zeros(2), 40)
            offset = centre + 40 - matrix @ centre + shift
            plane = ndimage.affine_transform(true, matrix, offset, output_shape=SHAPE, order=3)
            out[number * THICKNESS + k] = 300 * np.exp(-0.02 * k) * plane * generator.gamma(12, 1 / 12, SHAPE)
    records = [
        {"slice_id": n, "first_plane": n * THICKNESS, "planes": SHOWN, "interpolated": n == 1} for n in sorted(errors)
    ]
    write_volume(path, np.maximum(out, 0.001), spacing_um=(10.0, 10.0, 10.0), provenance={"slices": records})
    return path


def compare(truth: Path, volume: Path, out: Path, *words: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    fixed = ["--volume", str(volume), "--truth", str(truth), "--output", str(out), "--name", "brain"]
    execute(STEP, [*fixed, *words])
    figures = json.loads((out / "brain_compare_with_truth_metrics.json").read_text())["metrics"]
    with (out / "brain_truth_errors.csv").open() as stream:
        return {name: figure["value"] for name, figure in figures.items()}, list(csv.DictReader(stream))


def test_errors_are_found_to_a_tenth_of_a_pixel(truth: Path, tmp_path: Path) -> None:
    """The brain is 100 pixels wide here, so that a rotation of 0.1 degrees is a tenth of a pixel at its rim."""
    figures, rows = compare(truth, stack(truth, tmp_path / "brain.ome.zarr", ERRORS), tmp_path / "out")
    recorded = np.array([ERRORS[n] for n in (0, 2, 3)], float)
    mean, depth = recorded.mean(0), float(np.median(recorded[:, 3]))
    for row, error in zip(rows, np.array([ERRORS[n] for n in range(4)]), strict=True):
        found = [float(row[name]) for name in ("y_px", "x_px", "rotation_deg")]
        assert np.abs(np.array(found[:2]) - (error - mean)[:2]).max() < 0.1
        assert abs(found[2] - (error - mean)[2]) < 0.15
        assert abs(float(row["depth_planes"]) - (error[3] - depth)) < 0.5
    lengths = np.hypot(*(recorded - mean)[:, :2].T)
    assert figures["truth_position_rms"] == pytest.approx(np.sqrt(np.mean(lengths**2)), abs=0.05)
    assert figures["truth_position_max"] == pytest.approx(lengths.max(), abs=0.1)
    assert figures["truth_total_depth"] == pytest.approx(0, abs=1e-6)
    assert [row["interpolated"] for row in rows] == ["false", "true", "false", "false"]


def test_the_truth_itself_has_no_errors(truth: Path, tmp_path: Path) -> None:
    none = dict.fromkeys(ERRORS, (0.0, 0.0, 0.0, 0))
    figures, _ = compare(truth, stack(truth, tmp_path / "brain.ome.zarr", none), tmp_path / "out")
    assert figures["truth_position_max"] < 0.1
    assert figures["truth_rotation_rms"] < 0.15
    assert figures["truth_depth_max"] < 0.5
    assert figures["truth_correlation"] > 0.75, "speckle of every voxel is in it"
    assert (tmp_path / "out" / "brain_compare_with_truth_preview.png").stat().st_size > 1000


def test_what_cannot_be_compared_is_refused(truth: Path, tmp_path: Path) -> None:
    volume = stack(truth, tmp_path / "brain.ome.zarr", {0: (0.0, 0.0, 0.0, 0)})
    (tmp_path / "alone").mkdir()
    with pytest.raises(InputError, match="no truth file"):
        compare(tmp_path / "alone", volume, tmp_path / "out")
    (tmp_path / "alone" / "truth.json").write_bytes((truth / "truth.json").read_bytes())
    with pytest.raises(InputError, match="--truth_volume"):
        compare(tmp_path / "alone", volume, tmp_path / "out")
    given = ("--truth_volume", str(truth / "volume.ome.zarr"))
    assert compare(tmp_path / "alone", volume, tmp_path / "out", *given) == compare(truth, volume, tmp_path / "out")
    plain = tmp_path / "plain.ome.zarr"
    write_volume(plain, np.ones((8, 16, 16), np.float32), spacing_um=(10.0, 10.0, 10.0))
    with pytest.raises(InputError, match="states no slices"):
        compare(truth, plain, tmp_path / "out")
    assert compare(truth, volume, tmp_path / "out", "--stub") == ({}, [])
