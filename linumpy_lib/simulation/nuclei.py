"""A procedural sample for light-sheet microscopy: textured nuclei in a dim haze."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_RADII_PX = (4.0, 7.0)
_EDGE_PX = 0.5
_TEXTURE = 0.12
_HAZE = 0.02


def nuclei(shape: Sequence[int], fill: float, seed: int) -> npt.NDArray[np.float32]:
    """Draw soft ellipsoids with fine texture in a haze.

    Parameters
    ----------
    shape : sequence of int
        Voxels along z, y, x.
    fill : float
        Share of the volume that they would fill without overlaps.
    seed : int
        Seed; equal seeds give equal volumes.

    Returns
    -------
    ndarray of float32
        (z, y, x), values from 0 to about 1.
    """
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    volume = np.zeros(tuple(shape), np.float32)
    count = math.ceil(fill * volume.size / (4 / 3 * np.pi * float(np.mean(_RADII_PX)) ** 3))
    for _ in range(count):
        radii = rng.uniform(*_RADII_PX, 3)
        centre = np.array([rng.uniform(0, n) for n in shape])
        brightness = rng.uniform(0.3, 1.0)
        low = np.maximum(np.floor(centre - 2 * radii), 0).astype(int)
        high = np.minimum(np.ceil(centre + 2 * radii) + 1, shape).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        squared = sum(
            ((np.arange(a, b).reshape([-1 if k == axis else 1 for k in range(3)]) - c) / r) ** 2
            for axis, (a, b, c, r) in enumerate(zip(low, high, centre, radii, strict=True))
        )
        edge = np.clip((np.sqrt(squared) - 1) * radii.mean() / _EDGE_PX, -50, 50)
        volume[box] = np.maximum(volume[box], brightness / (1 + np.exp(edge)))
    texture = ndimage.gaussian_filter(rng.standard_normal(volume.shape, np.float32), 1.5)
    volume *= 1 + _TEXTURE * texture / texture.std()
    coarse = [max(2, n // 8) for n in shape]
    haze = ndimage.gaussian_filter(rng.standard_normal(coarse, np.float32), 2.0)
    haze = ndimage.zoom(haze, [n / c for n, c in zip(shape, coarse, strict=True)], order=1)
    volume += _HAZE * np.clip(1 + 0.5 * haze / haze.std(), 0, 3)
    sample: npt.NDArray[np.float32] = np.maximum(volume, 0)
    return sample
