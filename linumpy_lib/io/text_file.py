"""Small text and JSON files of unknown origin: bounded in size, no pipe, no device, no error but `InputError`."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from linumpy_lib.errors import InputError

MAX_BYTES = 64 << 20
"""No table, record or header of an acquisition comes near this."""


def read_text(path: Path, remedy: str, *, most: int = MAX_BYTES, errors: str = "strict") -> str:
    """Read a text file in UTF-8, with or without a byte-order mark.

    Parameters
    ----------
    path : Path
        The file.
    remedy : str
        What the message of an error asks for.
    most : int
        Largest size, bytes.
    errors : {"strict", "replace"}
        What becomes of bytes that are no UTF-8.

    Raises
    ------
    FileNotFoundError
        If there is no such file; the caller knows what is missing.
    InputError
        If it is no regular file, too large, unreadable or no text.
    """
    try:
        # Without O_NONBLOCK a named pipe in the place of a file would be waited for without end.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise InputError(f"{path}: cannot be read, it is no regular file; {remedy}")
            data = handle.read(most + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); {remedy}") from None
    if len(data) > most:
        raise InputError(f"{path}: cannot be read, it is larger than {most} bytes; {remedy}")
    try:
        return data.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read ({error}); {remedy}") from None


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Parameters
    ----------
    path : Path
        The file.
    remedy : str
        What the message of an error asks for.

    Raises
    ------
    InputError
        If the file is absent, unreadable, no JSON, or no object.
    """
    try:
        found = json.loads(read_text(path, remedy))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read, no valid JSON ({error}); {remedy}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: cannot be read, holds no JSON object; {remedy}")
    return found
