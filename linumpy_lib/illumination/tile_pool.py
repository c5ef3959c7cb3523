"""Small pictures of all tiles at several depths: what fields are fitted to and seams are measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib import blocks
from linumpy_lib.io.mosaic_grid import MosaicGrid
from linumpy_lib.io.mosaic_tiles import place_of
from linumpy_lib.io.volume import Volume

Float32 = npt.NDArray[np.float32]
Place = tuple[int, int]

LARGEST_SIDE_PX = 64
"""Side of a picture; the flat field has 24 cosines at most, so that more pixels add nothing."""

_VALID_FRACTION = 0.5
_PLATEAU_FRACTION = 0.01


@dataclass(frozen=True)
class TilePool:
    """Pictures of tiles.

    Attributes
    ----------
    images : float32 array, shape (tiles, depths, y, x)
        Means over boxes of voxels; 0 where nothing is known.
    weights : float32 array, shape (tiles, depths, y, x)
        1 where a pixel is known, else 0: not finite, overexposed, or part of a tile that is mostly empty.
    places : tuple of (int, int)
        Row and column of each tile.
    depths : float64 array, shape (depths,)
        Depth index (z) of the middle of each slab.
    not_finite, saturated, negative : int
        Voxels found.
    """

    images: Float32
    weights: Float32
    places: tuple[Place, ...]
    depths: npt.NDArray[np.float64]
    not_finite: int
    saturated: int
    negative: int


def _averaging(length: int) -> Float32:
    """Matrix (pixels, length) that averages an axis over equal parts."""
    count = min(length, LARGEST_SIDE_PX)
    edges = np.linspace(0, length, count + 1)
    index = np.arange(length)
    covered = np.minimum(index + 1, edges[1:, None]) - np.maximum(index, edges[:-1, None])
    matrix = np.clip(covered, 0, None)
    result: Float32 = (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


def _spread(items: list[Place], most: int) -> list[Place]:
    """Keep at most so many, evenly spread."""
    return items if len(items) <= most else [items[int((k + 0.5) * len(items) / most)] for k in range(most)]


def pool_tiles(
    volume: Volume,
    grid: MosaicGrid,
    most_images: int,
    *,
    threads: int = 1,
    progress: bool = True,
) -> TilePool:
    """Average each tile over boxes of voxels, reading one tile at a time.

    Parameters
    ----------
    volume : Volume
        Mosaic (z, y, x).
    grid : MosaicGrid
        Its grid.
    most_images : int
        Pictures at most; tiles come first, and what is left goes into depths.
    threads : int
        Threads that average.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    TilePool
    """
    places = _spread(list(grid.places()), most_images)
    nz, ny, nx = grid.tile_shape
    slabs = int(np.clip(most_images // max(1, len(places)), 1, nz))
    edges = np.linspace(0, nz, slabs + 1).round().astype(int)
    along_y, along_x = _averaging(ny), _averaging(nx)
    shape = (slabs, along_y.shape[0], along_x.shape[0])
    images, weights = np.zeros((len(places), *shape), np.float32), np.zeros((len(places), *shape), np.float32)
    counts = np.zeros(3, np.int64)
    index = {place: k for k, place in enumerate(places)}

    def average(tile: npt.NDArray[Any]) -> tuple[Float32, Float32, npt.NDArray[np.int64]]:
        return _average(tile.astype(np.float32, copy=False), edges, along_y, along_x)

    def keep(region: tuple[slice, ...], found: tuple[Float32, Float32, npt.NDArray[np.int64]]) -> None:
        k = index[place_of(grid, region)]
        images[k], weights[k] = found[0], found[1]
        counts[:] += found[2]

    blocks.stream(
        (grid.box(*place) for place in places),
        volume.read,
        average,
        keep,
        threads=min(threads, 3),
        queue=1,
        description="look at the tiles",
        progress=progress,
    )
    middles = (edges[:-1] + edges[1:] - 1) / 2
    return TilePool(images, weights, tuple(places), middles, int(counts[0]), int(counts[1]), int(counts[2]))


def _average(
    tile: Float32, edges: npt.NDArray[np.int64], along_y: Float32, along_x: Float32
) -> tuple[Float32, Float32, npt.NDArray[np.int64]]:
    shape = (len(edges) - 1, along_y.shape[0], along_x.shape[0])
    images, weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    finite = np.isfinite(tile)
    not_finite = tile.size - int(np.count_nonzero(finite))
    if not_finite:
        tile = np.where(finite, tile, np.float32(0))
    top = tile.max()
    plateau = tile == top
    saturated = int(np.count_nonzero(plateau))
    # one voxel in every tile is its brightest; only a plateau of them shows that the detector was full
    if top <= 0 or saturated < _PLATEAU_FRACTION * tile.size or saturated == tile.size:
        saturated, known = 0, finite
    else:
        known = finite & ~plateau
    negative = int(np.count_nonzero(tile < 0))
    whole = not not_finite and not saturated
    for k in range(shape[0]):
        part = slice(edges[k], edges[k + 1])
        if np.count_nonzero(tile[part]) < _VALID_FRACTION * tile[part].size:
            continue
        if whole:
            images[k] = along_y @ tile[part].mean(axis=0, dtype=np.float32) @ along_x.T
            weights[k] = 1
            continue
        share = along_y @ known[part].mean(axis=0, dtype=np.float32) @ along_x.T
        total = along_y @ (tile[part] * known[part]).mean(axis=0, dtype=np.float32) @ along_x.T
        weights[k] = share > _VALID_FRACTION
        images[k] = np.where(share > _VALID_FRACTION, total / np.maximum(share, 1e-6), 0)
    return images, weights, np.array([not_finite, saturated, negative], np.int64)
