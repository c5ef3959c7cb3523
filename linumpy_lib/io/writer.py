"""`VolumeWriter`: stream a volume into an OME-Zarr 0.5 store, whole shards at a time, pyramid included."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.io import metadata
from linumpy_lib.io.destination import Destination, check_output, explain, link_or_copy
from linumpy_lib.io.display import Display
from linumpy_lib.io.encoded import EncodedBox, write_encoded_shard
from linumpy_lib.io.layout import depth_first, plan_levels, slab_rows
from linumpy_lib.io.lazy import Array, Region
from linumpy_lib.io.ngff import ATTRIBUTE
from linumpy_lib.io.pyramid import HalvingPyramid, halving_chain, stored_level
from linumpy_lib.io.shards import DEFAULT_CODEC, codec_documents, write_shard
from linumpy_lib.io.storable import channel_labels, check_array
from linumpy_lib.io.units import check_spacing
from linumpy_lib.threads import available_threads


class VolumeWriter:
    """Write an OME-Zarr 0.5 store (Zarr v3, sharded) region by region, in constant memory.

    Use it as a context manager: the store appears under its name when the block ends, and not at all when it raises.
    Not for use from several threads at once.

    Parameters
    ----------
    path : path-like
        Store to make.
    shape : sequence of int
        Extents along `axes`.
    dtype : dtype-like
        Integer or float type.
    spacing_um : sequence of float
        Voxel size (z, y, x), micrometres.
    axes : str
        ``"zyx"``, ``"czyx"``, ``"tzyx"`` or ``"tczyx"``.
    pyramid, levels, chunks, shards
        See `linumpy_lib.io.layout.plan_levels`. Chunks and shards are 1 along t and c.
    kind : {"intensity", "labels", "directions", "mask"}
        Intensities are averaged (rounded half to even, float32 sums for floats), labels take the most frequent value
        (smallest of equals) where axes are halved and the nearest voxel elsewhere; directions, whose sign has no
        meaning, and masks, whose sparse holes a mode would close, are sampled.
    codec : {"zstd-bitshuffle", "lz4-bitshuffle", "lz4", "zstd", "none"}
        Blosc zstd 3 with bit shuffle; Blosc lz4 with bit shuffle for noisy floats, as small there at a quarter of the
        time; Blosc lz4 with byte shuffle for scratch; plain zstd; nothing. Each chunk is followed by a CRC-32C.
    channel_names : sequence of str, optional
        One name per channel.
    origin_um : sequence of float
        Centre of the first voxel (z, y, x), micrometres.
    name : str, optional
        Name of the image, by default that of the store.
    provenance : mapping, optional
        How the volume was made; plain JSON data without wall-clock times.
    threads : int, optional
        Threads that encode, by default the processors of this process. The bytes do not depend on it.
    overwrite : bool
        Replace an existing store.
    inputs : iterable of path-like
        Files the volume is computed from; the output must not be one of them.
    slab : (int, int), optional
        Write only the shards of planes z0 to z1 into a partial store for `gather_slabs`; z0 and z1 are multiples of the
        shard's z extent, or the end of the volume.

    Raises
    ------
    InputError, ParameterError, OutputError
        If shape, type, spacing, layout or destination cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        shape: Sequence[int],
        dtype: npt.DTypeLike,
        spacing_um: Sequence[float],
        axes: str = "zyx",
        pyramid: str | Sequence[float] = "powers",
        levels: int | None = None,
        kind: str = "intensity",
        channel_names: Sequence[str] | None = None,
        origin_um: Sequence[float] = (0.0, 0.0, 0.0),
        name: str | None = None,
        provenance: Mapping[str, Any] | None = None,
        chunks: int | Sequence[int] = 64,
        shards: int | Sequence[int] = 256,
        codec: str = DEFAULT_CODEC,
        threads: int | None = None,
        overwrite: bool = False,
        inputs: Iterable[str | os.PathLike[str]] = (),
        slab: tuple[int, int] | None = None,
    ) -> None:
        self.path = Path(path)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.shape = tuple(int(n) for n in shape)
        self.axes, self.kind, self.codec = axes, kind, codec
        check_array(str(path), self.shape, self.dtype, axes, kind)
        self.spacing_um = check_spacing(spacing_um, str(path))
        self.origin_um = tuple(float(o) for o in origin_um)
        self.lead = self.shape[:-3]
        self.plans = plan_levels(self.shape[-3:], self.spacing_um, pyramid, levels, chunks, shards)
        self._pyramid_request = pyramid if isinstance(pyramid, str) else [float(target) for target in pyramid]
        self._levels_request = levels
        self._names_request = None if channel_names is None else [str(label) for label in channel_names]
        self._rows = None if slab is None else slab_rows(slab, self.plans[0])
        self.slab = slab
        codec_documents(codec, self.dtype)
        self.name = name if name is not None else self.path.name.removesuffix(".zarr").removesuffix(".ome")
        self.provenance = metadata.check_provenance(provenance)
        self.channel_names = channel_labels(channel_names, self.shape[axes.index("c")] if "c" in axes else 1, self.name)
        self._chain = halving_chain(self.plans)
        self.display = Display(axes, self.channel_names, kind)
        self._missing = set(depth_first(self.plans[:1], self._rows))
        self._bytes_in = self._bytes_out = 0
        self._threads = threads or available_threads()
        check_output(path, inputs, overwrite=overwrite)
        self._destination = Destination(self.path, overwrite=overwrite)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="encode")
        self._pyramid = HalvingPyramid(self.plans[: self._chain], kind, self._store, self._pool)
        self._closed = False

    def regions(self) -> Iterator[Region]:
        """Boxes (z, y, x) to write, whole shards of level 0 clipped at the volume's edge, depth first."""
        for index in depth_first(self.plans[: self._chain], self._rows):
            yield self.plans[0].region(index)

    def write(self, region: Region, block: npt.ArrayLike) -> None:
        """Store one region.

        Parameters
        ----------
        region : tuple of slice
            One of `regions`, each once; any order gives the same store, depth first needs the least memory.
        block : array_like
            (..., z, y, x) voxels of the region for every t and c; cast to the store's type only if that loses nothing.

        Raises
        ------
        ValueError
            If region or block do not fit.
        OutputError
            If the disk is full or not writable.
        """
        values = np.asarray(block)
        index = tuple(box.start // s for box, s in zip(region, self.plans[0].shards, strict=True))
        if index not in self._missing or tuple(region) != self.plans[0].region(index):
            raise ValueError(f"{region} is not a region of {self.path} that is still to be written")
        expected = self.lead + tuple(box.stop - box.start for box in region)
        if values.shape != expected:
            raise ValueError(f"block of shape {values.shape} for a region of shape {expected}")
        values = values.astype(self.dtype, casting="safe" if values.dtype.kind != "f" else "same_kind", copy=False)
        self.display.widen(values)
        self._store(0, index, values)
        if self.slab is None:
            self._pyramid.add(0, index, values)
        self._missing.discard(index)

    def write_encoded(self, region: Region, boxes: Iterable[EncodedBox]) -> None:
        """Store one region of a (z, y, x) volume of one level from boxes of `encoded.encode_box`.

        Parameters
        ----------
        region : tuple of slice
            One of `regions`.
        boxes : iterable of EncodedBox
            In the order to store them; together they have to fill the region.

        Raises
        ------
        ValueError
            If region or boxes do not fit, or the store has channels, more levels or is a slab.
        OutputError
            If the disk is full or not writable.
        """
        plan = self.plans[0]
        index = tuple(box.start // s for box, s in zip(region, plan.shards, strict=True))
        if index not in self._missing or tuple(region) != plan.region(index):
            raise ValueError(f"{region} is not a region of {self.path} that is still to be written")
        if self.lead or len(self.plans) > 1 or self.slab is not None:
            raise ValueError(f"{self.path}: only the one level of a (z, y, x) volume can be given in encoded boxes")
        filled = 0

        def counted() -> Iterator[EncodedBox]:
            nonlocal filled
            for one in boxes:
                filled += one.n_bytes
                self.display.join([one.span])
                self.display.keep(tuple(b.start for b in one.box), one.samples)
                yield one

        try:
            self._bytes_out += write_encoded_shard(self.shard_path(0, index, ()), counted(), plan)
        except OSError as error:
            raise self._explain(error) from None
        if filled != math.prod(b.stop - b.start for b in region) * self.dtype.itemsize:
            raise ValueError(f"the boxes given for {region} of {self.path} do not fill it")
        self._bytes_in += filled
        self._missing.discard(index)

    @property
    def streams(self) -> bool:
        """Whether coarser levels are made while level 0 passes by."""
        return self._chain > 1

    def adopt(self, index: tuple[int, ...], chunks: Path, values: Array | None) -> None:
        """Take shard `index` of level 0 from the files of a store with the same layout, without encoding it again.

        Parameters
        ----------
        index : tuple of int
            Shard (z, y, x).
        chunks : Path
            Folder of the other store's level 0 that holds its shard files.
        values : ndarray or None
            The decoded voxels, needed if the writer `streams` or level 0 is the coarsest level.

        Raises
        ------
        OutputError
            If the file cannot be linked or copied.
        """
        try:
            for lead in itertools.product(*(range(n) for n in self.lead)):
                target = self.shard_path(0, index, lead)
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(chunks.joinpath(*(str(k) for k in (*lead, *index))), target)
        except OSError as error:
            raise self._explain(error) from None
        if values is not None:
            if len(self.plans) == 1:
                self.display.sample(self.plans[0], index, values)
            self._pyramid.add(0, index, values)
        self._missing.discard(index)

    def shard_path(self, level: int, index: Sequence[int], lead: Sequence[int]) -> Path:
        """File of one shard while the store is being built."""
        key = "/".join(str(k) for k in (*lead, *index))
        return self._destination.building / str(level) / "c" / key

    def _store(self, level: int, index: tuple[int, ...], block: Array) -> None:
        plan = self.plans[level]
        ones = (1,) * len(self.lead)
        try:
            for lead in itertools.product(*(range(n) for n in self.lead)):
                part = block[lead].reshape(ones + block.shape[-3:])
                self._bytes_out += write_shard(
                    self.shard_path(level, index, lead),
                    part,
                    ones + plan.chunks,
                    ones + plan.shards,
                    self.codec,
                    self._pool,
                )
        except OSError as error:
            raise self._explain(error) from None
        self._bytes_in += block.nbytes
        if level == len(self.plans) - 1:
            self.display.sample(plan, index, block)

    def _explain(self, error: OSError) -> Exception:
        total = sum(math.prod(plan.shape) for plan in self.plans) * math.prod(self.lead) * self.dtype.itemsize
        ratio = self._bytes_out / self._bytes_in if self._bytes_in else 1.0
        return explain(error, self.path, total * ratio)

    def close(self) -> None:
        """Finish the pyramid, write the metadata and give the store its name.

        Raises
        ------
        ValueError
            If regions are missing.
        OutputError
            If the disk is full or not writable.
        """
        if self._closed:
            return
        if self._missing:
            self.abort()
            raise ValueError(f"{len(self._missing)} regions of {self.path} were not written")
        try:
            self._write_documents()
            self._destination.commit()
        except OSError as error:
            self.abort()
            raise self._explain(error) from None
        except BaseException:
            self.abort()
            raise
        self._closed = True
        self._pool.shutdown()

    def _write_documents(self) -> None:
        root = self._destination.building
        for level, plan in enumerate(self.plans[: 1 if self.slab else None]):
            document = metadata.array_document(plan, self.lead, self.axes, self.dtype, self.codec)
            metadata.write_document(root / str(level) / "zarr.json", document)
        if self.slab is not None:
            metadata.write_document(root / "zarr.json", self._slab_document())
            return
        if self._chain < len(self.plans):
            self._stored_levels()
        halved = self._chain == len(self.plans)
        halving = {"intensity": "mean", "labels": "mode", "directions": "sample", "mask": "sample"}[self.kind]
        method = halving if halved or self.kind == "intensity" else "nearest"
        omero = self.display.document()
        document = metadata.image_document(
            self.name, self.axes, self.plans, self.origin_um, method, omero, self.kind, self.provenance
        )
        metadata.write_document(root / "zarr.json", document)

    def _stored_levels(self) -> None:
        from linumpy_lib.io.store import DirectoryStore
        from linumpy_lib.io.zarr_array import open_array

        store = DirectoryStore(self._destination.building)
        for level in range(self._chain, len(self.plans)):
            plan = self.plans[level]
            source = open_array(store, str(plan.source), 3, complete=True, threads=self._threads)
            stored_level(
                source,
                plan,
                self.plans[plan.source].shape,
                self.kind,
                partial(self._store, level),
                self._pool,
            )

    def _slab_document(self) -> dict[str, Any]:
        assert self.slab is not None
        recipe = {
            "slab": list(self.slab),
            "ranges": [None if span is None else list(span) for span in self.display.ranges],
            "shape": list(self.shape),
            "dtype": self.dtype.name,
            "axes": self.axes,
            "spacing_um": list(self.spacing_um),
            "origin_um": list(self.origin_um),
            "kind": self.kind,
            "codec": self.codec,
            "chunks": list(self.plans[0].chunks),
            "shards": list(self.plans[0].shards),
            "pyramid": self._pyramid_request,
            "levels": self._levels_request,
            "channel_names": self._names_request,
            "provenance": self.provenance,
        }
        return {"zarr_format": 3, "node_type": "group", "attributes": {f"{ATTRIBUTE}_slab": recipe}}

    def abort(self) -> None:
        """Remove what was written."""
        self._closed = True
        self._pool.shutdown(cancel_futures=True)
        self._destination.discard()

    def __enter__(self) -> VolumeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()
