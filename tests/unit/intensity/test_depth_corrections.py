"""Steps correct_beam_profile, crop_interface, compensate_attenuation, measure_slice, match_slices, normalize_slice."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linumpy_lib.cli import execute
from linumpy_lib.device import Device, get_device
from linumpy_lib.errors import InputError
from linumpy_lib.intensity.attenuation import coefficients
from linumpy_lib.intensity.brightness import match_factors
from linumpy_lib.intensity.compensation import compensate
from linumpy_lib.intensity.interface import find_interface
from linumpy_lib.intensity.slice_columns import bin_slice
from linumpy_lib.intensity.steps import (
    compensate_attenuation,
    correct_beam_profile,
    crop_interface,
    match_slices,
    measure_slice,
    normalize_slice,
)
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.slice_factors import read_factors
from linumpy_lib.io.slice_frame import SliceFrame, slice_frame
from linumpy_lib.simulation import simulate_oct
from linumpy_lib.simulation.truth import Truth, read_optics

QUIET: dict[str, Any] = {
    "overlap": 0,
    "jitter_um": 0,
    "scan_rotation_deg": 0,
    "scan_shear_deg": 0,
    "galvo_shift_px": 0,
    "drift_um": 0,
    "shift_um": 0,
    "rotation_deg": 0,
    "curvature_um": 0,
    "vignetting": 0,
    "n_extra": 0,
    "frames_per_file": 1000,
    "slices": 1,
    "tiles_x": 2,
    "tiles_y": 2,
    "tile_shape": "90,64,64",
}


def homogeneous() -> np.ndarray:
    """A block of one tissue in agarose, voxels of 10 um."""
    volume = np.zeros((80, 128, 128), np.float32)
    volume[:, 24:104, 40:] = 0.6
    volume[0, 0, 0] = 1.0
    return volume


def acquire(folder: Path, volume: Any = None, **effects: Any) -> tuple[Path, Truth, np.ndarray]:
    """One simulated slice as a store, its truth and the depth index of its face (y, x)."""
    values = {**QUIET, **effects}
    source = {} if volume is None else {"truth_spacing_um": 10}
    truth = (
        simulate_oct(volume, output=folder / "oct", **values, **source)
        if volume is not None
        else simulate_oct(output=folder / "oct", **values)
    )
    nz, ny, nx = truth.tile_shape
    item = truth.slices[0]
    slice_ = np.zeros((nz, ny * item.tiles_y, nx * item.tiles_x), np.float32)
    face = np.zeros(slice_.shape[1:])
    for tile in item.tiles:
        raw = next((folder / "oct").rglob(f"tile_x{tile.x:02d}_y{tile.y:02d}_z00")) / "image_00000.bin"
        box = (slice(tile.y * ny, (tile.y + 1) * ny), slice(tile.x * nx, (tile.x + 1) * nx))
        slice_[:, *box] = np.fromfile(raw, "<f4").reshape(ny, nx, nz).transpose(2, 0, 1)
        face[box] = truth.surface_px(0, tile, np.arange(nx), np.arange(ny))
    path = folder / "slice_z00_stitch_3d.ome.zarr"
    store(path, slice_, truth.spacing_um)
    return path, truth, face


def store(path: Path, voxels: np.ndarray, spacing_um: Any = (5, 10, 10), slice_id: int = 0) -> Path:
    frame = SliceFrame(slice_id, origin_um=(7.0, 1.0, 2.0))
    write_volume(path, voxels, spacing_um=spacing_um, levels=1, provenance={"slice": frame.as_json()})
    return path


def run(step: Any, source: Path, folder: Path, *words: str, option: str = "input") -> None:
    execute(step.STEP, [f"--{option}", str(source), "--output", str(folder), "--name", "z00", "--quiet", *words])


def metrics(folder: Path, step: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"z00_{step}_metrics.json").read_text())["metrics"]
    return found


@pytest.mark.parametrize(
    "effects",
    [
        {},
        {"tilt_deg": 1.0},
        {"noise": 0.02},
        {"speckle": 1.0},
        {"agarose": 0.02},
        {"tilt_deg": 1.0, "noise": 0.02, "speckle": 1.0},
    ],
)
def test_the_face_is_found_within_a_voxel(tmp_path: Path, effects: dict[str, Any]) -> None:
    path, truth, face = acquire(tmp_path, seed=3, **effects)
    binned = bin_slice(open_volume(path))
    interface = find_interface(binned)
    mean = face.reshape(interface.depth.shape[0], binned.width, -1, binned.width).mean(axis=(1, 3))
    assert np.sqrt(np.mean((interface.depth - mean)[interface.reliable] ** 2)) <= 1
    assert interface.reliable.mean() > 0.95
    run(crop_interface, path, tmp_path, "--crop_interface_out_depth", "250")
    found = metrics(tmp_path, "crop_interface")
    assert found["detected_interface_depth"]["value"] == pytest.approx(np.median(face), abs=0.5)
    result = open_volume(tmp_path / "slice_z00_crop_interface.ome.zarr")
    first = found["start_index"]["value"]
    assert result.shape[0] == 50
    assert slice_frame(result).origin_um == pytest.approx((7.0 + 5 * first, 1.0, 2.0))
    np.testing.assert_array_equal(result.read(), open_volume(path).read()[first : first + 50])
    assert truth.interface_px - 2 < first < truth.interface_px + 3


@pytest.mark.parametrize("method", ["model_free", "model"])
def test_the_beam_profile_is_that_of_the_truth(tmp_path: Path, method: str) -> None:
    path, truth, _ = acquire(tmp_path, tiles_x=3, tiles_y=3)
    run(correct_beam_profile, path, tmp_path, "--compensate_psf_method", method)
    result = open_volume(tmp_path / "slice_z00_axial_corr.ome.zarr")
    profile = np.array(result.provenance["beam_profile"]["profile"])
    expected = read_optics(next(tmp_path.rglob("optics.npz")).parent)["beam_profile"]
    ratio = (profile / expected)[int(truth.interface_px) + 1 :]
    assert np.abs(ratio / ratio.mean() - 1).max() < 0.05
    assert slice_frame(result).slice_id == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_homogeneous_tissue_comes_out_flat(tmp_path: Path, seed: int) -> None:
    """Beam profile, face and attenuation in turn: the mean A-line of the tissue stays within 5 %."""
    path, _, _ = acquire(tmp_path, homogeneous(), seed=seed, gain_drift=0)
    run(correct_beam_profile, path, tmp_path)
    run(crop_interface, tmp_path / "slice_z00_axial_corr.ome.zarr", tmp_path, "--crop_interface_out_depth", "350")
    tail = ["--compensate_attenuation_k", "20"]  # 100 um: samples are 5 um apart
    run(compensate_attenuation, tmp_path / "slice_z00_crop_interface.ome.zarr", tmp_path, *tail)
    before = open_volume(tmp_path / "slice_z00_crop_interface.ome.zarr").read()
    after = open_volume(tmp_path / "slice_z00_attn_corr.ome.zarr").read()
    inside = (slice(3, None), slice(40, 88), slice(60, 120))
    line, flat = before[inside].mean(axis=(1, 2)), after[inside].mean(axis=(1, 2))
    assert np.ptp(line) / line.mean() > 0.4
    assert np.abs(flat / flat.mean() - 1).max() < 0.05, flat / flat.mean()


def test_planes_that_hold_nothing_in_places_are_cut_off(tmp_path: Path) -> None:
    """Flattened A-lines end early: taken for a decay, that would brighten the deep planes many times over."""
    path, _, _ = acquire(tmp_path, homogeneous(), attenuation_per_mm=2.0)
    voxels = open_volume(path).read()
    voxels[-3:, :, 70:] = 0
    store(tmp_path / "short.ome.zarr", voxels)
    run(crop_interface, tmp_path / "short.ome.zarr", tmp_path, "--crop_interface_out_depth", "1000")
    assert metrics(tmp_path, "crop_interface")["end_index"]["value"] == 90 - 4
    run(compensate_attenuation, tmp_path / "slice_z00_crop_interface.ome.zarr", tmp_path)
    assert abs(metrics(tmp_path, "compensate_attenuation")["depth_drop_after"]["value"]) < 0.3


def test_known_coefficients_are_recovered() -> None:
    step, mu = 0.01, np.repeat([2.0, 5.0, 1.0], 30)
    left = np.exp(-2 * step * np.concatenate([[0], np.cumsum(mu)]))
    lines = left[:-1] - left[1:]
    np.testing.assert_allclose(coefficients(lines, left[-1], step), mu, rtol=1e-9)


def test_devices_agree() -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    block = rng.exponential(1, (40, 9, 11)).astype(np.float32)
    maps = [rng.uniform(1, 9, (9, 11)).astype(np.float32) for _ in range(3)]
    maps[1] *= 5
    options: dict[str, Any] = {"floor": 0.1, "skip": 3, "strength": 0.7, "min_bias": 0.2}
    ours = compensate(block, *maps, get_device("cpu"), **options)
    theirs = compensate(block, *maps, Device.torch("cpu"), **options)
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-6)


def test_every_attenuation_parameter_matters(tmp_path: Path) -> None:
    path, _, _ = acquire(tmp_path, attenuation_per_mm=5, noise=0.02)
    cropped = tmp_path / "slice_z00_crop_interface.ome.zarr"
    run(correct_beam_profile, path, tmp_path)
    run(crop_interface, tmp_path / "slice_z00_axial_corr.ome.zarr", tmp_path)
    seen = []
    for words in (
        [],
        ["--compensate_attenuation_method", "liu"],
        ["--compensate_attenuation_method", "smith"],
        ["--compensate_attenuation_method", "vermeer"],
        ["--compensate_attenuation_strength", "0.3"],
        ["--compensate_attenuation_min_bias", "0.5"],
        ["--compensate_attenuation_mask_sigma", "20"],
        ["--compensate_attenuation_k", "30"],
        ["--compensate_attenuation_zshift", "0"],
        ["--compensate_attenuation_snr_threshold_db", "12"],
    ):
        run(compensate_attenuation, cropped, tmp_path, *words)
        seen.append(float(open_volume(tmp_path / "slice_z00_attn_corr.ome.zarr").read().astype(np.float64).sum()))
    assert len(set(seen)) == len(seen), seen


def test_slices_are_matched_and_scaled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scene = np.full((20, 64, 64), 0.1, np.float32)
    scene[:, 16:48, 16:48] = 1.0
    scene *= rng.uniform(0.8, 1.2, scene.shape).astype(np.float32)
    levels, gains = [], {3: 100.0, 4: 150.0, 7: 120.0}
    for slice_id, gain in gains.items():
        path = store(tmp_path / f"s{slice_id}.ome.zarr", scene * gain, slice_id=slice_id)
        run(measure_slice, path, tmp_path / str(slice_id))
        levels.append(str(tmp_path / str(slice_id) / "slice_z00_levels.json"))
    execute(match_slices.STEP, ["--levels", *levels, "--output", str(tmp_path), "--name", "s"])
    table = read_factors(tmp_path / "slice_factors.csv")
    assert [table[k].factor for k in gains] == pytest.approx([1.2, 0.8, 1.0], rel=0.01)
    results = []
    for slice_id, path in zip(gains, levels, strict=True):
        words = ["--levels", path, "--factors", str(tmp_path / "slice_factors.csv")]
        run(normalize_slice, tmp_path / f"s{slice_id}.ome.zarr", tmp_path / str(slice_id), *words)
        results.append(open_volume(tmp_path / str(slice_id) / "slice_z00_normalize.ome.zarr").read())
        assert results[-1].min() == 0
        assert np.percentile(results[-1][:, 16:48, 16:48], 99) == pytest.approx(1, abs=0.02)
        assert np.median(results[-1][:, :12]) < 0.02
    np.testing.assert_allclose(results[1], results[0], atol=0.02)
    with pytest.raises(InputError, match="is of slice 3, not 4"):
        run(normalize_slice, tmp_path / "s4.ome.zarr", tmp_path / "x", "--levels", levels[0])
    with pytest.raises(InputError, match="twice"):
        execute(match_slices.STEP, ["--levels", levels[0], levels[0], "--output", str(tmp_path), "--name", "s"])


def test_factors_are_smoothed_weighted_and_clipped() -> None:
    ids, references, voxels = [0, 1, 2, 3], [1.0, 4.0, 99.0, 1.0], [900, 900, 10, 900]
    level, _, factors = match_factors(ids, references, voxels, sigma=0, limits=(0.5, 2))
    assert level == pytest.approx(1.0)
    np.testing.assert_allclose(factors, [1, 0.5, 0.5, 1], rtol=0.3)
    smooth = match_factors(ids, references, voxels, sigma=100, limits=(0.5, 2))[2]
    np.testing.assert_allclose(smooth, 1, rtol=1e-3)
    assert match_factors([0], [0.0], [0], sigma=1, limits=(0.5, 2))[0] == 0


@pytest.mark.parametrize("step", [correct_beam_profile, crop_interface, compensate_attenuation, measure_slice])
@pytest.mark.parametrize("kind", ["nan", "negative", "background", "saturated"])
def test_bad_voxels_do_not_spread(tmp_path: Path, step: Any, kind: str) -> None:
    rng = np.random.default_rng(0)
    voxels = rng.uniform(1, 2, (24, 40, 40)).astype(np.float32)
    if kind != "background":
        voxels[8:, :, 20:] *= 50
    voxels[:, :3] = {"nan": np.nan, "negative": -5.0, "saturated": 1e6}.get(kind, 1.0)
    run(step, store(tmp_path / "s.ome.zarr", voxels), tmp_path / "out")
    for path in (tmp_path / "out").glob("*.ome.zarr"):
        result = open_volume(path).read()
        assert np.isfinite(result).all()
        assert result.min() >= 0
    notes = json.loads((tmp_path / "out" / f"z00_{step.STEP.name}_metrics.json").read_text())["notes"]
    expected = {"nan": "not finite", "negative": "negative"}.get(kind, "")
    assert any(expected in note for note in notes) or not expected


@pytest.mark.parametrize("step", [correct_beam_profile, crop_interface, compensate_attenuation, measure_slice])
def test_empty_slices_are_refused(tmp_path: Path, step: Any) -> None:
    with pytest.raises(InputError, match="no positive intensity"):
        run(step, store(tmp_path / "s.ome.zarr", np.zeros((8, 9, 10), np.float32)), tmp_path)


def test_blocks_and_threads_do_not_matter(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    voxels = rng.exponential(1, (30, 70, 300)).astype(np.float32)
    path = store(tmp_path / "s.ome.zarr", voxels)
    for threads in ("1", "2"):
        run(compensate_attenuation, path, tmp_path / threads, "--processes", threads)
    one, two = (open_volume(tmp_path / n / "slice_z00_attn_corr.ome.zarr").read() for n in "12")
    np.testing.assert_array_equal(one, two)
