"""Sheets, fibres and blobs of known direction, at every orientation and on anisotropic voxels."""

from __future__ import annotations

import numpy as np
import pytest
from support.anisotropy_truth import angle_deg, blob, fibre, rotation, sheet

from linumpy_lib.anisotropy import compute_anisotropy

CENTRE = (16, 16, 16)
AXES = [*np.eye(3), *(rotation(seed)[0] for seed in range(6)), np.array([0, 1, 1]) / np.sqrt(2)]


@pytest.mark.parametrize("axis", AXES, ids=[f"axis{i}" for i in range(len(AXES))])
@pytest.mark.parametrize("gradient", ["gaussian", "sobel"])
def test_sheet(axis, gradient):
    maps = compute_anisotropy(sheet(axis), gradient=gradient, device="cpu")
    assert maps.sheetness[CENTRE] > 0.95
    assert maps.fa[CENTRE] > 0.95
    assert angle_deg(maps.normal[CENTRE], axis) < 2
    assert maps.fibreness[CENTRE] < 0.05


@pytest.mark.parametrize("axis", AXES, ids=[f"axis{i}" for i in range(len(AXES))])
@pytest.mark.parametrize("gradient", ["gaussian", "sobel"])
def test_fibre(axis, gradient):
    maps = compute_anisotropy(fibre(axis), gradient=gradient, device="cpu")
    assert maps.fibreness[CENTRE] > 0.95
    assert maps.fa[CENTRE] == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert angle_deg(maps.fibre[CENTRE], axis) < 2
    assert maps.cl[CENTRE] < 0.05


def test_blob():
    maps = compute_anisotropy(blob(), device="cpu")
    assert maps.cs[CENTRE] > 0.9
    assert maps.fa[CENTRE] < 0.1


@pytest.mark.parametrize("name", ["fa", "cl", "cp", "cs", "cp_norm", "lambda2_ratio", "principal_dir", "fibre_dir"])
def test_axis_aligned_phantoms_are_finite(name):
    # structure_tensor.eig_special_3d returns NaN vectors on all of these
    for volume in (sheet(np.eye(3)[1]), fibre(np.eye(3)[2]), np.ones((20, 20, 20)), np.zeros((5, 5, 5))):
        assert np.isfinite(getattr(compute_anisotropy(volume, device="cpu"), name)).all()


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_fibre_on_flat_voxels(seed):
    """A fibre at 45 degrees with dz = 3 dx: right with the spacing, tilted to 18 degrees without."""
    spacing = (3.0, 1.0, 1.0)
    axis = np.array([1.0, 0.0, 1.0]) / np.sqrt(2) if seed is None else rotation(seed)[1]
    volume = fibre(axis, shape=(25, 75, 75), spacing=spacing, width=6.0)
    maps = compute_anisotropy(volume, 3.0, 6.0, spacing_um=spacing, units="um", device="cpu")
    centre = (12, 37, 37)
    assert angle_deg(maps.fibre[centre], axis) < 2
    assert maps.fibreness[centre] > 0.95
    if seed is None:
        naive = compute_anisotropy(volume, 1.0, 2.0, device="cpu").fibre[centre]
        assert np.degrees(np.arctan2(abs(naive[0]), abs(naive[2]))) == pytest.approx(18.4, abs=2)


def test_directions_are_eigenvectors_and_not_matrix_rows():
    """The original toolkit returned row 0 of the eigenvector matrix as principal direction."""
    axis = rotation(11)[2]
    direction = compute_anisotropy(sheet(axis), device="cpu").principal_dir[CENTRE]
    assert np.linalg.norm(direction) == pytest.approx(1, abs=1e-6)
    assert angle_deg(direction, axis) < 2
    assert direction[np.abs(direction).argmax()] > 0


def test_border_makes_no_false_edge():
    volume = np.full((28, 28, 28), 5.0)
    volume[14, 14, 14] = 6.0
    maps = compute_anisotropy(volume, device="cpu")
    assert maps.eigenvalues[0, 0].max() == 0
    assert not maps.mask[0].any()


def test_masking_does_not_turn_background_spherical():
    volume = sheet(np.eye(3)[0])
    maps = compute_anisotropy(volume, mask=volume > 0.02, device="cpu")
    assert not maps.cs[~maps.mask].any()


@pytest.mark.parametrize("sigma", [0.6, 1.25, 1.5, 2.5])
def test_no_growth_for_even_kernels(sigma):
    assert compute_anisotropy(np.random.default_rng(0).random((16, 16, 16)), sigma, sigma, device="cpu").fa.shape == (
        16,
        16,
        16,
    )
