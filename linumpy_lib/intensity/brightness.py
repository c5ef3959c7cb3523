"""Brightness of slices: background and white level of each plane, and factors that match slices with one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.intensity.agarose import find_materials
from linumpy_lib.intensity.slice_columns import BinnedSlice, block_width, clean

if TYPE_CHECKING:
    from linumpy_lib.io import Volume

Doubles = npt.NDArray[np.float64]

BINS = 4096
TISSUE_PERCENTILE = 99.0
FEWEST_VOXELS = 500
AGAROSE_SIGMA_PX = 1.0


@dataclass(frozen=True)
class Brightness:
    """Levels of one slice.

    Attributes
    ----------
    background : ndarray, shape (z,)
        Median of the agarose in each plane; 0 where there is none.
    white : ndarray, shape (z,)
        Upper percentile of all voxels in each plane.
    reference : float
        99th percentile of the tissue above the background; 0 if there is too little tissue.
    tissue_voxels : int
        Voxels that it comes from.
    threshold : float
        Brightness that separates agarose from tissue.
    agarose, tissue : float
        Fractions of the columns.
    """

    background: Doubles
    white: Doubles
    reference: float
    tissue_voxels: int
    threshold: float
    agarose: float
    tissue: float


def _quantile(counts: npt.NDArray[np.int64], fraction: float, top: float) -> float:
    total = int(counts.sum())
    if total == 0:
        return 0.0
    cumulative = np.concatenate([[0], np.cumsum(counts)]) / total
    edges = np.linspace(0, np.sqrt(top), counts.size + 1) ** 2
    return float(np.interp(fraction, cumulative, edges))


def measure_brightness(
    volume: Volume, binned: BinnedSlice, clip_percentile: float, *, threads: int = 1, progress: bool = False
) -> Brightness:
    """Measure the levels of a slice in one pass, from histograms of each plane.

    Parameters
    ----------
    volume : Volume
        The slice (z, y, x).
    binned : BinnedSlice
        Its mean A-lines.
    clip_percentile : float
        Percentile of `white`.
    threads : int
        Blocks to count at once.
    progress : bool
        Show progress.
    """
    from linumpy_lib.blocks import grid, stream

    materials = find_materials(binned, slice(0, None), 0.0, AGAROSE_SIGMA_PX)
    depth, top = binned.shape[0], binned.highest
    # bins of the square root: as fine for the dim as for the bright
    scale = np.float32(BINS / np.sqrt(top))
    agarose = np.zeros((depth, BINS), np.int64)
    tissue, everything = np.zeros_like(agarose), np.zeros_like(agarose)
    width = block_width(depth)

    def count(found: tuple[npt.NDArray[Any], tuple[slice, ...]]) -> list[npt.NDArray[np.int64]]:
        values, region = clean(found[0]), found[1]
        lit = values.any(axis=0)
        columns = [
            (binned.expand(plane.astype(np.float32), region) >= 0.5) & lit
            for plane in (materials.agarose, materials.tissue)
        ]
        out = np.zeros((3, depth, BINS), np.int64)
        for z in range(depth):
            index = np.minimum((np.sqrt(values[z]) * scale).astype(np.int32), BINS - 1)
            for k, chosen in enumerate((*columns, lit)):
                out[k, z] = np.bincount(index[chosen], minlength=BINS)
        return list(out)

    def add(_region: tuple[slice, ...], counts: list[npt.NDArray[np.int64]]) -> None:
        for total, part in zip((agarose, tissue, everything), counts, strict=True):
            np.add(total, part, out=total)

    stream(
        list(grid(binned.shape, (depth, width, width))),
        lambda region: (volume.read(region), region),
        count,
        add,
        threads=threads,
        queue=1,
        description="count",
        progress=progress,
    )
    background = np.array([_quantile(plane, 0.5, top) for plane in agarose])
    white = np.array([_quantile(plane, clip_percentile / 100, top) for plane in everything])
    reference, voxels = _reference(tissue, background, white, top)
    known = max(1, int(binned.known.sum()))
    return Brightness(
        background,
        white,
        reference,
        voxels,
        materials.threshold,
        float(materials.agarose.sum() / known),
        float((materials.tissue & binned.known).sum() / known),
    )


def _reference(tissue: npt.NDArray[np.int64], background: Doubles, white: Doubles, top: float) -> tuple[float, int]:
    """99th percentile over all planes of the tissue's voxels, clipped and above their plane's background."""
    voxels = int(tissue.sum())
    if voxels < FEWEST_VOXELS:
        return 0.0, voxels
    centres = ((np.arange(BINS) + 0.5) / BINS) ** 2 * top
    values = np.maximum(np.minimum(centres, white[:, None]) - background[:, None], 0).ravel()
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(tissue.ravel()[order])
    at = min(int(np.searchsorted(cumulative, TISSUE_PERCENTILE / 100 * voxels)), len(order) - 1)
    return float(values[order[at]]), voxels


def match_factors(
    ids: Sequence[int],
    references: Sequence[float],
    voxels: Sequence[int],
    *,
    sigma: float,
    limits: tuple[float, float],
) -> tuple[float, Doubles, Doubles]:
    """Factors that bring slices to one brightness.

    With q the reference of each slice and Q the median of its smoothed course over the slices, a slice is multiplied
    by ``Q / q_smooth``, within limits. Slices with fewer than 500 tissue voxels weigh nothing and take what their
    neighbours say.

    Parameters
    ----------
    ids : sequence of int
        Slice ids, rising; the smoothing goes over them, so that gaps count.
    references, voxels : sequence
        Reference of each slice, and voxels that it comes from.
    sigma : float
        Width of the Gaussian, in slices; 0 matches each slice by itself.
    limits : (float, float)
        Smallest and largest factor.

    Returns
    -------
    level : float
        Q, the brightness that all slices are brought to; 0 if no slice has tissue.
    smooth : ndarray
        Smoothed reference of each slice.
    factors : ndarray
        Factor of each slice.
    """
    q = np.asarray(references, np.float64)
    weight = ((np.asarray(voxels) >= FEWEST_VOXELS) & (q > 0)).astype(np.float64)
    if not weight.any():
        return 0.0, np.zeros_like(q), np.ones_like(q)
    position = np.asarray(ids, np.float64)
    distance = position[:, None] - position
    # nearest slices of weight decide where the Gaussian reaches none
    width = max(sigma, 1e-3)
    nearest = np.where(weight > 0, np.abs(distance), np.inf).min(axis=1, keepdims=True)
    kernel = np.exp(-np.maximum(distance**2 - nearest**2, 0) / (2 * width**2)) * weight
    smooth = (kernel @ q) / kernel.sum(axis=1)
    level = float(np.median(smooth[weight > 0]))
    return level, smooth, np.clip(level / smooth, *limits)
