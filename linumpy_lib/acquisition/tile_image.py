"""The image of one raw tile: galvo return cut off, legacy corrections, into an array or straight into chunks."""

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
        raise InputError(
            f"{tile.folder}: B-scans {first} to {first + len(piece) - 1} hold NaN or infinite values; copy the "
            "tile again, or remove its folder to mark a hole"
        )
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


def read_chunks(
    tile: RawTile, parts: Array, start: int, stop: int, shift: int, checksum: Checksum
) -> tuple[float, float]:
    """Read some of a tile's B-scans straight into the chunks of a store.

    Parameters
    ----------
    tile : RawTile
        Tile to read.
    parts : ndarray of float32, shape (kz, 1, kx, cz, cy, cx)
        Chunks of the whole depth and width; row 0 of a chunk is B-scan `start`.
    start, stop : int
        Range of B-scans.
    shift : int
        A-lines to roll by, see `runs`.
    checksum : Checksum
        Receives the bytes as they lie on disk.

    Returns
    -------
    (float, float)
        Smallest and largest value.

    Raises
    ------
    InputError
        If the tile cannot be read or holds NaN or infinite values.
    """
    (kz, _, kx), (cz, _, cx) = parts.shape[:3], parts.shape[3:]
    low, high = np.inf, -np.inf
    boxes = []
    pairs = runs(tile, shift)
    for image, file in pairs:
        for i, j in np.ndindex(kz, kx):
            begin, end = max(image.start, j * cx), min(image.stop, (j + 1) * cx)
            if begin < end:
                depth = slice(i * cz, min((i + 1) * cz, tile.info.nz))
                source = slice(begin - image.start + file.start, end - image.start + file.start)
                target = parts[i, 0, j, : depth.stop - depth.start, :, begin - j * cx : end - j * cx]
                boxes.append((target, source, depth))
    for first, piece in frames(tile, start, stop, checksum):
        span = finite_span(tile, first, piece, pairs)
        low, high = min(low, span[0]), max(high, span[1])
        rows = slice(first - start, first - start + len(piece))
        for target, source, depth in boxes:
            target[:, rows] = piece[:, source, depth].transpose(2, 0, 1)
    return low, high


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
