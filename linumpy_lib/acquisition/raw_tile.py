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

    def add(self, data: bytes) -> None:
        """Count more bytes."""
        import google_crc32c

        self.value = google_crc32c.extend(self.value, data)


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
        data = _read(tile, first * tile.repeats, count * tile.repeats)
        if checksum is not None:
            checksum.add(data)
        raw = np.frombuffer(data, np.float32).reshape(count * tile.repeats, *tile.info.frame_shape)
        if tile.repeats > 1:
            raw = raw.reshape(count, tile.repeats, *tile.info.frame_shape).mean(axis=1, dtype=np.float32)
        yield first, raw


def _read(tile: RawTile, first: int, count: int) -> bytes:
    """Read B-scans by their number on disk, across file boundaries."""
    pieces = []
    offset = 0
    for path, number in tile.files:
        begin, end = max(first, offset), min(first + count, offset + number)
        if begin < end:
            size = tile.info.frame_bytes
            try:
                pieces.append(_read_bytes(path, (begin - offset) * size, (end - begin) * size))
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror}); check the disk") from None
        offset += number
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _read_bytes(path: Path, start: int, size: int) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(handle, size, start)
        while len(data) < size:
            more = os.pread(handle, size - len(data), start + len(data))
            if not more:
                raise InputError(f"{path}: became shorter while it was read; wait until the copy is complete")
            data += more
    finally:
        os.close(handle)
    return data


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


def check_finite(tile: RawTile, first: int, piece: Array) -> None:
    """Refuse B-scans that hold NaN or infinite values.

    Raises
    ------
    InputError
        Naming the tile and its B-scans.
    """
    if not (np.isfinite(piece.max()) and np.isfinite(piece.min())):
        raise InputError(
            f"{tile.folder}: B-scans {first} to {first + len(piece) - 1} hold NaN or infinite values; copy the "
            "tile again, or remove its folder to mark a hole"
        )


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
        check_finite(tile, first, piece)
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
    for image, file in runs(tile, shift):
        for i, j in np.ndindex(kz, kx):
            begin, end = max(image.start, j * cx), min(image.stop, (j + 1) * cx)
            if begin < end:
                depth = slice(i * cz, min((i + 1) * cz, tile.info.nz))
                source = slice(begin - image.start + file.start, end - image.start + file.start)
                target = parts[i, 0, j, : depth.stop - depth.start, :, begin - j * cx : end - j * cx]
                boxes.append((target, source, depth))
    for first, piece in frames(tile, start, stop, checksum):
        check_finite(tile, first, piece)
        for _, file in runs(tile, shift):
            low, high = min(low, float(piece[:, file].min())), max(high, float(piece[:, file].max()))
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
