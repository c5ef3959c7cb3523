"""`gather_slabs`: one store out of slabs that several tasks wrote, without encoding a voxel of level 0 again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from linumpy_lib.errors import InputError
from linumpy_lib.io.layout import depth_first
from linumpy_lib.io.ngff import ATTRIBUTE
from linumpy_lib.io.opening import open_volume
from linumpy_lib.io.store import DirectoryStore, read_document
from linumpy_lib.io.volume import Volume
from linumpy_lib.io.writer import VolumeWriter
from linumpy_lib.io.zarr_array import open_array


def gather_slabs(
    path: str | os.PathLike[str],
    slabs: Sequence[str | os.PathLike[str]],
    *,
    name: str | None = None,
    provenance: Mapping[str, Any] | None = None,
    threads: int | None = None,
    overwrite: bool = False,
) -> Volume:
    """Join the partial stores of ``VolumeWriter(..., slab=(z0, z1))``.

    Shard files of level 0 are hard-linked (copied where the file system cannot link); the pyramid is made from them in
    constant memory. The store is byte for byte the one that a single task writes.

    Parameters
    ----------
    path : path-like
        Store to make.
    slabs : sequence of path-like
        Partial stores in any order, together covering every plane once.
    name : str, optional
        Name of the image, by default that of the store.
    provenance : mapping, optional
        Provenance of the whole; by default that of the slabs, which then must agree.
    threads, overwrite
        See `VolumeWriter`.

    Returns
    -------
    Volume
        The written store, opened.

    Raises
    ------
    InputError
        If slabs are missing, overlap, or were written with different parameters.
    OutputError
        If the store cannot be written.
    """
    found = sorted(((_recipe(Path(slab)), Path(slab)) for slab in slabs), key=lambda item: item[0]["slab"])
    if not found:
        raise InputError(f"{path}: no slabs to gather; give the partial stores")
    recipe = found[0][0]
    own = ("slab", "ranges", "provenance") if provenance is not None else ("slab", "ranges")
    at = 0
    for other, slab in found:
        different = [key for key in recipe if key not in own and other.get(key) != recipe[key]]
        if different:
            raise InputError(f"{slab}: differs from {found[0][1]} in {', '.join(different)}; write all slabs alike")
        if other["slab"][0] != at:
            problem = (
                "overlaps with another slab"
                if other["slab"][0] < at
                else f"leaves planes {at} to {other['slab'][0]} unwritten"
            )
            raise InputError(
                f"{slab}: planes {other['slab'][0]} to {other['slab'][1]}: {problem}; give every slab once"
            )
        at = other["slab"][1]
    depth = recipe["shape"][-3]
    if at != depth:
        raise InputError(f"{path}: no slab holds planes {at} to {depth}; give every slab once")
    with VolumeWriter(
        path,
        shape=recipe["shape"],
        dtype=recipe["dtype"],
        spacing_um=recipe["spacing_um"],
        axes=recipe["axes"],
        pyramid=recipe["pyramid"],
        levels=recipe["levels"],
        kind=recipe["kind"],
        channel_names=recipe["channel_names"],
        origin_um=recipe["origin_um"],
        name=name,
        provenance=recipe["provenance"] if provenance is None else provenance,
        chunks=recipe["chunks"],
        shards=recipe["shards"],
        codec=recipe["codec"],
        threads=threads,
        overwrite=overwrite,
        inputs=[slab for _, slab in found],
    ) as writer:
        _adopt(writer, found)
    return open_volume(path, threads=threads)


def _recipe(slab: Path) -> dict[str, Any]:
    document = read_document(DirectoryStore(slab), "zarr.json") if slab.is_dir() else None
    recipe = ((document or {}).get("attributes") or {}).get(f"{ATTRIBUTE}_slab")
    if not isinstance(recipe, dict):
        raise InputError(f"{slab}: is no slab of a volume; write it with VolumeWriter(slab=...)")
    return recipe


def _adopt(writer: VolumeWriter, found: Sequence[tuple[dict[str, Any], Path]]) -> None:
    lead = tuple(slice(0, n) for n in writer.lead)
    sources = {}
    for recipe, slab in found:
        step = writer.plans[0].shards[0]
        source = open_array(DirectoryStore(slab), "0", 3, complete=True)
        sources.update(dict.fromkeys(range(recipe["slab"][0] // step, -(-recipe["slab"][1] // step)), (slab, source)))
        writer.display.join(recipe["ranges"])
    for index in depth_first(writer.plans):
        slab, source = sources[index[0]]
        block = None
        if len(writer.plans) == 1 or writer.streams:
            block = source.read((*lead, *writer.plans[0].region(index)))
        writer.adopt(index, slab / "0" / "c", block)
