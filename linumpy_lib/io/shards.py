"""Write one Zarr v3 shard: chunks encoded in parallel, stored in the order given, checksummed index at the end.

An own encoder, because the bytes must not depend on the number of threads and no second copy of a shard should be held.
Every chunk carries a checksum, because Blosc alone decodes damaged bytes without complaint.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, TypeVar

import google_crc32c
import numpy as np

from linumpy_lib.errors import ParameterError
from linumpy_lib.io.lazy import Array

CODECS = ("zstd-bitshuffle", "lz4-bitshuffle", "lz4", "zstd", "none")
DEFAULT_CODEC = "zstd-bitshuffle"
_BLOSC: dict[str, tuple[str, int, str]] = {
    "zstd-bitshuffle": ("zstd", 3, "bitshuffle"),
    "lz4-bitshuffle": ("lz4", 1, "bitshuffle"),
    "lz4": ("lz4", 5, "shuffle"),
}
_ZSTD_LEVEL = 3
Data = TypeVar("Data", bytes, Array)


def codec_documents(codec: str, dtype: np.dtype[Any]) -> list[dict[str, Any]]:
    """Zarr v3 ``codecs`` of the chunks inside a shard.

    Raises
    ------
    ParameterError
        If `codec` is none of `CODECS`.
    """
    if codec not in CODECS:
        raise ParameterError(f"codec = {codec!r}: choose one of {', '.join(CODECS)}")
    size = dtype.itemsize
    chain: list[dict[str, Any]] = [
        {"name": "bytes", "configuration": {"endian": "little"}} if size > 1 else {"name": "bytes"}
    ]
    if codec in _BLOSC:
        name, level, shuffle = _BLOSC[codec]
        configuration = {"typesize": size, "cname": name, "clevel": level, "shuffle": shuffle, "blocksize": 0}
        chain.append({"name": "blosc", "configuration": configuration})
    elif codec == "zstd":
        chain.append({"name": "zstd", "configuration": {"level": _ZSTD_LEVEL, "checksum": False}})
    chain.append({"name": "crc32c"})
    return chain


def with_checksum(data: Data) -> tuple[Data, bytes]:
    """Return encoded bytes and their CRC-32C, which follows them."""
    return data, int(google_crc32c.value(data)).to_bytes(4, "little")


def encode_chunk(chunk: Array, codec: str) -> tuple[bytes, bytes]:
    """Encode one full chunk, and its checksum; runs without the interpreter lock, in a worker thread.

    In the main thread Blosc would start threads of its own.
    """
    flat = np.ascontiguousarray(chunk, dtype=chunk.dtype.newbyteorder("<"))
    if codec in _BLOSC:
        from numcodecs import blosc

        name, level, shuffle = _BLOSC[codec]
        mode = blosc.BITSHUFFLE if shuffle == "bitshuffle" else blosc.SHUFFLE
        return with_checksum(blosc.compress(flat, name.encode(), level, mode, 0))
    if codec == "zstd":
        from numcodecs import zstd

        return with_checksum(zstd.compress(flat, _ZSTD_LEVEL))
    return with_checksum(flat.tobytes())


def chunk_boxes(
    block: Array, chunks: tuple[int, ...], counts: tuple[int, ...], start: tuple[int, ...] | None = None
) -> Iterator[tuple[int, Array]]:
    """Yield number (C order in the shard) and voxels of the chunks that hold data."""
    start = start or (0,) * len(counts)
    used = [math.ceil(n / c) for n, c in zip(block.shape, chunks, strict=True)]
    for index in itertools.product(*(range(n) for n in used)):
        box = tuple(slice(k * c, (k + 1) * c) for k, c in zip(index, chunks, strict=True))
        place = tuple(s + k for s, k in zip(start, index, strict=True))
        yield int(np.ravel_multi_index(place, counts)), block[box]


def padded(part: Array, chunks: tuple[int, ...]) -> Array:
    """Fill a chunk that is cut at the edge of the volume with zeros."""
    if part.shape == chunks:
        return part
    full = np.zeros(chunks, part.dtype)
    full[tuple(slice(n) for n in part.shape)] = part
    return full


def write_shard(
    path: Path,
    block: Array,
    chunks: tuple[int, ...],
    shards: tuple[int, ...],
    codec: str,
    pool: Executor,
    ahead: int = 8,
) -> int:
    """Write `block` as the shard file `path`.

    Parameters
    ----------
    path : Path
        Shard file, its folder is made.
    block : ndarray
        Voxels of the shard, clipped at the edge of the volume.
    chunks, shards : tuple of int
        Chunk and shard shape, one number per axis of `block`.
    codec : str
        One of `CODECS`.
    pool : Executor
        Threads that encode.
    ahead : int
        Chunks that may wait, encoded, for their turn.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    counts = tuple(s // c for s, c in zip(shards, chunks, strict=True))
    index = np.full((math.prod(counts), 2), np.iinfo(np.uint64).max, dtype="<u8")
    waiting: deque[tuple[int, Future[tuple[bytes, bytes]]]] = deque()
    offset = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:

        def store_first() -> None:
            nonlocal offset
            number, future = waiting.popleft()
            data, checksum = future.result()
            handle.write(data)
            handle.write(checksum)
            index[number] = offset, len(data) + len(checksum)
            offset += len(data) + len(checksum)

        try:
            for number, part in chunk_boxes(block, chunks, counts):
                waiting.append((number, pool.submit(lambda part: encode_chunk(padded(part, chunks), codec), part)))
                if len(waiting) > ahead:
                    store_first()
            while waiting:
                store_first()
        finally:
            for _, future in waiting:
                future.cancel()
        handle.writelines(with_checksum(index.tobytes()))
    return offset + index.nbytes + 4
