"""Slices of a simulated acquisition, its tiles on the nominal grid: what a perfect stitching of clean tiles gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from linumpy_lib.acquisition.discovery import find_tiles
from linumpy_lib.acquisition.slice_tiles import measure_slice, slice_stages
from linumpy_lib.acquisition.stage import infer_axes
from linumpy_lib.io import write_volume
from linumpy_lib.io.slice_frame import SliceFrame
from linumpy_lib.simulation.truth import Truth


def nominal_slices(raw: Path, truth: Truth, folder: Path, suffix: str = "normalize") -> dict[int, Path]:
    """Write one store per recorded slice, cut at the block face; frames as stitch_slice states them."""
    acquisition = find_tiles(raw)
    axes = infer_axes(slice_stages(acquisition))
    nz, ny, nx = truth.tile_shape
    dz, dy, dx = truth.spacing_um
    face = round(truth.interface_px)
    keep = 1 - float(truth.parameters["simulate_oct_overlap"])
    stores = {}
    for item in truth.slices:
        if not item.recorded:
            continue
        source = measure_slice(item.id, acquisition.slice_tiles(item.id))
        corners = {tile: (round(tile.y * ny * keep), round(tile.x * nx * keep)) for tile in source.tiles}
        height, width = (max(c[k] for c in corners.values()) + n for k, n in ((0, ny), (1, nx)))
        total = np.zeros((nz - face, height, width), np.float32)
        count = np.zeros((height, width), np.float32)
        for place, tile in source.tiles.items():
            y, x = corners[place]
            total[:, y : y + ny, x : x + nx] += read_tile(tile.folder, truth)[face:]
            count[y : y + ny, x : x + nx] += 1
        stage = None
        if truth.stage_xy is not None:
            centre = axes.image_mm(np.array([item.tile(0, 0).stage_mm[:2]]))[0]
            stage = (centre[1] - (ny - 1) / 2 * dy / 1000, centre[0] - (nx - 1) / 2 * dx / 1000)
        frame = SliceFrame(item.id, (face * dz, 0.0, 0.0), stage)
        stores[item.id] = folder / f"slice_z{item.id:02d}_{suffix}.ome.zarr"
        write_volume(
            stores[item.id],
            np.log1p(total / np.maximum(count, 1)),
            spacing_um=truth.spacing_um,
            levels=1,
            codec="lz4",
            provenance={"slice": frame.as_json()},
        )
    return stores


def read_tile(path: Path, truth: Truth) -> np.ndarray:
    """One raw tile (z, y, x) without the galvo return."""
    nz, _, nx = truth.tile_shape
    extra = int(truth.parameters["simulate_oct_n_extra"])
    frames = np.concatenate([np.fromfile(f, "<f4") for f in sorted(path.glob("image_*.bin"))])
    return frames.reshape(-1, nx + extra, nz)[:, :nx].transpose(2, 0, 1)


def true_places_um(truth: Truth) -> dict[int, np.ndarray]:
    """World position (y, x) of the first voxel of each recorded slice."""
    found = {}
    for item in truth.slices:
        if item.recorded:
            found[item.id] = truth.world_xy_um(item.id, truth.lab_xy_um(item.tile(0, 0), 0, 0))[::-1]
    return found
