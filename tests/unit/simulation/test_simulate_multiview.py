"""A simulated multi-view recording is what its truth says: geometry, light, sensor, files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError, OutputError, ParameterError
from linumpy_lib.simulation import simulate_multiview
from linumpy_lib.simulation.multiview_parameters import SimulateMultiviewParameters
from linumpy_lib.simulation.steps.simulate_multiview import STEP

PURE = {
    "blur_px": 0.3,
    "depth_blur_px": 0.3,
    "attenuation": 0,
    "gain": 1,
    "read_noise": 0,
    "shot_noise": False,
    "dead_pixels": 0,
    "offset": 0,
    "counts": 20000,
}
SMALL = {"shape": (16, 28, 24), "fill": 0.1}


def truth_seen(scene, view):
    """The truth at the places that a view's truth_from_view names, where they lie inside it."""
    index = np.indices(view.volume.shape).reshape(3, -1)
    places = view.truth_from_view[:3, :3] @ index + view.truth_from_view[:3, 3:]
    values = ndimage.map_coordinates(scene.truth, places, order=1, cval=np.nan)
    return values.reshape(view.volume.shape)


@pytest.mark.parametrize("z_step", [0.40625, 1.0])
@pytest.mark.parametrize("mirror", [False, True])
def test_truth_from_view_leads_to_what_is_seen(z_step: float, mirror: bool) -> None:
    scene = simulate_multiview(
        **SMALL, **PURE, rotation_deg=4.0, shift_px=(1.5, -2.25, 3.0), mirror=mirror, z_step_um=z_step
    )
    for view in scene.views():
        truth = truth_seen(scene, view)
        inside = np.isfinite(truth)
        assert inside.mean() > 0.4
        assert np.corrcoef(truth[inside], view.volume[inside])[0, 1] > 0.97


def test_cameras_of_a_pair_differ_in_depth_and_in_nothing_else() -> None:
    scene = simulate_multiview(**SMALL, **{**PURE, "attenuation": 1.2}, shift_px=(0, 0, 0), cameras="0,1")
    near, far = (view.volume.astype(float) for view in scene.views())
    bright = near > 2000
    z = np.nonzero(bright)[0] / 15
    np.testing.assert_allclose((near / np.maximum(far, 1))[bright], np.exp(1.2 - 2.4 * z), rtol=0.02)


def test_light_sheets_enter_from_both_sides() -> None:
    scene = simulate_multiview(**SMALL, **PURE, channels=2, cameras="0,1")
    left, right = (scene.view(0, 0, channel).volume.astype(float) for channel in (0, 1))
    bright = left > 2000
    x = np.nonzero(bright)[2] / 23
    np.testing.assert_allclose((left / np.maximum(right, 1))[bright], np.exp(1.0 - 2.0 * x), rtol=0.02)


def test_drift_jitter_and_gain_follow_the_clock() -> None:
    scene = simulate_multiview(
        **SMALL, timepoints=4, missing_timepoints=(1,), drift_px=(0.5, 1, -1), rotation_drift_deg=0.2, gain_drift=0.1
    )
    assert scene.timepoints == [0, 2, 3]
    late = scene.movement(3, 1)
    np.testing.assert_allclose(late.shift_zyx_px, (4.1, -2.2, 4.4))
    assert late.rotation_deg == pytest.approx(0.6)
    assert late.gain == pytest.approx(0.8 * 1.1**3)
    steady = simulate_multiview(**SMALL, timepoints=200, jitter_px=0.7)
    shifts = np.array([steady.movement(t, 1).shift_zyx_px for t in range(200)])
    np.testing.assert_allclose(shifts.std(axis=0), 0.7, rtol=0.2)


def test_noise_and_stuck_pixels_are_those_of_the_sensor() -> None:
    scene = simulate_multiview(np.linspace(0, 1e-9, 24 * 40 * 40).reshape(24, 40, 40), cameras="0,1", counts=1e-6)
    view = scene.view(0, 0)
    dark = scene.background(0).astype(float)
    stuck = np.zeros((40, 40), bool)
    for y, x in scene.sensor(0).stuck():
        stuck[y, x] = True
    assert stuck.sum() == round(0.0005 * 1600)
    assert dark[~stuck].std() == pytest.approx(4.0, rel=0.1)
    assert view.volume[:, ~stuck].mean() == pytest.approx(100.0, abs=0.2)
    assert np.abs(view.volume[:, stuck].astype(float) - 100).max() > 100


def test_equal_seeds_equal_bytes_and_presets() -> None:
    one, two = (simulate_multiview(**SMALL, seed=3).view(0, 1).volume for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one != simulate_multiview(**SMALL, seed=4).view(0, 1).volume).any()
    scene = simulate_multiview(preset="noisy", shape=(8, 16, 16))
    assert scene.parameters.simulate_multiview_counts == 90
    assert scene.truth.shape == (8, 16, 16)
    assert scene.cameras == [0, 1]


def test_every_parameter_changes_something() -> None:
    other = {
        **{"preset": "noisy", "seed": 1, "shape": "16,28,20", "fill": 0.02, "cameras": "0,1", "channels": 2},
        **{"wiring": "pairs", "timepoints": 2, "missing_timepoints": "0", "z_step_um": 0.6, "magnification": 20},
        **{"blur_px": 1, "depth_blur_px": 2, "attenuation": 0.5, "sheet_attenuation": 0.2, "shift_px": "0,0,0"},
        **{"rotation_deg": 1, "gain": 0.5, "mirror": True, "drift_px": "1,0,0", "rotation_drift_deg": 1},
        **{"gain_drift": 0.2, "jitter_px": 1, "counts": 100, "offset": 50, "read_noise": 0, "shot_noise": False},
        "dead_pixels": 0.01,
    }
    assert {f"simulate_multiview_{name}" for name in other} == set(SimulateMultiviewParameters.model_fields)
    base = {**SMALL, "timepoints": 2, "missing_timepoints": "", "channels": 1, "preset": ""}

    def recorded(**choices: object) -> list[object]:
        scene = simulate_multiview(**{**base, **choices})
        return [scene.spacing_um, *((*k, scene.view(*k).volume.tobytes()) for k in scene.keys())]  # noqa: SIM118

    plain, two = recorded(), recorded(channels=2)
    for name, value in other.items():
        start = two if name in ("channels", "sheet_attenuation") else plain
        more = {"channels": 2} if name == "sheet_attenuation" else {}
        assert recorded(**{name: {"channels": 1, "timepoints": 3}.get(name, value)}, **more) != start, name


def test_simulate_multiview_step_writes_the_raw_tree(tmp_path: Path) -> None:
    words = ["--output", str(tmp_path), "--name", "embryo", "--quiet", "--simulate_multiview_shape", "12,20,16"]
    execute(STEP, [*words, "--simulate_multiview_channels", "2", "--simulate_multiview_timepoints", "2"])
    raw = tmp_path / "embryo_raw" / "SPM00"
    truth = json.loads((tmp_path / "embryo_truth" / "truth.json").read_text())
    assert len(truth["views"]) == 2 * 4 * 2
    for view in truth["views"]:
        stack = tmp_path / "embryo_raw" / view["file"]
        assert stack.stat().st_size == 2 * np.prod(view["shape"])
    assert tifffile.imread(raw / "Background_3.tif").shape == (12, 16)
    assert 'dimensions="16x20x12, 16x20x12, 16x12x20, 16x12x20"' in (raw / "TM00001" / "ch1.xml").read_text()
    assert (tmp_path / "embryo_truth" / "volume.ome.zarr").is_dir()
    assert (tmp_path / "embryo_simulate_multiview_preview.png").stat().st_size > 1000


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="three axes"):
        simulate_multiview(np.zeros((4, 4)))
    with pytest.raises(InputError, match="same everywhere"):
        simulate_multiview(np.ones((8, 8, 8)))
    with pytest.raises(InputError, match="NaN"):
        simulate_multiview(np.full((8, 8, 8), np.nan))
    with pytest.raises(InputError, match="all time points"):
        simulate_multiview(missing_timepoints="0")
    with pytest.raises(ParameterError, match="shift_px"):
        simulate_multiview(shift_px="1,2")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="not empty"):
        simulate_multiview(output=tmp_path)
