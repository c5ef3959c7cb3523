import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.intensity.z_intensity import (
    histogram_matching,
    normalize_z_intensity,
    plane_histograms,
    smooth_profile,
)


def _stack(gains: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Tissue of one distribution in every plane, times a gain, in a dark surround."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:60, :64]
    mask = np.broadcast_to(np.hypot(y - 30, x - 32) < 25, (gains.size, 60, 64))
    tissue = rng.gamma(9, 10, mask.shape)
    return np.where(mask, tissue * gains[:, None, None], 0.01).astype(np.float32), mask


def _means(vol: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.array([plane[inside].mean() for plane, inside in zip(vol, mask, strict=True)])


@pytest.mark.parametrize("mode", ["histogram", "percentile"])
def test_a_slow_drift_is_taken_out(mode: str) -> None:
    vol, mask = _stack(np.linspace(0.7, 1.4, 30))
    even = normalize_z_intensity(vol, mode)
    before, after = _means(vol, mask), _means(even, mask)
    assert even.dtype == np.float32
    assert after.std() / after.mean() < 0.15 * before.std() / before.mean()
    assert_array_equal(even[~mask], vol[~mask])


def test_banding_is_taken_out_by_histograms() -> None:
    vol, mask = _stack(np.where(np.arange(24) % 4 == 0, 0.6, 1.0))
    after = _means(normalize_z_intensity(vol), mask)
    assert after.std() / after.mean() < 0.01


def test_matched_planes_have_the_histogram_of_the_whole() -> None:
    vol, mask = _stack(np.linspace(0.8, 1.2, 12))
    even = normalize_z_intensity(vol)
    whole = np.quantile(vol[mask], [0.1, 0.5, 0.9])
    for plane, inside in zip(even, mask, strict=True):
        assert_allclose(np.quantile(plane[inside], [0.1, 0.5, 0.9]), whole, rtol=0.01)


@pytest.mark.parametrize("mode", ["histogram", "percentile"])
def test_strength_mixes(mode: str) -> None:
    vol, _ = _stack(np.linspace(0.8, 1.3, 15))
    assert_allclose(normalize_z_intensity(vol, mode, 0.0), vol, rtol=2e-6)
    full, half = normalize_z_intensity(vol, mode, 1.0), normalize_z_intensity(vol, mode, 0.5)
    assert_allclose(half, (vol + full) / 2, rtol=1e-4, atol=1e-3)


def test_percentile_follows_the_formula() -> None:
    vol, mask = _stack(np.array([1.0, 1.1, 0.9, 1.3, 0.8]))
    even = normalize_z_intensity(vol, "percentile", smooth_sigma=0, percentile=90)
    q = np.array([np.percentile(plane[inside], 90) for plane, inside in zip(vol, mask, strict=True)])
    assert_allclose(even[mask], (vol * (np.median(q) / q)[:, None, None])[mask], rtol=2e-3)
    capped = normalize_z_intensity(vol, "percentile", smooth_sigma=0, scale_limits=(1.0, 1.0))
    assert_allclose(capped, vol, rtol=1e-6)


def test_groups_of_planes_share_one_mapping() -> None:
    vol, mask = _stack(np.repeat([0.7, 1.3], 6) * np.tile([0.9, 1.1], 6))
    histograms = plane_histograms(vol, mask, 1.0, float(vol.max()))
    correction = histogram_matching(histograms, groups=[(0, 6), (6, 12)])
    assert correction.tables is not None
    assert_array_equal(correction.tables[0], correction.tables[5])
    even = np.stack([correction.apply(plane, z) for z, plane in enumerate(vol)])
    means = _means(even, mask)
    assert_allclose(means[:6].mean(), means[6:].mean(), rtol=0.02)
    assert means[:6].std() > 0.05 * means[:6].mean()


def test_jumps_between_planes_are_smoothed_and_drift_is_kept() -> None:
    gains = np.linspace(0.8, 1.2, 30) * np.tile([0.9, 1.1, 1.0], 10)
    vol, mask = _stack(gains)
    histograms = plane_histograms(vol, None, 1.0, float(vol.max()))
    correction = smooth_profile(histograms, 2.0)
    after = _means(np.stack([correction.apply(plane, z) for z, plane in enumerate(vol)]), mask)
    assert np.abs(np.diff(after)).max() < 0.25 * np.abs(np.diff(_means(vol, mask))).max()
    assert after[-3:].mean() > 1.3 * after[:3].mean()
    both = smooth_profile(histograms, 2.0, histogram_matching(histograms))
    even = _means(np.stack([both.apply(plane, z) for z, plane in enumerate(vol)]), mask)
    assert even.std() / even.mean() < 0.01


def test_planes_with_little_tissue_are_left_alone() -> None:
    vol, _ = _stack(np.ones(6))
    vol[3] = 0.01
    vol[3, :5, :5] = 50
    for mode in ("histogram", "percentile"):
        even = normalize_z_intensity(vol, mode)
        assert_allclose(even[3], vol[3], rtol=1e-6)
    histograms = plane_histograms(vol[:2], None, 1.0, float(vol.max()))
    assert_allclose(smooth_profile(histograms, 2.0).gains, 1)


def test_mask_limits_what_changes_and_in_place_is_the_same() -> None:
    vol, mask = _stack(np.linspace(0.7, 1.4, 10))
    part = mask.copy()
    part[:, :, :32] = False
    even = normalize_z_intensity(vol, mask=part)
    assert_array_equal(even[~part], vol[~part])
    again = vol.copy()
    assert normalize_z_intensity(again, mask=part, out=again) is again
    assert_array_equal(again, even)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_volumes_stay(value: float) -> None:
    vol = np.full((4, 30, 30), value, np.float32)
    for mode in ("histogram", "percentile"):
        assert_allclose(normalize_z_intensity(vol, mode), vol, rtol=1e-3)


def test_nan_and_negative_values_stay() -> None:
    vol, _ = _stack(np.linspace(0.7, 1.4, 8))
    vol[2, 30, 30], vol[3, 0, 0] = np.nan, -4
    even = normalize_z_intensity(vol)
    assert np.isnan(even[2, 30, 30])
    assert even[3, 0, 0] == -4
    assert np.isfinite(even).sum() == even.size - 1


def test_bad_input() -> None:
    vol = np.ones((3, 4, 5))
    with pytest.raises(ParameterError, match="'mode'"):
        normalize_z_intensity(vol, "gamma")
    with pytest.raises(ParameterError, match="'strength'"):
        normalize_z_intensity(vol, strength=1.5)
    with pytest.raises(InputError, match="three axes"):
        normalize_z_intensity(vol[0])
    with pytest.raises(InputError, match="mask of shape"):
        normalize_z_intensity(vol, mask=np.ones((3, 4, 4)))
