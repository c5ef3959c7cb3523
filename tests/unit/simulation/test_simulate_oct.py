"""A simulated acquisition is what its truth file says: files, stage, galvo, optics, geometry, losses."""

import math
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.errors import InputError, OutputError, ParameterError
from linumpy_lib.simulation.oct import simulate_oct
from linumpy_lib.simulation.truth import read_optics, read_truth, rotation_xy

SMALL = {"slices": 2, "tiles_x": 2, "tiles_y": 2, "tile_shape": "24,20,32", "n_extra": 8, "interval_um": 60}
PURE = {
    "speckle": 0,
    "noise": 0,
    "vignetting": 0,
    "curvature_um": 0,
    "rayleigh_um": 0,
    "attenuation_per_mm": 0,
    "tilt_deg": 0,
    "gain_drift": 0,
    "galvo_shift_px": 0,
    "water": 0,
    "agarose": 0,
    "interface_um": 0,
    "counts": 1,
    "jitter_um": 0,
    "scan_rotation_deg": 0,
    "scan_shear_deg": 0,
    "drift_um": 0,
    "shift_um": 0,
    "rotation_deg": 0,
}


def info(folder: Path) -> dict[str, str]:
    lines = (folder / "info.txt").read_text().splitlines()
    assert lines[0] == "Scan info"
    return dict(line.split(": ") for line in lines[1:])


def load(output: Path, x: int, y: int, z: int, *, whole: bool = False) -> np.ndarray:
    """Tile as (z, A-line, B-scan), read from what the files say alone."""
    (folder,) = (output / "raw").rglob(f"tile_x{x:02d}_y{y:02d}_z{z:02d}")
    said = info(folder)
    lines = int(said["nx"]) + int(said["n_extra"])
    depth = int(said["bottom_z"]) - int(said["top_z"]) + 1
    parts = [
        np.fromfile(file, dtype=np.float32).reshape((depth, lines, -1), order="F")
        for file in sorted(folder.glob("image_*.bin"))
    ]
    tile = np.concatenate(parts, axis=2)
    return tile if whole else tile[:, : int(said["nx"])]


def make(folder: Path, **choices: object):
    return simulate_oct(output=folder, **{**SMALL, **choices})


def ramp_volume(shape=(60, 50, 60)) -> np.ndarray:
    """Reflectivity that is linear in z, y and x with three different slopes, so that interpolation is exact."""
    z, y, x = np.indices(shape, dtype=np.float32)
    return 0.1 + 0.004 * x + 0.006 * y + 0.005 * z


def test_files_are_as_the_microscope_writes_them(tmp_path):
    make(tmp_path, pixel_um=10.05, frames_per_file=8)
    folder = tmp_path / "raw" / "tile_x01_y00_z01"
    said = info(folder)
    assert said["width"] == "321.6"
    assert said["height"] == "201"
    assert (said["nx"], said["ny"], said["n_extra"]) == ("32", "20", "8")
    sizes = [file.stat().st_size for file in sorted(folder.glob("image_*.bin"))]
    assert sizes == [4 * 24 * 40 * frames for frames in (8, 8, 4)]
    assert load(tmp_path, 1, 0, 1).shape == (24, 32, 20)
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == [
        f"tile_x{x:02d}_y{y:02d}_z{z:02d}" for x in (0, 1) for y in (0, 1) for z in (0, 1)
    ]


def test_split_into_files_and_threads_do_not_change_the_samples(tmp_path):
    make(tmp_path / "a", frames_per_file=7, threads=3)
    make(tmp_path / "b", frames_per_file=20, layout="nested")
    assert (tmp_path / "b" / "raw" / "z01" / "tile_x00_y00_z01").is_dir()
    np.testing.assert_array_equal(load(tmp_path / "a", 1, 1, 1, whole=True), load(tmp_path / "b", 1, 1, 1, whole=True))


def test_equal_seeds_give_equal_bytes(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make(tmp_path / name, seed=seed, threads=2)

    def content(name: str) -> dict[str, bytes]:
        root = tmp_path / name
        return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}

    assert content("a") == content("b")
    assert content("a") != content("c")


def test_truth_file_returns_what_was_planned(tmp_path):
    plan = make(tmp_path, growth=1, missing_tiles="0_1_1", glitch_slices="1", stage_axes="y-x+")
    assert read_truth(tmp_path / "truth") == plan
    optics = read_optics(tmp_path / "truth")
    assert {name: array.shape for name, array in optics.items()} == {
        "flat_field": (20, 32),
        "curvature_px": (20, 32),
        "beam_profile": (24,),
    }


@pytest.mark.parametrize(
    ("choice", "changed"),
    [
        ({"jitter_um": 0}, "jitter_xy_um"),
        ({"drift_um": 0}, "drift_xy_um"),
        ({"shift_um": 0}, "shift_xy_um"),
        ({"rotation_deg": 0}, "rotation_deg"),
        ({"gain_drift": 0}, "gain"),
        ({"galvo_shift_px": 0}, "galvo_shift_px"),
        ({"tilt_deg": 0}, "tilt_xy_deg"),
    ],
)
def test_an_effect_that_is_off_leaves_the_others_alone(tmp_path, choice, changed):
    wanted = {"galvo_fraction": 1, "seed": 5}
    full, less = make(tmp_path / "a", **wanted), make(tmp_path / "b", **wanted, **choice)
    for one, other in zip(full.slices, less.slices, strict=True):
        for name in ("drift_xy_um", "shift_xy_um", "rotation_deg", "gain", "galvo_shift_px", "tilt_xy_deg"):
            off = {"gain": 1.0, "drift_xy_um": (0, 0), "shift_xy_um": (0, 0), "tilt_xy_deg": (0, 0)}.get(name, 0)
            assert getattr(other, name) == (off if name == changed else getattr(one, name))
        for tile, same in zip(one.tiles, other.tiles, strict=True):
            assert same.jitter_xy_um == ((0, 0) if changed == "jitter_xy_um" else tile.jitter_xy_um)


def test_image_effects_are_independent_draws(tmp_path):
    """Without the galvo shift the same samples stand where a roll by the stated amount brings them."""
    shifted = make(tmp_path / "a", galvo_shift_px=11, galvo_fraction=1, speckle=0, noise=0)
    make(tmp_path / "b", galvo_shift_px=0, speckle=0, noise=0)
    assert {item.galvo_shift_px for item in shifted.slices} == {11}
    repaired = np.roll(load(tmp_path / "a", 0, 1, 1, whole=True), 11, axis=1)
    np.testing.assert_array_equal(repaired, load(tmp_path / "b", 0, 1, 1, whole=True))


@pytest.mark.parametrize("band", [0.2, 3.0])
def test_galvo_band_is_where_the_truth_says(tmp_path, band):
    flat = np.full((40, 60, 80), 0.5, dtype=np.float32)
    truth = simulate_oct(
        flat,
        output=tmp_path,
        **{**SMALL, **PURE, "galvo_shift_px": -1, "galvo_fraction": 1, "galvo_band": band, "truth_spacing_um": 10},
    )
    for item in truth.slices:
        profile = load(tmp_path, 0, 0, item.id, whole=True)[3].mean(axis=1)
        start = 32 - item.galvo_shift_px
        inside = np.zeros(40, dtype=bool)
        inside[start : start + 8] = True
        np.testing.assert_allclose(profile[inside], 0.5 * band, rtol=1e-6)
        np.testing.assert_allclose(profile[~inside], 0.5, rtol=1e-6)


def test_camera_shift_is_undone_by_the_overexposed_sample(tmp_path):
    wanted = {"galvo_fraction": 1, "galvo_shift_px": 9, "speckle": 0, "noise": 0}
    make(tmp_path / "a", camera_shift_px=6, **wanted)
    make(tmp_path / "b", **wanted)
    tile, clean = (load(tmp_path / name, 1, 1, 0, whole=True) for name in "ab")
    brightest = int(np.argwhere(tile.mean(axis=0) == tile.mean(axis=0).max())[0][0])
    assert brightest == 6
    repaired = np.roll(tile, -6, axis=1)
    repaired[:, 0, 0] = clean[:, 0, 0]
    np.testing.assert_array_equal(repaired, clean)


def test_stage_keys_hold_the_recorded_position_in_the_stages_own_axes(tmp_path):
    steps = {}
    for axes in ("x+y+", "x-y+", "y+x-"):
        truth = make(tmp_path / axes, stage_axes=axes, seed=1)
        first, right, below = (
            np.array([float(info(tmp_path / axes / "raw" / f"tile_{t}_z01")[f"stage_{k}_pos_mm"]) for k in "xyz"])
            for t in ("x00_y00", "x01_y00", "x00_y01")
        )
        assert tuple(first) == truth.slice(1).tile(0, 0).stage_mm
        steps[axes] = np.round(np.column_stack([right - first, below - first])[:2], 6)
        assert first[2] == 0.06
    width, height = 32 * 0.01 * 0.8, 20 * 0.01 * 0.8
    np.testing.assert_allclose(steps["x+y+"], [[width, 0], [0, height]], atol=2e-6)
    np.testing.assert_allclose(steps["x-y+"], [[-width, 0], [0, height]], atol=2e-6)
    np.testing.assert_allclose(steps["y+x-"], [[0, height], [-width, 0]], atol=2e-6)
    assert read_truth(tmp_path / "y+x-" / "truth").recorded_shifts_mm() == truth.recorded_shifts_mm()
    make(tmp_path / "none", stage_axes="none")
    assert "stage_x_pos_mm" not in info(tmp_path / "none" / "raw" / "tile_x00_y00_z00")


def test_glitch_and_rehoming_and_drift_in_the_stage_record(tmp_path):
    choices = {"slices": 5, "glitch_slices": "99", "rehoming_slices": "101", "first_id": 98}
    truth = make(tmp_path / "a", **choices)
    assert [item.id for item in truth.slices] == [98, 99, 100, 101, 102]
    assert (tmp_path / "a" / "raw" / "tile_x00_y00_z100").is_dir()
    for item in truth.slices:
        length = math.hypot(*item.glitch_xy_um)
        assert length == pytest.approx(900 if item.id == 99 else 0)
        assert math.hypot(*item.rehoming_xy_um) == pytest.approx(600 if item.id >= 101 else 0)
        tile = item.tile(1, 1)
        stage = (np.array(tile.stage_mm[:2]) - truth.stage_origin_mm) * 1000
        seen = np.array(tile.centre_xy_um) - tile.jitter_xy_um - truth.centre_xy_um
        np.testing.assert_allclose(stage - seen, item.glitch_xy_um, atol=1e-5)
    still = make(tmp_path / "b", **choices, rehoming_moves=False)
    np.testing.assert_allclose(
        np.array(truth.slice(102).tile(0, 0).centre_xy_um) - still.slice(102).tile(0, 0).centre_xy_um,
        truth.slice(102).rehoming_xy_um,
    )
    assert still.slice(102).tile(0, 0).stage_mm == truth.slice(102).tile(0, 0).stage_mm


def test_growth_adds_tiles_and_keeps_the_others(tmp_path):
    plain, grown = make(tmp_path / "a"), make(tmp_path / "b", growth=1)
    assert (grown.slice(0).tiles_x, grown.slice(1).tiles_x, grown.slice(1).tiles_y) == (2, 3, 3)
    assert (grown.slice(1).first_column, grown.slice(1).first_row) == (-1, 0)
    old, new = plain.slice(1).tile(0, 0), grown.slice(1).tile(1, 0)
    assert old.stage_mm == new.stage_mm
    assert old.jitter_xy_um == new.jitter_xy_um
    assert grown.slice(1).tile(0, 0).stage_mm[0] < old.stage_mm[0]


def test_missing_tiles_and_slices_are_absent(tmp_path):
    truth = make(tmp_path, slices=3, missing_tiles="1_0_2", missing_slices="1")
    names = {path.name for path in (tmp_path / "raw").iterdir()}
    assert names == {"tile_x00_y00_z00", "tile_x01_y00_z00", "tile_x00_y01_z00", "tile_x01_y01_z00"} | {
        "tile_x00_y00_z02",
        "tile_x00_y01_z02",
        "tile_x01_y01_z02",
    }
    assert [item.recorded for item in truth.slices] == [True, False, True]
    assert truth.slice(2).tile(1, 0).missing
    assert truth.slice(2).face_um == 120
    assert set(truth.recorded_shifts_mm()) == {(0, 2)}


@pytest.mark.parametrize(
    "effects",
    [
        {},
        {"scan_rotation_deg": 7, "scan_shear_deg": 4, "jitter_um": 9, "drift_um": 14, "shift_um": 11},
        {"rotation_deg": 6, "drift_um": 14, "curvature_um": 22},
        {"oblique_deg": 12, "rotation_deg": 4, "interface_um": 15},
    ],
)
def test_every_sample_lies_where_the_geometry_says(tmp_path, effects):
    """The volume is a ramp along each axis with its own slope, so a sample's value tells where it was taken."""
    values = ramp_volume()
    truth = simulate_oct(values, output=tmp_path, **{**SMALL, **PURE, "truth_spacing_um": 10, "seed": 8, **effects})
    curvature = read_optics(tmp_path / "truth")["curvature_px"]
    affine = np.array(truth.volume_from_world)
    compared = 0
    for item in truth.slices:
        for tile in item.tiles:
            seen = load(tmp_path, tile.x, tile.y, item.id)
            for z, x, y in ((6, 0, 0), (10, 31, 4), (20, 13, 19), (16, 20, 9)):
                world_x, world_y = truth.world_xy_um(item.id, truth.lab_xy_um(tile, x, y))
                depth = truth.world_z_um(item.id, z, curvature[y, x])
                at = affine @ [depth, world_y, world_x, 1] / 10
                if np.all(at >= 0) and np.all(at <= np.array(values.shape) - 1) and z > truth.interface_px + 3:
                    expected = 0.1 + 0.004 * at[2] + 0.006 * at[1] + 0.005 * at[0]
                    assert seen[z, x, y] == pytest.approx(expected, abs=2e-5)
                    compared += 1
    assert compared >= 12


def test_tile_positions_follow_from_the_grid_matrix_and_the_jitter(tmp_path):
    truth = make(tmp_path, scan_rotation_deg=3, scan_shear_deg=2, jitter_um=0)
    matrix = truth.step_matrix_px()
    for (x, y), position in truth.tile_positions_px(1).items():
        np.testing.assert_allclose(position, matrix @ [x, y], atol=1e-9)
    # turning the scan towards y moves the neighbour on the right up in the tile's own frame
    assert matrix[1, 0] < 0
    np.testing.assert_allclose(rotation_xy(90) @ [1, 0], [0, 1], atol=1e-12)


def test_content_offset_is_where_the_same_point_is_seen(tmp_path):
    truth = make(tmp_path, seed=2, rotation_deg=3)
    for item in truth.slices:
        tile = item.tile(0, 0)
        offset = np.array(truth.content_offset_um(item.id))
        middle = np.array(truth.centre_xy_um) + truth.moved_xy_um(item.id)
        lab = middle + np.array(truth.scan_xy) @ offset
        np.testing.assert_allclose(truth.world_xy_um(item.id, lab), truth.centre_xy_um, atol=1e-9)
        assert tile.x == 0


def test_optics_multiply_the_image_as_recorded(tmp_path):
    flat = np.full((40, 60, 80), 0.5, dtype=np.float32)
    common = {**SMALL, **PURE, "truth_spacing_um": 10, "slices": 1}
    simulate_oct(
        flat, output=tmp_path, **{**common, "vignetting": 0.4, "rayleigh_um": 80, "focus_um": 60, "counts": 100}
    )
    optics = read_optics(tmp_path / "truth")
    tile = load(tmp_path, 0, 0, 0)[2:]
    expected = 50 * optics["beam_profile"][2:, None, None] * optics["flat_field"].T[None]
    np.testing.assert_allclose(tile, expected, rtol=1e-5)
    assert optics["flat_field"].min() == pytest.approx(0.6)
    assert optics["beam_profile"].max() == pytest.approx(1)


def test_attenuation_follows_beer_and_lambert_below_the_surface(tmp_path):
    flat = np.full((40, 60, 80), 0.5, dtype=np.float32)
    common = {**SMALL, **PURE, "truth_spacing_um": 10, "slices": 1, "interface_um": 20, "water": 0.01}
    truth = simulate_oct(flat, output=tmp_path, **{**common, "attenuation_per_mm": 4, "tilt_deg": 0})
    line = load(tmp_path, 1, 1, 0)[:, 5, 5]
    assert truth.interface_px == 4
    np.testing.assert_allclose(line[:4], 0.01, rtol=1e-5)
    depth_mm = (np.arange(24) - 4) * 0.005
    np.testing.assert_allclose(line[5:], 0.5 * np.exp(-2 * 4 * 0.5 * depth_mm[5:]), rtol=1e-5)


def test_tilt_moves_the_surface_across_the_mosaic(tmp_path):
    flat = np.full((60, 60, 80), 0.5, dtype=np.float32)
    common = {**SMALL, **PURE, "truth_spacing_um": 10, "slices": 1, "interface_um": 50, "tilt_deg": 6, "seed": 2}
    common["start_um"] = 100
    truth = simulate_oct(flat, output=tmp_path, **common)
    item, tile = truth.slice(0), truth.slice(0).tile(0, 1)
    surface = 23.5 - load(tmp_path, 0, 1, 0).sum(axis=0) / 0.5
    for x, y in ((0, 0), (31, 19), (10, 3)):
        offset = truth.lab_xy_um(tile, x, y) - truth.centre_xy_um
        expected = 10 + np.tan(np.radians(item.tilt_xy_deg)) @ offset / 5
        assert surface[x, y] == pytest.approx(expected, abs=1e-3)
        assert truth.surface_px(0, tile, [x], [y])[0, 0] == pytest.approx(expected)


def test_speckle_noise_and_gain_have_the_stated_strength(tmp_path):
    flat = np.full((40, 60, 80), 0.5, dtype=np.float32)
    common = {**SMALL, **PURE, "truth_spacing_um": 10, "slices": 2, "counts": 1000, "shift_um": 0}
    simulate_oct(flat, output=tmp_path / "speckle", **{**common, "speckle": 0.3})
    tile = load(tmp_path / "speckle", 0, 0, 0)[2:]
    assert tile.mean() == pytest.approx(500, rel=0.01)
    assert tile.std() / tile.mean() == pytest.approx(0.3, rel=0.02)
    simulate_oct(flat, output=tmp_path / "noise", **{**common, "noise": 0.01})
    tile = load(tmp_path / "noise", 0, 0, 0)[2:]
    assert (tile.mean(), tile.std()) == (pytest.approx(530, abs=0.5), pytest.approx(10, rel=0.03))
    truth = simulate_oct(flat, output=tmp_path / "gain", **{**common, "gain_drift": 0.2})
    for item in truth.slices:
        np.testing.assert_allclose(load(tmp_path / "gain", 0, 0, item.id)[2:], 500 * item.gain, rtol=1e-5)


def test_agarose_surrounds_the_tissue(tmp_path):
    small = np.full((30, 12, 12), 0.9, dtype=np.float32)
    choices = {**SMALL, **PURE, "agarose": 0.07, "truth_spacing_um": 10, "slices": 1}
    simulate_oct(small, output=tmp_path, **choices)
    corner = load(tmp_path, 0, 0, 0)
    assert corner[5, 0, 0] == pytest.approx(0.07)
    assert corner[5, 31, 19] == pytest.approx(0.9)


def test_repeated_scans_differ_by_noise_alone(tmp_path):
    make(tmp_path, n_repeat=3, frames_per_file=7, speckle=0)
    folder = tmp_path / "raw" / "tile_x00_y00_z00"
    assert info(folder)["n_repeat"] == "3"
    tile = load(tmp_path, 0, 0, 0)
    assert tile.shape == (24, 32, 60)
    assert np.abs(tile[..., 0] - tile[..., 2]).max() < 12 * 2000 * 0.004
    assert np.any(tile[..., 0] != tile[..., 1])


def test_degraded_slice_is_dim_and_recorded(tmp_path):
    truth = make(tmp_path / "a", degraded_slices="1", noise=0)
    make(tmp_path / "b", noise=0)
    assert [item.degraded for item in truth.slices] == [False, True]
    np.testing.assert_array_equal(load(tmp_path / "a", 0, 0, 0), load(tmp_path / "b", 0, 0, 0))
    assert load(tmp_path / "a", 0, 0, 1).mean() < 0.35 * load(tmp_path / "b", 0, 0, 1).mean()


def test_the_phantom_betrays_swaps_flips_and_a_shift_of_one(tmp_path):
    make(tmp_path, tile_shape="24,32,32", **{**PURE, "counts": 1})
    plane = load(tmp_path, 0, 0, 1)[8]

    def alike(other: np.ndarray) -> float:
        return float(np.corrcoef(plane.ravel(), other.ravel())[0, 1])

    assert alike(plane.T) < 0.9
    assert alike(plane[::-1]) < 0.9
    assert alike(plane[:, ::-1]) < 0.9
    assert alike(np.roll(plane, 1, axis=0)) < 0.99


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"missing_slices": "7"}, ["simulate_oct_missing_slices", "no slice 7", "0 to 1"]),
        ({"missing_tiles": "5_0_0"}, ["simulate_oct_missing_tiles", "5_0_0"]),
        ({"missing_tiles": "5,0"}, ["simulate_oct_missing_tiles", "x_y_z"]),
        ({"galvo_shift_px": 33}, ["simulate_oct_galvo_shift_px", "32"]),
        ({"camera_shift_px": 32}, ["simulate_oct_camera_shift_px", "32"]),
        ({"sead": 1}, ["simulate_oct_sead", "did you mean 'simulate_oct_seed'"]),
    ],
)
def test_bad_parameters_are_named(tmp_path, choices, words):
    with pytest.raises(ParameterError) as error:
        make(tmp_path / "new", **choices)
    for word in words:
        assert word in str(error.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("volume", "choices", "word"),
    [
        (np.ones((4, 4)), {"truth_spacing_um": 1}, "three axes"),
        (np.ones((4, 4, 4)), {}, "truth_spacing_um"),
        (np.zeros((4, 4, 4)), {"truth_spacing_um": 1}, "same everywhere"),
        (np.full((4, 4, 4), np.nan), {"truth_spacing_um": 1}, "NaN"),
    ],
)
def test_bad_truth_is_refused(tmp_path, volume, choices, word):
    with pytest.raises(InputError, match=word):
        simulate_oct(volume, output=tmp_path / "new", **choices)


def test_a_failure_on_the_way_leaves_nothing_behind(tmp_path):
    volume = ramp_volume()
    volume[5, 10:40, 10:40] = np.nan  # in no plane that is looked at beforehand
    with pytest.raises(InputError, match="NaN"):
        make(tmp_path / "new", truth=volume, truth_spacing_um=10)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_not_touched(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(OutputError, match="not empty"):
        make(tmp_path)


def test_a_broken_truth_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"truth\.json"):
        read_truth(tmp_path)
    (tmp_path / "truth.json").write_text("{")
    with pytest.raises(InputError, match=r"truth\.json.*JSON"):
        read_truth(tmp_path)
    (tmp_path / "truth.json").write_text("{}")
    with pytest.raises(InputError, match="version"):
        read_truth(tmp_path)


def test_recorded_shifts_follow_from_what_is_written(tmp_path):
    truth = make(tmp_path, slices=3, growth=1, seed=4)
    for (fixed, moving), shift in truth.recorded_shifts_mm().items():
        stage = [np.array(truth.slice(k).tile(truth.slice(k).tiles_x - 1, 0).stage_mm[:2]) for k in (fixed, moving)]
        np.testing.assert_allclose(stage[0] - stage[1], shift, atol=2e-9)
