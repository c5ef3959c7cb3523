"""Read the shards that `shards.py` writes: chunks decoded in parallel, each one's checksum verified.

zarr-python and the zarrs pipeline read the same bytes, but zarrs skips the checksums when it reads a part of a shard,
and a damaged chunk then passes as data. Arrays in any other layout are left to them (`zarr_array`).
"""

from __future__ import annotations

import itertools
import math
import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import Array, Region
from linumpy_lib.io.shards import CODECS, codec_documents

_ABSENT = np.iinfo(np.uint64).max
# Indices of shards kept in memory.
_INDICES = 1024


def own_codec(document: dict[str, Any]) -> str | None:
    """Name of the codec if `document` (an array's ``zarr.json``) has the layout of `shards.write_shard`, else None."""
    try:
        dtype = np.dtype(document["data_type"])
        (codec,) = document["codecs"]
        settings = codec["configuration"]
        encoding = document["chunk_key_encoding"]
        plain = (
            codec["name"] == "sharding_indexed"
            and document["chunk_grid"]["name"] == "regular"
            and encoding["name"] == "default"
            and encoding["configuration"]["separator"] == "/"
            and settings["index_location"] == "end"
            and [step["name"] for step in settings["index_codecs"]] == ["bytes", "crc32c"]
            and settings["index_codecs"][0]["configuration"]["endian"] == "little"
            and not document.get("storage_transformers")
            and dtype.kind in "uif"
            and not any(type(n) is not int or n < 1 for n in [*document["shape"], *settings["chunk_shape"]])
            and all(
                n % c == 0 and n > 0
                for n, c in zip(
                    document["chunk_grid"]["configuration"]["chunk_shape"], settings["chunk_shape"], strict=True
                )
            )
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if not plain or document.get("fill_value") not in (0, 0.0):
        return None
    return next((name for name in CODECS if codec_documents(name, dtype) == settings["codecs"]), None)


class ShardSource:
    """Sharded array in a directory.

    Parameters
    ----------
    folder : Path
        Folder of the array.
    document : dict
        Its ``zarr.json``, for which `own_codec` is not None.
    where : str
        What messages call it.
    complete : bool
        Whether absent shards and chunks are an error; otherwise they are zeros.
    threads : int
        Threads that decode.
    """

    def __init__(self, folder: Path, document: dict[str, Any], where: str, *, complete: bool, threads: int) -> None:
        self._folder, self._where, self._complete = folder, where, complete
        self._codec = own_codec(document)
        self.shape: tuple[int, ...] = tuple(document["shape"])
        self.dtype: np.dtype[Any] = np.dtype(document["data_type"])
        self.chunks: tuple[int, ...] = tuple(document["chunk_grid"]["configuration"]["chunk_shape"])
        self._inner: tuple[int, ...] = tuple(document["codecs"][0]["configuration"]["chunk_shape"])
        self._counts = tuple(s // c for s, c in zip(self.chunks, self._inner, strict=True))
        self._indices: dict[tuple[int, ...], Array | None] = {}
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    def read(self, region: Region) -> Array:
        """Box of the array.

        Raises
        ------
        InputError
            If a chunk is missing (in a complete store) or damaged.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="decode")
        out = np.empty([box.stop - box.start for box in region], self.dtype)
        for shard in _touched(region, self.chunks):
            self._read_shard(shard, region, out)
        return out

    def _read_shard(self, shard: tuple[int, ...], region: Region, out: Array) -> None:
        assert self._pool is not None
        inside = tuple(
            slice(max(box.start, k * s), min(box.stop, (k + 1) * s, n))
            for box, k, s, n in zip(region, shard, self.chunks, self.shape, strict=True)
        )
        path = self._folder.joinpath("c", *(str(k) for k in shard))
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            if self._complete:
                key = "/".join(("c", *(str(k) for k in shard)))
                raise InputError(f"{self._where}: missing chunk {key}; restore it or write the store again") from None
            out[_within(inside, region)] = 0
            return
        except OSError as error:
            raise InputError(f"{self._where}: {path} cannot be read ({error.strerror}); check it") from None
        tasks: list[Future[None]] = []
        try:
            index = self._index(shard, descriptor)
            decode = partial(self._read_chunk, descriptor, index, inside=inside, region=region, out=out)
            tasks.extend(self._pool.submit(decode, chunk) for chunk in _touched(inside, self._inner))
            for task in tasks:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                if not task.cancelled():
                    task.exception()
            os.close(descriptor)

    def _damaged(self, chunk: tuple[int, ...], reason: str) -> InputError:
        at = ", ".join(str(k) for k in chunk)
        return InputError(f"{self._where}: corrupt chunk ({at}): {reason}; restore it or write the store again")

    def _index(self, shard: tuple[int, ...], descriptor: int) -> Array:
        index = self._indices.get(shard)
        if index is not None:
            return index
        first = tuple(k * n for k, n in zip(shard, self._counts, strict=True))
        length = 16 * math.prod(self._counts) + 4
        size = os.fstat(descriptor).st_size
        tail = _pread(descriptor, length, size - length) if size >= length else b""
        if len(tail) != length or int(google_crc32c.value(tail[:-4])) != int.from_bytes(tail[-4:], "little"):
            raise self._damaged(first, "the index of its shard is truncated or damaged")
        if len(self._indices) >= _INDICES:
            self._indices.clear()
        index = np.frombuffer(tail[:-4], "<u8").reshape((*self._counts, 2))
        self._indices[shard] = index
        return index

    def _read_chunk(
        self, descriptor: int, index: Array, chunk: tuple[int, ...], inside: Region, region: Region, out: Array
    ) -> None:
        offset, length = (int(v) for v in index[tuple(k % n for k, n in zip(chunk, self._counts, strict=True))])
        part = tuple(
            slice(max(box.start, k * c), min(box.stop, (k + 1) * c))
            for box, k, c in zip(inside, chunk, self._inner, strict=True)
        )
        if offset == _ABSENT and length == _ABSENT:
            if self._complete:
                raise self._damaged(chunk, "it is missing from its shard")
            out[_within(part, region)] = 0
            return
        data = _pread(descriptor, length, offset) if offset + length <= os.fstat(descriptor).st_size else b""
        if len(data) != length or length < 4:
            raise self._damaged(chunk, "it is truncated")
        view = memoryview(data)
        if int(google_crc32c.value(data[:-4])) != int.from_bytes(view[-4:], "little"):
            raise self._damaged(chunk, "its checksum does not match")
        try:
            values = self._decode(view[:-4])
        except (RuntimeError, ValueError) as error:
            raise self._damaged(chunk, str(error)) from None
        start = [k * c for k, c in zip(chunk, self._inner, strict=True)]
        box = tuple(slice(p.start - s, p.stop - s) for p, s in zip(part, start, strict=True))
        out[_within(part, region)] = values[box]

    def _decode(self, data: memoryview) -> Array:
        values = np.empty(self._inner, self.dtype.newbyteorder("<"))
        if self._codec == "none":
            return np.frombuffer(data, values.dtype).reshape(self._inner)
        if self._codec == "zstd":
            from numcodecs import zstd

            zstd.decompress(data, values)
        else:
            from numcodecs import blosc

            blosc.decompress(data, values)
        return values


def _pread(descriptor: int, length: int, offset: int) -> bytes:
    parts = []
    while length > 0 and (part := os.pread(descriptor, length, offset)):
        parts.append(part)
        length -= len(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _touched(region: Region, size: tuple[int, ...]) -> itertools.product[tuple[int, ...]]:
    """Count the indices of the boxes of `size` that `region` touches."""
    return itertools.product(
        *(range(span.start // step, math.ceil(span.stop / step)) for span, step in zip(region, size, strict=True))
    )


def _within(part: Region, region: Region) -> Region:
    """Position of `part` relative to the start of `region`."""
    return tuple(slice(p.start - r.start, p.stop - r.start) for p, r in zip(part, region, strict=True))
