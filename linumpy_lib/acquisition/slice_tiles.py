"""The measured tiles of one slice, and what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linumpy_lib.acquisition.discovery import Acquisition, TileId
from linumpy_lib.acquisition.raw_tile import RawTile, open_tile
from linumpy_lib.acquisition.stage import SliceStage
from linumpy_lib.acquisition.tile_info import TileInfo, read_tile_info
from linumpy_lib.errors import InputError

MAX_CELLS = 1_000_000
"""Tiles and holes of one slice; more are the fault of a wrong index."""


@dataclass(frozen=True)
class SliceTiles:
    """Tiles of one slice, all of one geometry.

    Attributes
    ----------
    slice_id : int
        Its id.
    tiles : dict of TileId to RawTile
        Measured tiles, sorted by y and x.
    """

    slice_id: int
    tiles: dict[TileId, RawTile]

    @property
    def info(self) -> TileInfo:
        """Geometry that all tiles share."""
        return next(iter(self.tiles.values())).info

    @property
    def first_index(self) -> tuple[int, int]:
        """Smallest tile index (y, x)."""
        return min(t.y for t in self.tiles), min(t.x for t in self.tiles)

    @property
    def grid(self) -> tuple[int, int]:
        """Tiles along (y, x), holes included."""
        y, x = self.first_index
        return max(t.y for t in self.tiles) - y + 1, max(t.x for t in self.tiles) - x + 1

    def place(self, tile: TileId) -> tuple[int, int]:
        """Row and column of a tile."""
        y, x = self.first_index
        return tile.y - y, tile.x - x

    @property
    def holes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns without a tile."""
        present = {self.place(tile) for tile in self.tiles}
        rows, columns = self.grid
        return tuple((r, c) for r in range(rows) for c in range(columns) if (r, c) not in present)

    @property
    def n_bytes(self) -> int:
        """Bytes of voxels on disk."""
        return sum(tile.n_bytes for tile in self.tiles.values())

    def stage(self) -> SliceStage:
        """Tile indices and stage positions."""
        return stage_of(self.slice_id, {tile: raw.info for tile, raw in self.tiles.items()})


def measure_slice(slice_id: int, folders: Mapping[TileId, Path]) -> SliceTiles:
    """Measure the files of a slice's tiles.

    Parameters
    ----------
    slice_id : int
        Its id.
    folders : mapping of TileId to Path
        At least one tile.

    Raises
    ------
    InputError
        If a tile is damaged, or a tile's geometry differs from that of the others.
    """
    tiles = {tile: open_tile(folder) for tile, folder in sorted(folders.items())}
    check_geometry(slice_id, {tile: raw.info for tile, raw in tiles.items()}, folders)
    return SliceTiles(slice_id, tiles)


def slice_stages(acquisition: Acquisition) -> list[SliceStage]:
    """Tile indices and stage positions of every slice; reads `info.txt` only.

    Raises
    ------
    InputError
        If a tile's information is missing or malformed, or tiles of a slice differ in geometry.
    """
    stages = []
    for slice_id in acquisition.slice_ids:
        folders = acquisition.slice_tiles(slice_id)
        infos = {tile: read_tile_info(folder) for tile, folder in folders.items()}
        check_geometry(slice_id, infos, folders)
        stages.append(stage_of(slice_id, infos))
    return stages


def stage_of(slice_id: int, infos: Mapping[TileId, TileInfo]) -> SliceStage:
    """Tile indices and stage positions of one slice.

    Parameters
    ----------
    slice_id : int
        Its id.
    infos : mapping of TileId to TileInfo
        At least one tile; all share their geometry.
    """
    info = next(iter(infos.values()))
    positions = [one.stage_mm for one in infos.values()]
    return SliceStage(
        slice_id,
        np.array([(tile.x, tile.y) for tile in infos]),
        None if any(p is None for p in positions) else np.array(positions, dtype=float),
        (info.width_um / 1000, info.height_um / 1000),
        (info.pixel_um[1] / 1000, info.pixel_um[0] / 1000),
    )


def check_geometry(slice_id: int, infos: Mapping[TileId, TileInfo], folders: Mapping[TileId, Path]) -> None:
    """Refuse a slice whose tiles differ in size.

    Raises
    ------
    InputError
        Naming the tiles that differ from the majority; or if the grid is absurdly large.
    """
    usual, _ = Counter(info.geometry for info in infos.values()).most_common(1)[0]
    odd = [tile for tile, info in infos.items() if info.geometry != usual]
    extents = [max(index) - min(index) + 1 for index in zip(*((tile.y, tile.x) for tile in infos), strict=True)]
    if extents[0] * extents[1] > MAX_CELLS:
        raise InputError(
            f"{next(iter(folders.values())).parent}: the {len(infos)} tiles of slice {slice_id} span a grid of "
            f"{extents[1]} x {extents[0]}, more than {MAX_CELLS} places; rename those whose index is wrong"
        )
    if odd:
        names = ("nz", "ny", "nx", "n_extra", "height", "width")
        wrong = infos[odd[0]].geometry
        differences = ", ".join(
            f"{name} {mine:g} instead of {theirs:g}"
            for name, mine, theirs in zip(names, wrong, usual, strict=True)
            if mine != theirs
        )
        raise InputError(
            f"{folders[odd[0]]}: {differences} as in the other tiles of slice {slice_id} "
            f"({len(odd)} of {len(infos)} tiles differ); correct info.txt or remove these tiles to mark holes"
        )
