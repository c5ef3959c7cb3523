"""What a stitched slice's store tells: where its voxels lie, and where its tiles do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from linumpy_lib.errors import InputError
from linumpy_lib.io import Volume
from linumpy_lib.io.mosaic_grid import MosaicGrid
from linumpy_lib.io.slice_frame import KEY, SliceFrame
from linumpy_lib.stitching.canvas import Canvas, PlacedTile
from linumpy_lib.stitching.layout import Layout

TILES = "tiles"
"""Key of the store's provenance that lists the tiles."""


def slice_frame_of(volume: Volume, grid: MosaicGrid, layout: Layout, canvas: Canvas) -> SliceFrame:
    """Where the slice's voxels lie."""
    spacing = volume.require_spacing()
    stage = None
    if layout.stage_px is not None:
        # The stage tells centres of tiles; their field of view begins half of it before.
        centre = [float(p) * s / 1000 for p, s in zip(layout.stage_px, spacing[1:], strict=True)]
        view = [
            field if field > 0 else n * s
            for field, n, s in zip(grid.field_of_view_um, layout.tile, spacing[1:], strict=True)
        ]
        y, x = (c - (v - s) / 2000 for c, v, s in zip(centre, view, spacing[1:], strict=True))
        stage = (y, x)
    return SliceFrame(
        slice_id=grid.slice_id,
        origin_um=(0.0, canvas.origin[0] * spacing[1], canvas.origin[1] * spacing[2]),
        stage_origin_mm=stage,
    )


def slice_provenance(volume: Volume, grid: MosaicGrid, layout: Layout, canvas: Canvas) -> dict[str, Any]:
    """Provenance of a stitched slice: its frame, and row, column, first pixel and size (y, x) of each tile."""
    tiles = [[*tile.place, *tile.corner, *tile.size] for tile in canvas.tiles]
    return {KEY: slice_frame_of(volume, grid, layout, canvas).as_json(), TILES: tiles}


def canvas_of(volume: Volume) -> Canvas | None:
    """Read where the tiles of a stitched slice lie, to whole pixels; None if its store does not tell.

    Raises
    ------
    InputError
        If what it tells is malformed.
    """
    data = volume.provenance.get(TILES)
    if data is None:
        return None
    height, width = volume.shape[-2:]
    if isinstance(data, Mapping) or not isinstance(data, list):
        raise InputError(f"{volume.name}: its list of tiles is malformed; stitch the slice again")
    table = np.array(data, dtype=int).reshape(len(data), -1) if data else np.zeros((0, 6), int)
    if table.shape[1] != 6 or (table[:, 2:4] < 0).any() or (table[:, 2:4] + table[:, 4:] > (height, width)).any():
        raise InputError(f"{volume.name}: its tiles do not lie within its voxels; stitch the slice again")
    rows = [[int(v) for v in row] for row in table]
    tiles = tuple(PlacedTile((r, c), (y, x), (h, w), (0.0, 0.0)) for r, c, y, x, h, w in rows)
    return Canvas((0, 0), (height, width), tiles)
