"""The closed-form solver holds for every class of tensor, in both precisions."""

from __future__ import annotations

import numpy as np
import pytest
from support.anisotropy_truth import components, matrices, tensor_classes

from linumpy_lib.anisotropy import eigen_decompose
from linumpy_lib.errors import InputError

CLASSES = tensor_classes()
# fractions of the largest eigenvalue
BOUND = {np.float64: 4e-15, np.float32: 8e-7}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CLASSES)
def test_every_class(name, dtype):
    tensor = components(CLASSES[name], dtype)
    exact = matrices(tensor)
    values, *vectors = eigen_decompose(tensor)
    truth = np.linalg.eigvalsh(exact)[:, ::-1].T
    largest = np.maximum(truth[0], np.finfo(np.float64).tiny)
    assert values.dtype == dtype
    assert (values[0] >= values[1]).all()
    assert (values[1] >= values[2]).all()
    assert (values[2] >= 0).all()
    assert (np.abs(values - truth) / largest).max() < BOUND[dtype]
    frame = np.stack(vectors, 1).astype(np.float64)
    assert np.isfinite(frame).all()
    assert np.abs(frame @ frame.transpose(0, 2, 1) - np.eye(3)).max() < BOUND[dtype]
    for value, vector in zip(values, vectors, strict=True):
        v = vector.astype(np.float64)
        residual = np.einsum("nij,nj->ni", exact, v) - value[:, None] * v
        assert (np.abs(residual).max(1) / largest).max() < 1.5 * BOUND[dtype]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_zero_tensor_has_a_frame(dtype):
    values, *vectors = eigen_decompose(np.zeros((6, 2, 3, 4), dtype))
    assert not values.any()
    frame = np.stack(vectors, -2)
    assert np.array_equal(frame @ frame.swapaxes(-1, -2), np.broadcast_to(np.eye(3), (2, 3, 4, 3, 3)))


def test_known_tensor():
    system = eigen_decompose(np.array([1.0, 3.0, 2.0, 0, 0, 0]))
    assert system.eigenvalues.tolist() == pytest.approx([3, 2, 1], abs=1e-15)
    assert system.e1 == pytest.approx([0, 1, 0])
    assert system.e2 == pytest.approx([0, 0, 1])
    assert system.e3 == pytest.approx([1, 0, 0])


def test_sign_rule():
    tensor = components(CLASSES["random"], np.float32)
    for vector in eigen_decompose(tensor)[1:]:
        lead = np.take_along_axis(vector, np.abs(vector).argmax(-1)[:, None], -1)
        assert (lead > 0).all()


def test_sign_of_ties_goes_to_the_first_axis():
    half = np.float64(0.5)
    # e1 = (1, -1, 0) / sqrt 2 up to its sign: z and y tie, z wins
    system = eigen_decompose(np.array([half, half, 0, -half, 0, 0]))
    assert system.e1 == pytest.approx([np.sqrt(0.5), -np.sqrt(0.5), 0])


def test_shapes_and_integers():
    system = eigen_decompose(np.array([2, 3, 4, 0, 0, 0]).reshape(6, 1, 1, 1))
    assert system.eigenvalues.shape == (3, 1, 1, 1)
    assert system.e1.shape == (1, 1, 1, 3)
    assert system.eigenvalues.dtype == np.float32
    assert eigen_decompose(np.zeros((6, 0))).eigenvalues.shape == (3, 0)


@pytest.mark.parametrize("bad", [np.zeros((5, 4)), np.zeros((6, 2), complex), np.full((6, 2), np.nan)])
def test_bad_tensors(bad):
    with pytest.raises(InputError, match="tensor"):
        eigen_decompose(bad)
