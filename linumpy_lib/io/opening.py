"""`open_volume`: any supported file, store or folder as a `Volume`."""

from __future__ import annotations

import os
from pathlib import Path

from linumpy_lib.errors import InputError
from linumpy_lib.io import ngff
from linumpy_lib.io.volume import Volume

SUPPORTED = "OME-Zarr 0.4/0.5, Zarr, .ome.zarr.zip, TIFF, a folder of 2-D TIFFs, NRRD, NIfTI, KLB"
TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")


def open_volume(
    path: str | os.PathLike[str],
    level: int = 0,
    channel: int | str | None = None,
    *,
    ndim: int | None = None,
    strict: bool | None = None,
    threads: int | None = None,
) -> Volume:
    """Open a volume for lazy reading; only metadata are read now.

    Parameters
    ----------
    path : path-like
        OME-Zarr 0.4 or 0.5 (directory, nested group or level such as ``store.zarr/0``, ``.ome.zarr.zip``), plain Zarr
        array, TIFF (memory-mapped when contiguous and uncompressed), folder of 2-D TIFF planes, NRRD, NIfTI or KLB.
    level : int
        Resolution of a pyramid, 0 is the finest, negative numbers count from the coarsest.
    channel : int or str, optional
        Take one channel by index or name and drop the c axis.
    ndim : {3}, optional
        3 demands a plain (z, y, x) volume: t and c axes of length one are dropped, longer ones are an error.
    strict : bool, optional
        Whether absent Zarr chunks are an error. The Zarr specification lets them stand for the fill value, so the
        default follows the store: those that this package wrote declare themselves complete, others do not.
    threads : int, optional
        Threads that decode chunks, all cores by default.

    Returns
    -------
    Volume
        With axes in t, c, z, y, x order and ``spacing_um`` None where the file names no length unit.

    Raises
    ------
    InputError
        If the file is missing, of an unknown format, truncated, has corrupt metadata, nonsense spacing, a zero-size
        axis, fewer than three dimensions, or complex or boolean voxels. The message names the file and the remedy.

    Examples
    --------
    >>> volume = open_volume("brain.ome.zarr", level=1)  # doctest: +SKIP
    >>> volume.array[10:20, :, :].mean(), volume.spacing_um  # doctest: +SKIP
    """
    path = Path(path)
    volume = _open(path, level, strict, threads)
    if channel is not None:
        volume = volume.channel(channel)
    if volume.ndim < 3:
        raise InputError(
            f"{path}: a {volume.ndim}-D image with axes '{volume.axes}' and shape {volume.shape} is no volume; "
            "give a stack with z, y and x"
        )
    return volume if ndim is None else _plain_volume(volume, ndim)


def _plain_volume(volume: Volume, ndim: int) -> Volume:
    if ndim != 3:
        raise ValueError(f"ndim is 3 or None, not {ndim}")
    for axis in "tc":
        if axis in volume.axes:
            extent = volume.shape[volume.axes.index(axis)]
            if extent > 1:
                names = f" ({', '.join(volume.channel_names)})" if axis == "c" and any(volume.channel_names) else ""
                raise InputError(
                    f"{volume.name}: has {extent} {'time points' if axis == 't' else 'channels'}{names}, one volume is "
                    f"needed; choose one {'and write it as its own store' if axis == 't' else 'channel'}"
                )
            volume = volume.pick(**{axis: 0})
    if volume.axes != "zyx":
        raise InputError(f"{volume.name}: axes are '{volume.axes}', a volume with z, y and x is needed")
    return volume


def _open(path: Path, level: int, strict: bool | None, threads: int | None) -> Volume:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    try:
        if found := ngff.find_root(path):
            return ngff.open_zarr(*found, path, level, strict, threads)
        volume = _open_file(path, threads)
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the permissions") from None
    return volume.level(level)


def _open_file(path: Path, threads: int | None) -> Volume:
    name = path.name.lower()
    if path.is_dir():
        from linumpy_lib.io.tiff_folder import open_plane_folder

        return open_plane_folder(path)
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; copy or export it again")
    with path.open("rb") as handle:
        head = handle.read(8)
    if name.endswith(TIFF_SUFFIXES) or head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        from linumpy_lib.io.tiff import open_tiff

        return open_tiff(path)
    if name.endswith((".nrrd", ".nhdr")) or head.startswith(b"NRRD"):
        from linumpy_lib.io.nrrd_file import open_nrrd

        return open_nrrd(path)
    if name.endswith((".nii", ".nii.gz")):
        from linumpy_lib.io.nifti_file import open_nifti

        return open_nifti(path)
    if name.endswith(".klb"):
        from linumpy_lib.io.klb import open_klb

        return open_klb(path, threads)
    if name.endswith((".raw", ".bin", ".dat", ".stack")):
        raise InputError(
            f"{path}: headerless data tell neither shape nor type; describe them in a .nhdr header or convert to TIFF"
        )
    raise InputError(f"{path}: unknown format; supported are {SUPPORTED}")
