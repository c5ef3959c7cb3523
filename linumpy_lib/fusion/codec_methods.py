"""Formats, codecs and layouts that `benchmark_compression` compares."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from linumpy_lib.io.lazy import Array, LazyArray, Region, Source

CHUNKS = "chunks of 10 x 128 x 128"
FRAMES = "chunks of one frame, shards of ten"
Reader = Callable[[int, int], Any]


class Writer(Protocol):
    """Takes slabs of planes in order."""

    def write(self, first: int, planes: Array) -> None:
        """Store planes from `first` on."""

    def close(self) -> None:
        """Finish the file."""


@dataclass(frozen=True)
class Method:
    """A format with codec, level and layout.

    Attributes
    ----------
    table : str
        Table that it belongs to.
    format : {"zarr", "klb", "tiff"}
        Format.
    codec : str
        Codec.
    level : int or None
        Its level.
    sharded : bool or None
        For Zarr, whether chunks are packed into shards.
    """

    table: str
    format: str
    codec: str
    level: int | None = None
    sharded: bool | None = None

    @property
    def name(self) -> str:
        """Name that tells it from the others."""
        level = "" if self.level is None else f"_{self.level}"
        if self.table == CHUNKS:
            return f"{self.codec}{level}_{'sharded' if self.sharded else 'no_shard'}"
        return f"{self.format}_{self.codec}{level}"

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return f"{self.name}.{'tif' if self.format == 'tiff' else self.format}"

    def write(self, path: Path, source: Source, spans: Sequence[tuple[int, int]], threads: int) -> float:
        """Write a volume slab by slab; return the seconds without those that reading it took."""
        began = time.perf_counter()
        timed = _TimedSource(source)
        if self.format == "klb":
            from linumpy_lib.io.klb_writing import write_klb

            write_klb(path, LazyArray(timed), compression=self.codec, level=self.level, threads=threads)
        else:
            kind = _ZarrWriter if self.format == "zarr" else _TiffWriter
            writer: Writer = kind(self, path, source.shape, source.dtype)
            for first, last in spans:
                writer.write(first, timed.read((slice(first, last), *(slice(0, n) for n in source.shape[1:]))))
            writer.close()
        return time.perf_counter() - began - timed.seconds

    def reader(self, path: Path, threads: int) -> Reader:
        """Open a file; the result reads planes."""
        if self.format == "zarr":
            import zarr

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                array: Any = zarr.open_array(str(path), mode="r")
            return lambda first, last: array[first:last]
        from linumpy_lib.io import open_volume

        volume = open_volume(path, ndim=3, threads=threads)
        return lambda first, last: volume.read(slice(first, last))


def _zarr(codec: str, level: int | None, sharded: bool, table: str) -> Method:
    return Method(table, "zarr", codec, level, sharded)


METHODS = (
    _zarr("blosc-zstd", 5, True, CHUNKS),
    _zarr("blosc-zstd", 9, True, CHUNKS),
    _zarr("blosc-lz4", 3, True, CHUNKS),
    _zarr("blosc-zstd", 5, False, CHUNKS),
    _zarr("blosc-lz4", 3, False, CHUNKS),
    _zarr("none", None, True, CHUNKS),
    _zarr("none", None, False, CHUNKS),
    Method(FRAMES, "klb", "bzip2", 9),
    Method(FRAMES, "klb", "bzip2"),
    Method(FRAMES, "klb", "zlib", 6),
    Method(FRAMES, "tiff", "none"),
    _zarr("bzip2", 9, True, FRAMES),
    *(_zarr(codec, level, True, FRAMES) for codec in ("blosc-zstd", "blosc-lz4", "blosc-lz4hc") for level in (6, 9)),
    _zarr("gzip", 6, True, FRAMES),
    _zarr("gzip", 9, True, FRAMES),
)


def _compressor(codec: str, level: int | None) -> Any:
    from zarr.codecs import BloscCodec, GzipCodec

    if codec == "none":
        return None
    if codec == "gzip":
        return GzipCodec(level=level or 6)
    if codec == "bzip2":
        from numcodecs import zarr3

        # Zarr has no bzip2 of its own; this one works in Python only, which it says each time.
        return zarr3.BZ2(level=level or 9)
    name = codec.removeprefix("blosc-")
    return BloscCodec(cname=name, clevel=level or 5, shuffle="shuffle" if name == "lz4" else "bitshuffle")  # type: ignore[arg-type]


class _ZarrWriter:
    def __init__(self, method: Method, path: Path, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
        import zarr

        whole = tuple(int(n) for n in shape)
        sides = (10, 128, 128) if method.table == CHUNKS else (1, *whole[1:])
        chunks = tuple(min(c, n) for c, n in zip(sides, whole, strict=True))
        shards = None
        if method.sharded:
            deep = 10 if chunks[0] == 1 else chunks[0]
            shards = (min(deep, whole[0]), *(-(-n // c) * c for n, c in zip(whole[1:], chunks[1:], strict=True)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._array: Any = zarr.create_array(
                str(path),
                shape=whole,
                dtype=dtype,
                chunks=chunks,
                shards=shards,
                compressors=_compressor(method.codec, method.level),
                overwrite=True,
            )

    def write(self, first: int, planes: Array) -> None:
        self._array[first : first + len(planes)] = planes

    def close(self) -> None:
        pass


class _TimedSource:
    """A source that knows how long reading it took."""

    def __init__(self, inner: Source) -> None:
        self._inner, self.seconds = inner, 0.0
        self.shape, self.dtype, self.chunks = inner.shape, inner.dtype, inner.chunks

    def read(self, region: Region) -> Array:
        """Read a box."""
        began = time.perf_counter()
        try:
            return self._inner.read(region)
        finally:
            self.seconds += time.perf_counter() - began


class _TiffWriter:
    def __init__(self, method: Method, path: Path, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
        import tifffile

        codec, level = method.codec, method.level

        nbytes = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        self._file = tifffile.TiffWriter(path, bigtiff=nbytes > 2_000_000_000)
        self._options: dict[str, Any] = {"compression": None if codec == "none" else codec}
        if level is not None and codec != "none":
            self._options["compressionargs"] = {"level": level}

    def write(self, first: int, planes: Array) -> None:
        for plane in planes:
            self._file.write(plane, contiguous=True, photometric="minisblack", **self._options)

    def close(self) -> None:
        self._file.close()
