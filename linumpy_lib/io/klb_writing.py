"""Write KLB files, streamed by rows of blocks and packed by several threads."""

from __future__ import annotations

import bz2
import itertools
import math
import os
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.errors import InputError, OutputError, ParameterError
from linumpy_lib.io.klb import COMPRESSIONS, DTYPES, HEADER, VERSION, KlbHeader
from linumpy_lib.io.lazy import Array
from linumpy_lib.io.volume import as_source
from linumpy_lib.threads import available_threads

# Edge of a block of bytes along x, y, z; wider voxels make it shorter by their size.
_DEFAULT_BLOCK = (192, 192, 16, 1, 1)
_BZIP2_STEP = 100_000
_ZLIB_LEVEL = 6
_METADATA_BYTES = 255


def default_block(dtype: np.dtype[Any]) -> tuple[int, int, int, int, int]:
    """Return the format's usual block (t, c, z, y, x) for a data type.

    Examples
    --------
    >>> default_block(np.dtype("u2"))
    (1, 1, 8, 96, 96)
    """
    x, y, z, c, t = (max(1, n // dtype.itemsize) for n in _DEFAULT_BLOCK)
    return t, c, z, y, x


def packer(compression: str, block_bytes: int, level: int | None = None) -> Callable[[bytes], bytes]:
    """Return the function that packs one block.

    Parameters
    ----------
    compression : {"none", "bzip2", "zlib"}
        Codec.
    block_bytes : int
        Bytes of a whole block; they decide on bzip2's default level, as in the format's own library.
    level : int, optional
        1 to 9.

    Raises
    ------
    ParameterError
        If the codec or level is unknown.
    """
    if compression not in COMPRESSIONS:
        raise ParameterError(f"compression = {compression!r}: choose one of {', '.join(COMPRESSIONS)}")
    if level is not None and not 1 <= level <= 9:
        raise ParameterError(f"compression_level = {level}: choose 1 to 9")
    if compression == "bzip2":
        chosen = level or min(9, math.ceil(block_bytes / _BZIP2_STEP))
        return lambda data: bz2.compress(data, chosen)
    if compression == "zlib":
        return lambda data: zlib.compress(data, level or _ZLIB_LEVEL)
    return lambda data: data


def write_klb(
    path: str | os.PathLike[str],
    array: Any,
    *,
    spacing_um: Sequence[float] = (1.0, 1.0, 1.0),
    compression: str = "bzip2",
    level: int | None = None,
    block: Sequence[int] | None = None,
    metadata: str = "",
    threads: int | None = None,
) -> None:
    """Write a KLB file; it appears under its name when it is whole.

    Parameters
    ----------
    path : path-like
        File to make.
    array : array_like
        Voxels, the last axes of (t, c, z, y, x); NumPy, or anything lazy that is read by boxes. One row of blocks along
        z is held.
    spacing_um : sequence of float
        Voxel size (z, y, x).
    compression : {"bzip2", "zlib", "none"}
        How blocks are packed.
    level : int, optional
        1 to 9; by default as small as the block allows for bzip2, 6 for zlib.
    block : sequence of int, optional
        Extents of a block, the last axes of (t, c, z, y, x).
    metadata : str
        Free text, 255 bytes at most.
    threads : int, optional
        Blocks that are packed at the same time, all cores by default; the bytes do not depend on it.

    Raises
    ------
    InputError
        If the array's type or number of axes cannot be stored.
    ParameterError
        If codec, level, block or metadata are not allowed.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    source = as_source(array)
    header = _plan(path, source.shape, source.dtype, spacing_um, compression, block, metadata)
    pack = packer(compression, math.prod(header.block) * header.dtype.itemsize, level)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    lead = 5 - len(source.shape)
    count = math.prod(header.grid)
    ends = np.zeros(count, "<u8")
    try:
        with unfinished.open("wb") as file, ThreadPoolExecutor(threads or available_threads()) as pool:
            file.seek(HEADER.size + 8 * count)
            written = number = 0
            for t, c, z in itertools.product(*(range(n) for n in header.grid[:3])):
                box = header.block_box((t, c, z, 0, 0))[:3]
                region = [*(slice(a, b) for a, b in box), slice(0, header.shape[3]), slice(0, header.shape[4])]
                row = source.read(tuple(region[lead:])).reshape([part.stop - part.start for part in region])
                for data in pool.map(pack, _blocks(row, header)):
                    file.write(data)
                    written += len(data)
                    ends[number] = written
                    number += 1
            file.seek(0)
            file.write(_packed_header(header))
            file.write(ends.tobytes())
        os.replace(unfinished, path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); check the folder and the free space"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _blocks(row: Array, header: KlbHeader) -> list[bytes]:
    by, bx = header.block[3:]
    return [
        row[..., y : y + by, x : x + bx].astype(header.dtype, copy=False).tobytes()
        for y in range(0, header.shape[3], by)
        for x in range(0, header.shape[4], bx)
    ]


def _plan(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    spacing_um: Sequence[float],
    compression: str,
    block: Sequence[int] | None,
    metadata: str,
) -> KlbHeader:
    stored = dtype.newbyteorder("<")
    if stored not in DTYPES:
        raise InputError(f"{path}: KLB cannot hold {dtype}; convert the voxels to integers or floats of 8 to 64 bits")
    if not 1 <= len(shape) <= 5 or min(shape) < 1 or max(shape) >= 2**32:
        raise InputError(f"{path}: KLB holds one to five axes of 1 to 2^32 - 1 elements, not shape {shape}")
    if len(metadata.encode()) > _METADATA_BYTES:
        raise ParameterError(f"metadata: {len(metadata.encode())} bytes, KLB holds {_METADATA_BYTES} at most")
    chosen = default_block(stored) if block is None else tuple(int(n) for n in block)
    if not 1 <= len(chosen) <= 5 or min(chosen) < 1:
        raise ParameterError(f"block = {list(chosen)}: give one to five positive extents")
    if len(spacing_um) != 3:
        raise ParameterError(f"spacing_um = {list(spacing_um)}: give three numbers (z, y, x)")
    whole = (1,) * (5 - len(shape)) + tuple(shape)
    sides = [min(b, n) for b, n in zip((1,) * (5 - len(chosen)) + chosen, whole, strict=True)]
    z, y, x = (float(step) for step in spacing_um)
    return KlbHeader(
        (whole[0], whole[1], whole[2], whole[3], whole[4]),
        (1.0, 1.0, z, y, x),
        stored,
        compression,
        (sides[0], sides[1], sides[2], sides[3], sides[4]),
        metadata,
    )


def _packed_header(header: KlbHeader) -> bytes:
    return HEADER.pack(
        VERSION,
        *reversed(header.shape),
        *reversed(header.pixel_size),
        DTYPES.index(header.dtype),
        COMPRESSIONS.index(header.compression),
        header.metadata.encode(),
        *reversed(header.block),
    )
