"""Smooth fields as sums of cosines, which can be evaluated on any grid of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def cosine_basis(length: int, order: int) -> Float64:
    """Orthonormal cosines of one axis (DCT-II), sampled at pixel centres.

    Parameters
    ----------
    length : int
        Pixels.
    order : int
        Cosines; at most `length` of them are independent.

    Returns
    -------
    float64 array, shape (order, length)
        Row 0 is constant. ``basis @ basis.T`` is the identity.
    """
    k, position = np.arange(order)[:, None], (np.arange(length) + 0.5) / length
    basis: Float64 = np.cos(np.pi * k * position) * np.sqrt(np.where(k == 0, 1, 2) / length)
    return basis


def coefficients_of(field: Float64, bases: Sequence[Float64]) -> Float64:
    """Find the cosines of a field.

    Parameters
    ----------
    field : float64 array, shape (y, x)
        Its values.
    bases : two float64 arrays, shapes (ky, y) and (kx, x)
        `cosine_basis` of each axis.

    Returns
    -------
    float64 array, shape (ky, kx)
        As `evaluate` takes them.
    """
    result: Float64 = bases[0] @ field @ bases[1].T
    return result


def evaluate(coefficients: npt.ArrayLike, grid: tuple[int, int], shape: tuple[int, int]) -> Float64:
    """Evaluate a field on another grid over the same area.

    Parameters
    ----------
    coefficients : array_like, shape (..., ky, kx)
        Of the orthonormal cosines of `grid`.
    grid : tuple of int
        Pixels (y, x) that the coefficients were fitted on.
    shape : tuple of int
        Pixels (y, x) to evaluate at.

    Returns
    -------
    float64 array, shape (..., y, x)
    """
    values = np.asarray(coefficients, np.float64)
    along_y = cosine_basis(shape[0], values.shape[-2]) * np.sqrt(shape[0] / grid[0])
    along_x = cosine_basis(shape[1], values.shape[-1]) * np.sqrt(shape[1] / grid[1])
    field: Float64 = along_y.T @ values @ along_x
    return field
