import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.bias_phantoms import bias_phantom

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.intensity.steps.correct_bias_field import STEP
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.quality import bias_preview
from linumpy_lib.quality.bias_preview import plane_to_plane_change

SECTIONS = [0, 14, 26, 40]
QUICK = ["--quiet", "--device", "cpu", "--processes", "2", "--bias_iterations", "20,10", "--bias_shrink_factor", "2"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Tissue under a smooth field, with a gain for each section and a jump in every fifth plane."""
    phantom = bias_phantom((40, 50, 54), 2)
    gains = np.repeat([0.7, 1.0, 1.3], np.diff(SECTIONS)) * np.where(np.arange(40) % 5 == 0, 0.8, 1)
    volume = np.where(phantom.mask, phantom.volume * gains[:, None, None], 5).astype(np.float32)
    path = tmp_path_factory.mktemp("stack") / "brain.ome.zarr"
    write_volume(path, volume, spacing_um=(50, 40, 40), provenance={"slice_boundaries": SECTIONS})
    return path, phantom, volume


@pytest.fixture(autouse=True)
def drawn(monkeypatch, request):
    """Draw the picture in one test only: it takes longer than the correction."""
    if "preview" not in request.node.name:
        monkeypatch.setattr(bias_preview, "save_bias_preview", lambda *_: None)


def _run(path: Path, output: Path, *words: str) -> tuple[np.ndarray, dict]:
    execute(STEP, ["--input", str(path), "--output", str(output), *QUICK, *words])
    metrics = json.loads((output / "brain_correct_bias_field_metrics.json").read_text())
    return open_volume(output / "brain_corrected.ome.zarr").read(), metrics


def _spread(volume: np.ndarray, phantom) -> float:
    # what the classes and the grain leave is the same before and after: compare with the bias-free tissue
    left = volume[phantom.mask] / (phantom.volume / phantom.bias)[phantom.mask]
    return float(left.std() / left.mean())


@pytest.mark.parametrize("mode", ["global", "per_section", "two_pass"])
def test_every_mode_removes_bias_and_banding(stack, tmp_path, mode):
    path, phantom, volume = stack
    corrected, metrics = _run(path, tmp_path, "--bias_mode", mode)
    assert corrected.dtype == np.float32
    assert _spread(corrected, phantom) < 0.8 * _spread(volume, phantom)
    assert plane_to_plane_change(corrected, phantom.mask) < 0.5 * plane_to_plane_change(volume, phantom.mask)
    assert metrics["metrics"]["z_banding_after"]["value"] < metrics["metrics"]["z_banding_before"]["value"]
    stored = open_volume(tmp_path / "brain_corrected.ome.zarr")
    assert stored.spacing_um == (50, 40, 40)
    assert list(stored.provenance["slice_boundaries"]) == SECTIONS


def test_preview(stack, tmp_path):
    _run(stack[0], tmp_path, "--bias_mode", "global")
    assert (tmp_path / "brain_bias_preview.png").stat().st_size > 10_000


def test_field_and_strength(stack, tmp_path):
    path, _, volume = stack
    plain = ["--znorm_mode", "none", "--bias_zprofile_smooth_sigma", "0", "--bias_mode", "global"]
    full, _ = _run(path, tmp_path / "full", *plain, "--bias_save_field", "true")
    field = open_volume(tmp_path / "full" / "brain_bias_field.ome.zarr").read()
    assert_allclose(full * field, volume, rtol=1e-5)
    half, _ = _run(path, tmp_path / "half", *plain, "--bias_strength", "0.5")
    assert_allclose(half, (full + volume) / 2, rtol=1e-5)
    none, _ = _run(path, tmp_path / "none", *plain, "--bias_strength", "0")
    assert_allclose(none, volume, rtol=1e-6)


def test_equal_inputs_give_equal_voxels_with_any_number_of_threads(stack, tmp_path):
    path, *_ = stack
    first, _ = _run(path, tmp_path / "a")
    again, _ = _run(path, tmp_path / "b", "--processes", "1")
    assert_array_equal(first, again)


@pytest.mark.parametrize(
    "words",
    [
        ["--znorm_mode", "percentile"],
        ["--znorm_mode", "percentile", "--znorm_percentile", "80"],
        ["--znorm_mode", "none"],
        ["--znorm_strength", "0.5"],
        ["--bias_histogram_match_per_zplane", "false"],
        ["--bias_zprofile_smooth_sigma", "5"],
        ["--bias_tissue_threshold", "0.2"],
        ["--bias_n_serial_slices", "2"],
        ["--bias_shrink_factor", "3"],
        ["--bias_iterations", "3"],
        ["--bias_spline_distance_mm", "0.3"],
        ["--bias_section_spline_distance_mm", "0.3"],
        ["--bias_section_spline_distance_mm", "0.3", "--bias_max_control_points", "5"],
        ["--bias_mask_smoothing_sigma", "0"],
        ["--bias_zero_outside_mask", "true"],
        ["--bias_mode", "per_section"],
        ["--bias_strength", "0.5"],
    ],
    ids=" ".join,
)
def test_every_parameter_changes_the_result(stack, tmp_path, words, default):
    corrected, _ = _run(stack[0], tmp_path, *words)
    assert not np.array_equal(corrected, default)


@pytest.fixture(scope="module")
def default(stack, tmp_path_factory):
    return _run(stack[0], tmp_path_factory.mktemp("default"))[0]


def test_itk_engine_gives_the_same_result(stack, tmp_path, default):
    pytest.importorskip("SimpleITK", reason="the engine 'itk' is SimpleITK")
    corrected, _ = _run(stack[0], tmp_path, "--bias_engine", "itk")
    assert_allclose(corrected, default, rtol=0.02)


def test_limits_are_reported(stack, tmp_path):
    _, metrics = _run(stack[0], tmp_path, "--bias_mode", "global", "--bias_spline_distance_mm", "0.1")
    assert any("limited to 8x8x8" in note and "of their spread" in note for note in metrics["notes"])


def test_empty_sections_are_left_alone(tmp_path):
    phantom = bias_phantom((20, 30, 32))
    volume = np.concatenate([phantom.volume, np.zeros((10, 30, 32), np.float32)])
    write_volume(tmp_path / "brain.ome.zarr", volume, spacing_um=(10, 10, 10), provenance={"slice_boundaries": [0, 20]})
    corrected, metrics = _run(tmp_path / "brain.ome.zarr", tmp_path / "out")
    assert not corrected[20:].any()
    assert "planes 20 to 29 hold no tissue; their field is 1" in metrics["notes"]


def test_bad_input_is_named(stack, tmp_path):
    path, _, volume = stack
    write_volume(tmp_path / "brain.ome.zarr", volume, spacing_um=(50, 40, 40))
    with pytest.raises(InputError, match="bias_n_serial_slices"):
        _run(tmp_path / "brain.ome.zarr", tmp_path / "out")
    with pytest.raises(ParameterError, match="has 40 planes"):
        _run(path, tmp_path / "out", "--bias_n_serial_slices", "41")
    with pytest.raises(ParameterError, match="bias_strength"):
        _run(path, tmp_path / "out", "--bias_strength", "1.5")
    write_volume(tmp_path / "two.ome.zarr", np.stack([volume, volume]), spacing_um=(50, 40, 40))
    with pytest.raises(InputError, match="axes are 'czyx'"):
        _run(tmp_path / "two.ome.zarr", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*corrected*"))


def test_stub_run(stack, tmp_path):
    corrected, _ = _run(stack[0], tmp_path, "--stub")
    assert corrected.shape == (16, 16, 16)
