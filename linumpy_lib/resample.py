"""Change the voxel size of a tile: anti-aliased, without any shift, up to its very border."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_TOLERANCE = 1e-6


def resampled_length(length: int, spacing: float, target: float) -> int:
    """Voxels of size `target` that lie wholly inside `length` voxels of size `spacing`, at least one.

    Examples
    --------
    >>> resampled_length(100, 1.5, 10.0)
    15
    """
    return max(1, int(length * spacing / target + _TOLERANCE))


def resampling_matrix(length: int, spacing: float, target: float) -> Array:
    """Weights of linear resampling along one axis, the triangle widened to the coarser of the two spacings.

    Output voxel k covers [k, k + 1) target from the start of the axis, so that positions stay where they are. Beyond
    the ends the signal is continued point-symmetrically, which keeps straight lines straight: no border shift.

    Parameters
    ----------
    length : int
        Input voxels.
    spacing, target : float
        Size of input and output voxels, any one unit.

    Returns
    -------
    ndarray of float32, shape (resampled_length, length)
        The identity if the sizes are equal. Rows sum to one.
    """
    count = resampled_length(length, spacing, target)
    factor = target / spacing
    if abs(factor - 1) < _TOLERANCE or length == 1:
        return np.eye(count, length, dtype=np.float32)
    reach = max(factor, 1.0)
    weights = np.zeros((count, length))
    for k in range(count):
        centre = (k + 0.5) * factor - 0.5
        first, last = int(np.ceil(centre - reach)), int(np.floor(centre + reach))
        index = np.arange(first, last + 1)
        weight = np.clip(1 - np.abs(index - centre) / reach, 0, None)
        weight /= weight.sum()
        # Straight lines must map to straight lines: a discrete triangle's centre of mass is off by a little.
        weight += _recentre(index, weight, centre)
        for i, w in zip(index, weight, strict=True):
            _add(weights[k], int(i), float(w))
    return weights.astype(np.float32)


def _recentre(index: Array, weight: Array, centre: float) -> Array:
    """Correction, proportional to the weights, that moves their centre of mass to `centre`."""
    offset = index - centre
    mean = float((weight * offset).sum())
    spread = float((weight * offset**2).sum()) - mean**2
    return np.zeros_like(weight) if spread < 1e-12 else -weight * (offset - mean) * mean / spread


def _add(row: Array, index: int, weight: float) -> None:
    """Add a sample's weight, continuing the signal beyond the ends: v(-i) = 2 v(0) - v(i)."""
    last = len(row) - 1
    if index < 0:
        mirrored = min(-index, last)
        row[0] += 2 * weight
        row[mirrored] -= weight
    elif index > last:
        mirrored = max(2 * last - index, 0)
        row[last] += 2 * weight
        row[mirrored] -= weight
    else:
        row[index] += weight


def resample(volume: Any, matrices: Sequence[Any]) -> Any:
    """Apply one matrix for each axis.

    Parameters
    ----------
    volume : array, shape (z, y, x)
        Voxels, on any device.
    matrices : sequence of array
        From `resampling_matrix`, on the same device, for z, y, x.

    Returns
    -------
    array of float32, shape (z', y', x')
    """
    for axis, matrix in enumerate(matrices):
        if _is_identity(matrix):
            continue
        if axis == 0:
            volume = (matrix @ volume.reshape(volume.shape[0], -1)).reshape(-1, *volume.shape[1:])
        elif axis == 1:
            volume = matrix @ volume
        else:
            volume = volume @ matrix.T
    return volume


def _is_identity(matrix: Any) -> bool:
    return matrix.shape[0] == matrix.shape[1] and bool((matrix.diagonal() == 1).all())
