"""The steps interpolate_slice and finalise_interpolation: powers of maps, gates, methods, tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.linalg import fractional_matrix_power

from linumpy_lib.alignment.affine_power import Affine, affine_power
from linumpy_lib.alignment.interpolation import feather
from linumpy_lib.alignment.interpolation_plan import matching_planes, plan_planes
from linumpy_lib.alignment.steps.finalise_interpolation import STEP as FINALISE
from linumpy_lib.alignment.steps.interpolate_slice import STEP
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.csv_file import read_rows
from linumpy_lib.io.slice_config import read_slice_config, write_slice_config
from linumpy_lib.io.slice_frame import SliceFrame, slice_frame

SHAPE = (6, 96, 88)


def texture(seed: int = 0, size: int = 200) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = sum(ndimage.gaussian_filter(rng.standard_normal((size, size)), s) * s for s in (2, 6))
    return np.asarray(picture - picture.min() + 0.1, np.float32)


def write_slice(
    folder: Path,
    slice_id: int,
    planes: np.ndarray,
    origin: tuple[float, float] = (0, 0),
    um: float = 10.0,
    **frame: object,
) -> Path:
    path = folder / f"slice_z{slice_id:02d}_common.ome.zarr"
    facts = {"interval_um": 60.0, **frame}
    write_volume(
        path,
        planes.astype(np.float32),
        spacing_um=(um, um, um),
        levels=1,
        provenance={"slice": SliceFrame(slice_id, (0.0, *origin), None, **facts).as_json()},
        overwrite=True,
    )
    return path


def run(folder: Path, *words: str, ids: tuple[int, int] = (3, 5)) -> dict[str, str]:
    given = [
        f"--{n}={folder / f'slice_z{k:02d}_common.ome.zarr'}" for n, k in zip(("before", "after"), ids, strict=True)
    ]
    execute(STEP, [*given, "--output", str(folder / "out"), "--quiet", *words])
    return read_rows(folder / "out" / f"slice_z{ids[0] + 1:02d}_manifest.csv", ["slice_id"])[0]


def pair(folder: Path, shift: tuple[int, int] = (0, 0), seeds: tuple[int, int] = (0, 0)) -> None:
    for slice_id, (dy, dx), seed in ((3, (0, 0), seeds[0]), (5, shift, seeds[1])):
        plane = texture(seed)[50 + dy : 50 + dy + SHAPE[1], 50 + dx : 50 + dx + SHAPE[2]]
        write_slice(folder, slice_id, np.repeat(plane[np.newaxis], SHAPE[0], axis=0))


def made(folder: Path) -> np.ndarray:
    return open_volume(folder / "out" / "slice_z04_interpolated.ome.zarr").read()


def test_powers_of_maps_are_those_of_the_seed_s_equation() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        affine = Affine(np.eye(2) + 0.15 * rng.standard_normal((2, 2)), 20 * rng.standard_normal(2))
        for fraction in (-1.0, -0.3, 0.0, 0.25, 0.5, 1.0):
            power, imaginary = affine_power(affine, fraction)
            expected = np.real(fractional_matrix_power(affine.matrix, fraction))
            np.testing.assert_allclose(power.matrix, expected, atol=1e-10)
            moved = (np.eye(2) - expected) @ np.linalg.inv(np.eye(2) - affine.matrix) @ affine.offset
            np.testing.assert_allclose(power.offset, moved, atol=1e-8)
            assert imaginary < 1e-12
        half = affine_power(affine, 0.5)[0]
        np.testing.assert_allclose(half.apply(half.apply([3.0, 4.0])), affine.apply([3.0, 4.0]))
    shift = affine_power(Affine(np.eye(2), np.array([4.0, -2.0])), 0.25)[0]
    np.testing.assert_allclose(shift.offset, [1.0, -0.5])
    with pytest.raises(ValueError, match="reflection"):
        affine_power(Affine(np.diag([1.0, -1.0]), np.zeros(2)), 0.5)


def test_depths_are_taken_from_where_they_were_seen() -> None:
    thin = plan_planes(6, 6, 6, "zmorph")
    assert [p.before for p in thin] == [5] * 6
    assert [p.after for p in thin] == [0] * 6
    assert not any(p.measured for p in thin)
    np.testing.assert_allclose([p.pose for p in thin], np.arange(1, 7) / 7)
    covered = plan_planes(15, 14, 5, "zmorph")
    assert len(covered) == 14
    assert all(p.measured for p in covered)
    assert {p.pose for p in covered} == {0.5}
    assert [(p.before, p.weight) for p in covered[:6]] == [(5 + k, 0) for k in range(6)]
    assert [(p.after, p.weight) for p in covered[7:]] == [(2 + k, 1) for k in range(7)]
    assert {p.weight for p in plan_planes(15, 14, 5, "average")} == {0.5}
    half = plan_planes(8, 8, 5, "zmorph")
    assert [p.measured for p in half] == [True] * 3 + [False] * 2 + [True] * 3
    assert half[2].before == 7
    assert half[5].after == 0
    # a fraction of a plane is not lost
    assert plan_planes(20, 20, 5.5, "weighted")[2].before == 7.5


def test_planes_that_show_the_same_depth_are_compared() -> None:
    assert matching_planes(15, 14, 5, 3) == [(10, 0), (11, 1), (12, 2)]
    assert matching_planes(6, 6, 6, 2) == [(5, 0), (4, 0), (5, 1), (4, 1)]


def test_a_shifted_neighbour_moves_evenly_through_the_gap(tmp_path: Path) -> None:
    pair(tmp_path, (7, -14))
    assert run(tmp_path)["interpolation_failed"] == "false"
    planes = made(tmp_path)
    assert planes.shape == SHAPE
    # plane z lies (z + 1) / 7 of the way: whole pixels in this case
    for z in range(6):
        true = texture()[51 + z : 51 + z + SHAPE[1], 50 - 2 * (z + 1) : 50 - 2 * (z + 1) + SHAPE[2]]
        inner = (slice(18, -18), slice(18, -18))
        assert np.corrcoef(planes[z][inner].ravel(), true[inner].ravel())[0, 1] > 0.999, z
    told = json.loads((tmp_path / "out" / "slice_z04_interpolated_diagnostics.json").read_text())
    assert told["ncc_after"] > 0.99 > told["ncc_before"]
    np.testing.assert_allclose(told["offset_yx"], [7, -14], atol=0.5)
    run(tmp_path, "--interpolation_method", "weighted")
    assert np.abs(made(tmp_path) - planes).max() > 0.1


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_neighbours_that_are_aligned_already_are_accepted(tmp_path: Path, noise: float) -> None:
    plane = texture()[50 : 50 + SHAPE[1], 50 : 50 + SHAPE[2]]
    for k in (3, 5):
        grain = noise * plane.std() * np.random.default_rng(k).standard_normal(SHAPE)
        write_slice(tmp_path, k, plane + grain)
    row = run(tmp_path)
    assert row["interpolation_failed"] == "false"
    assert row["method_used"] == "zmorph"
    # grain may turn the map by a fraction of a pixel, which can take the outermost pixels out of the picture
    inner = (slice(2, -2), slice(2, -2))
    assert made(tmp_path)[3][inner] == pytest.approx(plane[inner], abs=float(4 * noise * plane.std() + 1e-3))


@pytest.mark.parametrize("metric", ["MSE", "CC", "MI"])
def test_every_metric_registers(tmp_path: Path, metric: str) -> None:
    base = texture()
    for k, degrees in ((3, 0.0), (5, 3.0)):
        turned = ndimage.rotate(base, degrees, reshape=False, order=1)[50 : 50 + SHAPE[1], 50 : 50 + SHAPE[2]]
        write_slice(tmp_path, k, np.repeat(turned[np.newaxis], SHAPE[0], axis=0))
    assert run(tmp_path, "--interpolation_registration_metric", metric)["interpolation_failed"] == "false"
    told = json.loads((tmp_path / "out" / "slice_z04_interpolated_diagnostics.json").read_text())
    assert told["ncc_after"] > 0.98
    angle = np.degrees(np.arctan2(told["matrix_yx"][0][1], told["matrix_yx"][0][0]))
    assert abs(abs(angle) - 3.0) < 0.15
    few = run(tmp_path, "--interpolation_registration_metric", metric, "--interpolation_max_iterations", "1")
    told_few = json.loads((tmp_path / "out" / "slice_z04_interpolated_diagnostics.json").read_text())
    assert told_few["ncc_after"] < told["ncc_after"] or few["interpolation_failed"] == "true"


def test_gates_leave_a_marked_gap(tmp_path: Path) -> None:
    pair(tmp_path, seeds=(0, 9))
    for words, reason in (
        (("--interpolation_min_overlap_correlation", "0.9"), "low_overlap_ncc"),
        (("--interpolation_min_foreground_fraction", "1"), "no_foreground_planes"),
    ):
        row = run(tmp_path, *words)
        assert row["fallback_reason"] == reason
        assert row["interpolation_failed"] == "true"
        assert row["output_path"] == ""
        assert not (tmp_path / "out" / "slice_z04_interpolated.ome.zarr").exists()
    pair(tmp_path, (3, -3))
    row = run(tmp_path, "--interpolation_min_ncc_improvement", "1")
    assert row["fallback_reason"] == "reg_did_not_improve"
    assert run(tmp_path)["interpolation_failed"] == "false"


def test_methods_and_borders_differ(tmp_path: Path) -> None:
    plane = texture()[50 : 50 + SHAPE[1], 50 : 50 + SHAPE[2]]
    for k, columns in ((3, slice(0, 70)), (5, slice(20, 88))):
        planes = np.zeros(SHAPE, np.float32)
        planes[:, :, columns] = plane[:, columns] * (1 if k == 3 else 1.5)
        write_slice(tmp_path, k, planes)
    results = {}
    for method in ("weighted", "average"):
        for blend in ("gaussian", "linear"):
            words = ("--interpolation_method", method, "--interpolation_blend_method", blend)
            assert run(tmp_path, *words)["interpolation_failed"] == "false"
            results[method, blend] = made(tmp_path)
    keys = list(results)
    for k, one in enumerate(keys):
        for other in keys[k + 1 :]:
            assert np.abs(results[one] - results[other]).max() > 1e-3, (one, other)
    weighted = results["weighted", "linear"]
    np.testing.assert_allclose(weighted[:, :, :20], np.broadcast_to(plane[:, :20], (6, 96, 20)), rtol=1e-5)
    np.testing.assert_allclose(weighted[2, :, 40], plane[:, 40] * (1 + 0.5 * 3 / 7), rtol=1e-5)
    # softly: at the border of one neighbour its weight is small, so no edge shows
    jump = {
        b: np.abs(np.diff(results["average", b][3][:, 69:71] / plane[:, 69:71], axis=1)).mean()
        for b in ("gaussian", "linear")
    }
    assert jump["gaussian"] < 0.6 * jump["linear"]


def test_the_fraction_of_the_canvas_pixel_counts(tmp_path: Path) -> None:
    """Neighbours that lie half a pixel off the canvas, in opposite directions: the result lies on its pixels."""
    base = ndimage.gaussian_filter(texture(), 2)
    for k, part in ((3, 0.5), (5, -0.5)):
        seen = ndimage.shift(base, (0, -part), order=3)[50 : 50 + SHAPE[1], 50 : 50 + SHAPE[2]]
        write_slice(tmp_path, k, np.repeat(seen[np.newaxis], SHAPE[0], axis=0), (0.0, 10 * part))
    run(tmp_path)
    inner = (slice(10, -10), slice(10, -10))
    true = base[50 : 50 + SHAPE[1], 50 : 50 + SHAPE[2]][inner]
    for plane in made(tmp_path):
        assert np.abs(plane[inner] - true).max() < 0.02 * np.ptp(true)
    frame = slice_frame(open_volume(tmp_path / "out" / "slice_z04_interpolated.ome.zarr"))
    assert frame.origin_um == (0, 0, 0)
    assert frame.interpolated


def test_threads_change_no_byte(tmp_path: Path) -> None:
    pair(tmp_path, (4, 3))
    run(tmp_path, "--processes", "1")
    one = made(tmp_path)
    run(tmp_path, "--processes", "2", "--interpolation_preview", "true")
    np.testing.assert_array_equal(made(tmp_path), one)
    assert (tmp_path / "out" / "slice_z04_interpolated_sections.png").exists()
    assert (tmp_path / "out" / "z04_interpolate_slice_preview.png").exists()


def test_the_window_and_the_slab_matter(tmp_path: Path) -> None:
    planes = np.stack([texture(k)[50 : 50 + SHAPE[1], 50 : 50 + SHAPE[2]] for k in range(6)])
    write_slice(tmp_path, 3, planes)
    write_slice(tmp_path, 5, planes[[0, 5, 1, 2, 3, 4]])

    def compared(*words: str) -> tuple[list[int], float]:
        run(tmp_path, *words, "--interpolation_min_overlap_correlation", "-1")
        told = json.loads((tmp_path / "out" / "slice_z04_interpolated_diagnostics.json").read_text())
        return told["planes_compared"], told["ncc_before"]

    assert compared("--interpolation_overlap_search_window", "1")[0] == [5, 0]
    found, alone = compared("--interpolation_overlap_search_window", "2", "--interpolation_reference_slab_size", "1")
    assert found == [5, 1]
    assert alone == pytest.approx(1)
    assert compared("--interpolation_overlap_search_window", "2", "--interpolation_reference_slab_size", "3")[1] < 0.99


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    pair(tmp_path)
    plane = np.ones((6, 96, 88))
    write_slice(tmp_path, 6, plane)
    with pytest.raises(InputError, match="exactly one slice"):
        run(tmp_path, ids=(3, 6))
    for changes, text in (
        ({"um": 12.0}, "another voxel size"),
        ({"interval_um": None}, "tells no interval"),
        ({"interval_um": 70.0}, "another interval"),
    ):
        write_slice(tmp_path, 5, plane, **changes)
        with pytest.raises(InputError, match=text):
            run(tmp_path)
    write_slice(tmp_path, 5, plane[:, :50])
    with pytest.raises(InputError, match="one common space"):
        run(tmp_path)


def test_a_stub_needs_no_match(tmp_path: Path) -> None:
    pair(tmp_path, seeds=(0, 9))
    assert run(tmp_path, "--stub")["interpolation_failed"] == "false"
    assert made(tmp_path).shape == (6, 16, 16)


def test_a_feather_is_flat_far_inside_and_small_at_the_border() -> None:
    mask = np.zeros((40, 40), bool)
    mask[5:, :30] = True
    whole = feather(mask, slice(0, 40), slice(0, 40), "gaussian")
    assert whole[20, 29] == pytest.approx(1 - np.exp(-1 / 8), abs=1e-6)
    assert whole[20, 15] > 0.999
    assert whole[2, 15] == 0
    assert whole[20, 0] < 0.2, "the canvas ends here"
    np.testing.assert_array_equal(feather(mask, slice(10, 30), slice(12, 33), "gaussian"), whole[10:30, 12:33])


def test_the_final_table_tells_what_became_of_every_gap(tmp_path: Path) -> None:
    pair(tmp_path)
    run(tmp_path)
    (tmp_path / "common_space.csv").write_text(
        "slice_id,status\n"
        + "".join(
            f"{k:02d},{s}\n"
            for k, s in enumerate(
                [
                    "excluded",
                    "used",
                    "used",
                    "used",
                    "missing",
                    "used",
                    "excluded",
                    "used",
                    "missing",
                    "missing",
                    "used",
                ]
            )
        )
    )
    write_slice_config(
        tmp_path / "slice_config.csv",
        {
            k: {"use": k not in (0, 6), "exclude_reason": {0: "calibration_slice", 6: "torn"}.get(k, "")}
            for k in range(8)
        },
    )
    execute(
        FINALISE,
        [
            *("--slice_config", str(tmp_path / "slice_config.csv"), "--positions", str(tmp_path / "common_space.csv")),
            *(
                "--manifests",
                str(tmp_path / "out" / "slice_z04_manifest.csv"),
                "--output",
                str(tmp_path),
                "--name",
                "s",
            ),
        ],
    )
    rows = read_slice_config(tmp_path / "slice_config_final.csv")
    assert sorted(rows) == list(range(11))
    assert rows[4]["interpolated"] == "true"
    assert rows[4]["interpolation_method_used"] == "zmorph"
    assert rows[6]["interpolation_fallback_reason"] == "not_attempted"
    assert rows[6]["exclude_reason"] == "torn"
    assert rows[8]["interpolation_fallback_reason"] == rows[9]["interpolation_fallback_reason"] == "gap_of_2_slices"
    assert rows[8]["use"] == "false"
    assert rows[10]["use"] == "true"
    assert [k for k, r in rows.items() if r["interpolation_failed"] == "true"] == [6, 8, 9]
    manifest = str(tmp_path / "out" / "slice_z04_manifest.csv")
    with pytest.raises(InputError, match="two manifests"):
        execute(FINALISE, ["--manifests", manifest, manifest, "--output", str(tmp_path), "--name", "s"])
