"""The structure tensor against scipy, structure-tensor and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from support.anisotropy_truth import oracle_tensor

from linumpy_lib.anisotropy import CoarseScaleWarning, eigen_decompose, structure_tensor
from linumpy_lib.errors import InputError, ParameterError

NOISE = np.random.default_rng(3).random((19, 22, 25), dtype=np.float32)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 1.25, 1.5, (1.0, 1.5, 2.5)])
@pytest.mark.parametrize("rho", [0.5, 2.0, (0.0, 1.0, 3.0)])
def test_two_scipy_passes(sigma, rho):
    tensor = structure_tensor(NOISE, sigma, rho, device="cpu")
    truth = oracle_tensor(NOISE, sigma, rho)
    assert tensor.dtype == np.float32
    assert tensor.shape == (6, *NOISE.shape)
    assert np.abs(tensor - truth).max() < 1e-6 * truth.max()
    double = structure_tensor(NOISE, sigma, rho, dtype=np.float64, device="cpu")
    assert np.abs(double - truth).max() < 1e-14 * truth.max()


def test_ramp_has_unit_gain():
    ramp = np.broadcast_to(np.arange(40.0)[:, None, None], (40, 9, 9))
    for options in ({"gradient": "sobel"}, {"sigma": 1.0}, {"sigma": 2.0, "truncate": 6.0}):
        tensor = structure_tensor(ramp, **{"rho": 1.0, "device": "cpu", **options})
        assert tensor[0, 20, 4, 4] == pytest.approx(1, abs=0.003)
        assert not tensor[1:, 20, 4, 4].any()


def test_spacing_and_micrometres():
    spacing = (3.0, 1.0, 0.5)
    physical = structure_tensor(NOISE, (6, 2, 1), (6, 2, 1), spacing_um=spacing, units="um", device="cpu")
    truth = oracle_tensor(NOISE, 2, 2, spacing)
    assert np.abs(physical - truth).max() < 1e-6 * truth.max()


def test_coarse_scale_warns_and_uses_central_differences():
    with pytest.warns(CoarseScaleWarning, match=r"z 0\.33"):
        tensor = structure_tensor(NOISE, 1.0, 2.0, spacing_um=(3, 1, 1), units="um", device="cpu")
    assert np.isfinite(tensor).all()
    ramp = np.broadcast_to(np.arange(30.0)[:, None, None], (30, 9, 9))
    with pytest.warns(CoarseScaleWarning):
        flat = structure_tensor(ramp, (0.0, 1, 1), 1.0, device="cpu")
    assert flat[0, 15, 4, 4] == pytest.approx(1, abs=1e-5)


def test_structure_tensor_package():
    peer = pytest.importorskip("structure_tensor", reason="the peer is a development extra")
    ours = structure_tensor(NOISE, 1.0, 2.0, device="cpu")
    # its names run x, y, z over array axes 2, 1, 0: xx, yy, zz, xy, xz, yz
    theirs = peer.structure_tensor_3d(NOISE, sigma=1.0, rho=2.0, truncate=4.0)
    for i, j in zip((0, 1, 2, 3, 4, 5), (2, 1, 0, 5, 4, 3), strict=True):
        np.testing.assert_allclose(ours[i], theirs[j], atol=2e-7 * float(theirs.max()))
    values, _ = peer.eig_special_3d(theirs.astype(np.float64))
    mine = eigen_decompose(ours).eigenvalues
    assert np.abs(np.sort(values, 0)[::-1] - mine).max() < 2e-6 * mine.max()


def test_scikit_image_sobel_gain():
    feature = pytest.importorskip("skimage.feature", reason="the peer is a development extra")
    stack = np.random.default_rng(5).integers(0, 65536, (12, 40, 40), dtype=np.uint16)
    sigma = (1, 1.5, 2.5)
    peer = feature.structure_tensor(stack, sigma=sigma, mode="nearest", order="rc")
    values = feature.structure_tensor_eigenvalues(peer)
    tensor = structure_tensor(stack / 65535, gradient="sobel", rho=sigma, dtype=np.float64, device="cpu")
    for i, j in zip((0, 1, 2, 3, 4, 5), (0, 3, 5, 1, 2, 4), strict=True):
        np.testing.assert_allclose(1024 * tensor[i], peer[j], atol=1e-9 * values.max())
    np.testing.assert_allclose(1024 * eigen_decompose(tensor).eigenvalues, values, rtol=1e-9)


def test_kidney_of_the_tutorial():
    """Exact figures of the tutorial: 1024 times the eigenvalues of unit gain, border 0."""
    data = pytest.importorskip("skimage.data", reason="the peer is a development extra")
    try:
        sample = data.kidney()[5:13, 380:410, 370:400, 1]
    except (OSError, ValueError, ModuleNotFoundError) as error:
        pytest.skip(f"skimage.data.kidney() is not on this machine and cannot be downloaded: {error}")
    padded = np.pad(sample / 65535, 20)
    tensor = structure_tensor(padded, gradient="sobel", rho=(1, 1.5, 2.5), dtype=np.float64, device="cpu")
    values = 1024 * eigen_decompose(tensor).eigenvalues[:, 21, 42, 36]
    assert values == pytest.approx([0.06840962, 0.03913327, 0.00442455], abs=2e-3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 20, 20), (2, 7, 9), (5, 5, 30)])
def test_axes_shorter_than_the_kernel(shape):
    volume = np.random.default_rng(0).random(shape)
    tensor = structure_tensor(volume, device="cpu", dtype=np.float64)
    assert np.abs(tensor - oracle_tensor(volume, 1, 2)).max() < 1e-15


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"volume": np.zeros((4, 4))}, InputError, "2 axes"),
        ({"volume": np.zeros((4, 0, 4))}, InputError, "empty"),
        ({"volume": np.zeros((4, 4, 4), complex)}, InputError, "complex"),
        ({"volume": np.zeros((4, 4, 4), bool)}, InputError, "boolean"),
        ({"volume": np.full((4, 4, 4), "a")}, InputError, "type"),
        ({"volume": np.full((4, 4, 4), np.nan)}, InputError, "NaN"),
        ({"spacing_um": 0}, InputError, "spacing_um"),
        ({"spacing_um": (1, -1, 1)}, InputError, "spacing_um"),
        ({"spacing_um": np.inf}, InputError, "spacing_um"),
        ({"units": "um"}, InputError, "spacing_um"),
        ({"sigma": -1}, ParameterError, "sigma"),
        ({"sigma": (1, 2)}, ParameterError, "sigma"),
        ({"rho": np.nan}, ParameterError, "rho"),
        ({"rho": "wide"}, ParameterError, "rho"),
        ({"gradient": "scharr"}, ParameterError, "gradient"),
        ({"units": "nm"}, ParameterError, "units"),
        ({"truncate": 0}, ParameterError, "truncate"),
        ({"dtype": np.int32}, InputError, "dtype"),
    ],
)
def test_bad_input(change, error, text):
    with pytest.raises(error, match=text):
        structure_tensor(**{"volume": np.zeros((4, 4, 4)), "device": "cpu", **change})
