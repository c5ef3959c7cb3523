"""The steps analyze_rotation_drift, analyze_acquisition_rotation and stack_motor_only."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.alignment.pair_folder import PairRecord
from linumpy_lib.alignment.rigid import Rigid, write_tfm
from linumpy_lib.alignment.rotation_analysis import pair_rotations, path_turning
from linumpy_lib.alignment.steps import analyze_acquisition_rotation, analyze_rotation_drift, stack_motor_only
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.shift_table import Shift, write_shifts
from linumpy_lib.io.slice_frame import SliceFrame


def turned(*degrees: float) -> list[PairRecord]:
    return [
        PairRecord(k, k + 1, Rigid(math.radians(angle)), 10, 0, 10.0, 0.9, 0.9, "ok") for k, angle in enumerate(degrees)
    ]


def test_rotations_to_either_side_are_judged() -> None:
    found = pair_rotations(turned(0.1, -3.0, 0.2, 2.1), 2.0)
    assert found.large == (2, 4)
    assert found.cumulative[-1] == pytest.approx(-0.6)
    assert len(found.findings) == 1
    winding = pair_rotations(turned(*[-0.8] * 8), 2.0)
    assert winding.large == ()
    assert [text.split()[1] for text in winding.findings] == ["rotations", "mean"]
    assert pair_rotations(turned(0.3, -0.3, 0.2), 2.0).findings == ()


def test_rotation_drift_of_folders(tmp_path: Path) -> None:
    for record in turned(0.5, -2.5, 0.5):
        folder = tmp_path / "pairs" / f"slice_z{record.moving_id:02d}_pairwise_registration"
        folder.mkdir(parents=True)
        write_tfm(folder / "transform.tfm", record.motion)
        (folder / "offsets.txt").write_text("10\n0\n")
        (folder / "pairwise_registration_metrics.json").write_text('{"metrics": {}}')
    given = ["--pairs", str(tmp_path / "pairs"), "--name", "b"]
    execute(analyze_rotation_drift.STEP, [*given, "--output", str(tmp_path / "a")])
    assert "slices 2" in (tmp_path / "a" / "rotation_analysis.txt").read_text()
    execute(
        analyze_rotation_drift.STEP,
        [*given, "--output", str(tmp_path / "b"), "--diagnostic_rotation_threshold", "3"],
    )
    assert "nothing out of the ordinary" in (tmp_path / "b" / "rotation_analysis.txt").read_text()
    rows = (tmp_path / "a" / "registration_transforms.csv").read_text().splitlines()
    assert rows[2].startswith(",02,-2.500000,-2.000000,")
    assert (tmp_path / "a" / "rotation_analysis.png").stat().st_size > 5000
    with pytest.raises(InputError, match="holds no folder"):
        execute(analyze_rotation_drift.STEP, ["--pairs", str(tmp_path / "a"), "--output", str(tmp_path / "c")])


def steps(angles: list[float], lengths: list[float] | None = None) -> list[Shift]:
    return [
        Shift(k, k + 1, 0, 0, r * math.cos(math.radians(a)), r * math.sin(math.radians(a)))
        for k, (a, r) in enumerate(zip(angles, lengths or [0.1] * len(angles), strict=True))
    ]


def test_a_turning_path_jumps_and_swings() -> None:
    steady = path_turning(steps([170.0 + 2 * k for k in range(12)]))
    assert steady.drift_deg == pytest.approx(2)
    assert steady.cumulative[-1] == pytest.approx(22)
    assert steady.jumps == ()
    assert len(steady.findings) == 1
    jump = path_turning(steps([10.0, 10.2, 10.1, 40.0, 40.1, 40.2, 40.1]))
    assert jump.jumps == (4,)
    assert jump.drift_deg == pytest.approx(0.1, abs=0.11)
    swing = path_turning(steps([0.0, 3.0, 0.0, 3.0, 0.0, 3.0, 0.0]))
    assert swing.sign_changes == 1
    assert any("to and fro" in text for text in swing.findings)


def test_short_steps_have_no_direction() -> None:
    found = path_turning(steps([10.0, 200.0, 12.0], [0.1, 0.001, 0.1]))
    assert np.isnan(found.angle[1])
    assert found.velocity[2] == pytest.approx(2)
    assert path_turning([]).findings == ()


def test_acquisition_rotation_of_a_table(tmp_path: Path) -> None:
    write_shifts(tmp_path / "shifts_xy.csv", steps([10.0, 12.0, 14.0, 30.0]))
    given = ["--shifts", str(tmp_path / "shifts_xy.csv"), "--output", str(tmp_path / "out"), "--name", "b"]
    execute(analyze_acquisition_rotation.STEP, given)
    told = json.loads((tmp_path / "out" / "acquisition_rotation.json").read_text())
    assert told["jumps"] == [4]
    assert told["cumulative_rotation_deg"] == pytest.approx(20, abs=1e-3)
    rows = (tmp_path / "out" / "acquisition_rotation_data.csv").read_text().splitlines()
    assert rows[1].split(",")[:4] == ["00", "01", "10.000000", ""]
    assert (tmp_path / "out" / "acquisition_rotation.png").stat().st_size > 5000
    assert (tmp_path / "out" / "acquisition_rotation.txt").read_text().startswith("b: directions of 4 steps")


def slices(folder: Path, ids: tuple[int, ...], interpolated: tuple[int, ...] = ()) -> list[str]:
    paths = []
    for k in ids:
        data = np.full((5, 20, 30), k + 1, np.float32)
        data[:, :, :4] = 0
        frame = SliceFrame(k, interval_um=30.0, interpolated=k in interpolated)
        path = folder / f"slice_z{k:02d}_common.ome.zarr"
        write_volume(path, data, spacing_um=(10, 10, 10), levels=1, provenance={"slice": frame.as_json()})
        paths.append(str(path))
    return paths


@pytest.mark.parametrize(
    ("blending", "line"),
    [
        ("none", [1, 1, 1, 2, 2, 2, 2, 2, 0, 4, 4, 4, 4, 4]),
        ("average", [1, 1, 1, 1.5, 1.5, 2, 2, 2, 0, 4, 4, 4, 4, 4]),
        ("max", [1, 1, 1, 2, 2, 2, 2, 2, 0, 4, 4, 4, 4, 4]),
        ("feather", [1, 1, 1, 4 / 3, 5 / 3, 2, 2, 2, 0, 4, 4, 4, 4, 4]),
    ],
)
def test_slices_lie_at_the_cutting_interval(tmp_path: Path, blending: str, line: list[float]) -> None:
    paths = slices(tmp_path, (0, 1, 2, 3), (2,))
    given = ["--slices", *paths, "--output", str(tmp_path / "out"), "--name", "b", "--quiet"]
    execute(stack_motor_only.STEP, [*given, "--motor_only_stack_blending", blending])
    data = open_volume(tmp_path / "out" / "b_motor_only.ome.zarr").read()
    np.testing.assert_allclose(data[:, 10, 10], line)
    assert not data[:, :, :4].any()
    assert (tmp_path / "out" / "b_stack_motor_only_preview.png").stat().st_size > 1000


def test_the_largest_value_is_not_the_deepest_slice(tmp_path: Path) -> None:
    paths = slices(tmp_path, (0, 1))
    bright = np.full((5, 20, 30), 9, np.float32)
    frame = SliceFrame(0, interval_um=30.0)
    write_volume(
        Path(paths[0]), bright, spacing_um=(10, 10, 10), levels=1, provenance={"slice": frame.as_json()}, overwrite=True
    )
    found = {}
    for blending in ("none", "max"):
        given = ["--slices", *paths, "--output", str(tmp_path / blending), "--name", "b", "--quiet"]
        execute(stack_motor_only.STEP, [*given, "--motor_only_stack_blending", blending])
        found[blending] = open_volume(tmp_path / blending / "b_motor_only.ome.zarr").read()[3, 10, 10]
    assert found == {"none": 2, "max": 9}
