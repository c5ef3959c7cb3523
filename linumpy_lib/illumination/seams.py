"""How well neighbouring tiles agree where they overlap, and how much tiles bend: seams in figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.illumination.tile_pool import Float32, TilePool
from linumpy_lib.io.mosaic_grid import MosaicGrid

_NARROWEST_PX = 2


@dataclass(frozen=True)
class Seams:
    """Figures of a mosaic's seams; None where they cannot be measured.

    Attributes
    ----------
    seam_l1 : float or None
        Mean absolute difference of two tiles in their overlap, relative to their mean; median over pairs.
    seam_correlation : float or None
        Pearson correlation of two tiles in their overlap; median over pairs.
    seam_curvature : float or None
        Brightness that the mean tile's borders lack against its middle, relative to the middle; mean of both axes.
    """

    seam_l1: float | None
    seam_correlation: float | None
    seam_curvature: float | None


def overlap_fraction(grid: MosaicGrid) -> tuple[float, float] | None:
    """Overlap of neighbours along (y, x) as the stage tells it, fractions of a tile; None if it does not."""
    fractions = []
    for axis in (0, 1):
        steps = []
        for place, position in grid.stage_mm.items():
            neighbour = (place[0] + (axis == 0), place[1] + (axis == 1))
            if neighbour in grid.stage_mm:
                steps.append(abs(grid.stage_mm[neighbour][axis] - position[axis]) * 1000)
        extent = grid.field_of_view_um[axis]
        if extent <= 0 or (not steps and grid.grid[axis] > 1):
            return None
        fractions.append(1 - float(np.median(steps)) / extent if steps else 0.0)
    return fractions[0], fractions[1]


def measure_seams(pool: TilePool, overlap: tuple[float, float] | None) -> Seams:
    """Measure the seams of depth-averaged tiles.

    Parameters
    ----------
    pool : TilePool
        Pictures of the tiles.
    overlap : tuple of float, optional
        Overlap (y, x), fractions of a tile.

    Returns
    -------
    Seams
    """
    known = pool.weights.sum(axis=1)
    pictures = (pool.images * pool.weights).sum(axis=1) / np.maximum(known, 1)
    seen = known > 0
    differences, correlations = [], []
    index = {place: k for k, place in enumerate(pool.places)}
    for (row, column), k in index.items():
        for axis in (0, 1):
            other = index.get((row + (axis == 0), column + (axis == 1)))
            width = round(overlap[axis] * pictures.shape[1 + axis]) if overlap is not None else 0
            if other is None or not _NARROWEST_PX <= width < pictures.shape[1 + axis]:
                continue
            first, second = _strip(pictures[k], axis, -width), _strip(pictures[other], axis, width)
            both = _strip(seen[k], axis, -width) & _strip(seen[other], axis, width)
            a, b = first[both].astype(np.float64), second[both].astype(np.float64)
            if both.mean() < 0.5 or (a + b).mean() <= 0:
                continue
            differences.append(float(np.abs(a - b).mean() / ((a + b).mean() / 2)))
            if a.std() > 0 and b.std() > 0:
                correlations.append(float(np.corrcoef(a, b)[0, 1]))
    return Seams(
        float(np.median(differences)) if differences else None,
        float(np.median(correlations)) if correlations else None,
        _curvature(pictures, seen),
    )


def _strip(picture: npt.NDArray[Any], axis: int, width: int) -> npt.NDArray[Any]:
    part = slice(width, None) if width < 0 else slice(0, width)
    return picture[part] if axis == 0 else picture[:, part]


def _curvature(pictures: Float32, seen: npt.NDArray[np.bool_]) -> float | None:
    level = (pictures * seen).sum(axis=(1, 2)) / np.maximum(seen.sum(axis=(1, 2)), 1)
    good = level > 0
    if not good.any():
        return None
    relative = np.where(seen[good], pictures[good] / level[good, None, None], 1)
    mean = np.median(relative, axis=0)
    bends = []
    for axis in (0, 1):
        profile = mean.mean(axis=1 - axis)
        end = max(1, len(profile) // 8)
        middle = float(profile[3 * len(profile) // 8 : max(5 * len(profile) // 8, 3 * len(profile) // 8 + 1)].mean())
        bends.append(abs(middle - float(np.concatenate([profile[:end], profile[-end:]]).mean())) / middle)
    return float(np.mean(bends))
