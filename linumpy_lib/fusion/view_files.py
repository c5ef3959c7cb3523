"""Views as files: read whole, and written as OME-Zarr, KLB or TIFF."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError, OutputError, ParameterError
from linumpy_lib.io import LazyArray, open_volume
from linumpy_lib.io import write_volume as write_store


def read_volume(path: str | os.PathLike[str], dimensions: Sequence[int] | None = None) -> npt.NDArray[Any]:
    """Read a view into memory.

    Parameters
    ----------
    path : path-like
        ``.stack``, KLB, TIFF, OME-Zarr or Zarr.
    dimensions : sequence of int, optional
        Width and height of the planes of a ``.stack``; by default those of the XML beside it.

    Returns
    -------
    ndarray
        (z, y, x).

    Raises
    ------
    InputError
        If the file is missing or damaged, or the size of its planes is unknown.
    """
    path = Path(path)
    if path.suffix.lower() != ".stack":
        return np.asarray(open_volume(path, ndim=3).read())
    from linumpy_lib.fusion.discovery import describe_view
    from linumpy_lib.fusion.raw_stack import open_stack

    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    if dimensions is None:
        root = path.parents[min(3, len(path.parents) - 1)]
        view = describe_view(path, root)
        dimensions = view.width, view.height
    width, height = (int(n) for n in tuple(dimensions)[:2])
    if min(width, height) < 1:
        raise ParameterError(f"dimensions = {list(dimensions)}: give width and height in pixels")
    return np.asarray(open_stack(path, width, height))


def write_volume(
    volume: Any,
    path: str | os.PathLike[str],
    pixel_spacing: Sequence[float],
    compression: str = "blosc-zstd",
    compression_level: int | None = None,
    chunks: int = 64,
    shards: int = 256,
    metadata: Mapping[str, Any] | None = None,
    *,
    threads: int | None = None,
) -> None:
    """Write a view; the ending of the name decides on the format.

    Parameters
    ----------
    volume : array_like
        (z, y, x).
    path : path-like
        ``.ome.zarr``, ``.zarr``, ``.klb``, ``.tif`` or ``.tiff``.
    pixel_spacing : sequence of float
        Voxel size (z, y, x), micrometres.
    compression : str
        OME-Zarr: blosc-zstd, blosc-lz4, zstd or none. KLB: bzip2, zlib or none, bzip2 by default. TIFF: zlib, or none,
        the default.
    compression_level : int, optional
        KLB and TIFF only, 1 to 9; the stores have fixed levels, which were measured.
    chunks, shards : int
        Edges of the pieces of an OME-Zarr store [px].
    metadata : mapping, optional
        Kept in the provenance of a store.
    threads : int, optional
        Threads, all processors by default.

    Raises
    ------
    ParameterError
        If ending, codec or spacing are not allowed.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    spacing = tuple(float(s) for s in pixel_spacing)
    name = path.name.lower()
    if name.endswith(".zarr"):
        from linumpy_lib.fusion.view_store import CODECS

        if compression not in CODECS:
            raise ParameterError(f"compression = {compression!r}: choose one of {', '.join(CODECS)}")
        provenance = {"metadata": dict(metadata)} if metadata else None
        write_store(
            path,
            volume,
            spacing_um=spacing,
            axes="zyx",
            codec=CODECS[compression],
            chunks=chunks,
            shards=shards,
            provenance=provenance,
            threads=threads,
            overwrite=True,
        )
    elif name.endswith(".klb"):
        from linumpy_lib.io.klb_writing import write_klb

        codec = "bzip2" if compression == "blosc-zstd" else compression
        write_klb(path, volume, spacing_um=spacing, compression=codec, level=compression_level, threads=threads)
    elif name.endswith((".tif", ".tiff")):
        write_tiff(path, volume, spacing, "none" if compression == "blosc-zstd" else compression, compression_level)
    else:
        raise ParameterError(f"{path}: name it .ome.zarr, .klb or .tif")


def write_tiff(
    path: Path, volume: Any, spacing_um: Sequence[float], compression: str = "none", level: int | None = None
) -> None:
    """Write an OME-TIFF plane by plane; it appears under its name when it is whole.

    Raises
    ------
    ParameterError
        If the codec is not allowed.
    OutputError
        If the file cannot be written.
    """
    import tifffile

    if compression not in ("none", "zlib"):
        raise ParameterError(f"compression = {compression!r}: choose zlib or none for TIFF")
    array = volume if isinstance(volume, LazyArray) else np.asarray(volume)
    unfinished = path.with_name(f".{os.getpid()}.unfinished.{path.name}")
    z, y, x = (float(s) for s in spacing_um)
    units = {f"PhysicalSize{axis}Unit": "µm" for axis in "ZYX"}
    try:
        tifffile.imwrite(
            unfinished,
            (np.asarray(array[k]) for k in range(array.shape[0])),
            shape=tuple(array.shape),
            dtype=array.dtype,
            bigtiff=array.nbytes > 2_000_000_000,
            ome=True,
            photometric="minisblack",
            compression=None if compression == "none" else "zlib",
            compressionargs=None if level is None or compression == "none" else {"level": level},
            metadata={"axes": "ZYX", "PhysicalSizeZ": z, "PhysicalSizeY": y, "PhysicalSizeX": x, **units},
        )
        os.replace(unfinished, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error}); check the folder and the free space") from None
    finally:
        unfinished.unlink(missing_ok=True)


def export_view(store: Path, path: Path, threads: int | None = None) -> None:
    """Write a corrected view's store as KLB or TIFF too, slab by slab."""
    volume = open_volume(store, threads=threads)
    write_volume(volume.array, path, volume.require_spacing(), threads=threads)
