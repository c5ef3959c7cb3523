"""Fourier ring correlation and the resolution of a fused view, where the answer is known."""

import numpy as np
import pytest
from scipy import ndimage

from linumpy_lib.fusion.ring_correlation import NoiseSplit, ring_correlation

SIDE, PLANES = 128, 6


def known_blur(sigma, noise, seed=0):
    """White specimen of unit variance, blurred with `sigma`, and the standard deviation of what noise is added."""
    rng = np.random.default_rng(seed)
    plain = rng.standard_normal((PLANES, SIDE, SIDE))
    frequency = np.fft.fftfreq(SIDE)[:, None] ** 2 + np.fft.rfftfreq(SIDE)[None] ** 2
    blurred = np.fft.irfft2(np.fft.rfft2(plain) * np.exp(-2 * np.pi**2 * sigma**2 * frequency), s=(SIDE, SIDE))
    return blurred, noise, rng


def expected_period(sigma, noise):
    """Period at which the correlation of two images with this noise each falls to 1/7.

    With transfer h and white noise of variance n it is h^2 / (h^2 + n); that is 1/7 where h^2 = n / 6.
    """
    return 1 / np.sqrt(np.log(6 / noise**2) / (4 * np.pi**2 * sigma**2))


@pytest.mark.parametrize(("sigma", "noise"), [(1.0, 0.05), (1.5, 0.1), (2.5, 0.1)])
def test_resolution_of_a_known_blur(sigma, noise):
    blurred, _, rng = known_blur(sigma, noise)
    one, two = (blurred + noise * rng.standard_normal(blurred.shape) for _ in range(2))
    found = ring_correlation(one, two)
    assert found.resolution() == pytest.approx(expected_period(sigma, noise), rel=0.04)
    # At every ring, not only at the threshold.
    h = np.exp(-4 * np.pi**2 * sigma**2 * found.frequency**2)
    np.testing.assert_allclose(found.correlation[3:], (h / (h + noise**2))[3:], atol=0.12)


@pytest.mark.parametrize(("sigma", "noise"), [(1.0, 0.05), (2.0, 0.05)])
def test_two_halves_of_one_recording_tell_the_same(sigma, noise):
    """Halves have twice the noise variance, independent of each other."""
    blurred, _, rng = known_blur(sigma, noise)
    recorded = (100 + blurred + noise * rng.standard_normal(blurred.shape)).astype(np.float32)
    box = (slice(0, PLANES), slice(0, SIDE), slice(0, SIDE))
    halves = [
        NoiseSplit(lambda box: recorded[box], (slice(0, SIDE), slice(0, SIDE)), (noise**2, 0.0), 100.0, sign, 3)(box)
        for sign in (1, -1)
    ]
    np.testing.assert_allclose((halves[0] + halves[1]) / 2, recorded, rtol=1e-5)
    found = ring_correlation(*halves).resolution()
    assert found == pytest.approx(expected_period(sigma, np.sqrt(2) * noise), rel=0.05)


def test_a_part_of_a_half_is_the_half():
    rng = np.random.default_rng(2)
    view = rng.integers(90, 4000, (8, 60, 70)).astype(np.uint16)
    window = slice(8, 52), slice(10, 66)
    half = NoiseSplit(lambda box: view[box], window, (16.0, 1.0), 100.0, 1, 5)
    whole = half((slice(0, 8), slice(0, 60), slice(0, 70)))
    part = half((slice(2, 5), slice(20, 40), slice(30, 60)))
    np.testing.assert_array_equal(part[:, 1:-1, 1:-1], whole[2:5, 21:39, 31:59])
    assert np.array_equal(whole[:, :8], view[:, :8])
    assert np.std(whole - view, axis=0)[20:40, 20:50].mean() == pytest.approx(np.sqrt(16 + 1900), rel=0.15)


def test_what_was_not_recorded_stays_so():
    half = NoiseSplit(lambda box: np.zeros((2, 30, 30), np.uint16)[box], (slice(0, 30),) * 2, (9.0, 1.0), 0.0, 1, 0)
    assert not half((slice(0, 2), slice(0, 30), slice(0, 30))).any()


def test_unlike_noise_has_no_resolution_and_equal_images_the_finest():
    rng = np.random.default_rng(4)
    one, two = ndimage.gaussian_filter(rng.standard_normal((2, 4, 64, 64)), (0, 0, 1, 1))
    assert np.isnan(ring_correlation(one, two).resolution(0.5))
    assert ring_correlation(one, one).resolution() == 2.0


def test_shapes_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="need one shape"):
        ring_correlation(np.zeros((32, 32)), np.zeros((32, 40)))
    with pytest.raises(ValueError, match="24 pixels"):
        ring_correlation(np.zeros((16, 16)), np.zeros((16, 16)))
