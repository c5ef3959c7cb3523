"""Mosaics tile by tile: read one, compute, write one; memory holds a few tiles, never the slice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib import blocks
from linumpy_lib.io.lazy import ArraySource, LazyArray
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid
from linumpy_lib.io.volume import Volume
from linumpy_lib.io.writer import VolumeWriter

Array = npt.NDArray[Any]
Place = tuple[int, int]

# Speckle does not compress: zstd saves nothing over lz4 on it (1.19-fold both) and takes four times as long.
MOSAIC_CODEC = "lz4-bitshuffle"
PASSED_ON = ("galvo", "stage_axes")
"""What a mosaic's metadata tell beside its grid, for the steps after it."""

_CHUNK_EDGE = 128
_CHUNK_BYTES = 4 << 20
_STUB_EDGE = 12
# Tiles that are computed at the same time: they are large.
_WHOLE_TILES = 3


def tile_chunks(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Chunks that divide a tile in y and x, about 4 MiB each.

    Parameters
    ----------
    shape : tuple of int
        Voxels (z, y, x) of a tile.

    Examples
    --------
    >>> tile_chunks((200, 400, 400))
    (104, 100, 100)
    """
    y, x = (_divisor(n) for n in shape[1:])
    return max(1, min(shape[0], _CHUNK_BYTES // (4 * y * x))), y, x


def _divisor(length: int) -> int:
    """Largest divisor up to 128, or the whole length if that is small (a prime number, say)."""
    best = max(n for n in range(1, min(length, _CHUNK_EDGE) + 1) if length % n == 0)
    return best if best >= _CHUNK_EDGE // 4 else length


def passed_on(volume: Volume) -> dict[str, Any]:
    """Return what a mosaic's metadata tell beside its grid and its making; goes on into the next mosaic's."""
    return {key: volume.provenance[key] for key in PASSED_ON if key in volume.provenance}


def place_of(grid: MosaicGrid, region: tuple[slice, ...]) -> Place:
    """Row and column of the tile that a region (z, y, x) begins with."""
    return region[1].start // grid.tile_shape[1], region[2].start // grid.tile_shape[2]


def write_mosaic_tiles(
    path: Path,
    grid: MosaicGrid,
    spacing_um: tuple[float, ...],
    read: Callable[[Place], Array],
    compute: Callable[[Place, Array], Array],
    *,
    provenance: Mapping[str, Any],
    threads: int = 1,
    prefetch: int = 2,
    progress: bool = True,
    finish: Callable[[MosaicGrid], MosaicGrid] | None = None,
) -> None:
    """Write a mosaic whose tiles follow each from one tile of another mosaic.

    A shard is one tile. At most ``prefetch`` tiles and one for each computing thread, up to three, are in memory, twice
    where `compute` makes a new array.

    Parameters
    ----------
    path : Path
        Store to make.
    grid : MosaicGrid
        Grid of the mosaic to write; its missing tiles become zero and are neither read nor computed.
    spacing_um : tuple of float
        Voxel size (z, y, x), micrometres.
    read : callable
        ``read((row, column)) -> array``, called from one thread.
    compute : callable
        ``compute((row, column), array) -> float32 array of grid.tile_shape``, called from several threads.
    provenance : mapping
        Origin; the tile grid is added to it.
    threads : int
        Threads that compute and encode.
    prefetch : int
        Tiles read ahead or waiting to be written.
    progress : bool
        Show progress on stderr.
    finish : callable, optional
        Asked for the final grid once all tiles were computed, for what only the voxels tell.

    Raises
    ------
    InputError, OutputError
        If a tile cannot be read or the store not be written.
    """
    missing = set(grid.missing)
    chunks = tile_chunks(grid.tile_shape)
    shards = (math.ceil(grid.tile_shape[0] / chunks[0]) * chunks[0], *grid.tile_shape[1:])
    with VolumeWriter(
        path,
        shape=grid.shape,
        dtype=np.float32,
        spacing_um=spacing_um,
        levels=1,
        chunks=chunks,
        shards=shards,
        codec=MOSAIC_CODEC,
        provenance={**provenance, KEY: grid.as_json()},
        threads=threads,
    ) as writer:

        def fetch(region: tuple[slice, ...]) -> tuple[Place, Array | None]:
            place = place_of(grid, region)
            return place, None if place in missing else read(place)

        def work(fetched: tuple[Place, Array | None]) -> Array:
            place, tile = fetched
            return np.zeros(grid.tile_shape, np.float32) if tile is None else compute(place, tile)

        blocks.stream(
            writer.regions(),
            fetch,
            work,
            writer.write,
            threads=min(threads, _WHOLE_TILES),
            queue=prefetch,
            description=f"write {writer.name}",
            progress=progress,
        )
        if finish is not None:
            writer.provenance[KEY] = finish(grid).as_json()


def tile_corners(volume: Volume, grid: MosaicGrid, edge: int = _STUB_EDGE) -> tuple[Volume, MosaicGrid]:
    """Keep the first corner of every tile, in memory: a tiny mosaic with the right grid, for stub runs.

    Parameters
    ----------
    volume : Volume
        Mosaic (z, y, x).
    grid : MosaicGrid
        Its grid.
    edge : int
        Voxels to keep along each axis of a tile, at most.
    """
    if max(grid.tile_shape) <= edge:
        return volume, grid
    nz, ny, nx = (min(n, edge) for n in grid.tile_shape)
    small = replace(grid, tile_shape=(nz, ny, nx))
    corners = np.zeros(small.shape, volume.dtype)
    for row, column in grid.places():
        _, ys, xs = grid.box(row, column)
        corners[small.box(row, column)] = volume.read(
            (slice(0, nz), slice(ys.start, ys.start + ny), slice(xs.start, xs.start + nx))
        )
    array = LazyArray(ArraySource(corners))
    return replace(volume, array=array, levels=(), level_index=0, _opener=None), small
