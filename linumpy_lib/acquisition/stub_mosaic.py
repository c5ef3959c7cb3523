"""A tiny mosaic with the right grid, for runs that only try the wiring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.acquisition.mosaic import MosaicPlan
from linumpy_lib.acquisition.raw_tile import frames
from linumpy_lib.io.mosaic_grid import KEY

_EDGE = 12


def write_stub_mosaic(plan: MosaicPlan, path: Path, *, provenance: Mapping[str, Any]) -> None:
    """Write the first corner of every tile, at native resolution.

    Parameters
    ----------
    plan : MosaicPlan
        From `plan_mosaic`.
    path : Path
        Store to make.
    provenance : mapping
        Origin; the tile grid is added to it.
    """
    from linumpy_lib.io import write_volume

    nz, ny, nx = (min(n, _EDGE) for n in plan.grid.tile_shape)
    grid = replace(plan.grid, tile_shape=(nz, ny, nx))
    mosaic = np.zeros(grid.shape, np.float32)
    for tile, raw in plan.source.tiles.items():
        rows = min(ny, raw.info.ny)
        corner = np.concatenate([piece[:, :nx, :nz] for _, piece in frames(raw, 0, rows)]).transpose(2, 0, 1)
        box = grid.box(*plan.source.place(tile))
        part = mosaic[box]
        part[tuple(slice(n) for n in corner.shape)] = corner[: part.shape[0], : part.shape[1], : part.shape[2]]
    write_volume(path, mosaic, spacing_um=plan.spacing_um, provenance={**provenance, KEY: grid.as_json()}, levels=1)
