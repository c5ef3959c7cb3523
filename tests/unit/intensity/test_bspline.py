from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from linumpy_lib.intensity.bspline import contract, cubic_axis, interpolating_lattice, refine


@pytest.mark.parametrize(("points", "nodes"), [(4, 9), (7, 20), (11, 6), (20, 5), (4, 1)])
def test_basis_sums_to_one_and_dense_matches_the_four_weights(points: int, nodes: int) -> None:
    axis = cubic_axis(points, nodes)
    assert_allclose(axis.weights.sum(axis=0), 1, atol=1e-6)
    assert axis.first.min() >= 0
    assert axis.first.max() + 3 < points
    dense = axis.dense()
    for n in range(nodes):
        assert_allclose(dense[axis.first[n] : axis.first[n] + 4, n], axis.weights[:, n])


def test_a_line_of_control_points_is_a_line() -> None:
    axis = cubic_axis(9, 31)
    values = np.arange(9, dtype=np.float32) @ axis.dense()
    assert_allclose(values, np.linspace(1, 7, 31), atol=2e-3)  # the last node sits a thousandth of a span inside


def test_positions_beyond_the_grid_take_its_ends() -> None:
    axis = cubic_axis(6, 10, [-3.0, 0.0, 9.0, 14.0])
    assert_allclose(axis.weights[:, 0], axis.weights[:, 1])
    assert_allclose(axis.weights[:, 3], axis.weights[:, 2])


def test_runs_list_where_spans_begin() -> None:
    axis = cubic_axis(7, 13)
    runs = axis.runs()
    assert runs[0] == 0
    assert runs[-1] == 13
    for a, b in pairwise(runs):
        assert len(set(axis.first[a:b])) == 1


def test_refining_keeps_the_field() -> None:
    shape, lattice = (7, 9, 8), np.random.default_rng(0).standard_normal((4, 5, 7)).astype(np.float32)
    fine = refine(lattice)
    assert fine.shape == (5, 7, 11)

    def field(c: np.ndarray) -> np.ndarray:
        # inside only: at the very end each lattice steps back a thousandth of its own span
        return contract(c, [cubic_axis(k, n).dense().T for k, n in zip(c.shape, shape, strict=True)])

    assert_allclose(field(fine)[:-1, :-1, :-1], field(lattice)[:-1, :-1, :-1], atol=2e-6)


@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 4, 3), (2, 2, 9)])
def test_interpolating_lattice_passes_through_every_value(shape: tuple[int, int, int]) -> None:
    values = np.random.default_rng(1).standard_normal(shape)
    lattice = interpolating_lattice(values)
    axes = [cubic_axis(k, n) for k, n in zip(lattice.shape, shape, strict=True)]
    assert_allclose(contract(lattice, [a.dense().T for a in axes]), values, atol=0.02)
