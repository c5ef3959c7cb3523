"""Tiles into one slice: every output voxel is interpolated once, block by block, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib import blocks
from linumpy_lib.io.mosaic_grid import MosaicGrid
from linumpy_lib.io.volume import Volume
from linumpy_lib.io.writer import VolumeWriter
from linumpy_lib.stitching.blending import BlendingWeights
from linumpy_lib.stitching.canvas import Canvas, PlacedTile
from linumpy_lib.stitching.interpolation import REACH, taps

Array = npt.NDArray[Any]
Region = tuple[slice, ...]

# Speckle does not compress: zstd saves nothing over lz4 on it and takes four times as long.
CODEC = "lz4-bitshuffle"
SHARD = (128, 256, 256)


def write_slice(
    path: Path,
    volume: Volume,
    grid: MosaicGrid,
    canvas: Canvas,
    weights: BlendingWeights,
    *,
    provenance: Mapping[str, Any],
    lowest: float = -math.inf,
    threads: int = 1,
    progress: bool = True,
) -> Array:
    """Write the slice; voxels that no tile covers are 0.

    Parameters
    ----------
    path : Path
        Store to make.
    volume : Volume
        Mosaic (z, y, x).
    grid : MosaicGrid
        Its tiles.
    canvas : Canvas
        Where they lie.
    weights : BlendingWeights
        How much each counts.
    provenance : mapping
        Goes into the store.
    lowest : float
        No voxel becomes less: interpolation may pass below values that are next to 0.
    threads : int
        Threads that compute and encode.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    ndarray of float32, shape (y, x)
        Mean over depth.
    """
    shape = (grid.tile_shape[0], *canvas.shape)
    mean = np.zeros(canvas.shape, np.float64)
    with VolumeWriter(
        path,
        shape=shape,
        dtype=np.float32,
        spacing_um=volume.require_spacing(),
        levels=1,
        chunks=64,
        shards=SHARD,
        codec=CODEC,
        provenance=provenance,
        threads=threads,
    ) as writer:

        def compute(region: Region) -> Array:
            return np.maximum(assemble(volume, grid, canvas, weights, region), np.float32(lowest))

        def write(region: Region, block: Array) -> None:
            writer.write(region, block)
            mean[region[1:]] += block.sum(axis=0, dtype=np.float64)

        blocks.stream(
            writer.regions(),
            lambda region: region,
            compute,
            write,
            threads=threads,
            queue=1,
            description=f"write {writer.name}",
            progress=progress,
        )
    return (mean / shape[0]).astype(np.float32)


def assemble(volume: Volume, grid: MosaicGrid, canvas: Canvas, weights: BlendingWeights, region: Region) -> Array:
    """Compute one region (z, y, x) of the slice: float32."""
    depth, rows, columns = region
    size = (rows.stop - rows.start, columns.stop - columns.start)
    total = np.zeros((depth.stop - depth.start, *size), np.float32)
    norm = np.zeros(size, np.float32)
    for tile in canvas.tiles:
        inner = _meeting(tile, rows, columns)
        if inner is None:
            continue
        weight = weights.read(tile, *inner)
        if not weight.any():
            continue
        y = tile.corner[0] + inner[0].start - rows.start
        x = tile.corner[1] + inner[1].start - columns.start
        target = (slice(y, y + weight.shape[0]), slice(x, x + weight.shape[1]))
        _add(volume, grid, tile, depth, inner, weight, total[:, target[0], target[1]])
        norm[target] += weight
    covered = norm > 0
    np.divide(total, norm, out=total, where=covered)
    return total


def _meeting(tile: PlacedTile, rows: slice, columns: slice) -> tuple[slice, slice] | None:
    """Part of a tile's box, in its own rows and columns, that lies within rows and columns of the canvas."""
    parts = []
    for corner, length, span in zip(tile.corner, tile.size, (rows, columns), strict=True):
        low, high = max(corner, span.start), min(corner + length, span.stop)
        if low >= high:
            return None
        parts.append(slice(low - corner, high - corner))
    return parts[0], parts[1]


def _add(
    volume: Volume,
    grid: MosaicGrid,
    tile: PlacedTile,
    depth: slice,
    inner: tuple[slice, slice],
    weight: Array,
    total: Array,
) -> None:
    if tile.fraction == (0.0, 0.0):
        box = grid.box(*tile.place)
        rows, columns = (
            slice(whole.start + part.start, whole.start + part.stop) for whole, part in zip(box[1:], inner, strict=True)
        )
        total += weight * volume.read((depth, rows, columns)).astype(np.float32, copy=False)
        return
    from linumpy_lib.stitching.kernels import add_tile

    source = _with_margin(volume, grid, tile, depth, inner)
    part = np.zeros(total.shape, np.float32)
    taps_y, taps_x = (taps(fraction).astype(np.float32) for fraction in tile.fraction)
    add_tile(source, taps_y, taps_x, weight, part)
    total += part


def _with_margin(volume: Volume, grid: MosaicGrid, tile: PlacedTile, depth: slice, inner: tuple[slice, slice]) -> Array:
    """Voxels of a tile that its interpolated part needs; beyond the tile's border the border goes on."""
    region, margins = [depth], [(0, 0)]
    for whole, part in zip(grid.box(*tile.place)[1:], inner, strict=True):
        low, high = whole.start + part.start - (REACH - 1), whole.start + part.stop + REACH
        inside = slice(max(low, whole.start), min(high, whole.stop))
        region.append(inside)
        margins.append((inside.start - low, high - inside.stop))
    source = volume.read(tuple(region)).astype(np.float32, copy=False)
    return np.ascontiguousarray(np.pad(source, margins, mode="edge"))
