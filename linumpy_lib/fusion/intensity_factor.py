"""How bright two registered views are against each other where they meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.fusion.registration import Reader

Floats = npt.NDArray[np.float32]
_PLANES = 48


def background_level(read: Reader, shape: tuple[int, int, int], subsample: int, percentile: float = 5.0) -> float:
    """Percentile of the voxels above zero, of every so many voxels of planes spread over the view."""
    planes = np.unique(np.linspace(0, shape[0] - 1, min(shape[0], _PLANES)).round().astype(int))
    every = max(1, subsample * len(planes) // shape[0])
    values = [
        np.asarray(read((slice(int(k), int(k) + 1), slice(0, shape[1]), slice(0, shape[2])))).ravel()[::every]
        for k in planes
    ]
    sample = np.concatenate(values)
    sample = sample[sample > 0]
    return float(np.percentile(sample, percentile, method="hazen")) if sample.size else 0.0


def intensity_factor(
    reference: Floats,
    moving: Floats,
    topology: npt.NDArray[Any] | None,
    *,
    axis: int,
    slab_size: float,
    valid: npt.NDArray[np.bool_] | None = None,
) -> float:
    """Return the factor that brings the moving view to the reference's brightness.

    Parameters
    ----------
    reference, moving : ndarray of float32
        Registered views (z, y, x) without background.
    topology : ndarray, optional
        Where the views meet, from 1, 0 is nowhere; by default the middle.
    axis : {0, 2}
        Axis that the topology counts.
    slab_size : float
        Planes on each side that are compared.
    valid : ndarray of bool, optional
        Where the moving view has values.

    Returns
    -------
    float
        Ratio of sums over the voxels above zero in both views, near the topology where both are about equally deep.
        Everywhere if nothing lies there, 1 if the views do not meet.
    """
    level = np.full(np.delete(reference.shape, axis), (reference.shape[axis] + 1) / 2) if topology is None else topology
    places = np.arange(1, reference.shape[axis] + 1).reshape([-1 if k == axis else 1 for k in range(3)])
    near = np.abs(places - np.expand_dims(np.where(level > 0, level, -1e9), axis)) <= slab_size + 0.5
    met = (reference > 0) & (moving > 0)
    if valid is not None:
        met &= valid
    chosen = met & near if (met & near).sum() >= 100 else met
    if not chosen.any():
        return 1.0
    return float(reference[chosen].sum(dtype=np.float64) / moving[chosen].sum(dtype=np.float64))
