"""`write_volume`: an array, a lazy array or a `Volume` into an OME-Zarr store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from linumpy_lib import blocks
from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import Array, Region
from linumpy_lib.io.opening import open_volume
from linumpy_lib.io.shards import DEFAULT_CODEC
from linumpy_lib.io.volume import Volume, as_source
from linumpy_lib.io.writer import VolumeWriter


def write_volume(
    path: str | os.PathLike[str],
    volume: Any,
    *,
    spacing_um: Sequence[float] | None = None,
    axes: str | None = None,
    pyramid: str | Sequence[float] = "powers",
    levels: int | None = None,
    kind: str = "intensity",
    channel_names: Sequence[str] | None = None,
    origin_um: Sequence[float] | None = None,
    name: str | None = None,
    provenance: Mapping[str, Any] | None = None,
    chunks: int | Sequence[int] = 64,
    shards: int | Sequence[int] = 256,
    codec: str = DEFAULT_CODEC,
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
    inputs: Iterable[str | os.PathLike[str]] = (),
) -> Volume:
    """Write a volume as OME-Zarr 0.5 with its pyramid, streaming in constant memory.

    Parameters
    ----------
    path : path-like
        Store to make; it appears when it is whole.
    volume : array_like or Volume
        Voxels (z, y, x) or as `axes` says. A Volume brings its axes, spacing, origin and channel names.
    spacing_um : sequence of float, optional
        Voxel size (z, y, x), micrometres; needed unless `volume` knows it.
    axes : str, optional
        Axes of the array, by default those of the Volume, ``"zyx"`` for three axes and ``"czyx"`` for four.
    progress : bool
        Show a progress bar.
    inputs : iterable of path-like
        Further files the volume was computed from; the output must not be one of them.
    pyramid, levels, kind, channel_names, origin_um, name, provenance, chunks, shards, codec, threads, overwrite
        See `VolumeWriter`.

    Returns
    -------
    Volume
        The written store, opened.

    Raises
    ------
    InputError, ParameterError, OutputError
        If the volume, the layout or the destination cannot be used, or a voxel cannot be read.

    Examples
    --------
    >>> write_volume("brain.ome.zarr", array, spacing_um=(10, 10, 10), pyramid="um")  # doctest: +SKIP
    """
    inputs = list(inputs)
    if isinstance(volume, Volume):
        if volume.path is not None:
            inputs.append(volume.path)
        axes = axes or volume.axes
        spacing_um = volume.spacing_um if spacing_um is None else spacing_um
        origin_um = volume.origin_um if origin_um is None else origin_um
        channel_names = channel_names or _named(volume)
        volume = volume.array
    if spacing_um is None:
        raise InputError(f"{path}: the voxel size is unknown; give spacing_um = (z, y, x) in micrometres")
    source = as_source(volume)
    if axes is None:
        axes = {3: "zyx", 4: "czyx", 5: "tczyx"}.get(len(source.shape), "?")
    lead = tuple(slice(0, n) for n in source.shape[:-3])
    with VolumeWriter(
        path,
        shape=source.shape,
        dtype=source.dtype,
        spacing_um=spacing_um,
        axes=axes,
        pyramid=pyramid,
        levels=levels,
        kind=kind,
        channel_names=channel_names,
        origin_um=origin_um or (0.0, 0.0, 0.0),
        name=name,
        provenance=provenance,
        chunks=chunks,
        shards=shards,
        codec=codec,
        threads=threads,
        overwrite=overwrite,
        inputs=inputs,
    ) as writer:

        def read(region: Region) -> Array:
            return source.read((*lead, *region))

        blocks.stream(
            writer.regions(), read, write=writer.write, queue=1, description=f"write {writer.name}", progress=progress
        )
    return open_volume(path, threads=threads)


def _named(volume: Volume) -> tuple[str, ...] | None:
    count = volume.shape[volume.axes.index("c")] if "c" in volume.axes else 1
    return volume.channel_names if len(volume.channel_names) == count and all(volume.channel_names) else None
