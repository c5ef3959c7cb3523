"""The ``.stack`` files of an IsoView camera: bare little-endian uint16, x fastest, then y, then z."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.errors import InputError
from linumpy_lib.io import LazyArray
from linumpy_lib.io.lazy import Array, ArraySource


def open_stack(path: Path, width: int, height: int) -> LazyArray:
    """Map a stack; the number of planes follows from the file's size, since the XML's is wrong after an aborted run.

    Parameters
    ----------
    path : Path
        The ``.stack`` file.
    width, height : int
        Size of a plane, pixels.

    Returns
    -------
    LazyArray
        uint16 (z, y, x), read on indexing.

    Raises
    ------
    InputError
        If the file is missing, empty, or does not hold whole planes.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    plane = 2 * width * height
    if size == 0 or size % plane:
        raise InputError(
            f"{path}: {size} bytes are {size / plane:.2f} planes of {width} x {height} pixels; the file is "
            "truncated, or the size in the XML is not that of this camera: copy the file again or correct 'dimensions'"
        )
    mapped: Array = np.memmap(path, np.dtype("<u2"), "r", 0, (size // plane, height, width))
    source: Any = ArraySource(mapped)
    return LazyArray(source)
