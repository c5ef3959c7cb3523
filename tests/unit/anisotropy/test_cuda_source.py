"""The CUDA kernel's maths, compiled by a host compiler, against LAPACK and the portable body."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
from support.anisotropy_truth import components, matrices, tensor_classes

from linumpy_lib.anisotropy import anisotropy_measures, eigen_decompose
from linumpy_lib.anisotropy.cuda import NORMALIZATIONS, RESULTS, solver_source

CLASSES = tensor_classes(2000)
HOST = r"""
#include <cmath>
#define ANISOTROPY_FUNCTION static inline
@SOLVER@
extern "C" void solve(
    const float *tensor, long long n, int normalization, float unscale, float *out, unsigned char *kept)
{
    float voxel[15];
    for (long long i = 0; i < n; ++i) {
        kept[i] = anisotropy_voxel(tensor[i], tensor[n + i], tensor[2 * n + i], tensor[3 * n + i], tensor[4 * n + i],
            tensor[5 * n + i], normalization, unscale, voxel);
        for (int c = 0; c < 15; ++c) out[c * n + i] = voxel[c];
    }
}
"""


@pytest.fixture(scope="module")
def solve(tmp_path_factory):
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler (g++ or clang++) on this machine")
    folder = tmp_path_factory.mktemp("cuda")
    source, library = folder / "solver.cpp", folder / "solver.so"
    source.write_text(HOST.replace("@SOLVER@", solver_source()), encoding="ascii")
    # GPUs contract a*b + c by default
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=fast", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", str(library), str(source)], check=True)
    function = ctypes.CDLL(str(library)).solve

    def call(tensor: np.ndarray, normalization: str = "lambda1", unscale: float = 1.0):
        tensor = np.ascontiguousarray(tensor, np.float32)
        n = tensor.shape[1]
        out, kept = np.empty((RESULTS, n), np.float32), np.empty(n, np.uint8)
        pointer = ctypes.c_void_p
        function(
            pointer(tensor.ctypes.data),
            ctypes.c_longlong(n),
            NORMALIZATIONS[normalization],
            ctypes.c_float(unscale),
            pointer(out.ctypes.data),
            pointer(kept.ctypes.data),
        )
        return out, kept

    return call


@pytest.mark.parametrize("name", CLASSES)
def test_every_class(solve, name):
    tensor = components(CLASSES[name], np.float32)
    out, kept = solve(tensor)
    exact = matrices(tensor)
    truth = np.linalg.eigvalsh(exact)[:, ::-1].T
    values, first, last = out[12:].astype(float), out[6:9].T.astype(float), out[9:12].T.astype(float)
    assert kept.all()
    assert np.isfinite(out).all()
    assert (np.diff(values, axis=0) <= 0).all()
    assert (np.abs(values - truth) / truth[0]).max() < 8e-7
    for value, vector in ((values[0], first), (values[2], last)):
        residual = np.einsum("nij,nj->ni", exact, vector) - value[:, None] * vector
        assert (np.abs(residual).max(1) / truth[0]).max() < 1.2e-6
        assert np.abs((vector**2).sum(1) - 1).max() < 1e-6
    assert np.abs((first * last).sum(1)).max() < 1e-6


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_measures(solve, normalization):
    tensor = components(CLASSES["random"], np.float32)
    out, _ = solve(tensor, normalization)
    system = eigen_decompose(tensor.astype(np.float64))
    expected = anisotropy_measures(system.eigenvalues, normalization)
    for i, name in enumerate(("fa", "cl", "cp", "cs")):
        assert np.abs(out[i] - getattr(expected, name)).max() < 2e-6, name
    assert (np.abs((out[6:9].T * system.e1).sum(1)) > 1 - 1e-5).all()


def test_zero_and_overflow(solve):
    tensor = np.zeros((6, 3))
    tensor[:3, 1] = 3e38  # the trace is infinite
    tensor[0, 2] = np.nan
    out, kept = solve(tensor)
    assert not kept.any()
    assert not out.any()
    out, _ = solve(np.array([[1.0], [2], [4], [0], [0], [0]]), unscale=0.5)
    assert out[12:, 0].tolist() == pytest.approx([2, 1, 0.5], rel=1e-6)
