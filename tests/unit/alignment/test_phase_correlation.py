"""Offsets of noisy pictures, against offsets that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from linumpy_lib.alignment.phase_correlation import correlation_at, find_shift, pearson, smoothed


def scene(seed: int = 0, size: int = 260) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = sum(ndimage.gaussian_filter(rng.standard_normal((size, size)), s) * s for s in (1.5, 4, 12))
    return np.asarray(picture / picture.std(), np.float32)


def view(
    picture: np.ndarray, corner: tuple[float, float], shape: tuple[int, int], noise: float, seed: int
) -> np.ndarray:
    rows, columns = (c + np.arange(n) for c, n in zip(corner, shape, strict=True))
    values = ndimage.map_coordinates(picture, np.meshgrid(rows, columns, indexing="ij"), order=3)
    return values + noise * np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (3.3, -7.6), (-41.25, 22.5), (60.4, 70.1)])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_offsets_are_found_to_a_tenth_of_a_pixel(offset: tuple[float, float], noise: float) -> None:
    errors = []
    for seed in range(2):
        picture = scene(seed)
        fixed = view(picture, (70, 60), (120, 130), noise, seed + 10)
        moving = view(picture, (70 + offset[0], 60 + offset[1]), (110, 125), noise, seed + 20)
        fit = find_shift(fixed, moving)
        errors.append(np.subtract(fit.offset, offset))
        assert fit.correlation > 0.7
    assert np.sqrt(np.mean(np.square(errors))) < 0.1
    assert np.abs(errors).max() < 0.2


def test_the_answer_is_never_worse_than_a_start() -> None:
    for seed in range(3):
        fixed, moving = (scene(seed + k)[:80, :90] for k in (0, 100))
        start = (1.5, -2.5)
        expected = correlation_at(smoothed(fixed), smoothed(moving), start).correlation
        assert find_shift(fixed, moving, starts=(start,)).correlation >= expected - 1e-6


def test_the_search_keeps_to_its_limit() -> None:
    picture = scene()
    fixed, moving = picture[50:150, 50:150], picture[80:180, 50:150]
    assert find_shift(fixed, moving).offset == pytest.approx((30, 0), abs=0.05)
    assert abs(find_shift(fixed, moving, limit_px=10).offset[0]) < 13


@pytest.mark.parametrize("flat", ["fixed", "moving", "both"])
def test_a_constant_picture_says_nothing(flat: str) -> None:
    blank, picture = np.ones((40, 40)), scene()[:40, :40]
    fit = find_shift(
        picture if flat == "moving" else blank, picture if flat == "fixed" else blank, starts=((2.0, 1.0),)
    )
    assert fit.correlation == 0
    assert fit.offset == (2.0, 1.0)


def test_pearson() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 50))
    assert pearson(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert pearson(a, np.ones(50)) == 0
    assert pearson(a[:1], b[:1]) == 0
