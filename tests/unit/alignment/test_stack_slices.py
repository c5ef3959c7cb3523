"""The step stack_slices: positions, depths and voxels against exact truth, its choices, its tables, bad input."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.alignment.line_solver import Difference, solve_line
from linumpy_lib.alignment.rigid import Rigid, write_tfm
from linumpy_lib.alignment.slice_depths import DepthStep, repaired_steps, tops
from linumpy_lib.alignment.stack_volume import PlacedSlice, StackedVolume
from linumpy_lib.alignment.steps.stack_slices import STEP
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.slice_frame import SliceFrame
from tests.support.fifty_poses import poses_of_fifty
from tests.support.stacked_truth import accuracy, register_all, stack
from tests.support.virtual_slices import Sectioning, VirtualSlices, brain, section

PLAN = Sectioning()
CLEAN = replace(PLAN, noise=0.0, speckle=0.0)


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> VirtualSlices:
    return section(brain(), tmp_path_factory.mktemp("slices"), PLAN)


@pytest.fixture(scope="module")
def pairs(cut: VirtualSlices, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return register_all(cut, tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def done(
    cut: VirtualSlices, pairs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict[str, str]]]:
    out = tmp_path_factory.mktemp("stack")
    return out, stack(cut, pairs, out)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[VirtualSlices, Path]:
    """Four small slices, the third one missing, and their pairs."""
    folder = tmp_path_factory.mktemp("few")
    made = section(brain(90, 100, 110), folder, Sectioning(slices=4, missing=(2,), seed=5))
    return made, register_all(made, folder / "pairs")


def digest(store: Path) -> str:
    total = hashlib.sha256()
    for file in sorted(path for path in store.rglob("*") if path.is_file()):
        total.update(file.read_bytes())
    return total.hexdigest()


def test_accuracy_of_twelve_slices_with_a_missing_one(
    cut: VirtualSlices, done: tuple[Path, list[dict[str, str]]]
) -> None:
    result = accuracy(cut, *done)
    assert result.position_rms <= 0.15  # measured: 0.073 px, 0.10 px, 0.023 degrees
    assert result.position_max <= 0.3
    assert result.rotation_rms <= 0.05
    assert result.depth_max == 0
    # noise of single voxels alone keeps a perfect stack below 0.93
    assert result.correlation >= 0.91
    volume = open_volume(done[0] / "brain.ome.zarr")
    assert volume.shape[0] == cut.tops[11] - cut.tops[0] + PLAN.depth


def test_voxels_are_the_truth_but_for_their_noise(cut: VirtualSlices, pairs: Path, tmp_path: Path) -> None:
    """Pairs found in noisy slices, applied to the same slices without noise of single voxels."""
    (tmp_path / "clean").mkdir()
    clean = section(cut.truth, tmp_path / "clean", CLEAN)
    assert (
        accuracy(clean, tmp_path / "out", stack(clean, pairs, tmp_path / "out")).correlation >= 0.975
    )  # measured: 0.980; brightness that is known to 10 % is not evened out much


def test_stage_positions_alone_are_far_worse(cut: VirtualSlices, tmp_path: Path) -> None:
    rows = stack(cut, None, tmp_path, "--apply_pairwise_transforms", "false")
    assert accuracy(cut, tmp_path, rows).position_rms > 1
    assert {row["reason"] for row in rows[1:]} == {"apply_pairwise_transforms is false"}


@pytest.mark.parametrize(("error_px", "drift", "position"), [(0.05, 0.4, 0.12), (0.1, 0.8, 0.2)])
def test_errors_of_fifty_pairs_do_not_add_up(error_px: float, drift: float, position: float) -> None:
    """Pairs of the simulated acquisitions are off by 0.015 to 0.05 px."""
    stacks = [poses_of_fifty(seed, 2, error_px, 0.05) for seed in range(20)]
    assert max(one.drift for one in stacks) <= drift  # measured: 0.29 and 0.69 px
    assert np.mean([one.position_rms for one in stacks]) <= position
    assert np.mean([one.rotation_rms for one in stacks]) <= 0.1


def test_neighbours_alone_do_not_run_off() -> None:
    stacks = [poses_of_fifty(seed, 1, 0.15, 0.05) for seed in range(20)]
    assert np.median([one.drift for one in stacks]) <= 1


def test_brightness_of_fifty_pairs_does_not_drift() -> None:
    """Pairs whose ratios are off by 20 %, in one direction: what depth does differs from slice to slice."""
    random = np.random.default_rng(3)
    pairs = [Difference(k, k + 1, 0.2 + 0.1 * float(random.standard_normal())) for k in range(49)]
    logs = solve_line(50, pairs, 0.2, 0.1, fixed_spread=True)
    assert np.abs(logs).max() < 0.15
    drifting = solve_line(50, pairs, 0.2, 0.1)
    assert np.ptp(drifting) > 1


def test_equal_bytes_whatever_the_threads(few: tuple[VirtualSlices, Path], tmp_path: Path) -> None:
    made, pairs = few
    for count in ("1", "3"):
        stack(made, pairs, tmp_path / count, "--processes", count)
    assert digest(tmp_path / "1" / "brain.ome.zarr") == digest(tmp_path / "3" / "brain.ome.zarr")
    assert (tmp_path / "1" / "brain.ome.zarr.zip").read_bytes() == (tmp_path / "3" / "brain.ome.zarr.zip").read_bytes()


def test_store_and_tables_hold_what_later_steps_read(few: tuple[VirtualSlices, Path], tmp_path: Path) -> None:
    made, pairs = few
    rows = stack(made, pairs, tmp_path, "--annotated_show_lines", "true", "--annotated_label_every", "2")
    assert [row["slice_id"] for row in rows] == ["00", "01", "03"]
    assert [row["fixed_id"] for row in rows] == ["", "00", "01"]
    assert [row["overlap_voxels"] for row in rows] == ["", "16", "6"]
    assert {row["overlap_source"] for row in rows[1:]} == {"expected"}
    header = (tmp_path / "z_matches.csv").read_text().splitlines()[0]
    assert header == (
        "fixed_id,moving_id,overlap_voxels,blend_overlap_voxels,moving_z_start,correlation,correlation_fallback_used"
    )
    volume = open_volume(tmp_path / "brain.ome.zarr")
    assert volume.provenance["slice_boundaries"] == [0, 20, 35]
    assert [level.scale[0] for level in volume.levels] == [10, 25, 50, 100]
    metrics = json.loads((tmp_path / "brain_stack_slices_metrics.json").read_text())
    assert metrics["metrics"]["gaps"]["value"] == 1
    assert metrics["metrics"]["total_z_depth"]["value"] == 30 + 26
    for name in ("brain.png", "brain_annotated.png"):
        assert (tmp_path / name).stat().st_size > 5000


@pytest.mark.parametrize(
    "words",
    [
        ("--stack_blend_enabled", "false"),
        ("--stack_first_plane", "0"),
        ("--stack_match_intensity", "false"),
        ("--apply_rotation_only", "true"),
        ("--max_rotation_deg", "0.1"),
        ("--stack_max_cumulative_drift_px", "0.5"),
        ("--stack_max_pairwise_translation", "0.5"),
        ("--transform_confidence_low", "0.99", "--transform_confidence_high", "1"),
        ("--transform_confidence_high", "1"),
        ("--stack_translation_min_zcorr", "1"),
        ("--load_transform_min_zcorr", "0.999", "--load_transform_max_rotation", "5"),
        ("--stack_accumulate_translations", "false"),
        ("--stack_confidence_weight_translations", "false", "--stack_joint_poses", "false"),
        ("--stack_joint_poses", "false"),
        ("--stack_joint_poses", "false", "--stack_smooth_window", "3"),
        ("--stack_joint_poses", "false", "--stack_translation_smooth_sigma", "0"),
        ("--use_expected_z_overlap", "false", "--apply_pairwise_transforms", "false", "--z_overlap_min_corr", "0.2"),
        ("--blend_refinement_px", "2", "--apply_rotation_only", "true"),
        ("--pyramid_resolutions", "40"),
        ("--pyramid_n_levels", "2"),
    ],
)
def test_every_choice_changes_the_volume(
    few: tuple[VirtualSlices, Path], tmp_path_factory: pytest.TempPathFactory, words: tuple[str, ...]
) -> None:
    made, pairs = few
    usual = tmp_path_factory.getbasetemp() / "usual"
    if not usual.exists():
        stack(made, pairs, usual)
    out = tmp_path_factory.mktemp("choice")
    stack(made, pairs, out, *words)
    assert digest(out / "brain.ome.zarr") != digest(usual / "brain.ome.zarr")


def test_depths_from_registrations_and_images(tmp_path: Path) -> None:
    made = section(brain(90, 100, 110), tmp_path, Sectioning(slices=4, missing=(), jitter=1, seed=3))
    pairs = register_all(made, tmp_path / "pairs")
    rows = stack(made, pairs, tmp_path / "a", "--use_expected_z_overlap", "false")
    assert {row["overlap_source"] for row in rows[1:]} == {"registration"}
    assert accuracy(made, tmp_path / "a", rows).depth_max <= 1
    rows = stack(made, None, tmp_path / "b", "--use_expected_z_overlap", "false", "--stack_z_search_mm", "0.03")
    assert {row["overlap_source"] for row in rows[1:]} <= {"correlation", "correlation_fallback"}
    rows = stack(made, pairs, tmp_path / "c")
    assert accuracy(made, tmp_path / "c", rows).depth_max >= 1  # the interval alone does not know the jitter


def test_odd_depths_are_those_of_their_neighbours() -> None:
    steps = [DepthStep(k, k + 1, p, 20.0, "correlation") for k, p in enumerate((20.0, 34.0, 19.0, 21.0))]
    fixed = repaired_steps(steps, 0.6)
    assert [step.planes for step in fixed] == [20.0, 19.5, 19.0, 21.0]
    assert [step.repaired for step in fixed] == [False, True, False, False]
    trusted = [replace(step, confidence=0.9) for step in steps]
    assert repaired_steps(trusted, 0.6) == trusted
    assert tops([4, 5, 7], [DepthStep(4, 5, 2.4, 2.4), DepthStep(5, 7, 4.8, 4.8)]) == {4: 0, 5: 2, 7: 7}


def test_marked_and_manual_pairs(few: tuple[VirtualSlices, Path], tmp_path: Path) -> None:
    made, pairs = few
    table = tmp_path / "slice_config.csv"
    table.write_text(
        "slice_id,use,auto_excluded,auto_exclude_reason\n0,true,,\n1,true,true,consecutive_low_z_corr\n3,true,,\n"
    )
    rows = stack(made, pairs, tmp_path / "marked", "--slice_config", str(table))
    assert [row["reason"] for row in rows] == ["", "auto_excluded", ""]
    folder = tmp_path / "manual" / "slice_z01"
    folder.mkdir(parents=True)
    write_tfm(folder / "transform.tfm", Rigid(0.0, (0.0, 9.0), (50.0, 55.0)))
    (folder / "offsets.txt").write_text("10\n0\n")
    (folder / "pairwise_registration_metrics.json").write_text('{"source": "manual", "metrics": {}}')
    words = ("--manual", str(folder.parent), "--slice_config", str(table))
    rows = stack(made, pairs, tmp_path / "hand", *words)
    assert [row["manual_override"] for row in rows] == ["false", "true", "false"]
    assert float(rows[1]["shift_x_px"]) - float(rows[0]["shift_x_px"]) == pytest.approx(9, abs=1)


def test_an_interpolated_slice_lies_between_its_neighbours(few: tuple[VirtualSlices, Path], tmp_path: Path) -> None:
    made, pairs = few
    frame = SliceFrame(2, (0, 0, 0), None, 100.0, interpolated=True)
    path = tmp_path / "slice_z02_interpolated.ome.zarr"
    one = open_volume(made.paths[1])
    write_volume(path, one.read(), spacing_um=one.spacing_um, levels=1, provenance={"slice": frame.as_json()})
    table = tmp_path / "slice_config.csv"
    table.write_text("slice_id,use,exclude_reason,interpolated\n0,true,,\n1,true,,\n2,false,missing,true\n3,true,,\n")
    whole = replace(made, paths=dict(sorted({**made.paths, 2: path}.items())))
    rows = stack(whole, pairs, tmp_path / "out", "--slice_config", str(table))
    assert [row["slice_id"] for row in rows] == ["00", "01", "02", "03"]
    turns = [float(row["rotation_deg"]) for row in rows]
    assert turns[2] == pytest.approx((turns[1] + turns[3]) / 2, abs=1e-6)
    assert "interpolated" in rows[2]["reason"]


def test_a_slice_by_itself_is_unchanged(few: tuple[VirtualSlices, Path], tmp_path: Path) -> None:
    made, _ = few
    out = tmp_path / "one"
    given = ["--slices", str(made.paths[0]), "--output", str(out), "--name", "brain", "--quiet"]
    execute(STEP, given)
    volume, one = open_volume(out / "brain.ome.zarr"), open_volume(made.paths[0])
    assert volume.shape[0] == one.shape[0]


def test_unmoved_voxels_are_copied_exactly(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = random.random((6, 40, 50)).astype(np.float32) + 0.1
    data[:, :7] = 0
    path = tmp_path / "a.ome.zarr"
    volume = write_volume(path, data, spacing_um=(10, 10, 10), levels=1)
    placed = PlacedSlice(0, volume, 0, Rigid(0.0, (2.0, -3.0), (20.0, 25.0)))
    stacked = StackedVolume((placed,), (6, 30, 40), (1, 4))
    np.testing.assert_array_equal(stacked.read((slice(0, 6), slice(0, 30), slice(0, 40))), data[:, 3:33, 1:41])


def test_values_between_pixels(tmp_path: Path) -> None:
    y, x = np.mgrid[:60, :70].astype(np.float32)
    plane = 2 + np.sin(y / 5) * np.cos(x / 6)
    volume = write_volume(tmp_path / "a.ome.zarr", plane[None].astype(np.float32), spacing_um=(10, 10, 10), levels=1)
    pose = Rigid(0.02, (0.3, -0.4), (30.0, 35.0))
    stacked = StackedVolume((PlacedSlice(0, volume, 0, pose),), (1, 40, 40), (10, 15))
    found = stacked.read((slice(0, 1), slice(0, 40), slice(0, 40)))[0]
    there = pose.apply(np.stack(np.mgrid[10:50, 15:55], axis=-1).astype(float))
    true = 2 + np.sin(there[..., 0] / 5) * np.cos(there[..., 1] / 6)
    # values between pixels stay within the range of the pixels around, which flattens the very peaks
    assert np.sqrt(np.mean((found - true) ** 2)) < 5e-4
    assert np.abs(found - true).max() < 5e-3


def test_what_does_not_fit_together_is_refused(few: tuple[VirtualSlices, Path], tmp_path: Path) -> None:
    made, pairs = few

    def other(name: str, shape: tuple[int, int, int], spacing: float, interval: float | None) -> str:
        frame = SliceFrame(7, interval_um=interval)
        path = tmp_path / f"slice_z07_{name}.ome.zarr"
        write_volume(
            path, np.ones(shape, np.float32), spacing_um=(10, spacing, spacing), provenance={"slice": frame.as_json()}
        )
        return str(path)

    same = open_volume(made.paths[0]).shape
    for path, words in (
        (other("small", (5, 9, 9), 10, 100.0), "one canvas"),
        (other("fine", same, 5, 100.0), "same resolution"),
        (other("thick", same, 10, 200.0), "was cut every"),
        (other("unknown", same, 10, None), "cutting interval"),
        (str(made.paths[0]), "twice"),
    ):
        with pytest.raises(InputError, match=words):
            execute(
                STEP, ["--slices", *map(str, made.paths.values()), path, "--output", str(tmp_path / "out"), "--quiet"]
            )
    table = tmp_path / "none.csv"
    table.write_text("slice_id,use\n0,false\n1,false\n3,false\n")
    with pytest.raises(InputError, match="excludes all"):
        stack(made, pairs, tmp_path / "out", "--slice_config", str(table))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no folder of a pair"):
        stack(made, pairs, tmp_path / "out", "--manual", str(tmp_path / "empty"))
    assert not list((tmp_path / "out").glob("*"))
