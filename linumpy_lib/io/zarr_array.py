"""One Zarr array as a source: fast pipeline, and every unreadable or lost chunk named."""

from __future__ import annotations

import itertools
import logging
import math
import os
import threading
import warnings
import zipfile
import zlib
from typing import Any, Literal

import numpy as np

from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import Array, Region, Source
from linumpy_lib.io.shard_array import ShardSource, own_codec
from linumpy_lib.io.store import DirectoryStore, Store, read_document

_log = logging.getLogger(__name__)

# What zarr-python, zarrs and numcodecs raise on bytes that do not decode.
_DECODE_ERRORS = (
    *(RuntimeError, ValueError, TypeError, OSError, EOFError, zlib.error, OverflowError, AssertionError),
    zipfile.BadZipFile,
)


def open_array(
    store: Store, prefix: str, zarr_format: Literal[2, 3], *, complete: bool, threads: int | None = None
) -> Source:
    """Open the array at `prefix` of `store` with the reader that fits its layout; arguments as `ZarrSource`.

    Raises
    ------
    InputError
        If its metadata cannot be used.
    """
    if zarr_format == 3 and isinstance(store, DirectoryStore):
        document = read_document(store, f"{prefix}/zarr.json" if prefix else "zarr.json")
        if document is not None and own_codec(document) is not None:
            where = f"{store.label}: level '{prefix}'" if prefix else store.label
            workers = threads or os.cpu_count() or 1
            return ShardSource(store.root / prefix, document, where, complete=complete, threads=workers)
    return ZarrSource(store, prefix, zarr_format, complete=complete, threads=threads)


class ZarrSource:
    """Array at `prefix` of `store`.

    Parameters
    ----------
    store : Store
        Directory or archive.
    prefix : str
        Path of the array inside it, "" for the root.
    zarr_format : int
        2 or 3.
    complete : bool
        Whether every chunk must be stored. Absent chunks then are an error; otherwise they hold the fill value, as the
        Zarr specification says, and the first one met is logged.
    threads : int, optional
        Decoding threads.
    """

    def __init__(
        self, store: Store, prefix: str, zarr_format: Literal[2, 3], *, complete: bool, threads: int | None = None
    ) -> None:
        self._store, self._prefix, self._complete = store, prefix, complete
        self._array = _open(store, prefix, zarr_format, threads)
        array = self._array
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = array.dtype.newbyteorder("=")
        self.chunks: tuple[int, ...] | None = tuple(array.shards or array.chunks)
        self._inner: tuple[int, ...] = tuple(array.chunks)
        self._seen: set[tuple[int, ...]] = set()
        self._told = False
        # zarr-python runs one event loop; a lock around it costs nothing and keeps zip handles safe.
        self._lock = None if isinstance(store, DirectoryStore) else threading.Lock()

    def read(self, region: Region) -> Array:
        """Box of the array.

        Raises
        ------
        InputError
            If a chunk is missing (in a complete store) or does not decode.
        """
        self._look_for_chunks(region)
        try:
            block = self._get(region)
        except _DECODE_ERRORS as error:
            raise InputError(self._name_bad_chunk(region, error)) from None
        return block.astype(self.dtype, copy=False)

    def _get(self, region: Region) -> Array:
        if self._lock is None:
            return np.asarray(self._array[region])
        with self._lock:
            return np.asarray(self._array[region])

    def _where(self) -> str:
        return f"{self._store.label}: level '{self._prefix}'" if self._prefix else self._store.label

    def _look_for_chunks(self, region: Region) -> None:
        assert self.chunks is not None
        for index in _grid(region, self.chunks):
            if index in self._seen:
                continue
            key = self._array.metadata.encode_chunk_key(index)
            if not self._store.exists(f"{self._prefix}/{key}" if self._prefix else key):
                if self._complete:
                    raise InputError(f"{self._where()}: missing chunk {key}; restore it or write the store again")
                if not self._told:
                    self._told = True
                    fill = self._array.fill_value
                    _log.warning("%s: chunk %s is not stored, absent chunks read as %s", self._where(), key, fill)
            self._seen.add(index)

    def _name_bad_chunk(self, region: Region, error: BaseException) -> str:
        """Find the first chunk that fails on its own; slow, but only on the way out."""
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        for index in _grid(region, self._inner):
            box = tuple(
                slice(k * size, min((k + 1) * size, extent))
                for k, size, extent in zip(index, self._inner, self.shape, strict=True)
            )
            try:
                self._get(box)
            except _DECODE_ERRORS as failure:
                reason = str(failure).splitlines()[0] if str(failure) else type(failure).__name__
                at = ", ".join(str(k) for k in index)
                return f"{self._where()}: corrupt chunk ({at}): {reason}; restore it or write the store again"
        return f"{self._where()}: cannot be read: {reason}; restore it or write the store again"


def _grid(region: Region, size: tuple[int, ...]) -> itertools.product[tuple[int, ...]]:
    return itertools.product(
        *(range(span.start // step, math.ceil(span.stop / step)) for span, step in zip(region, size, strict=True))
    )


def _open(store: Store, prefix: str, zarr_format: Literal[2, 3], threads: int | None) -> Any:
    import zarr

    location, path = store.zarr_location(prefix)
    settings: dict[str, Any] = {"threading.max_workers": threads or max(1, os.cpu_count() or 1)}
    if isinstance(store, DirectoryStore) and _has_zarrs():
        settings["codec_pipeline.path"] = "zarrs.ZarrsCodecPipeline"
    where = f"{store.label}: level '{prefix}'" if prefix else store.label
    try:
        with warnings.catch_warnings():
            # zarrs announces the codecs it leaves to zarr-python; the result is the same.
            warnings.filterwarnings("ignore", message="Array is unsupported by ZarrsCodecPipeline")
            # Stores of Java programs hold "filters": [], which means what null means.
            warnings.filterwarnings("ignore", message="Found an empty list of filters")
            with zarr.config.set(settings):
                array = zarr.open_array(location, path=path, mode="r", zarr_format=zarr_format)
            if "codec_pipeline.path" in settings and not array.dtype.isnative:
                array = zarr.open_array(location, path=path, mode="r", zarr_format=zarr_format)
    except (*_DECODE_ERRORS, KeyError, zarr.errors.BaseZarrError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{where} is not a readable Zarr v{zarr_format} array: {reason}; write the store again"
        ) from None
    return array


def _has_zarrs() -> bool:
    # zarrs is a compiled accelerator with wheels for the common platforms; zarr-python reads the same bytes without it.
    try:
        import zarrs  # noqa: F401
    except ImportError:
        return False
    return True
