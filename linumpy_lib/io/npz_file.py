"""NumPy archives of unknown origin: no pickle, no member larger than its header says, bounded in all."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError

MOST_BYTES = 256 << 20
"""Arrays that steps hand to each other this way are far smaller."""

_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    TypeError,
    RecursionError,
)


def read_npz(path: Path, remedy: str, *, most: int = MOST_BYTES) -> dict[str, npt.NDArray[Any]]:
    """Read every array of an archive.

    Parameters
    ----------
    path : Path
        The archive.
    remedy : str
        What the message of an error asks for.
    most : int
        Largest size of all arrays together [bytes].

    Raises
    ------
    InputError
        If it is no archive, holds objects, is damaged, or its arrays are larger than `most`.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    left = most
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".npy") or member.flag_bits & 1:
                    raise ValueError(f"member {member.filename[:80]!r} is no array")
                with archive.open(member) as stream:
                    shape, order, dtype = _header(stream)
                    size = math.prod(shape) * dtype.itemsize
                    if size > left:
                        raise ValueError(f"its arrays take more than {most} bytes")
                    left -= size
                    data = stream.read(size)
                    if len(data) != size:
                        raise ValueError(f"member {member.filename[:80]!r} is cut off")
                array = np.frombuffer(bytearray(data), dtype).reshape(shape, order=order)
                arrays[member.filename.removesuffix(".npy")] = array
    except _ERRORS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise InputError(f"{path}: cannot be read ({reason}); {remedy}") from None
    return arrays


def _header(stream: Any) -> tuple[tuple[int, ...], Any, np.dtype[Any]]:
    source: BinaryIO = stream
    version = np.lib.format.read_magic(source)
    # Headers of later versions may be gigabytes long; NumPy writes them for records of a thousand fields only.
    if version != (1, 0):
        raise ValueError(f"arrays of version {version} are unknown")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(source)
    if dtype.hasobject:
        raise ValueError("it holds objects, which are not unpacked")
    if any(n < 0 for n in shape):
        raise ValueError(f"shape {shape}")
    return shape, "F" if fortran else "C", dtype
