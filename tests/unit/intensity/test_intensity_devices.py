"""Tissue mask, N4, its division and the compensation of attenuation agree on every device."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.bias_phantoms import bias_phantom

from linumpy_lib.cli import execute
from linumpy_lib.device import Device, get_device
from linumpy_lib.intensity.bias_field import (
    compute_tissue_mask,
    fit_bias_field,
    n4_correct,
    n4_correct_per_section,
)
from linumpy_lib.intensity.compensation import compensate
from linumpy_lib.intensity.steps.correct_bias_field import STEP as CORRECT
from linumpy_lib.io import open_volume, write_volume

TOLERANCE = 1e-4


def sections(shape: tuple[int, int, int] = (30, 90, 110)) -> np.ndarray:
    """Two sections of different brightness, tissue with a hole, and water with noise around it."""
    phantom = bias_phantom(shape)
    volume = np.where(phantom.mask, phantom.volume, 60.0)
    volume[shape[0] // 2 :] *= 0.7
    volume[:, 40:48, 50:58] = 55
    volume += np.random.default_rng(3).normal(0, 8, shape)
    return np.maximum(volume, 0).astype(np.float32)


def test_the_tissue_mask_is_the_same(cuda: Device) -> None:
    volume = sections()
    volume[2, 3, 4] = np.nan
    options = {"n_serial_slices": 2, "smoothing_sigma": 2, "smoothing_sigma_z": 1}
    here = compute_tissue_mask(volume, **options)
    assert 0.2 < here.mean() < 0.8
    assert_array_equal(compute_tissue_mask(volume, use_gpu=True, **options), here)


@pytest.mark.parametrize("spline_distance_mm", [10.0, 3.0])
@pytest.mark.parametrize("masked", [True, False])
def test_n4_agrees(spline_distance_mm: float, masked: bool, cuda: Device) -> None:
    phantom = bias_phantom((31, 67, 74))
    options = {
        "shrink_factor": 3,
        "n_iterations": [30, 30, 20],
        "spline_distance_mm": spline_distance_mm,
        "voxel_size_mm": (0.3, 0.15, 0.15),
    }
    mask = phantom.mask if masked else None
    corrected, bias = n4_correct(phantom.volume, mask, backend="cpu", threads=2, **options)
    there, bias_there = n4_correct(phantom.volume, mask, backend="gpu", **options)
    assert np.abs(bias_there / bias - 1).max() < TOLERANCE
    assert_allclose(there, corrected, rtol=TOLERANCE, atol=1e-3)
    again = n4_correct(phantom.volume, mask, backend="gpu", **options)[1]
    assert_array_equal(again, bias_there)


def test_n4_of_each_section_agrees_in_place(cuda: Device) -> None:
    volume = sections()
    options = {"shrink_factor": 3, "n_iterations": [20, 20], "section_boundaries": [0, 14]}
    corrected, bias = n4_correct_per_section(volume, 2, volume > 150, backend="cpu", **options)
    field = np.empty_like(volume)
    same, _ = n4_correct_per_section(volume, 2, volume > 150, backend="gpu", out=volume, bias_out=field, **options)
    assert same is volume
    assert np.abs(field / bias - 1).max() < TOLERANCE
    assert_allclose(volume, corrected, rtol=TOLERANCE, atol=1e-3)


def test_the_field_agrees(cuda: Device) -> None:
    phantom = bias_phantom((24, 60, 50))
    fields = [fit_bias_field(phantom.volume, phantom.mask, backend=backend) for backend in ("cpu", "gpu")]
    for here, there in zip(fields[0].levels, fields[1].levels, strict=True):
        assert abs(here.iterations - there.iterations) <= 1
    assert np.abs(fields[0].log() - fields[1].log()).max() < TOLERANCE
    assert fields[1].residual == pytest.approx(fields[0].residual, abs=1e-4)


def test_the_step_agrees(cuda: Device, tmp_path: Path) -> None:
    write_volume(tmp_path / "in.ome.zarr", sections((20, 60, 64)), spacing_um=(100, 50, 50), levels=1)
    found = []
    for device in ("cpu", "cuda"):
        words = ["--input", str(tmp_path / "in.ome.zarr"), "--output", str(tmp_path / device), "--name", "brain"]
        execute(CORRECT, [*words, "--device", device, "--quiet", "--bias_n_serial_slices", "2"])
        found.append(open_volume(tmp_path / device / "brain_corrected.ome.zarr").read())
        json.loads((tmp_path / device / "brain_correct_bias_field_metrics.json").read_text())
    assert_allclose(found[1], found[0], rtol=2 * TOLERANCE, atol=1e-4 * found[0].max())


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_attenuation_is_compensated_alike(strength: float, other: Device) -> None:
    rng = np.random.default_rng(0)
    depth = np.arange(50, dtype=np.float32)[:, None, None]
    block = (np.exp(-depth / 18) * rng.uniform(0.5, 1.5, (50, 21, 33))).astype(np.float32)
    below = rng.uniform(0.5, 2, (21, 33)).astype(np.float32)
    last = rng.integers(20, 51, (21, 33)).astype(np.float32)
    compensated = (rng.random((21, 33)) > 0.2).astype(np.float32)
    options = {"floor": 0.01, "skip": 4, "strength": strength, "min_bias": 0.05}
    here = compensate(block, below, last, compensated, get_device("cpu"), **options)
    there = compensate(block, below, last, compensated, other, **options)
    assert_allclose(there, here, rtol=TOLERANCE, atol=1e-6)
