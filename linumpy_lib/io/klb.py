"""KLB, the Keller lab block format: headers, and lazy reading of regions by blocks on several threads.

The layout is that of the published format (little-endian, no padding): 319 bytes of header, the end of every block
relative to the first one (uint64), then the blocks, x fastest, border blocks cropped.
"""

from __future__ import annotations

import bz2
import itertools
import math
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import Array, LazyArray, Region
from linumpy_lib.io.volume import Level, Volume, canonical
from linumpy_lib.threads import available_threads

HEADER = struct.Struct("<B5I5fBB256s5I")
VERSION = 2
DTYPES = tuple(np.dtype(f"<{code}") for code in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"))
COMPRESSIONS = ("none", "bzip2", "zlib")
_DECODING_ERRORS = (OSError, ValueError, EOFError, zlib.error)


@dataclass(frozen=True)
class KlbHeader:
    """What a KLB file tells of itself.

    Attributes
    ----------
    shape : tuple of int
        Extents along t, c, z, y, x.
    pixel_size : tuple of float
        Size along t (seconds), c, z, y, x (micrometres).
    dtype : dtype
        Little-endian type of the voxels.
    compression : {"none", "bzip2", "zlib"}
        How blocks are packed.
    block : tuple of int
        Extents of a block along t, c, z, y, x.
    metadata : str
        Free text, 255 bytes at most.
    """

    shape: tuple[int, int, int, int, int]
    pixel_size: tuple[float, float, float, float, float]
    dtype: np.dtype[Any]
    compression: str
    block: tuple[int, int, int, int, int]
    metadata: str = ""

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of blocks along t, c, z, y, x."""
        return tuple(-(-n // b) for n, b in zip(self.shape, self.block, strict=True))

    def block_box(self, index: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """First and last+1 voxel of a block along t, c, z, y, x."""
        return tuple((k * b, min((k + 1) * b, n)) for k, b, n in zip(index, self.block, self.shape, strict=True))


def read_klb_header(path: Path) -> tuple[KlbHeader, npt.NDArray[np.uint64]]:
    """Read the header of a KLB file and the end of each block in the file.

    Returns
    -------
    header : KlbHeader
    bounds : ndarray of uint64
        ``bounds[i]`` to ``bounds[i + 1]`` are the bytes of block i.

    Raises
    ------
    InputError
        If the header is damaged, names an unknown type or codec, or the file is shorter than it says.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        raw = handle.read(HEADER.size)
        if len(raw) < HEADER.size:
            raise InputError(f"{path}: {size} bytes are no KLB file, its header alone has {HEADER.size}; copy it again")
        values = HEADER.unpack(raw)
        header = _header(path, values)
        count = math.prod(header.grid)
        start = HEADER.size + 8 * count
        if start > size:
            raise InputError(
                f"{path}: the file is truncated or its header damaged, {size} bytes cannot hold {count} blocks; "
                "copy it again"
            )
        ends = np.frombuffer(handle.read(8 * count), "<u8")
    bounds = np.concatenate([np.zeros(1, np.uint64), ends.astype(np.uint64)])
    if (bounds[1:] < bounds[:-1]).any() or int(bounds[-1]) > size - start:
        where = "are out of order" if (bounds[1:] < bounds[:-1]).any() else f"end beyond the file's {size} bytes"
        raise InputError(f"{path}: the file is truncated or damaged, its blocks {where}; copy it again")
    return header, bounds + np.uint64(start)


def _header(path: Path, values: tuple[Any, ...]) -> KlbHeader:
    version, sizes, pixels, kind, codec = values[0], values[1:6], values[6:11], values[11], values[12]
    block = values[14:19]
    if not 1 <= version <= VERSION:
        raise InputError(f"{path}: no KLB file, or of an unknown version ({version}); versions 1 and 2 can be read")
    if kind >= len(DTYPES):
        raise InputError(f"{path}: KLB data type {kind} is unknown; write the file again with a current library")
    if codec >= len(COMPRESSIONS):
        raise InputError(
            f"{path}: KLB codec {codec} is unknown, only none, bzip2 and zlib are part of the format; "
            "write the file again with bzip2"
        )
    if min(sizes) < 1 or min(block) < 1:
        raise InputError(f"{path}: the KLB header is damaged, sizes {sizes} in blocks of {block}; copy it again")
    text = values[13].split(b"\0", 1)[0].decode("utf-8", errors="replace")
    return KlbHeader(
        tuple(reversed(sizes)), tuple(reversed(pixels)), DTYPES[kind], COMPRESSIONS[codec], tuple(reversed(block)), text
    )


def unpack(data: bytes, compression: str, size: int) -> bytes:
    """Unpack one block, never to more than `size` bytes and one.

    Raises
    ------
    OSError, ValueError, EOFError, zlib.error
        If it is damaged or does not hold exactly `size` bytes.
    """
    if compression == "bzip2":
        found = bz2.BZ2Decompressor().decompress(data, max_length=size + 1)
    elif compression == "zlib":
        found = zlib.decompressobj().decompress(data, size + 1)
    else:
        found = data
    if len(found) != size:
        raise ValueError(f"it holds {'more' if len(found) > size else len(found)} bytes where {size} are needed")
    return found


class KlbSource:
    """A KLB file as a source (t, c, z, y, x); blocks are read and unpacked by several threads.

    Parameters
    ----------
    path : Path
        File to read.
    threads : int, optional
        Blocks that are unpacked at the same time, all cores by default.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.header, self._bounds = read_klb_header(path)
        self.shape: tuple[int, ...] = self.header.shape
        self.dtype: np.dtype[Any] = self.header.dtype.newbyteorder("=")
        self.chunks: tuple[int, ...] | None = tuple(
            min(b, n) for b, n in zip(self.header.block, self.shape, strict=True)
        )
        self._threads = threads or available_threads()

    def read(self, region: Region) -> Array:
        """Return a box.

        Raises
        ------
        InputError
            If a block is damaged or the file has become shorter.
        """
        out = np.empty([part.stop - part.start for part in region], self.dtype)
        spans = [range(part.start // b, -(-part.stop // b)) for part, b in zip(region, self.header.block, strict=True)]
        blocks = list(itertools.product(*spans))
        handle = os.open(self.path, os.O_RDONLY)
        try:
            if self._threads == 1 or len(blocks) == 1:
                for index in blocks:
                    self._place(handle, index, region, out)
            else:
                with ThreadPoolExecutor(min(self._threads, len(blocks)), thread_name_prefix="klb") as pool:
                    list(pool.map(lambda index: self._place(handle, index, region, out), blocks))
        finally:
            os.close(handle)
        return out

    def _place(self, handle: int, index: tuple[int, ...], region: Region, out: Array) -> None:
        number = int(np.ravel_multi_index(index, self.header.grid))
        start, stop = int(self._bounds[number]), int(self._bounds[number + 1])
        box = self.header.block_box(index)
        shape = [high - low for low, high in box]
        try:
            data = os.pread(handle, stop - start, start)
            size = math.prod(shape) * self.header.dtype.itemsize
            values = np.frombuffer(unpack(data, self.header.compression, size), self.header.dtype).reshape(shape)
        except _DECODING_ERRORS as error:
            raise InputError(
                f"{self.path}: block {number} at byte {start} is damaged ({error}); copy or write the file again"
            ) from None
        source, target = [], []
        for (low, high), part in zip(box, region, strict=True):
            first, last = max(low, part.start), min(high, part.stop)
            source.append(slice(first - low, last - low))
            target.append(slice(first - part.start, last - part.start))
        out[tuple(target)] = values[tuple(source)]


class _SqueezedSource:
    """The last axes of a source whose first ones have length one."""

    def __init__(self, inner: KlbSource, count: int) -> None:
        self._inner, self._count = inner, count
        self.shape: tuple[int, ...] = inner.shape[count:]
        self.dtype: np.dtype[Any] = inner.dtype
        self.chunks: tuple[int, ...] | None = None if inner.chunks is None else inner.chunks[count:]

    def read(self, region: Region) -> Array:
        """Box of the remaining axes."""
        box: Array = self._inner.read((slice(0, 1),) * self._count + region)[(0,) * self._count]
        return box


def open_klb(path: Path, threads: int | None = None) -> Volume:
    """Open a KLB file; leading t and c axes of length one are dropped.

    The format's pixel size is in micrometres; sizes that are not positive are taken as unknown.

    Raises
    ------
    InputError
        If the file is truncated, damaged, or of an unknown type, codec or version.
    """
    source = KlbSource(path, threads)
    drop = next(k for k in range(3) if k == 2 or source.shape[k] > 1)
    lazy, axes, _ = canonical(_SqueezedSource(source, drop), "tczyx"[drop:], str(path))
    spacing = source.header.pixel_size[2:]
    return Volume(
        array=LazyArray(lazy),
        axes=axes,
        spacing_um=spacing if all(math.isfinite(step) and step > 0 for step in spacing) else None,
        origin_um=(0.0, 0.0, 0.0),
        path=path,
        levels=(Level("", (1.0,) * len(axes)),),
    )
