import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.bias_phantoms import bias_phantom

from linumpy_lib.errors import DeviceError, InputError, ParameterError
from linumpy_lib.intensity import fitting
from linumpy_lib.intensity.bias_field import (
    BiasField,
    BiasFieldWarning,
    apply_bias_field,
    fit_bias_field,
    n4_correct,
    n4_correct_per_section,
)
from linumpy_lib.intensity.field import FitGrid

SHAPE = (30, 45, 50)
FAST: dict[str, Any] = {"shrink_factor": 2, "n_iterations": [30, 20], "spline_distance_mm": 30.0, "threads": 2}


class Lazy:
    """A volume that is read in boxes, and tells how many voxels the largest of them had."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.most = array, array.shape, 0

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        assert all(box.step in (None, 1) for box in key)
        self.most = max(self.most, self.array[key].size)
        return self.array[key]


def test_grid_samples_the_voxels_that_itk_samples() -> None:
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is the peer of this test")
    for factor in (1, 2, 3, 4, 5):
        for length in range(2 * factor, 23):
            ramp = np.broadcast_to(np.arange(length, dtype=np.float32), (8, 8, length)).copy()
            seen = sitk.GetArrayFromImage(sitk.Shrink(sitk.GetImageFromArray(ramp), [factor, 1, 1]))[0, 0]
            grid = FitGrid.of((8, 8, length), factor)
            assert_array_equal(np.arange(grid.nodes[2]) * grid.factors[2] + grid.offsets[2], seen)


def test_short_axes_keep_two_nodes() -> None:
    assert FitGrid.of((1, 3, 50), 4).nodes == (1, 3, 12)
    assert FitGrid.of((5, 7, 50), 4).nodes == (2, 2, 12)


def test_a_known_field_is_removed() -> None:
    phantom = bias_phantom(SHAPE)
    corrected, bias = n4_correct(phantom.volume, phantom.mask, **FAST)
    assert corrected.dtype == bias.dtype == np.float32
    assert phantom.spread(bias) < 0.1 * phantom.spread()
    assert_allclose(corrected, phantom.volume / bias, rtol=1e-5)


def test_the_borders_are_as_good_as_the_inside() -> None:
    """Sizes that the shrink factor does not divide: the outermost planes get the field as all others do."""
    phantom = bias_phantom((31, 47, 50), margin=3)
    _, bias = n4_correct(phantom.volume, None, **{**FAST, "shrink_factor": 4, "n_iterations": [50, 50]})
    ratio = np.log(phantom.bias / bias)
    ratio -= ratio.mean()
    for axis in range(3):
        planes = np.moveaxis(ratio, axis, 0)
        for end in (planes[:2], planes[-3:]):
            assert np.abs(end.mean()) < 0.06
            assert np.abs(end).max() < 0.25


def test_axes_are_not_mixed_up() -> None:
    """Four times more control points along x than along z: a wave along x needs them there."""
    shape = (24, 48, 128)
    x = np.linspace(0, 4 * np.pi, 128, dtype=np.float32)
    bias = np.broadcast_to(np.exp(0.1 * np.sin(x)), shape)
    volume = (100 * bias * (1 + 0.02 * np.random.default_rng(0).standard_normal(shape))).astype(np.float32)
    _, found = n4_correct(volume, spline_distance_mm=16, shrink_factor=2, n_iterations=[50, 50])
    left = bias / found
    assert left.std() / left.mean() < 0.01
    assert bias.std() / bias.mean() > 0.07


def test_in_place_gives_the_same_bits() -> None:
    phantom = bias_phantom(SHAPE)
    corrected, bias = n4_correct(phantom.volume, phantom.mask, **FAST)
    volume, field = phantom.volume.copy(), np.empty(SHAPE, np.float32)
    same, same_bias = n4_correct(volume, phantom.mask, out=volume, bias_out=field, **FAST)
    assert same is volume
    assert same_bias is field
    assert_allclose(volume, corrected, rtol=3e-7)
    assert_array_equal(field, bias)


def test_runs_and_threads_give_equal_bytes() -> None:
    phantom = bias_phantom(SHAPE)
    first = n4_correct(phantom.volume, phantom.mask, **{**FAST, "threads": 1})
    for threads in (1, 3):
        again = n4_correct(phantom.volume, phantom.mask, **{**FAST, "threads": threads})
        assert_array_equal(again[0], first[0])
        assert_array_equal(again[1], first[1])


def test_streamed_fit_and_division_equal_those_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    phantom = bias_phantom((70, 20, 24))
    volume, mask = Lazy(phantom.volume), Lazy(phantom.mask)
    monkeypatch.setattr(fitting, "READ_BOX", (16, 512, 512))
    field = fit_bias_field(volume, mask, **FAST)
    assert volume.most <= 16 * 20 * 24
    corrected, bias = n4_correct(phantom.volume, phantom.mask, **FAST)
    for z0 in range(0, 70, 16):
        part = np.empty((min(16, 70 - z0), 20, 24), np.float32)
        assert_array_equal(
            field.correct(phantom.volume[z0 : z0 + 16], (z0, 0, 0), bias_out=part), corrected[z0 : z0 + 16]
        )
        assert_array_equal(part, bias[z0 : z0 + 16])
    box = (slice(40, 60), slice(3, 17), slice(11, 20))
    assert_allclose(field.correct(phantom.volume[box], (40, 3, 11)), corrected[box], rtol=3e-7)
    assert_allclose(np.exp(field.log(5, 9)), bias[5:9], rtol=1e-6)


def test_strength_mixes_and_integers_are_accepted() -> None:
    phantom = bias_phantom(SHAPE)
    field = fit_bias_field(phantom.volume, phantom.mask, **FAST)
    counts = phantom.volume.astype(np.uint16)
    assert_allclose(field.correct(counts, strength=0.0), counts, rtol=1e-6)
    full = field.correct(counts)
    assert_allclose(field.correct(counts, strength=0.25), 0.25 * full + 0.75 * counts, rtol=1e-5)


def test_any_layout_is_accepted() -> None:
    phantom = bias_phantom((20, 24, 28))
    field = fit_bias_field(phantom.volume, phantom.mask, **FAST)
    wanted = field.correct(phantom.volume)
    turned = np.asfortranarray(phantom.volume)
    assert_allclose(field.correct(turned), wanted, rtol=3e-7)
    bias = np.asfortranarray(np.empty_like(wanted))
    assert field.correct(turned, out=turned, bias_out=bias) is turned
    assert_allclose(turned, wanted, rtol=3e-7)
    assert_allclose(bias, np.exp(field.log()), rtol=1e-6)
    every_second = np.repeat(phantom.volume, 2, axis=0)[::2]
    assert_allclose(field.correct(every_second), wanted, rtol=3e-7)


def test_extreme_fields_stay_finite() -> None:
    field = BiasField(np.full((4, 4, 4), -50, np.float32), FitGrid.of((5, 6, 7), 1))
    assert_allclose(field.correct(np.ones((5, 6, 7), np.float32)), 1e6, rtol=1e-5)
    assert_array_equal(BiasField.flat((5, 6, 7)).correct(np.ones((5, 6, 7), np.float32)), 1)


def test_apply_divides_with_a_floor() -> None:
    vol, bias = np.array([[2, 4], [6, 8]], np.uint8), np.array([[2.0, 0.0], [3.0, -1.0]])
    assert_allclose(apply_bias_field(vol, bias, floor=0.5), [[1, 8], [2, 16]])
    again = vol.astype(np.float32)
    assert apply_bias_field(again, bias, 0.5, out=again) is again
    assert_allclose(again, [[1, 8], [2, 16]])
    with pytest.raises(InputError, match="the volume's shape"):
        apply_bias_field(vol, bias[:1])


def test_sections_get_fields_of_their_own() -> None:
    first, second = bias_phantom((20, 40, 44), 1), bias_phantom((20, 40, 44), 2)
    vol, mask = np.concatenate([first.volume, 3 * second.volume]), np.concatenate([first.mask, second.mask])
    corrected, bias = n4_correct_per_section(vol, 2, mask, n_processes=2, **FAST)
    alone, alone_bias = n4_correct(first.volume, first.mask, **FAST)
    assert_array_equal(corrected[:20], alone)
    assert_array_equal(bias[:20], alone_bias)
    real, _ = n4_correct_per_section(vol, 2, mask, section_boundaries=[0, 20], **FAST)
    assert_array_equal(real, corrected)
    in_place = vol.copy()
    n4_correct_per_section(in_place, 2, mask, out=in_place, **FAST)
    assert_allclose(in_place, corrected, rtol=3e-7)


def test_a_section_without_tissue_is_left_alone() -> None:
    phantom = bias_phantom((20, 40, 44))
    vol = np.concatenate([phantom.volume, np.zeros((10, 40, 44), np.float32)])
    with pytest.warns(BiasFieldWarning, match="planes 20 to 29 hold no tissue"):
        corrected, bias = n4_correct_per_section(vol, 2, section_boundaries=[0, 20], **FAST)
    assert not corrected[20:].any()
    assert_array_equal(bias[20:], 1)


def test_dense_splines_are_limited_with_the_residual_reported() -> None:
    phantom = bias_phantom(SHAPE)
    with pytest.warns(BiasFieldWarning, match=r"asks for 30x45x50 .* 6x6x6 .* keep \d+% of their spread"):
        field = fit_bias_field(
            phantom.volume, phantom.mask, spline_distance_mm=1, max_control_points=6, n_iterations=[3], shrink_factor=2
        )
    assert field.control_points == (6, 6, 6)
    assert 0 < field.residual < 1
    free = fit_bias_field(
        phantom.volume, phantom.mask, spline_distance_mm=2, max_control_points=None, n_iterations=[2], shrink_factor=2
    )
    assert free.control_points == (15, 22, 25)


def test_a_distance_beyond_the_extent_gives_four_points() -> None:
    phantom = bias_phantom((10, 12, 14))
    field = fit_bias_field(phantom.volume, spline_distance_mm=1e9, n_iterations=[5], shrink_factor=2)
    assert field.control_points == (4, 4, 4)


def test_zero_negative_and_nan_voxels_do_not_spoil_the_fit() -> None:
    phantom = bias_phantom(SHAPE)
    holed = phantom.mask.copy()
    holed[10:14, 20:24, 20:24] = False
    clean = fit_bias_field(phantom.volume, holed, **FAST)
    for value in (0, -5, np.nan, np.inf):
        vol = phantom.volume.copy()
        vol[10:14, 20:24, 20:24] = value
        field = fit_bias_field(vol, phantom.mask, **FAST)
        assert_array_equal(field.lattice, clean.lattice)
    corrected, bias = n4_correct(np.where(holed, phantom.volume, np.nan), phantom.mask, **FAST)
    assert np.isnan(corrected[~holed]).all()
    assert np.isfinite(bias).all()


def test_constant_volume_is_left_alone() -> None:
    corrected, bias = n4_correct(np.full((8, 9, 10), 3.0), shrink_factor=1)
    assert_allclose(corrected, 3)
    assert_allclose(bias, 1)


def test_one_plane() -> None:
    phantom = bias_phantom((1, 60, 60), margin=1.4)
    _, bias = n4_correct(phantom.volume, phantom.mask, **FAST)
    assert bias.shape == (1, 60, 60)
    assert phantom.spread(bias) < phantom.spread()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"voxel_size_mm": (1, 0, 1)}, "voxel_size_mm"),
        ({"voxel_size_mm": (1, 1)}, "voxel_size_mm"),
        ({"voxel_size_mm": (1, np.nan, 1)}, "voxel_size_mm"),
        ({"spline_distance_mm": -1}, "spline_distance_mm"),
        ({"spline_distance_mm": np.inf}, "spline_distance_mm"),
        ({"shrink_factor": 0}, "shrink_factor"),
        ({"n_iterations": []}, "n_iterations"),
        ({"n_iterations": [0]}, "n_iterations"),
        ({"backend": "tpu"}, "backend"),
        ({"max_control_points": 3}, "max_control_points"),
    ],
)
def test_bad_parameters_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        n4_correct(np.ones((5, 5, 5)), **arguments)


def test_bad_arrays_are_named() -> None:
    vol = np.ones((5, 6, 7), np.float32)
    with pytest.raises(InputError, match="no voxel"):
        n4_correct(vol, np.zeros(vol.shape, bool))
    with pytest.raises(InputError, match="no voxel"):
        n4_correct(-vol)
    with pytest.raises(InputError, match="mask of shape"):
        n4_correct(vol, np.ones((5, 6, 6), bool))
    with pytest.raises(InputError, match="three axes"):
        n4_correct(vol[0])
    with pytest.raises(InputError, match="'out' has shape"):
        n4_correct(vol, out=np.empty(vol.shape))
    with pytest.raises(InputError, match="real numbers"):
        n4_correct(vol.astype(complex))
    with pytest.raises(ParameterError, match="n_serial_slices"):
        n4_correct_per_section(vol, 6)
    with pytest.raises(ParameterError, match="n_processes"):
        n4_correct_per_section(vol, 2, n_processes=0)


def test_an_absent_gpu_is_an_error_and_auto_is_not() -> None:
    from linumpy_lib.device import get_device

    phantom = bias_phantom((10, 12, 14))
    if get_device("auto").name == "cuda":
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match="cuda"):
        n4_correct(phantom.volume, backend="gpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        n4_correct(phantom.volume, backend="auto", n_iterations=[2], spline_distance_mm=10)
