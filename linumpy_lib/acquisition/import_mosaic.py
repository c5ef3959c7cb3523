"""Mosaics that other programs made: their tile grid is not in the metadata, so the user states it."""

from __future__ import annotations

import re
from dataclasses import replace

from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import LazyArray, TransposedSource
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid, mosaic_grid
from linumpy_lib.io.volume import Volume

_SLICE = re.compile(r"z(\d+)")


def slice_id_of(name: str, path_name: str) -> int:
    """Slice id from the name of the results (``z03``), else from the last ``z<digits>`` of the file's name.

    Raises
    ------
    InputError
        If neither holds one.

    Examples
    --------
    >>> slice_id_of("z103", ""), slice_id_of("mosaic", "mosaic_grid_3d_z07.ome.zarr")
    (103, 7)
    """
    if match := re.fullmatch(_SLICE, name):
        return int(match[1])
    found = _SLICE.findall(path_name)
    if not found:
        raise InputError(f"{path_name}: its name tells no slice id; name it like mosaic_grid_3d_z03.ome.zarr")
    return int(found[-1])


def import_mosaic(
    volume: Volume, tile_shape: tuple[int, int] | None, *, swap_xy: bool, name: str
) -> tuple[Volume, MosaicGrid, bool]:
    """Return a mosaic with its tile grid, from its metadata or from what the user states.

    Parameters
    ----------
    volume : Volume
        Mosaic (z, y, x), voxel size known.
    tile_shape : tuple of int or None
        Voxels (y, x) of one tile, in the order of the file's axes; only used if the metadata tell no grid.
    swap_xy : bool
        Whether the file's second axis is x and its third y, as in linumpy's own mosaics.
    name : str
        Name of the results; ``z03`` tells the slice id.

    Returns
    -------
    volume : Volume
        Axes z, y, x.
    grid : MosaicGrid
        Without stage positions where it was stated by the user.
    imported : bool
        Whether the user's statement was used.

    Raises
    ------
    InputError
        If nothing tells the grid, or it does not divide the mosaic.
    """
    if volume.axes != "zyx":
        raise InputError(f"{volume.name}: axes are '{volume.axes}'; a mosaic has the axes z, y, x")
    if KEY in volume.provenance:
        return volume, mosaic_grid(volume), False
    if tile_shape is None:
        chunks = volume.array.source.chunks
        hint = f" (its chunks suggest --import_tile_shape {chunks[1]},{chunks[2]})" if chunks else ""
        raise InputError(
            f"{volume.name}: its metadata state no tile grid; make mosaics with create_mosaic_grid of this program, or "
            f"tell the size of the tiles of another program's mosaics with --import_tile_shape y,x{hint}"
        )
    spacing = volume.require_spacing()
    if swap_xy:
        order = (0, 2, 1)
        z_um, y_um, x_um = spacing
        volume = replace(
            volume,
            array=LazyArray(TransposedSource(volume.array.source, order)),
            spacing_um=(z_um, x_um, y_um),
            levels=(),
            level_index=0,
            _opener=None,
        )
        tile_shape = tile_shape[::-1]
        spacing = (z_um, x_um, y_um)
    nz, ny, nx = volume.shape
    if ny % tile_shape[0] or nx % tile_shape[1]:
        raise InputError(
            f"{volume.name}: {ny} x {nx} voxels (y, x) are no whole number of tiles of {tile_shape[0]} x "
            f"{tile_shape[1]}; correct --import_tile_shape"
        )
    grid = MosaicGrid(
        slice_id=slice_id_of(name, volume.path.name if volume.path else ""),
        tile_shape=(nz, *tile_shape),
        grid=(ny // tile_shape[0], nx // tile_shape[1]),
        field_of_view_um=(tile_shape[0] * spacing[1], tile_shape[1] * spacing[2]),
    )
    return volume, grid, True
