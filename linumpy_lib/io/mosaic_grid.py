"""The tile grid of a mosaic store, stated in its metadata, so that no step has to guess it from chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from linumpy_lib.errors import InputError
from linumpy_lib.io.volume import Volume

KEY = "mosaic_grid"


@dataclass(frozen=True)
class MosaicGrid:
    """How a mosaic (z, y, x) is made of tiles that lie side by side, their overlap kept.

    Attributes
    ----------
    slice_id : int
        Slice that the mosaic shows.
    tile_shape : tuple of int
        Voxels (z, y, x) of one tile.
    grid : tuple of int
        Tiles along (y, x).
    first_index : tuple of int
        Tile index (y, x) of the acquisition at row 0, column 0.
    missing : tuple of (int, int)
        Places (row, column) without a tile; their voxels are zero.
    stage_mm : dict of (int, int) to (float, float)
        Centre of the tiles at (row, column) along the image axes (y, x), millimetres, from the stage; empty if the
        acquisition does not tell it.
    field_of_view_um : tuple of float
        Extent (y, x) of one raw tile, micrometres.
    """

    slice_id: int
    tile_shape: tuple[int, int, int]
    grid: tuple[int, int]
    first_index: tuple[int, int] = (0, 0)
    missing: tuple[tuple[int, int], ...] = ()
    stage_mm: Mapping[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    field_of_view_um: tuple[float, float] = (0.0, 0.0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (z, y, x) of the mosaic."""
        (nz, ty, tx), (rows, columns) = self.tile_shape, self.grid
        return nz, rows * ty, columns * tx

    def places(self) -> Iterator[tuple[int, int]]:
        """Rows and columns that hold a tile, row by row."""
        missing = set(self.missing)
        for row in range(self.grid[0]):
            for column in range(self.grid[1]):
                if (row, column) not in missing:
                    yield row, column

    def box(self, row: int, column: int) -> tuple[slice, slice, slice]:
        """Region (z, y, x) of the mosaic that a tile takes."""
        nz, ty, tx = self.tile_shape
        return slice(0, nz), slice(row * ty, (row + 1) * ty), slice(column * tx, (column + 1) * tx)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON form; goes into a store's provenance under `KEY`."""
        return {
            "slice_id": self.slice_id,
            "tile_shape": list(self.tile_shape),
            "grid": list(self.grid),
            "first_index": list(self.first_index),
            "missing": [list(place) for place in self.missing],
            "stage_mm": [[*place, *position] for place, position in sorted(self.stage_mm.items())],
            "field_of_view_um": list(self.field_of_view_um),
        }


def mosaic_grid(volume: Volume) -> MosaicGrid:
    """Read the tile grid of a mosaic store.

    Parameters
    ----------
    volume : Volume
        A mosaic, opened.

    Raises
    ------
    InputError
        If the store does not state it, or it does not fit the voxels.
    """
    data = volume.provenance.get(KEY)
    if not isinstance(data, Mapping):
        raise InputError(
            f"{volume.name}: its metadata state no tile grid; make mosaics with create_mosaic_grid of this program"
        )
    try:
        nz, ty, tx = (int(n) for n in data["tile_shape"])
        rows, columns = (int(n) for n in data["grid"])
        grid = MosaicGrid(
            slice_id=int(data["slice_id"]),
            tile_shape=(nz, ty, tx),
            grid=(rows, columns),
            first_index=(int(data["first_index"][0]), int(data["first_index"][1])),
            missing=tuple((int(row), int(column)) for row, column in data["missing"]),
            stage_mm={(int(r), int(c)): (float(y), float(x)) for r, c, y, x in data["stage_mm"]},
            field_of_view_um=(float(data["field_of_view_um"][0]), float(data["field_of_view_um"][1])),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{volume.name}: its tile grid is malformed ({error!r}); make the mosaic again") from None
    if grid.shape != tuple(volume.shape[-3:]):
        raise InputError(
            f"{volume.name}: shape {volume.shape} is not that of its tile grid, {grid.shape}; make it again"
        )
    return grid
