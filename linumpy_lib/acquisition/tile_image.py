"""The image of one raw tile: galvo return cut off, legacy corrections, into an array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.acquisition.raw_tile import Checksum, RawTile, frames
from linumpy_lib.acquisition.tile_info import TileInfo
from linumpy_lib.errors import InputError

Array = npt.NDArray[Any]


def runs(tile: RawTile, shift: int) -> tuple[tuple[slice, slice], ...]:
    """Where the stored A-lines come from once a B-scan is rolled and its galvo return, the last A-lines, is cut off.

    Parameters
    ----------
    tile : RawTile
        Tile to read.
    shift : int
        A-lines to roll by; A-line a of the image is a - shift of the file, circularly.

    Returns
    -------
    tuple of (slice, slice)
        A-lines of the image, and those of the file; one or two runs.
    """
    nx, total = tile.info.nx, tile.info.nx + tile.info.n_extra
    shift %= total
    head = min(shift, nx)
    pairs = [(slice(0, head), slice(total - shift, total - shift + head)), (slice(head, nx), slice(0, nx - head))]
    return tuple(pair for pair in pairs if pair[0].start < pair[0].stop)


def not_finite(tile: RawTile, first: int, count: int) -> InputError:
    """Say which B-scans of a tile hold NaN or infinite values."""
    return InputError(
        f"{tile.folder}: B-scans {first} to {first + count - 1} hold NaN or infinite values; copy the "
        "tile again, or remove its folder to mark a hole"
    )


def finite_span(tile: RawTile, first: int, piece: Array, pairs: tuple[tuple[slice, slice], ...]) -> tuple[float, float]:
    """Smallest and largest value of the A-lines of B-scans that are stored.

    Parameters
    ----------
    tile : RawTile
        Tile they belong to.
    first : int
        Index of the first B-scan.
    piece : ndarray, shape (n, nx + n_extra, nz)
        B-scans as `frames` yields them.
    pairs : tuple of (slice, slice)
        From `runs`.

    Raises
    ------
    InputError
        If there is NaN or an infinite value among them.
    """
    # NaN wins in NumPy's minimum and maximum, not in Python's.
    low = float(np.min([piece[:, file].min() for _, file in pairs]))
    high = float(np.max([piece[:, file].max() for _, file in pairs]))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise not_finite(tile, first, len(piece))
    return low, high


def read_into(
    tile: RawTile, out: Array, *, shift: int = 0, checksum: Checksum | None = None, depth: Array | None = None
) -> None:
    """Read a tile's image into an array, without holding the tile twice.

    Parameters
    ----------
    tile : RawTile
        Tile to read.
    out : ndarray of float32, shape (nz, ny, nx)
        Receives the voxels; any strides.
    shift : int
        A-lines by which every B-scan is rolled before the galvo return, its last `n_extra` A-lines, is cut off.
    checksum : Checksum, optional
        Receives the bytes as they lie on disk.
    depth : ndarray of float32, shape (nz', nz), optional
        Resampling along z; `out` has nz' planes then.

    Raises
    ------
    InputError
        If the tile cannot be read or holds NaN or infinite values.
    """
    pairs = runs(tile, shift)
    for first, piece in frames(tile, checksum=checksum):
        finite_span(tile, first, piece, pairs)
        if depth is not None:
            piece = piece @ depth.T  # noqa: PLW2901 - the raw piece is let go
        target = out[:, first : first + len(piece)]
        for image, file in pairs:
            target[:, :, image] = piece[:, file].transpose(2, 0, 1)


def camera_shift(tile: RawTile) -> int:
    """Return the A-line that holds the maximum of the depth-averaged tile, galvo return included.

    Legacy cameras start late, and the A-line that should be the first is overexposed.

    Parameters
    ----------
    tile : RawTile
        Tile to read.
    """
    best, where = -np.inf, 0
    for _, piece in frames(tile):
        columns = piece.mean(axis=2).max(axis=0)
        column = int(columns.argmax())
        if columns[column] > best or (columns[column] == best and column < where):
            best, where = float(columns[column]), column
    return where


@dataclass(frozen=True)
class TileFixes:
    """Corrections of the tiles of one slice.

    Attributes
    ----------
    galvo_shift_px : int
        A-lines by which B-scans are rolled.
    camera : bool
        Legacy data: roll each tile so that its brightest A-line becomes the first, and replace the overexposed voxel
        column there by its neighbour.
    rotate : bool
        Legacy data: swap x and y and flip both.
    """

    galvo_shift_px: int = 0
    camera: bool = False
    rotate: bool = False


def tile_shape(info: TileInfo, fixes: TileFixes) -> tuple[int, int, int]:
    """Voxels (z, y, x) of a corrected tile."""
    return (info.nz, info.nx, info.ny) if fixes.rotate else (info.nz, info.ny, info.nx)


def read_tile(
    tile: RawTile, out: Array, fixes: TileFixes, checksum: Checksum | None = None, depth: Array | None = None
) -> None:
    """Read and correct a whole tile.

    Parameters
    ----------
    tile : RawTile
        Tile to read.
    out : ndarray of float32, shape from `tile_shape`
        Receives the voxels; any strides.
    fixes : TileFixes
        Corrections.
    checksum : Checksum, optional
        Receives the bytes as they lie on disk.
    depth : ndarray of float32, shape (nz', nz), optional
        Resampling along z; `out` has nz' planes then.

    Raises
    ------
    InputError
        If the tile cannot be read or holds NaN or infinite values.
    """
    target = out[:, ::-1, ::-1].transpose(0, 2, 1) if fixes.rotate else out
    late = camera_shift(tile) if fixes.camera else 0
    read_into(tile, target, shift=fixes.galvo_shift_px - late, checksum=checksum, depth=depth)
    exposed = fixes.galvo_shift_px % (tile.info.nx + tile.info.n_extra)
    if fixes.camera and exposed < tile.info.nx - 1:
        target[:, 0, exposed] = target[:, 0, exposed + 1]
