"""Opening the mosaics of an acquisition, by slice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from linumpy_lib.errors import InputError
from linumpy_lib.io import Volume, open_volume
from linumpy_lib.io.mosaic_grid import MosaicGrid, mosaic_grid
from linumpy_lib.io.slice_config import slice_numbers


def open_mosaics(paths: Sequence[Path], wanted: str) -> tuple[list[Volume], list[MosaicGrid]]:
    """Open mosaics, ascending by slice.

    Parameters
    ----------
    paths : sequence of Path
        Stores, or folders of stores.
    wanted : str
        Slices to open, such as ``25,27-29``; empty is all.

    Raises
    ------
    InputError
        If a store is no mosaic, tiles differ between them, or none of the wanted slices is there.
    """
    found: dict[int, tuple[Volume, MosaicGrid]] = {}
    for path in _stores(paths):
        volume = open_volume(path)
        grid = mosaic_grid(volume)
        if grid.slice_id in found:
            raise InputError(
                f"{path}: slice {grid.slice_id} is there twice, also as {found[grid.slice_id][0].name}; "
                "give one of them"
            )
        found[grid.slice_id] = volume, grid
    numbers = slice_numbers(wanted, "stitch_global_transform_slices")
    chosen = {k: found[k] for k in sorted(found) if not numbers or k in numbers}
    if not chosen:
        raise InputError(f"none of the slices {wanted} is among the mosaics, which show {sorted(found)}; name others")
    volumes, grids = [v for v, _ in chosen.values()], [g for _, g in chosen.values()]
    for volume, grid in zip(volumes, grids, strict=True):
        if grid.tile_shape != grids[0].tile_shape or volume.require_spacing() != volumes[0].require_spacing():
            raise InputError(
                f"{volume.name}: its tiles are {grid.tile_shape} voxels, those of {volumes[0].name} "
                f"{grids[0].tile_shape}, or their voxels differ; pool slices of one kind"
            )
    return volumes, grids


def _stores(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir() and not (path / "zarr.json").exists() and not (path / ".zattrs").exists():
            inside = sorted(path.glob("mosaic_grid*.ome.zarr"))
            if not inside:
                raise InputError(f"{path}: holds no mosaic_grid*.ome.zarr; give the mosaics or their folder")
            found += inside
        else:
            found.append(path)
    return found
