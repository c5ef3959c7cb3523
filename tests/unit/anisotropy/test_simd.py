"""Float16 conversion of the kernels, bit for bit against NumPy, in hardware and by integers."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="module")
def converters():
    import numba

    from linumpy_lib.anisotropy.cpu.simd import load, store, store_half_by_integers

    @numba.njit
    def by_default(values, out):
        for i in range(0, values.shape[0], 16):
            store(out, i, load(values, i))

    @numba.njit
    def by_integers(values, out):
        for i in range(0, values.shape[0], 16):
            store_half_by_integers(out, i, load(values, i))

    return {"default": by_default, "integers": by_integers}


def interesting_floats() -> np.ndarray:
    """Every float16, the midpoints between neighbours and their neighbours, specials, and a sweep of all exponents."""
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32).view(np.uint32)
    near = np.concatenate([halves + d for d in (0, 1, 0xFFF, 0x1000, 0x1001, 0x1FFF)])
    special = [0x7F800000, 0x7F800001, 0x7FC00000, 0x477FEFFF, 0x477FF000, 0x33000000, 0x33000001, 0x32FFFFFF, 1]
    sweep = np.arange(0, 2**31, 9973)
    bits = np.concatenate([near, special, sweep]).astype(np.uint32)
    bits = np.concatenate([bits, bits | 0x80000000]).astype(np.uint32)
    return np.concatenate([bits, np.zeros(-len(bits) % 16, np.uint32)]).view(np.float32)


@pytest.mark.parametrize("path", ["default", "integers"])
def test_half_is_numpys(converters, path):
    values = interesting_floats()
    out = np.empty(values.shape, np.uint16)
    converters[path](values, out)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float16)
    number = ~np.isnan(values)
    assert np.array_equal(out[number], expected.view(np.uint16)[number])
    assert np.isnan(out.view(np.float16)[~number]).all()
