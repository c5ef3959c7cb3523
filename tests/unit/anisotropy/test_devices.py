"""The portable body agrees with the CPU's fused kernel."""

from __future__ import annotations

import numpy as np
import pytest

from linumpy_lib.anisotropy import AnisotropyPlan, anisotropy_block, compute_anisotropy, structure_tensor
from linumpy_lib.device import Device, get_device

DEVICES = [
    pytest.param("torch", id="torch on the CPU"),
    pytest.param("cuda", marks=pytest.mark.gpu),
    pytest.param("mps", marks=pytest.mark.mps),
]
TOLERANCE = 1e-5


@pytest.fixture
def device(request) -> Device:
    if request.param == "torch":
        pytest.importorskip("torch", reason="the torch extra is not installed")
        return Device.torch("cpu")
    return get_device(request.param)


def smooth_noise(shape=(24, 30, 36)) -> np.ndarray:
    return np.random.default_rng(5).random(shape, dtype=np.float32)


@pytest.mark.parametrize("device", DEVICES, indirect=True)
@pytest.mark.parametrize("normalization", ["lambda1", "trace", "seed"])
def test_parity(device, normalization):
    volume = smooth_noise()
    ours = compute_anisotropy(volume, normalization=normalization, device=device)
    cpu = compute_anisotropy(volume, normalization=normalization, device="cpu")
    for name in ("fa", "cl", "cp", "cs", "cp_norm"):
        assert np.abs(getattr(ours, name) - getattr(cpu, name)).max() < TOLERANCE, name
    assert np.abs(ours.lambda2_ratio / cpu.lambda2_ratio - 1).max() < TOLERANCE
    assert np.abs(ours.eigenvalues - cpu.eigenvalues).max() < TOLERANCE * cpu.eigenvalues.max()
    for name in ("principal_dir", "fibre_dir"):
        assert (1 - np.abs((getattr(ours, name) * getattr(cpu, name)).sum(-1))).max() < TOLERANCE, name
    assert ours.mask.all()


@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_mask_threshold_nonfinite_and_types(device):
    volume = (smooth_noise() * 200).astype(np.uint8)
    plan = AnisotropyPlan(mask_threshold=50, outputs=frozenset({"measures", "eigenvalues"}))
    chosen = np.zeros((10, 20, 20), bool)
    chosen[2:8, 3:15, 5:18] = True
    inner = (slice(12, 22), slice(0, 20), slice(10, 30))
    ours = anisotropy_block(volume, inner, plan, mask=chosen, device=device)
    cpu = anisotropy_block(volume, inner, plan, mask=chosen)
    assert np.array_equal(ours.mask, cpu.mask)
    assert ours.masked == cpu.masked
    assert ours.measures.dtype == np.float16
    assert np.abs(ours.measures[:5].astype(float) - cpu.measures[:5]).max() < 1e-3
    floats = volume.astype(np.float64)
    floats[3, 4, 5] = np.nan
    maps = compute_anisotropy(floats, device=device)
    assert maps.nonfinite == 1
    assert not maps.mask[3, 4, 5]
    assert np.isfinite(maps.fa).all()


@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_flat_and_extreme(device):
    assert not compute_anisotropy(np.full((9, 9, 9), 0.3), device=device).mask.any()
    a, b = (compute_anisotropy(smooth_noise() * g, device=device).fa for g in (np.float64(1), 1e-25))
    assert np.abs(a - b).max() < TOLERANCE


@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_structure_tensor_with_spacing(device):
    options = {"sigma": 1.0, "rho": (1, 2, 2), "spacing_um": (3, 1, 1)}
    ours = structure_tensor(smooth_noise(), device=device, **options)
    cpu = structure_tensor(smooth_noise(), device="cpu", **options)
    assert np.abs(ours - cpu).max() < 1e-6 * cpu.max()


def test_numpy_body_is_the_same_maths():
    """The portable body on NumPy against the fused kernel, without any extra installed."""
    from linumpy_lib.anisotropy.block import allocate_block
    from linumpy_lib.anisotropy.portable import compute_on_device

    plan = AnisotropyPlan(dtype="float32", mask_threshold=0.2)
    volume = smooth_noise()
    out = allocate_block(volume.shape, plan)
    compute_on_device(get_device("cpu"), volume, (0, 0, 0), plan, None, out)
    cpu = anisotropy_block(volume, (slice(None),) * 3, plan)
    assert np.array_equal(out.mask, cpu.mask)
    assert np.abs(out.measures[:5] - cpu.measures[:5]).max() < TOLERANCE
    assert (np.abs((out.fibre_dir * cpu.fibre_dir).sum(0)[cpu.mask > 0]) > 1 - TOLERANCE).all()
