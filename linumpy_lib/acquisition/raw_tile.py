"""Read the voxels of one raw tile: B-scans streamed from `image_*.bin`, repeats averaged, galvo return cut off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.acquisition.tile_info import TileInfo, read_tile_info
from linumpy_lib.errors import InputError

Array = npt.NDArray[Any]

PATTERN = "image_*.bin"
# Bytes read at once: large enough for the disk, small enough to stay in the processor's cache while it is transposed.
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class RawTile:
    """A tile on disk whose files have been measured, not yet read.

    Attributes
    ----------
    folder : Path
        Its folder.
    info : TileInfo
        Its geometry.
    files : tuple of (Path, int)
        Data files in order, and the B-scans in each.
    repeats : int
        Consecutive B-scans on disk that show the same place.
    """

    folder: Path
    info: TileInfo
    files: tuple[tuple[Path, int], ...]
    repeats: int

    @property
    def n_bytes(self) -> int:
        """Bytes of voxels on disk."""
        return sum(count for _, count in self.files) * self.info.frame_bytes


def open_tile(folder: Path) -> RawTile:
    """Measure the files of a tile folder.

    Parameters
    ----------
    folder : Path
        Tile folder with `info.txt` and `image_*.bin`.

    Raises
    ------
    InputError
        If files are missing, truncated, oversized or unreadable.
    """
    info = read_tile_info(folder)
    files = []
    try:
        for path in sorted(folder.glob(PATTERN)):
            size = path.stat().st_size
            if size % info.frame_bytes:
                raise InputError(
                    f"{path}: {size} bytes are {size / info.frame_bytes:.3f} B-scans of {info.frame_bytes} bytes "
                    f"({info.nx + info.n_extra} A-lines x {info.nz} samples x float32); the file is truncated or "
                    "info.txt does not belong to it: copy the tile again"
                )
            files.append((path, size // info.frame_bytes))
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions") from None
    if not files:
        raise InputError(f"{folder}: no {PATTERN} in it; copy the tile again, or remove its folder to mark a hole")
    frames = sum(count for _, count in files)
    if frames not in (info.ny, info.ny * info.n_repeat):
        wanted = f"{info.ny * info.n_repeat}" + (f" or {info.ny}" if info.n_repeat > 1 else "")
        state = "truncated" if frames < info.ny * info.n_repeat else "oversized"
        raise InputError(
            f"{folder}: its {len(files)} image_*.bin hold {frames} B-scans, info.txt says {wanted} (ny x n_repeat): "
            f"{state}; copy the tile again or correct info.txt"
        )
    return RawTile(folder, info, tuple(files), frames // info.ny)


def prefetch(tile: RawTile) -> None:
    """Ask the system to read a tile's files ahead into its cache; does nothing where it cannot."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path, _ in tile.files:
        try:
            with path.open("rb", buffering=0) as handle:
                os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
        except OSError:
            # Only a hint: whoever reads the file reports what is wrong with it.
            return


class Checksum:
    """Running CRC-32C of the bytes that were read."""

    def __init__(self) -> None:
        self.value = 0

    def add(self, values: Array) -> None:
        """Count more bytes."""
        import google_crc32c

        self.value = google_crc32c.extend(self.value, values.tobytes())


def frames(
    tile: RawTile, start: int = 0, stop: int | None = None, checksum: Checksum | None = None
) -> Iterator[tuple[int, Array]]:
    """Iterate over pieces of a tile's B-scans.

    Parameters
    ----------
    tile : RawTile
        Tile to read.
    start, stop : int
        Range of B-scans.
    checksum : Checksum, optional
        Receives the bytes as they lie on disk.

    Yields
    ------
    first : int
        Index of the piece's first B-scan.
    piece : ndarray of float32, shape (n, nx + n_extra, nz)
        B-scans as they lie on disk (repeats averaged).

    Raises
    ------
    InputError
        If a file changed or cannot be read.
    """
    stop = tile.info.ny if stop is None else stop
    size = max(1, _PIECE_BYTES // (tile.info.frame_bytes * tile.repeats))
    for first in range(start, stop, size):
        count = min(size, stop - first)
        raw = _read(tile, first * tile.repeats, count * tile.repeats)
        if checksum is not None:
            checksum.add(raw)
        if tile.repeats > 1:
            raw = raw.reshape(count, tile.repeats, *tile.info.frame_shape).mean(axis=1, dtype=np.float32)
        yield first, raw


def _read(tile: RawTile, first: int, count: int) -> Array:
    """Read B-scans by their number on disk, across file boundaries."""
    out = np.empty((count, *tile.info.frame_shape), np.float32)
    filled = 0
    offset = 0
    for path, number in tile.files:
        begin, end = max(first, offset), min(first + count, offset + number)
        if begin < end:
            part = out[filled : filled + end - begin]
            try:
                with path.open("rb", buffering=0) as handle:
                    handle.seek((begin - offset) * tile.info.frame_bytes)
                    _fill(handle, memoryview(part.data).cast("B"), path)
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror}); check the disk") from None
            filled += end - begin
        offset += number
    return out


def _fill(handle: Any, view: memoryview, path: Path) -> None:
    while len(view):
        got = handle.readinto(view)
        if not got:
            raise InputError(f"{path}: became shorter while it was read; wait until the copy is complete")
        view = view[got:]


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
    nx = tile.info.nx
    total = nx + tile.info.n_extra
    shift %= total
    # Rolled by `shift`, A-line a comes from a - shift: two runs without a copy of the whole.
    head = min(shift, nx)
    for first, piece in frames(tile, checksum=checksum):
        if not (np.isfinite(piece.max()) and np.isfinite(piece.min())):
            raise InputError(
                f"{tile.folder}: B-scans {first} to {first + len(piece) - 1} hold NaN or infinite values; copy the "
                "tile again, or remove its folder to mark a hole"
            )
        if depth is not None:
            piece = piece @ depth.T  # noqa: PLW2901 - the raw piece is let go
        target = out[:, first : first + len(piece)]
        if head:
            target[:, :, :head] = piece[:, total - shift : total - shift + head].transpose(2, 0, 1)
        if nx > head:
            target[:, :, head:] = piece[:, : nx - head].transpose(2, 0, 1)


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
