"""Resampling: no shift, no aliasing, straight lines stay straight to the border."""

from __future__ import annotations

import numpy as np
import pytest

from linumpy_lib.resample import resample, resampled_length, resampling_matrix

CASES = [(100, 1.36, 10.0), (64, 3.0, 10.0), (57, 3.5, 5.0), (40, 10.0, 10.0), (30, 10.0, 4.0), (200, 1.0, 7.3)]


@pytest.mark.parametrize(("length", "spacing", "target"), CASES)
def test_a_straight_line_is_exact_everywhere(length: int, spacing: float, target: float) -> None:
    matrix = resampling_matrix(length, spacing, target).astype(np.float64)
    centres = (np.arange(length) + 0.5) * spacing
    expected = (np.arange(resampled_length(length, spacing, target)) + 0.5) * target
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(matrix @ centres, expected, atol=1e-4 * target)
    assert matrix.min() > (-0.15 if target > spacing else -0.5)


def test_equal_sizes_change_nothing() -> None:
    values = np.random.default_rng(0).random((5, 6, 7), dtype=np.float32)
    matrices = [resampling_matrix(n, 2.0, 2.0) for n in values.shape]
    np.testing.assert_array_equal(resample(values, matrices), values)


def test_a_blob_keeps_its_place_and_mass() -> None:
    spacing, target = (1.36, 3.0, 3.5), 10.0
    shape = (120, 90, 80)
    grids = np.meshgrid(*[(np.arange(n) + 0.5) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij")
    centre = (81.3, 141.7, 133.9)
    blob = np.exp(-sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True)) / (2 * 22.0**2)).astype(np.float32)
    out = resample(blob, [resampling_matrix(n, s, target) for n, s in zip(shape, spacing, strict=True)])
    axes = np.meshgrid(*[(np.arange(n) + 0.5) * target for n in out.shape], indexing="ij")
    for axis, c in zip(axes, centre, strict=True):
        assert abs(float((axis * out).sum() / out.sum()) - c) < 0.05 * target
    assert out.sum() * target**3 == pytest.approx(blob.sum() * np.prod(spacing), rel=1e-3)


def test_fine_stripes_do_not_alias() -> None:
    stripes = np.sin(2 * np.pi * np.arange(400) / 2.6)
    out = resampling_matrix(400, 1.0, 5.0) @ stripes
    assert np.abs(out[2:-2]).max() < 0.05


def test_lengths() -> None:
    assert resampled_length(100, 0.1, 1.0) == 10
    assert resampled_length(3, 1.0, 10.0) == 1


def test_every_device_gives_the_same(torch_device) -> None:
    shape, spacing = (30, 24, 20), (1.36, 3.0, 3.0)
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    matrices = [resampling_matrix(n, s, 7.0) for n, s in zip(shape, spacing, strict=True)]
    there = resample(torch_device.to_device(values), [torch_device.to_device(m) for m in matrices])
    np.testing.assert_allclose(torch_device.to_numpy(there), resample(values, matrices), rtol=2e-6, atol=1e-7)


@pytest.fixture
def torch_device():
    pytest.importorskip("torch", reason="torch is not installed (make setup EXTRAS=torch)")
    from linumpy_lib.device import Device

    return Device.torch()
