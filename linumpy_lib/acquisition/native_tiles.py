"""Tiles whose voxels are kept: from the files into encoded chunks, in few passes over memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.acquisition.checksums import combined
from linumpy_lib.acquisition.direct_reading import DirectReader
from linumpy_lib.acquisition.raw_tile import RawTile, read_frames
from linumpy_lib.acquisition.tile_image import not_finite, runs
from linumpy_lib.io.encoded import EncodedBox, chunk_parts, encode_frames, frames_room
from linumpy_lib.io.layout import LevelPlan
from linumpy_lib.io.mosaic_grid import MosaicGrid
from linumpy_lib.machine_code import kernel

Array = npt.NDArray[Any]
Place = tuple[int, int]
Encoded = tuple[Place, EncodedBox, int | None]

# Bytes that are read at once, and readings under way for each thread: enough to keep a fast disk busy.
_PIECE_BYTES = 4 << 20
_READINGS = 4
_KERNELS = (("linumpy_lib.acquisition.scatter_kernel", "scatter"), ("linumpy_lib.io.blosc_kernel", "encode"))
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class _Row:
    """One row of chunks of a tile: B-scans `start` to `stop`."""

    place: Place
    box: tuple[slice, slice, slice]
    raw: RawTile | None
    start: int
    stop: int
    last: bool


@dataclass(frozen=True)
class _Piece:
    """What was found in some B-scans: checksum and length of their bytes, smallest and largest value."""

    checksum: int
    n_bytes: int
    span: tuple[float, float]


def load_kernels() -> None:
    """Load the machine code that `NativeTiles` runs."""
    for module, name in _KERNELS:
        kernel(module, name)


_Finished = tuple[EncodedBox, list[_Piece], Array]


class NativeTiles:
    """Encode the tiles of a slice without changing a voxel.

    Pieces of the files are read in order, by more threads than there are cores, since most of them wait for the disk.
    Each piece goes straight to its place in the chunks of its row; when a row is complete, its chunks are encoded. At
    most `threads` threads compute at the same time.

    Parameters
    ----------
    grid : MosaicGrid
        Tile grid of the mosaic.
    level : LevelPlan
        Layout of the store.
    shift : int
        A-lines by which every B-scan is rolled.
    threads : int
        Cores to use.
    """

    def __init__(self, grid: MosaicGrid, level: LevelPlan, shift: int, threads: int) -> None:
        self.grid, self.level, self.shift, self.threads = grid, level, shift, threads
        self._cores = threading.Semaphore(threads)
        self._free: list[Array] = []
        self._rooms: list[Array] = []
        self._own = threading.local()

    def encode(self, tiles: Sequence[tuple[Place, RawTile | None]]) -> Generator[Encoded]:
        """Encode tiles in their order.

        Parameters
        ----------
        tiles : sequence of ((int, int), RawTile or None)
            Row and column of each tile, and its files; None: the tile is missing and black.

        Yields
        ------
        place : (int, int)
            Row and column.
        box : EncodedBox
            Its next row of chunks; to be stored before the next one is asked for.
        checksum : int or None
            CRC-32C of the tile's bytes, with the last box of a tile that is there.

        Raises
        ------
        InputError
            If a tile cannot be read or holds NaN or infinite values.
        """
        rows = (row for place, raw in tiles for row in self._rows(place, raw))
        frame = max((raw.info.frame_bytes * raw.repeats for _, raw in tiles if raw is not None), default=1)
        reader = DirectReader(max(frame, _PIECE_BYTES))
        waiting: deque[tuple[_Row, Future[_Finished]]] = deque()
        pieces: list[_Piece] = []
        with (
            ThreadPoolExecutor(self.threads * _READINGS, thread_name_prefix="read") as readers,
            ThreadPoolExecutor(self.threads, thread_name_prefix="encode") as encoders,
        ):
            try:
                while True:
                    # One row is read while one is encoded by each thread.
                    while len(waiting) <= self.threads and (row := next(rows, None)) is not None:
                        waiting.append((row, self._submit(row, reader, readers, encoders)))
                    if not waiting:
                        return
                    row, future = waiting.popleft()
                    box, found, room = future.result()
                    pieces += found
                    checksum = None
                    if row.last:
                        checksum = combined([(p.checksum, p.n_bytes) for p in pieces]) if row.raw else None
                        pieces = []
                    yield row.place, box, checksum
                    self._rooms.append(room)
            finally:
                readers.shutdown(wait=True, cancel_futures=True)
                encoders.shutdown(wait=True, cancel_futures=True)

    def _rows(self, place: Place, raw: RawTile | None) -> Iterator[_Row]:
        zs, ys, xs = self.grid.box(*place)
        step, ny = self.level.chunks[1], self.grid.tile_shape[1]
        for start in range(0, ny, step):
            stop = min(start + step, ny)
            box = (zs, slice(ys.start + start, ys.start + stop), xs)
            yield _Row(place, box, raw, start, stop, stop == ny)

    def _submit(
        self, row: _Row, reader: DirectReader, readers: ThreadPoolExecutor, encoders: ThreadPoolExecutor
    ) -> Future[_Finished]:
        parts = self._free.pop() if self._free else chunk_parts(self.level, row.box)
        readings = [readers.submit(self._place, row, parts, reader, first, count) for first, count in _pieces(row)]
        return encoders.submit(self._finish, row, parts, readings)

    def _finish(self, row: _Row, parts: Array, readings: Sequence[Future[_Piece]]) -> _Finished:
        found = [reading.result() for reading in readings]
        low, high = (min(p.span[0] for p in found), max(p.span[1] for p in found)) if found else (0.0, 0.0)
        if row.raw is None:
            parts[:] = 0
        room = self._rooms.pop() if self._rooms else frames_room(self.level, row.box)
        with self._cores:
            box = encode_frames(self.level, row.box, parts, (low, high), room)
        self._free.append(parts)
        return box, found, room

    def _place(self, row: _Row, parts: Array, reader: DirectReader, first: int, count: int) -> _Piece:
        """Read B-scans of a tile to their place in a row of chunks."""
        import google_crc32c

        raw = row.raw
        assert raw is not None
        info = raw.info
        data = read_frames(raw, reader, first * raw.repeats, count * raw.repeats)
        with self._cores:
            table = np.array([(image.start, image.stop, file.start) for image, file in runs(raw, self.shift)], np.int64)
            layout = np.array([parts.shape[2], *parts.shape[3:]], np.int64)
            extents = np.array(info.frame_shape, np.int64)
            spans = np.empty((count, 2), np.int32)
            scatter = kernel(*_KERNELS[0])
            checksum = 0
            # Scan by scan, each from memory once.
            for k, scan in enumerate(data.reshape(count, -1)):
                checksum = google_crc32c.extend(checksum, scan)
                source = scan.view(np.uint32)
                if raw.repeats > 1:
                    mean = scan.view(np.float32).reshape(raw.repeats, -1).mean(axis=0, dtype=np.float32)
                    source = mean.view(np.uint32)
                row_of_chunk = first + k - row.start
                scatter(
                    *(source, source.size, 0, 1, extents, table, table.size),
                    *(parts, parts.size, layout, row_of_chunk, spans[k], self._few(parts.shape[5])),
                )
        span = np.array([spans[:, 0].min(), spans[:, 1].max()])
        low, high = (float(v) for v in (span ^ ((span >> 31) & 0x7FFFFFFF)).view(np.float32))
        if low < -_LARGEST or high > _LARGEST or low != low or high != high:
            raise not_finite(raw, first, count)
        return _Piece(checksum, data.nbytes, (low, high))

    def _few(self, width: int) -> Array:
        few: Array | None = getattr(self._own, "few", None)
        if few is None:
            few = self._own.few = np.empty(16 * width, np.uint32)
        return few


def _pieces(row: _Row) -> Iterator[tuple[int, int]]:
    """First B-scan and number of each piece of a row, from one file as far as B-scans are."""
    if row.raw is None:
        return
    size = max(1, _PIECE_BYTES // (row.raw.info.frame_bytes * row.raw.repeats))
    ends = np.cumsum([count for _, count in row.raw.files]) if row.raw.repeats == 1 else np.array([row.stop])
    first = row.start
    while first < row.stop:
        end = int(ends[np.searchsorted(ends, first, side="right")])
        count = min(size, row.stop - first, end - first)
        yield first, count
        first += count
