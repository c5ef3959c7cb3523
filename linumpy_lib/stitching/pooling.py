"""One linear map of the tile grid from the pairs of many slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.io import Volume
from linumpy_lib.io.mosaic_grid import MosaicGrid
from linumpy_lib.stitching.correlation import overlap
from linumpy_lib.stitching.layout import Layout, Pair, Place, neighbours, nominal_layout
from linumpy_lib.stitching.matching import Match, match_pair
from linumpy_lib.stitching.placement import pooled_matrix
from linumpy_lib.stitching.positions import fit_linear_map
from linumpy_lib.stitching.tile_images import TileImages
from linumpy_lib.stitching.transform_file import layout_steps, matrix_from_steps

Array = npt.NDArray[Any]

# Overlap that indices of tiles are laid out with where the stage tells nothing; the pooled search corrects it.
_ASSUMED_OVERLAP = 0.2
# How far a pair is searched from the pooled step.
_RADIUS_PX = 12


@dataclass(frozen=True)
class Sampled:
    """A pair of tiles of one slice."""

    slice_index: int
    pair: Pair


@dataclass(frozen=True)
class PooledTransform:
    """What the pairs of all slices say together.

    Attributes
    ----------
    step_px : ndarray, shape (2, 2)
        Displacement (y, x) of the next row (first column) and of the next column (second column); NaN where no pair
        tells.
    matches : list of (int, Match)
        Slice and measured pair.
    residuals : ndarray, shape (pairs, 2)
        Measured displacement less that of the transform, (y, x), pixels.
    nominal : ndarray, shape (pairs, 2)
        Measured displacement less that of the layout.
    layouts : list of Layout
        Of each slice.
    skipped : int
        Pairs that were left aside because their overlap is empty.
    """

    step_px: Array
    matches: list[tuple[int, Match]]
    residuals: Array
    nominal: Array
    layouts: list[Layout]
    skipped: int


def sample_pairs(grids: Sequence[MosaicGrid], most: int, seed: int) -> list[Sampled]:
    """Draw pairs of neighbours out of all slices, evenly at random; all of them if `most` is 0 or no less.

    Examples
    --------
    >>> len(sample_pairs([MosaicGrid(0, (1, 8, 8), (2, 2))], 3, 0))
    3
    """
    everything = [Sampled(k, pair) for k, grid in enumerate(grids) for pair in neighbours(grid.places())]
    if most == 0 or most >= len(everything):
        return everything
    chosen = np.random.default_rng(seed).choice(len(everything), most, replace=False)
    return [everything[k] for k in sorted(chosen)]


def pool_slices(
    volumes: Sequence[Volume],
    grids: Sequence[MosaicGrid],
    sampled: Sequence[Sampled],
    folder: Path,
    *,
    max_empty_fraction: float,
    histogram_match: bool,
    threads: int = 1,
) -> PooledTransform:
    """Measure the sampled pairs and fit one map to all of them.

    Parameters
    ----------
    volumes, grids : sequence
        Mosaics and their tiles, one for each slice.
    sampled : sequence of Sampled
        Pairs to look at.
    folder : Path
        Where unnamed files may live.
    max_empty_fraction : float
        Pairs whose overlap is background to a larger share are left aside; 1 keeps all.
    histogram_match : bool
        Bring the brightness of a pair's overlap to one histogram before it is compared.
    threads : int
        Threads that read.
    """
    layouts: list[Layout] = []
    starts: list[Array] = []
    matches: list[tuple[int, Match]] = []
    skipped = 0
    for index, (volume, grid) in enumerate(zip(volumes, grids, strict=True)):
        layout = nominal_layout(grid, volume.require_spacing(), _ASSUMED_OVERLAP)
        layouts.append(layout)
        pairs = [one.pair for one in sampled if one.slice_index == index]
        if not pairs:
            continue
        images = TileImages(volume, grid, folder, places=_places(pairs), threads=threads)
        try:
            present = set(images.places)
            shown = [pair for pair in pairs if pair.first in present and pair.second in present]
            filled = [pair for pair in shown if empty_fraction(images, layout, pair) <= max_empty_fraction]
            skipped += len(pairs) - len(filled)
            if not filled:
                continue
            start, _ = pooled_matrix(images, layout, filled, threads)
            starts.append(start)
            for pair in filled:
                match = match_pair(
                    images, pair, start @ layout.offset(pair), _RADIUS_PX, match_histograms=histogram_match
                )
                if match is not None:
                    matches.append((index, match))
        finally:
            images.close()
    return _fitted(layouts, starts, matches, skipped)


def _places(pairs: Sequence[Pair]) -> list[Place]:
    return sorted({place for pair in pairs for place in (pair.first, pair.second)})


def _fitted(
    layouts: list[Layout], starts: list[Array], matches: list[tuple[int, Match]], skipped: int
) -> PooledTransform:
    steps = np.nanmedian([layout_steps(layout) for layout in layouts], axis=0) if layouts else np.full((2, 2), np.nan)
    # Offsets of all slices as if they had one layout: the stage may step a little differently in each.
    common = {k: matrix_from_steps(steps, layouts[k]) for k, _ in matches}
    offsets = np.array([common[k] @ layouts[k].offset(match.pair) for k, match in matches]).reshape(-1, 2)
    start = np.median(starts, axis=0) if starts else np.eye(2)
    matrix = fit_linear_map([match for _, match in matches], offsets, start)
    measured = np.array([match.displacement for _, match in matches]).reshape(-1, 2)
    step_px = matrix @ steps
    for axis in (0, 1):
        if not any(match.pair.axis == axis for _, match in matches):
            step_px[:, axis] = np.nan
    nominal = measured - np.array([layouts[k].offset(match.pair) for k, match in matches]).reshape(-1, 2)
    return PooledTransform(step_px, matches, measured - offsets @ matrix.T, nominal, layouts, skipped)


def empty_fraction(images: TileImages, layout: Layout, pair: Pair) -> float:
    """Share of a pair's nominal overlap that is background in both tiles: below Otsu's threshold of all tiles."""
    whole = np.rint(layout.offset(pair)).astype(int)
    rows_a, columns_a, rows_b, columns_b = overlap(images.tile, (int(whole[0]), int(whole[1])))
    a = images.log(pair.first)[:, rows_a, columns_a].mean(axis=0)
    b = images.log(pair.second)[:, rows_b, columns_b].mean(axis=0)
    if a.size == 0:
        return 1.0
    return float(np.mean(np.maximum(a, b) < images.background_level))
