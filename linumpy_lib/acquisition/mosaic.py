"""Make the mosaic of one slice: tiles side by side in a sharded store, streamed, their grid stated in the metadata."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.acquisition.discovery import TileId
from linumpy_lib.acquisition.native_tiles import Encoded, NativeTiles
from linumpy_lib.acquisition.raw_tile import RawTile
from linumpy_lib.acquisition.slice_tiles import SliceTiles
from linumpy_lib.acquisition.stage import StageAxes, infer_axes
from linumpy_lib.acquisition.tile_encoder import EncodedTile, TileEncoder
from linumpy_lib.acquisition.tile_image import TileFixes, tile_shape
from linumpy_lib.acquisition.tile_info import INFO_FILE
from linumpy_lib.io.encoded import EncodedBox
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid
from linumpy_lib.io.mosaic_tiles import MOSAIC_CODEC, tile_chunks
from linumpy_lib.resample import resampled_length

MAX_SHARD_BYTES = 1 << 30
# Whole tiles in memory while voxels are resampled.
_WHOLE_TILES = 3


@dataclass(frozen=True)
class MosaicPlan:
    """Geometry of one slice's mosaic, before a voxel is read.

    Attributes
    ----------
    source : SliceTiles
        Raw tiles.
    fixes : TileFixes
        Corrections of the tiles.
    raw_spacing_um, spacing_um : tuple of float
        Voxel size (z, y, x) of corrected tiles and of the mosaic.
    grid : MosaicGrid
        Tile grid of the mosaic.
    axes : StageAxes
        What was inferred of the stage from this slice.
    chunks, shards : tuple of int
        Storage boxes (z, y, x); a shard is a square of whole tiles in full depth.
    """

    source: SliceTiles
    fixes: TileFixes
    raw_spacing_um: tuple[float, float, float]
    spacing_um: tuple[float, float, float]
    grid: MosaicGrid
    axes: StageAxes
    chunks: tuple[int, int, int]
    shards: tuple[int, int, int]

    @property
    def native(self) -> bool:
        """Whether voxels are stored as they were recorded."""
        return self.raw_spacing_um == self.spacing_um

    @property
    def n_bytes(self) -> int:
        """Bytes of the mosaic before compression."""
        return 4 * math.prod(self.grid.shape)


def plan_mosaic(
    source: SliceTiles,
    fixes: TileFixes,
    *,
    axial_resolution_um: float,
    resolution_um: float,
    sharding_factor: int,
) -> MosaicPlan:
    """Plan the mosaic of a slice.

    Parameters
    ----------
    source : SliceTiles
        Raw tiles.
    fixes : TileFixes
        Corrections of the tiles.
    axial_resolution_um : float
        Distance of depth samples, micrometres.
    resolution_um : float
        Size of the cubic voxels to make; not positive: voxels stay as they are.
    sharding_factor : int
        Tiles per shard along y and x; fewer if a shard would exceed 1 GiB.
    """
    info = source.info
    pixel = info.pixel_um[::-1] if fixes.rotate else info.pixel_um
    raw_spacing = (axial_resolution_um, *pixel)
    raw_shape = tile_shape(info, fixes)
    spacing = (resolution_um,) * 3 if resolution_um > 0 else raw_spacing
    shape = raw_shape
    if resolution_um > 0:
        nz, ny, nx = (resampled_length(n, s, resolution_um) for n, s in zip(raw_shape, raw_spacing, strict=True))
        shape = (nz, ny, nx)
    stage = source.stage()
    axes = infer_axes([stage])
    positions: dict[tuple[int, int], tuple[float, float]] = {}
    if stage.stage_mm is not None:
        for tile, (x, y) in zip(source.tiles, axes.image_mm(stage.stage_mm), strict=True):
            positions[source.place(tile)] = (round(float(y), 9), round(float(x), 9))
    field = (info.height_um, info.width_um)
    grid = MosaicGrid(
        slice_id=source.slice_id,
        tile_shape=shape,
        grid=source.grid,
        first_index=source.first_index,
        missing=source.holes,
        stage_mm=positions,
        field_of_view_um=field[::-1] if fixes.rotate else field,
    )
    chunks = tile_chunks(shape)
    side = max(1, min(sharding_factor, max(source.grid), math.isqrt(MAX_SHARD_BYTES // (4 * math.prod(shape)))))
    shards = (math.ceil(shape[0] / chunks[0]) * chunks[0], side * shape[1], side * shape[2])
    return MosaicPlan(source, fixes, raw_spacing, spacing, grid, axes, chunks, shards)


def write_mosaic(
    plan: MosaicPlan,
    path: Path,
    *,
    provenance: Mapping[str, Any],
    device: Any = None,
    threads: int = 1,
    advance: Callable[[], None] | None = None,
) -> None:
    """Write a mosaic.

    Tiles are encoded where they are read, so no shard is ever in memory: each thread holds two rows of chunks, raw and
    encoded; where voxels are resampled or turned, one tile whose depth is resampled already.

    Parameters
    ----------
    plan : MosaicPlan
        From `plan_mosaic`.
    path : Path
        Store to make.
    provenance : mapping
        Origin; the tile grid and a digest of the raw tiles are added to it.
    device : Device, optional
        Where voxels are resampled; the CPU if absent.
    threads : int
        Threads that read and encode.
    advance : callable, optional
        Called for each tile that is done.

    Raises
    ------
    InputError
        If a tile cannot be read or holds NaN or infinite values.
    OutputError
        If the store cannot be written.
    """
    from linumpy_lib.io import VolumeWriter

    raw_tiles = {plan.source.place(tile): raw for tile, raw in plan.source.tiles.items()}
    checksums: dict[tuple[int, int], int] = {}
    with VolumeWriter(
        path,
        shape=plan.grid.shape,
        dtype=np.float32,
        spacing_um=plan.spacing_um,
        levels=1,
        chunks=plan.chunks,
        shards=plan.shards,
        codec=MOSAIC_CODEC,
        provenance={**provenance, KEY: plan.grid.as_json()},
        threads=1,
    ) as writer:
        regions = list(writer.regions())
        tiles = [(place, raw_tiles.get(place)) for region in regions for place in _places(plan.grid, region)]
        if plan.native and not (plan.fixes.rotate or plan.fixes.camera):
            native = NativeTiles(plan.grid, writer.plans[0], plan.fixes.galvo_shift_px, threads)
            source = native.encode(tiles)
        else:
            spacing = (plan.raw_spacing_um, plan.spacing_um)
            encoder = TileEncoder(plan.source.info, plan.fixes, spacing, plan.grid, writer.plans[0], device)
            # Whole tiles are in memory here.
            source = _whole_tiles(encoder, tiles, min(threads, _WHOLE_TILES))

        def boxes(count: int) -> Iterator[EncodedBox]:
            for place, box, checksum in source:
                yield box
                if checksum is not None:
                    checksums[place] = checksum
                    if advance is not None:
                        advance()
                count -= box.n_bytes
                if count == 0:
                    return

        with contextlib.closing(source):
            for region in regions:
                writer.write_encoded(region, boxes(4 * math.prod(b.stop - b.start for b in region)))
        digest = _digest(plan.source, {tile: checksums[plan.source.place(tile)] for tile in plan.source.tiles})
        writer.provenance["inputs"] = {**writer.provenance.get("inputs", {}), "tiles": digest}


def _whole_tiles(
    encoder: TileEncoder, tiles: Sequence[tuple[tuple[int, int], RawTile | None]], workers: int
) -> Generator[Encoded]:
    """Encode tiles one by one, as many at a time as there are workers."""
    waiting: deque[tuple[tuple[int, int], Future[EncodedTile]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="tile") as pool:
        try:
            for k in range(len(tiles) + workers):
                if k < len(tiles):
                    # The disk works on later tiles meanwhile; they wait in the system's cache.
                    following = tiles[k + workers][1] if k + workers < len(tiles) else None
                    waiting.append((tiles[k][0], pool.submit(encoder, *tiles[k], following)))
                if k >= workers:
                    place, future = waiting.popleft()
                    tile = future.result()
                    for n, box in enumerate(tile.boxes, 1):
                        yield place, box, tile.checksum if n == len(tile.boxes) else None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _places(grid: MosaicGrid, region: tuple[slice, ...]) -> Iterator[tuple[int, int]]:
    """Row and column of each tile in a shard."""
    _, ty, tx = grid.tile_shape
    for row in range(region[1].start // ty, region[1].stop // ty):
        for column in range(region[2].start // tx, region[2].stop // tx):
            yield row, column


def _digest(source: SliceTiles, checksums: Mapping[TileId, int]) -> str:
    """Digest of all tiles, from the bytes that passed by."""
    digest = hashlib.sha256()
    for tile, raw in source.tiles.items():
        text = hashlib.sha256((raw.folder / INFO_FILE).read_bytes()).hexdigest()
        digest.update(f"{tile}\0{text}\0{checksums[tile]:08x}\n".encode())
    return digest.hexdigest()
