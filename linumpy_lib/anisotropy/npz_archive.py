"""The maps as one NumPy archive, read and compressed a few planes at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from linumpy_lib.io import Volume

_BLOCK_BYTES = 64 << 20


def _planes(volume: Volume, channel: int | None) -> Iterator[npt.NDArray[Any]]:
    depth, height, width = volume.shape[-3:]
    channels = volume.shape[0] if channel is None else 1
    step = max(1, _BLOCK_BYTES // max(1, height * width * channels * volume.dtype.itemsize))
    for start in range(0, depth, step):
        rows = slice(start, min(start + step, depth))
        if channel is None:
            block = volume.read((slice(None), rows, slice(None), slice(None)))
            yield np.ascontiguousarray(np.moveaxis(block, 0, -1))
        else:
            yield volume.read((slice(channel, channel + 1), rows, slice(None), slice(None)))[0]


def _add(
    archive: zipfile.ZipFile, key: str, shape: tuple[int, ...], dtype: np.dtype, blocks: Iterator[npt.NDArray[Any]]
) -> None:
    # a fixed date: equal maps give equal archives
    entry = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(entry, "w", force_zip64=True) as stream:
        header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_2_0(stream, header)
        for block in blocks:
            stream.write(block.tobytes())


def write_npz(path: Path, measures: Volume, principal_dir: Volume) -> None:
    """Write fa, cl, cp, cs, cp_norm, lambda2_ratio (Z, Y, X) and principal_dir (Z, Y, X, 3) to a compressed archive.

    Parameters
    ----------
    path : Path
        The archive to write.
    measures : Volume
        Maps (c, z, y, x) with named channels.
    principal_dir : Volume
        Direction (3, z, y, x).
    """
    with zipfile.ZipFile(path, "w", compresslevel=1) as archive:
        for index, key in enumerate(measures.channel_names or ()):
            _add(archive, key, tuple(measures.shape[-3:]), measures.dtype, _planes(measures, index))
        shape = (*principal_dir.shape[-3:], 3)
        _add(archive, "principal_dir", shape, principal_dir.dtype, _planes(principal_dir, None))
