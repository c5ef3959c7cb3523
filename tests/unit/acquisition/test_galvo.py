"""Galvo returns: exact place for dark and bright bands, nothing found in clean tissue."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from linumpy_lib.acquisition.galvo import Band, find_band, find_return, log_brightness
from linumpy_lib.acquisition.galvo_slice import decide, sample_tiles

NX, EXTRA, BSCANS, DEPTH = 96, 12, 48, 60


def tissue(rng: np.random.Generator, n_alines: int) -> np.ndarray:
    """Depth-averaged tile: smooth structures, a sharp-ish tissue border, vignetting and speckle."""
    field = ndimage.gaussian_filter(rng.normal(size=(BSCANS, n_alines)), (4, 4))
    field = 1 + 0.35 * field / field.std()
    border = rng.uniform(0.1, 0.9) * n_alines + rng.uniform(-1, 1) * np.arange(BSCANS)[:, None]
    inside = 1 / (1 + np.exp(-(np.arange(n_alines)[None] - border) / 1.5))
    field = np.clip(field, 0.1, None) * (0.2 + 0.8 * inside)
    speckle = rng.gamma(DEPTH / 0.16, 0.16 / DEPTH, size=field.shape)
    scale: float = rng.choice([1e-3, 1.0, 3e4])
    return field * speckle * scale


def with_return(rng: np.random.Generator, image: np.ndarray, factor: float, late: int) -> np.ndarray:
    """Append a galvo return and displace everything by `late` A-lines."""
    band = image[:, ::-1][:, :EXTRA] * factor * rng.gamma(DEPTH / 0.16, 0.16 / DEPTH, size=(BSCANS, EXTRA))
    return np.roll(np.concatenate([image, band], axis=1), -late, axis=1)


@pytest.mark.parametrize("factor", [0.0, 0.25, 0.5, 2.5, 6.0])
def test_every_band_is_found_exactly(factor: float) -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        late = int(rng.integers(1, NX + EXTRA))
        images = [tissue(rng, NX) for _ in range(5)]
        scale = images[0].mean()
        aips = [with_return(rng, image / image.mean() * scale, factor, late) for image in images]
        if factor == 0.0:
            aips = [aip + 1e-3 * scale for aip in aips]
        decision = decide(aips, EXTRA, 0.6)
        assert (decision.shift_px, decision.confidence >= 0.6) == (late, True), (seed, late, decision)
        restored = np.roll(aips[0], decision.shift_px, axis=1)
        expected = np.roll(aips[0], late, axis=1)
        np.testing.assert_array_equal(restored, expected)


def test_clean_tissue_is_never_corrected() -> None:
    for seed in range(100):
        rng = np.random.default_rng(1000 + seed)
        invisible = [tissue(rng, NX + EXTRA) for _ in range(5)]
        assert decide(invisible, EXTRA, 0.6).shift_px == 0, seed
        in_place = [with_return(rng, tissue(rng, NX), rng.choice([0.2, 4.0]), 0) for _ in range(5)]
        assert decide(in_place, EXTRA, 0.6).shift_px == 0, seed
        assert decide([tissue(rng, NX) for _ in range(5)], 0, 0.6).shift_px == 0, seed


def test_one_clean_tile_is_not_enough_for_a_correction() -> None:
    wrong = 0
    for seed in range(100):
        rng = np.random.default_rng(5000 + seed)
        wrong += decide([tissue(rng, NX + EXTRA)], EXTRA, 0.6).shift_px != 0
    assert wrong == 0


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_a_band_of_unknown_width_is_found(factor: float) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        late = int(rng.integers(20, NX - 10))
        images = [0.5 + 0.5 * (image := tissue(rng, NX)) / image.mean() for _ in range(4)]
        decision = decide([with_return(rng, image, factor, late) for image in images], 0, 0.6)
        assert (decision.shift_px, decision.width_px) == (late, EXTRA), (seed, late, decision)


def test_the_roll_is_not_off_by_one() -> None:
    aip = np.ones((20, 50))
    aip[:, 17:27] = 0.2
    band = find_return(log_brightness(aip), 10)
    assert (band.start, band.shift) == (17, 23)
    corrected = np.roll(aip, band.shift, axis=1)
    assert (corrected[:, :40] == 1).all()
    assert (corrected[:, 40:] == 0.2).all()


def test_a_band_may_wrap_around_the_end() -> None:
    aip = np.full((20, 60), 10.0)
    aip[:, 55:] = 30.0
    aip[:, :5] = 30.0
    assert find_return(log_brightness(aip), 10) == Band(55, 10, 60, pytest.approx(1.0))
    assert find_return(log_brightness(aip), 10).shift == 55
    band = find_band(log_brightness(aip))
    assert (band.start, band.width) == (55, 10)


def test_empty_tiles_are_left_alone() -> None:
    decision = decide([np.zeros((10, 60))] * 3, 8, 0.6)
    assert (decision.shift_px, decision.confidence) == (0, 0.0)
    assert "empty" in decision.reason


def test_tiles_that_disagree_lower_the_confidence() -> None:
    aips = []
    for start in (10, 20, 30):
        aip = np.ones((20, 60))
        aip[:, start : start + 8] = 0.2
        aips.append(aip)
    assert decide(aips, 8, 0.6).shift_px == 0


def test_sampled_tiles_come_from_the_middle() -> None:
    chosen = sample_tiles(list(range(100)))  # type: ignore[arg-type]
    assert len(chosen) == 9
    assert min(chosen) >= 20
    assert max(chosen) <= 79
    assert sample_tiles([4]) == [4]  # type: ignore[list-item, comparison-overlap]
