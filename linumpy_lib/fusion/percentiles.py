"""Percentiles of counts, by the midpoint rule: value k (from 0) of n sorted ones stands for (k + 0.5) / n."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

COUNTS = 65536


def percentile(values: npt.NDArray[Any], percent: float) -> float:
    """Return a percentile of values, linear between them and constant outside; 0 of none.

    Examples
    --------
    >>> percentile(np.array([1, 2, 3, 4]), 25)
    1.5
    """
    if values.size == 0:
        return 0.0
    return float(np.percentile(values, percent, method="hazen"))


def percentile_of_counts(histogram: npt.NDArray[np.int64], percent: float) -> float:
    """Return what `percentile` would of the values that a histogram counted: entry k tells how many are k.

    Examples
    --------
    >>> percentile_of_counts(np.array([0, 1, 1, 1, 1]), 25)
    1.5
    """
    ends = np.cumsum(histogram)
    total = int(ends[-1])
    if total == 0:
        return 0.0
    rank = min(max(percent / 100 * total - 0.5, 0.0), total - 1.0)
    below = int(rank)
    low = int(np.searchsorted(ends, below, side="right"))
    high = int(np.searchsorted(ends, min(below + 1, total - 1), side="right"))
    return low + (rank - below) * (high - low)


def estimate_background(volume: npt.NDArray[Any], percentile: float = 5.0, subsample: int = 100) -> float:
    """Estimate the background of a view: a percentile of its voxels above zero.

    Parameters
    ----------
    volume : ndarray
        View (z, y, x), any real dtype.
    percentile : float
        Which percentile, 0 to 100.
    subsample : int
        Look at one voxel of this many, in C order.

    Returns
    -------
    float
        The background; 0 if no voxel is above zero.

    Examples
    --------
    >>> estimate_background(np.array([[[0, 3, 3, 3]]]), subsample=1)
    3.0
    """
    sample = np.asarray(volume).ravel()[::subsample]
    return _of(sample[sample > 0], percentile)


_of = percentile
