"""The canvas of a slice: whole pixels, tiles at fractions of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.stitching.layout import Place

Array = npt.NDArray[Any]

# A position this close to a whole pixel is one: nothing is interpolated then.
_WHOLE_PX = 1e-3


@dataclass(frozen=True)
class PlacedTile:
    """One tile on the canvas.

    Attributes
    ----------
    place : tuple of int
        Row and column in the mosaic.
    corner : tuple of int
        First canvas pixel (y, x) that lies within the tile's first and last pixel centres.
    size : tuple of int
        Canvas pixels (y, x) that do.
    fraction : tuple of float
        Where that pixel lies in the tile, (y, x): 0 to 1.
    """

    place: Place
    corner: tuple[int, int]
    size: tuple[int, int]
    fraction: tuple[float, float]


@dataclass(frozen=True)
class Canvas:
    """Where tiles lie in the slice.

    Attributes
    ----------
    origin : tuple of int
        Canvas pixel (0, 0) in the pixels of the layout.
    shape : tuple of int
        Pixels (y, x).
    tiles : tuple of PlacedTile
        Row by row.
    """

    origin: tuple[int, int]
    shape: tuple[int, int]
    tiles: tuple[PlacedTile, ...]

    def count(self) -> Array:
        """Tiles that cover each pixel: uint8, shape (y, x)."""
        result = np.zeros(self.shape, np.uint8)
        for tile in self.tiles:
            result[box(tile)] += 1
        return result


def box(tile: PlacedTile) -> tuple[slice, slice]:
    """Rows and columns of the canvas that a tile covers.

    Examples
    --------
    >>> box(PlacedTile((0, 0), (3, 4), (2, 2), (0.0, 0.5)))
    (slice(3, 5, None), slice(4, 6, None))
    """
    (y, x), (height, width) = tile.corner, tile.size
    return slice(y, y + height), slice(x, x + width)


def plan_canvas(positions: Mapping[Place, Array], tile: tuple[int, int]) -> Canvas:
    """Lay a canvas around tiles.

    Parameters
    ----------
    positions : mapping of (row, column) to ndarray, shape (2,)
        First pixel (y, x) of every tile that exists.
    tile : tuple of int
        Pixels (y, x) of a tile.
    """
    spans = {}
    for place in sorted(positions):
        spans[place] = [_span(float(p), n) for p, n in zip(positions[place], tile, strict=True)]
    origin = tuple(min(span[axis][0] for span in spans.values()) for axis in (0, 1))
    end = tuple(max(span[axis][0] + span[axis][1] for span in spans.values()) for axis in (0, 1))
    tiles = tuple(
        PlacedTile(
            place,
            (rows[0] - origin[0], columns[0] - origin[1]),
            (rows[1], columns[1]),
            (rows[2], columns[2]),
        )
        for place, (rows, columns) in spans.items()
    )
    return Canvas((origin[0], origin[1]), (end[0] - origin[0], end[1] - origin[1]), tiles)


def _span(position: float, length: int) -> tuple[int, int, float]:
    """First whole pixel within a tile, how many there are, and where the first one lies in the tile."""
    near = round(position)
    if abs(position - near) < _WHOLE_PX or length == 1:
        return near, length, 0.0
    first = math.ceil(position)
    return first, length - 1, first - position
