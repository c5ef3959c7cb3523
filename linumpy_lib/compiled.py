"""How CPU kernels are compiled and where their machine code is kept. Importing this module imports Numba.

Numba's disk cache is safe for concurrent tasks only while every function has one signature and one kind of processor:
two processes that add different entries to one index can exchange them. So each kernel is compiled for exactly one
signature, and each kind of processor has a folder of its own, below the user's cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numba

from linumpy_lib.machine_code import cache_folder

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = {"nogil": True, "error_model": "numpy", "boundscheck": False}
_lock = threading.Lock()

inline_kernel = numba.njit(**_OPTIONS, forceinline=True)


@contextlib.contextmanager
def _kept_for_this_processor() -> Iterator[str]:
    """Let functions that are decorated in here keep their machine code apart, unless the user chose a folder."""
    with _lock:
        chosen = numba.config.CACHE_DIR
        folder = chosen or str(cache_folder())
        numba.config.CACHE_DIR = folder
        try:
            yield folder
        finally:
            numba.config.CACHE_DIR = chosen


def lazy_kernel(function: F, **options: Any) -> F:
    """Compile a function at its first call; it must always be called with arguments of the same types.

    Parameters
    ----------
    function : callable
        A function of a module.
    **options
        More options of `numba.njit`, for instance ``fastmath``.
    """
    with _kept_for_this_processor():
        compiled: F = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    return compiled


def source_digest(folder: Path) -> str:
    """Return the digest of every source file of a folder.

    Numba's disk cache looks at one file's date only; a kernel that encloses this digest recompiles if any changes.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cached_kernel(function: Callable[..., Any], signature: Any) -> Any:
    """Compile a function for one signature and keep the machine code on disk; says so when it had to compile.

    Parameters
    ----------
    function : callable
        A function of a module: Numba's cache takes every closure for a new function.
    signature : numba signature
        Types of the arguments and of the result.
    """
    began = time.perf_counter()
    with _kept_for_this_processor() as folder:
        kernel = numba.njit([signature], cache=True, **_OPTIONS)(function)
    if sum(kernel.stats.cache_misses.values()):
        seconds = time.perf_counter() - began
        logging.getLogger(__name__).info("compiled %s in %.1f s (kept in %s)", function.__name__, seconds, folder)
    return kernel
