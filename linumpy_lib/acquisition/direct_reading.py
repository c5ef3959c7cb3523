"""Read large files once: from the system's cache what lies there, everything else past it."""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError

Array = npt.NDArray[Any]

# What direct reading asks of places in files and in memory; no file system asks for more.
_ALIGNED = 4096
_LARGE_PAGE = 2 << 20


class DirectReader:
    """Reads pieces of files, from several threads; each has a buffer of its own.

    A file that passes through the system's cache costs a copy and pages that nobody needs again, as much processor time
    as all else that is done to it here. Where the system cannot read past its cache, it is read as usual.

    Parameters
    ----------
    largest : int
        Bytes of the largest piece.
    """

    def __init__(self, largest: int) -> None:
        self._size = -(-(largest + 2 * _ALIGNED) // _LARGE_PAGE) * _LARGE_PAGE
        self._own = threading.local()

    def read(self, path: Path, start: int, size: int) -> Array:
        """Read a piece of a file.

        Parameters
        ----------
        path : Path
            File.
        start, size : int
            Where the piece lies, in bytes.

        Returns
        -------
        ndarray of uint8
            The bytes, valid until the calling thread reads again.

        Raises
        ------
        InputError
            If the file ends before, or cannot be read.
        """
        if not hasattr(self._own, "buffer"):
            self._own.buffer = _large_pages(self._size)
        buffer = self._own.buffer
        begin = start // _ALIGNED * _ALIGNED
        wanted = start + size - begin
        try:
            done = _read(path, memoryview(buffer), begin, wanted)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check the disk") from None
        if done < wanted:
            raise InputError(f"{path}: became shorter while it was read; wait until the copy is complete")
        return np.frombuffer(buffer, np.uint8, size, start - begin)


def _large_pages(size: int) -> mmap.mmap:
    """Return memory in few large pages, if there are: a disk fills these with fewer requests."""
    buffer = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            buffer.madvise(mmap.MADV_HUGEPAGE)
    return buffer


def _read(path: Path, view: memoryview, begin: int, wanted: int) -> int:
    """Read `wanted` bytes from `begin` on, which is aligned; return how many there are."""
    handle = os.open(path, os.O_RDONLY)
    try:
        done = _from_cache(handle, view[:wanted], begin)
        if done < wanted:
            done = _past_cache(path, view, begin, done // _ALIGNED * _ALIGNED, wanted)
        while done < wanted:
            more = os.preadv(handle, [view[done:wanted]], begin + done)
            if not more:
                break
            done += more
    finally:
        os.close(handle)
    return done


def _from_cache(handle: int, view: memoryview, begin: int) -> int:
    """Read what lies in the cache from `begin` on, without waiting for the disk."""
    if not hasattr(os, "RWF_NOWAIT"):
        return 0
    try:
        # To ask makes Linux read what is not there, as much as one asks for: one page, if no pattern is looked for.
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_RANDOM)
        if os.preadv(handle, [view[:_ALIGNED]], begin, os.RWF_NOWAIT) == 0:
            return 0
        return os.preadv(handle, [view], begin, os.RWF_NOWAIT)
    except OSError:
        # Nothing is there, or the file system cannot tell.
        return 0


def _past_cache(path: Path, view: memoryview, begin: int, done: int, wanted: int) -> int:
    """Read on past the cache; where that is impossible, what is missing is left to be read as usual."""
    if not hasattr(os, "O_DIRECT"):
        return done
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return done
    try:
        while done < wanted:
            stop = -(-wanted // _ALIGNED) * _ALIGNED
            more = os.preadv(handle, [view[done:stop]], begin + done)
            done += more
            if more == 0 or done % _ALIGNED:
                break
    except OSError:
        return done
    finally:
        os.close(handle)
    return min(done, wanted)
