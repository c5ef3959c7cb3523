"""A raw tile on disk: its files measured, its B-scans streamed from `image_*.bin`, repeats averaged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.acquisition.direct_reading import DirectReader
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


def read_frames(tile: RawTile, reader: DirectReader, first: int, count: int) -> Array:
    """Read B-scans by their number on disk, past the system's cache.

    Parameters
    ----------
    tile : RawTile
        Tile to read.
    reader : DirectReader
        Who reads; for pieces as large as the B-scans.
    first, count : int
        Which B-scans; repeats count.

    Returns
    -------
    ndarray of uint8
        Their bytes, valid until the calling thread reads again.

    Raises
    ------
    InputError
        If a file changed or cannot be read.
    """
    size = tile.info.frame_bytes
    found = []
    offset = 0
    for path, number in tile.files:
        begin, end = max(first, offset), min(first + count, offset + number)
        if begin < end:
            piece = reader.read(path, (begin - offset) * size, (end - begin) * size)
            if end - begin == count:
                return piece
            found.append(piece.copy())
        offset += number
    return np.concatenate(found)
