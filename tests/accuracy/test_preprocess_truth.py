"""Preprocess against simulated acquisitions whose truth is known."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from support.mouse_brain import mouse_brain

from bench import bench_preprocess
from bench.measure import measure
from linumpy_lib.acquisition.discovery import Acquisition, find_tiles
from linumpy_lib.acquisition.galvo_slice import GalvoDecision, examine_slice
from linumpy_lib.acquisition.slice_tiles import measure_slice
from linumpy_lib.acquisition.steps.create_mosaic_grid import STEP as CREATE
from linumpy_lib.acquisition.steps.estimate_xy_shifts import STEP as SHIFTS
from linumpy_lib.cli import execute
from linumpy_lib.io import open_volume
from linumpy_lib.io.mosaic_grid import mosaic_grid
from linumpy_lib.io.shift_table import Shift, read_shifts
from linumpy_lib.simulation import simulate_oct

CLEAN = {"noise": 0, "speckle": 0, "vignetting": 0, "curvature_um": 0, "tilt_deg": 0, "gain_drift": 0}
SMALL = {"tiles_x": 3, "tiles_y": 2, "tile_shape": "24,32,48", "interval_um": 60, "axial_um": 5}


def galvo(raw: Path, slice_id: int) -> GalvoDecision:
    acquisition: Acquisition = find_tiles(raw)
    tiles = measure_slice(slice_id, acquisition.slice_tiles(slice_id)).tiles
    return examine_slice(list(tiles.values()), 0.6)


def test_every_galvo_shift_is_found(tmp_path: Path) -> None:
    """100 acquisitions, dark and bright bands at random places: the exact shift at a confidence of 0.6 or more."""
    for seed in range(100):
        band = (0.05, 0.25, 0.5, 2.0, 5.0)[seed % 5]
        choices = {"slices": 1, "galvo_fraction": 1, "galvo_shift_px": -1, "galvo_band": band, **SMALL}
        truth = simulate_oct(output=tmp_path / str(seed), seed=seed, **choices)
        decision = galvo(tmp_path / str(seed) / "raw", 0)
        assert decision.shift_px == truth.slices[0].galvo_shift_px != 0, (seed, band, decision)
        assert decision.confidence >= 0.6, (seed, band, decision)


def test_clean_acquisitions_are_never_corrected(tmp_path: Path) -> None:
    for seed in range(100):
        folder = tmp_path / str(seed)
        band = (1.0, 0.25, 3.0)[seed % 3]
        simulate_oct(output=folder, seed=seed, slices=1, galvo_shift_px=0, galvo_band=band, **SMALL)
        assert galvo(folder / "raw", 0).shift_px == 0, seed


@pytest.mark.parametrize(
    "axes", [f"{a}{sa}{b}{sb}" for a, b in ("xy", "yx") for sa, sb in itertools.product("+-", repeat=2)]
)
def test_shifts_follow_the_truth_under_every_stage_convention(tmp_path: Path, axes: str) -> None:
    truth = simulate_oct(
        output=tmp_path / "a",
        slices=4,
        first_id=98,
        missing_slices="100",
        stage_axes=axes,
        **SMALL,
    )
    execute(SHIFTS, ["--input", str(tmp_path / "a" / "raw"), "--output", str(tmp_path), "--name", "all"])
    shifts = read_shifts(tmp_path / "shifts_xy.csv")
    assert [(s.fixed_id, s.moving_id) for s in shifts] == [(98, 99), (99, 101)]
    for shift in shifts:
        expected = np.subtract(truth.slice(shift.fixed_id).drift_xy_um, truth.slice(shift.moving_id).drift_xy_um) / 1000
        np.testing.assert_allclose((shift.x_mm, shift.y_mm), expected, rtol=0, atol=1.001e-6)
        assert shift.reliable


def test_growth_glitch_and_rehoming_are_recorded_as_documented(tmp_path: Path) -> None:
    truth = simulate_oct(output=tmp_path / "a", slices=6, growth=1, glitch_slices="1", rehoming_slices="4", **SMALL)
    execute(SHIFTS, ["--input", str(tmp_path / "a" / "raw"), "--output", str(tmp_path), "--name", "all"])
    shifts: list[Shift] = read_shifts(tmp_path / "shifts_xy.csv")
    for shift in shifts:
        fixed, moving = truth.slice(shift.fixed_id), truth.slice(shift.moving_id)
        recorded = [np.array([tile.stage_mm[:2] for tile in item.tiles]) for item in (fixed, moving)]
        low, high = (np.subtract(*(f(r, axis=0) for r in recorded)) for f in (np.min, np.max))
        expected = np.where(np.abs(low) <= np.abs(high), low, high)
        np.testing.assert_allclose((shift.x_mm, shift.y_mm), expected, rtol=0, atol=1.001e-6)
        assert shift.reliable == (len(fixed.tiles) == len(moving.tiles))
    assert sum(not shift.reliable for shift in shifts) == 1


def test_a_mosaic_equals_the_simulated_tiles(tmp_path: Path) -> None:
    """Two simulations that differ in the galvo shift, files and layout only: the mosaics must be equal bit for bit."""
    common = {**SMALL, "slices": 1, "missing_tiles": "1_0_0", "noise": 0, "speckle": 0}
    simulate_oct(output=tmp_path / "a", galvo_shift_px=0, frames_per_file=1000, **common)
    simulate_oct(
        output=tmp_path / "b", galvo_shift_px=17, galvo_fraction=1, frames_per_file=5, layout="nested", **common
    )
    voxels = []
    for name in "ab":
        execute(CREATE, ["--input", str(tmp_path / name / "raw"), "--output", str(tmp_path / name), "--quiet"])
        voxels.append(open_volume(tmp_path / name / "mosaic_grid_3d_z00.ome.zarr").read())
    tile = np.fromfile(tmp_path / "a" / "raw" / "tile_x02_y01_z00" / "image_00000.bin", np.float32)
    image = tile.reshape(32, 60, 24)[:, :48].transpose(2, 0, 1)
    np.testing.assert_array_equal(voxels[0][:, 32:, 96:], image)
    assert not voxels[0][:, :32, 48:96].any()
    np.testing.assert_array_equal(voxels[1], voxels[0])


def test_resampled_tiles_keep_their_place(tmp_path: Path) -> None:
    """Against an ideal resampling: the shift of every tile, from the phase of its spectrum, is below 0.05 px."""
    simulate_oct(
        output=tmp_path / "a", slices=1, **{**SMALL, **CLEAN, "tile_shape": "60,64,72", "pixel_um": 4, "phantom_um": 8}
    )
    grids = {}
    for resolution in (-1, 10):
        out = tmp_path / f"r{resolution}"
        words = ["--input", str(tmp_path / "a" / "raw"), "--output", str(out), "--quiet", "--axial_resolution", "5"]
        execute(CREATE, [*words, f"--mosaic_resolution={resolution}"])
        volume = open_volume(out / "mosaic_grid_3d_z00.ome.zarr")
        grids[resolution] = (volume, mosaic_grid(volume))
    fine, coarse = grids[-1], grids[10]
    for place in fine[1].places():
        shift = residual_shift(
            fine[0].read(fine[1].box(*place)), coarse[0].read(coarse[1].box(*place)), fine[0].spacing_um
        )
        assert np.abs(shift).max() < 0.05, (place, shift)


def residual_shift(fine: np.ndarray, coarse: np.ndarray, spacing: tuple[float, ...] | None) -> np.ndarray:
    """Shift (coarse px) that best explains coarse minus the area average of fine: a linear fit on the gradients."""
    from linumpy_lib.resample import resampled_length

    assert spacing is not None
    ideal = fine.astype(np.float64)
    for axis, step in enumerate(spacing):
        n = resampled_length(fine.shape[axis], step, 10.0)
        edges = np.arange(n + 1) * 10.0 / step
        total = np.concatenate([np.zeros_like(ideal.take([0], axis)), np.cumsum(ideal, axis)], axis)
        whole = np.minimum(edges.astype(int), fine.shape[axis] - 1)
        part = (edges - whole).reshape([-1 if k == axis else 1 for k in range(3)])
        ideal = np.diff(total.take(whole, axis) + part * ideal.take(whole, axis), axis=axis) * step / 10.0
    inner = (slice(2, -2),) * 3
    gradients = np.stack([g[inner].ravel() for g in np.gradient(ideal)], axis=1)
    return np.linalg.lstsq(gradients, (ideal - coarse)[inner].ravel(), rcond=None)[0]


def test_a_real_volume_becomes_a_mosaic(tmp_path: Path) -> None:
    """The mouse brain, cut and scanned: the mosaic shows it where the truth file says."""
    from scipy.ndimage import map_coordinates

    brain = mouse_brain()
    if brain is None:
        pytest.skip("the mouse brain is not here")
    brain = brain[60:80]
    truth = simulate_oct(
        brain,
        output=tmp_path / "a",
        slices=2,
        tiles_x=3,
        tiles_y=2,
        tile_shape="16,48,64",
        pixel_um=50,
        axial_um=25,
        interval_um=400,
        truth_spacing_um="50,40,40",
        agarose=0,
        water=0,
        attenuation_per_mm=0,
        **{**CLEAN, "rayleigh_um": 0, "interface_um": 0, "jitter_um": 0, "shift_um": 0, "rotation_deg": 0},
    )
    words = ["--input", str(tmp_path / "a" / "raw"), "--output", str(tmp_path), "--quiet", "--axial_resolution", "25"]
    execute(CREATE, words)
    for item in truth.slices:
        volume = open_volume(tmp_path / f"mosaic_grid_3d_z{item.id:02d}.ome.zarr")
        grid = mosaic_grid(volume)
        seen, wanted = [], []
        for tile in item.tiles:
            at = np.array([[truth.lab_xy_um(tile, x, y) for x in range(64)] for y in range(48)])
            world = np.stack([truth.world_xy_um(item.id, row) for row in at.reshape(-1, 2)])
            z = item.face_um + 5 * 25
            position = np.stack([np.full(len(world), z), world[:, 1], world[:, 0]]) / np.array([[50.0], [40.0], [40.0]])
            wanted.append(map_coordinates(brain.astype(float), position, order=1, mode="constant"))
            seen.append(volume.read(grid.box(tile.y, tile.x))[5].ravel())
        alike = np.corrcoef(np.ravel(seen), np.ravel(wanted))[0, 1]
        swapped = np.corrcoef(np.ravel(seen), np.ravel([w.reshape(48, 64)[::-1].ravel() for w in wanted]))[0, 1]
        assert alike > 0.99, (item.id, alike)
        assert swapped < 0.9, (item.id, swapped)


def test_all_effects_on_twelve_slices(tmp_path: Path) -> None:
    truth = simulate_oct(
        output=tmp_path / "a",
        slices=12,
        first_id=95,
        layout="nested",
        growth=1,
        glitch_slices="97",
        rehoming_slices="101",
        missing_slices="99",
        missing_tiles="1_0_98,0_1_104",
        degraded_slices="103",
        stage_axes="y-x+",
        n_repeat=2,
        threads=2,
        oblique_deg=10,
        **SMALL,
    )
    raw = tmp_path / "a" / "raw"
    acquisition = find_tiles(raw)
    assert acquisition.missing_slices == [99]
    for item in truth.slices:
        if item.recorded:
            source = measure_slice(item.id, acquisition.slice_tiles(item.id))
            holes = {(tile.y, tile.x) for tile in item.tiles if tile.missing}
            assert set(source.holes) == holes
            assert source.grid == (item.tiles_y, item.tiles_x)
            decision = galvo(raw, item.id)
            assert decision.shift_px == item.galvo_shift_px, (item.id, decision)
    execute(SHIFTS, ["--input", str(raw), "--output", str(tmp_path), "--name", "all"])
    shifts = {s.fixed_id: s for s in read_shifts(tmp_path / "shifts_xy.csv")}
    assert sorted(shifts) == [95, 96, 97, 98, *range(100, 106)]
    calm = [k for k in shifts if k not in (96, 97, 98, 100) and shifts[k].reliable]
    assert len(calm) >= 5
    for k in calm:
        fixed, moving = truth.slice(k), truth.slice(shifts[k].moving_id)
        expected = np.subtract(fixed.drift_xy_um, moving.drift_xy_um) / 1000
        np.testing.assert_allclose((shifts[k].x_mm, shifts[k].y_mm), expected, rtol=0, atol=1.001e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_memory_is_below_three_tiles_and_a_shard_per_worker(tmp_path: Path, threads: int) -> None:
    shape = [200, 192, 240]
    bench_preprocess.prepare(str(tmp_path / "raw"), shape, [2, 3])
    idle = measure("bench.bench_preprocess:imports", {}, 1)
    options = {"folder": str(tmp_path / "raw"), "output": str(tmp_path / "out"), "threads": threads}
    cost = measure("bench.bench_preprocess:run_step", {**options, "words": ["--sharding_factor", "1"]}, 1)
    tile = 4e-6 * np.prod(shape)
    assert cost.peak_mb - idle.peak_mb < threads * 4 * tile
