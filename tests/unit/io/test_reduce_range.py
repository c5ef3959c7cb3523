"""Value ranges of float16 come from bit patterns; they equal those of the values."""

import itertools

import numpy as np
import pytest

from linumpy_lib.io.reduce import value_range

SPECIAL = np.array([0.0, -0.0, 6e-8, -6e-8, 1.0, -1.0, 0.5, -2.5, 65504.0, -65504.0], np.float16)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_half_range_equals_that_of_the_values(count):
    for values in itertools.product(SPECIAL, repeat=count):
        block = np.array(values, np.float16).reshape(1, 1, -1)
        assert value_range(block) == (float(block.min()), float(block.max()))


def test_half_range_leaves_out_what_is_not_finite():
    block = np.array([[[np.nan, -1.5, np.inf, 2.0, -np.inf]]], np.float16)
    assert value_range(block) == (-1.5, 2.0)
    assert value_range(np.full((1, 1, 3), np.nan, np.float16)) is None


def test_half_range_of_a_strided_view():
    block = np.random.default_rng(0).normal(size=(4, 6, 8)).astype(np.float16)
    part = block[::2, 1::2, ::3]
    assert value_range(part) == (float(part.min()), float(part.max()))
