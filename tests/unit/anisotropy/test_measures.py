"""Measures of known eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest

from linumpy_lib.anisotropy import anisotropy_measures
from linumpy_lib.errors import InputError, ParameterError


@pytest.mark.parametrize(
    ("eigenvalues", "fa", "cl", "cp", "cs", "cp_norm", "ratio"),
    [
        ((1, 0, 0), 1, 1, 0, 0, 1, 1),
        ((1, 1, 0), np.sqrt(0.5), 0, 1, 0, 0, 65504),
        ((1, 1, 1), 0, 0, 0, 1, 0, 1),
        ((0, 0, 0), 0, 0, 0, 0, 0, 0),
        ((4, 2, 1), np.sqrt((4 + 1 + 9) / 42), 0.5, 0.25, 0.25, 2 / 3, 2),
    ],
)
def test_known_values(eigenvalues, fa, cl, cp, cs, cp_norm, ratio):
    m = anisotropy_measures(np.array(eigenvalues, float)[:, None])
    got = [float(v[0]) for v in (m.fa, m.cl, m.cp, m.cs, m.cp_norm, m.lambda2_ratio)]
    assert got == pytest.approx([fa, cl, cp, cs, cp_norm, ratio], abs=1e-12)
    assert m.sheetness is m.cl
    assert m.fibreness is m.cp


def _random(dtype) -> np.ndarray:
    return -np.sort(-(np.random.default_rng(0).random((3, 5000)) ** 4), axis=0).astype(dtype)


@pytest.mark.parametrize("normalization", ["lambda1", "trace"])
@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-15), (np.float32, 3e-7)])
def test_shares_sum_to_one(normalization, dtype, bound):
    m = anisotropy_measures(_random(dtype), normalization)
    assert np.abs(m.cl + m.cp + m.cs - 1).max() < bound


def test_trace_and_seed_forms():
    values = _random(np.float64)
    total = values.sum(0)
    trace, seed, ours = (anisotropy_measures(values, n) for n in ("trace", "seed", "lambda1"))
    assert trace.cl == pytest.approx((values[0] - values[1]) / total)
    assert trace.cp == pytest.approx(2 * (values[1] - values[2]) / total)
    assert np.array_equal(seed.cs, trace.cs)
    assert np.array_equal(seed.cl, ours.cl)
    assert np.array_equal(seed.cp, ours.cp)


@pytest.mark.parametrize("gain", [1e-30, 1e-6, 1e6, 1e30])
def test_gain_changes_nothing(gain):
    values = _random(np.float32)
    a, b = anisotropy_measures(values), anisotropy_measures(values * np.float32(gain))
    for name in ("fa", "cl", "cp", "cs", "cp_norm"):
        assert np.abs(getattr(a, name) - getattr(b, name)).max() < 1e-4 if gain == 1e-30 else 1e-6


def test_small_eigenvalues_keep_their_shape():
    # the original toolkit cast to float16 first and got FA 0 here
    m = anisotropy_measures(np.array([3e-4, 1e-4, 1e-5], np.float32)[:, None])
    assert m.fa[0] == pytest.approx(0.81, abs=0.005)
    assert m.lambda2_ratio[0] == pytest.approx(10, rel=1e-6)


def test_bad_input():
    with pytest.raises(InputError, match="eigenvalues"):
        anisotropy_measures(np.zeros((2, 4)))
    with pytest.raises(ParameterError, match="normalization: 'westin'"):
        anisotropy_measures(np.zeros((3, 4)), "westin")
