"""How much each tile counts at each pixel: the solution of Laplace's equation in the overlaps, or something simpler."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.stitching.canvas import Canvas, PlacedTile, box

Array = npt.NDArray[Any]
Method = Literal["none", "average", "diffusion", "distance"]

TOLERANCE = 1e-5
"""Largest difference of a diffusion weight from the mean of its neighbours, relative to the range 0 to 1."""

_MOST_SWEEPS = 5000
# Weight by distance, relative to diffusion's, for tiles that lie wholly under others: no pixel is left without any.
_TRACE = 1e-6
FREE, FIXED, ABSENT = 2, 1, 0


class BlendingWeights:
    """Weights of all tiles, up to a common factor at each pixel, kept in an unnamed file.

    Parameters
    ----------
    canvas : Canvas
        Where the tiles lie.
    method : {"none", "average", "diffusion", "distance"}
        The last tile alone; all alike; the solution of Laplace's equation; the distance from the tile's border.
    folder : Path
        Where the unnamed file may live.
    advance : callable, optional
        Called for each tile.

    Attributes
    ----------
    sweeps : int
        Largest number of sweeps that a tile took.
    """

    def __init__(
        self, canvas: Canvas, method: Method, folder: Path, *, advance: Callable[[], None] | None = None
    ) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this object
        self._start: dict[PlacedTile, int] = {}
        self.sweeps = 0
        count = np.pad(canvas.count(), 1)
        last = _last(canvas) if method == "none" else None
        at = 0
        for number, tile in enumerate(canvas.tiles):
            weight: Array
            if method == "none":
                assert last is not None
                weight = (last[box(tile)] == number).astype(np.float32)
            elif method == "average":
                weight = np.ones(tile.size, np.float32)
            elif method == "distance":
                weight = border_distance(tile.size)
            else:
                weight, sweeps = diffusion_weight(count, tile)
                self.sweeps = max(self.sweeps, sweeps)
            self._start[tile] = at
            at += os.pwrite(self._file.fileno(), np.ascontiguousarray(weight, np.float32).data, at)
            if advance is not None:
                advance()

    def read(self, tile: PlacedTile, rows: slice, columns: slice) -> Array:
        """Weights of some rows and columns of a tile's box: float32."""
        width = tile.size[1]
        n_rows = rows.stop - rows.start
        data = os.pread(self._file.fileno(), 4 * width * n_rows, self._start[tile] + 4 * width * rows.start)
        return np.frombuffer(data, np.float32).reshape(n_rows, width)[:, columns].copy()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


def _last(canvas: Canvas) -> Array:
    result = np.full(canvas.shape, -1, np.int32)
    for number, tile in enumerate(canvas.tiles):
        result[box(tile)] = number
    return result


def border_distance(size: tuple[int, int]) -> Array:
    """Pixels from the border of a rectangle, 1 at the border: float32.

    Examples
    --------
    >>> border_distance((3, 3)).tolist()
    [[1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 1.0]]
    """
    y, x = (np.minimum(np.arange(n), np.arange(n)[::-1]) + 1 for n in size)
    result: Array = np.minimum(y[:, None], x[None, :]).astype(np.float32)
    return result


def diffusion_weight(count: Array, tile: PlacedTile) -> tuple[Array, int]:
    """Solve Laplace's equation for one tile's weight where it overlaps others.

    The weight is 1 where the tile is alone and 0 just outside of it where others are; where nothing is outside, no
    weight flows. In an overlap of two tiles their weights add up to 1; where more meet, dividing by the sum remains.

    Parameters
    ----------
    count : ndarray, shape (y + 2, x + 2)
        Tiles that cover each pixel of the canvas, one pixel of zeros around it.
    tile : PlacedTile
        The tile.

    Returns
    -------
    weight : ndarray of float32
        Shape of the tile's box.
    sweeps : int
        Sweeps that it took.
    """
    value, kind = boundary_values(count, tile)
    if not (kind == FREE).any():
        return value[1:-1, 1:-1].astype(np.float32), 0
    sweeps = relax(value, kind)
    weight = np.clip(value[1:-1, 1:-1], 0, 1)
    return np.maximum(weight, _TRACE * border_distance(tile.size)).astype(np.float32), sweeps


def boundary_values(count: Array, tile: PlacedTile) -> tuple[Array, Array]:
    """Start values and kinds of the pixels of a tile's box, one pixel around it included.

    Returns
    -------
    value : ndarray of float64
        1 and 0 at the boundaries, between them by the distances from both.
    kind : ndarray of uint8
        `FREE`, `FIXED` or `ABSENT`.
    """
    from scipy import ndimage

    rows, columns = box(tile)
    around = count[rows.start : rows.stop + 2, columns.start : columns.stop + 2]
    kind = np.where(around > 0, FIXED, ABSENT).astype(np.uint8)
    # Corners of the ring are no neighbours of any pixel of the tile.
    inner = kind[1:-1, 1:-1]
    shared = around[1:-1, 1:-1] > 1
    inner[shared] = FREE
    value = np.zeros(around.shape)
    value[1:-1, 1:-1] = 1.0
    if shared.any():
        one = kind == FIXED
        one[[0, -1]] = one[:, [0, -1]] = False
        zero = (kind == FIXED) & ~one
        zero[[0, 0, -1, -1], [0, -1, 0, -1]] = False
        if one.any() and zero.any():
            from_one, from_zero = (ndimage.distance_transform_edt(~mask) for mask in (one, zero))
            start = from_zero / np.maximum(from_one + from_zero, 1e-9)
            free = kind == FREE
            value[free] = start[free]
    value[kind == ABSENT] = 0
    value[[0, -1]] = value[:, [0, -1]] = 0
    return value, kind


def relax(value: Array, kind: Array, tolerance: float = TOLERANCE) -> int:
    """Solve Laplace's equation in place by successive over-relaxation; return the sweeps.

    Parameters
    ----------
    value : ndarray of float64, shape (y, x)
        Start and boundary values; nothing flows over its own border.
    kind : ndarray of uint8
        `FREE` pixels are solved for, `FIXED` ones stay, `ABSENT` ones are no neighbours.
    tolerance : float
        Largest difference of a value from the mean of its neighbours at the end.
    """
    from scipy import ndimage

    from linumpy_lib.stitching.kernels import sweep

    # The corridor's width decides on the best over-relaxation: a sine that fits into it decays slowest.
    across = 2 * float(ndimage.distance_transform_edt(kind == FREE).max(initial=1.0))
    omega = 2 / (1 + np.sin(np.pi / max(across, 3.0)))
    for done in range(1, _MOST_SWEEPS + 1):
        if sweep(value, kind, omega) <= tolerance:
            return done
    return _MOST_SWEEPS
