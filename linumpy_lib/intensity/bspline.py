"""Uniform cubic B-splines on regular grids, one axis at a time.

A lattice of K control points along an axis has K - 3 spans; the first and the last node of the grid sit at the two ends
of the spanned interval. All fields of a volume are products of three such axes, so that fitting and evaluation are
small matrix products along each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

END_EPSILON = 1e-3
"""How far before the very end, in spans, a node at the end is evaluated: the value ITK uses."""


@dataclass(frozen=True)
class Axis:
    """Basis values of one axis at a list of positions.

    Attributes
    ----------
    points : int
        Number of control points.
    first : ndarray of int64, shape (n,)
        Index of the first of the four control points that act on each position.
    weights : ndarray of float32, shape (4, n)
        Values of the four basis functions there.
    """

    points: int
    first: npt.NDArray[np.int64]
    weights: Floats

    def dense(self, power: int = 1) -> Floats:
        """Return the basis values, each raised to `power`, as a (points, n) matrix."""
        matrix = np.zeros((self.points, self.first.size), np.float32)
        columns = np.arange(self.first.size)
        for k in range(4):
            matrix[self.first + k, columns] = self.weights[k] ** power
        return matrix

    def squares(self) -> Floats:
        """Return the sum of squared basis values at each position."""
        total: Floats = (self.weights**2).sum(axis=0)
        return total

    def runs(self) -> npt.NDArray[np.int64]:
        """Return where a new span starts in the list of positions, closed by its length."""
        starts = np.flatnonzero(np.diff(self.first)) + 1
        return np.concatenate([[0], starts, [self.first.size]]).astype(np.int64)


def cubic_axis(points: int, nodes: int, positions: npt.ArrayLike | None = None) -> Axis:
    """Evaluate the uniform cubic basis along one axis.

    Parameters
    ----------
    points : int
        Number of control points, at least 4.
    nodes : int
        Length of the grid whose first and last node span the lattice.
    positions : array_like, optional
        Where to evaluate, in nodes; values outside the grid take its nearest end. Default: the nodes.

    Returns
    -------
    Axis
        Basis values at the positions.
    """
    spans = points - 3
    where = np.arange(nodes, dtype=np.float64) if positions is None else np.asarray(positions, np.float64)
    where = np.clip(where * (spans / max(nodes - 1, 1)), 0.0, spans - END_EPSILON)
    first = np.floor(where).astype(np.int64)
    t = where - first
    weights = np.stack(
        [(1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6]
    )
    return Axis(points, first, weights.astype(np.float32))


def contract(array: Any, matrices: Sequence[Any], xp: Any = np) -> Any:
    """Multiply a (z, y, x) array by one matrix per axis, each of shape (rows, length of the axis)."""
    along_z, along_y, along_x = matrices
    array = xp.matmul(array, along_x.T)
    array = xp.matmul(along_y, array)
    return xp.tensordot(along_z, array, axes=(1, 0))


def refine(lattice: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Double the spans along every axis; the field stays exactly the same.

    Parameters
    ----------
    lattice : ndarray, shape (Kz, Ky, Kx)
        Control points.

    Returns
    -------
    ndarray, shape (2*Kz - 3, 2*Ky - 3, 2*Kx - 3)
        Control points of the finer lattice, same type.
    """
    for axis in range(3):
        c = np.moveaxis(lattice, axis, 0)
        fine = np.empty((2 * c.shape[0] - 3, *c.shape[1:]), lattice.dtype)
        fine[0::2] = (c[:-1] + c[1:]) / 2
        fine[1::2] = (c[:-2] + 6 * c[1:-1] + c[2:]) / 8
        lattice = np.ascontiguousarray(np.moveaxis(fine, 0, axis))
    return lattice


def interpolating_lattice(values: npt.NDArray[Any]) -> Floats:
    """Return the lattice, one span per grid step, whose field passes through the values of a grid.

    The second derivative is zero at both ends of each axis. An axis of one node becomes constant.

    Parameters
    ----------
    values : ndarray, shape (nz, ny, nx)
        Values at the nodes.

    Returns
    -------
    ndarray of float32, shape (nz + 2, ny + 2, nx + 2)
        Control points (at least 4 along each axis).
    """
    lattice: Any = np.asarray(values, np.float64)
    for axis, nodes in enumerate(values.shape):
        if nodes == 1:
            lattice = np.repeat(lattice, 4, axis=axis)
            continue
        system = np.zeros((nodes + 2, nodes + 2))
        rows = np.arange(nodes)
        for k, weight in enumerate((1 / 6, 4 / 6, 1 / 6)):
            system[rows + 1, rows + k] = weight
        system[0, :3] = system[-1, -3:] = (1, -2, 1)
        pad = [(1, 1) if a == axis else (0, 0) for a in range(3)]
        right = np.moveaxis(np.pad(lattice, pad), axis, 0)
        solved = np.linalg.solve(system, right.reshape(nodes + 2, -1)).reshape(right.shape)
        lattice = np.moveaxis(solved, 0, axis)
    return np.ascontiguousarray(lattice, np.float32)
