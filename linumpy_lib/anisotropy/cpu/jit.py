"""How the CPU kernels are compiled: no fast-math, NumPy's division rules, cached on disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

inline_kernel = numba.njit(nogil=True, error_model="numpy", forceinline=True, boundscheck=False)


def source_digest() -> str:
    """Return the digest of every kernel source.

    Numba's disk cache looks at one file's date only; a kernel that encloses this digest recompiles if any changes.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cached_kernel(function: Callable[..., Any], signature: Any) -> Any:
    """Compile for one signature, keep the machine code on disk; cache files are replaced atomically: tasks may race."""
    options = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    try:
        return numba.njit([signature], cache=True, **options)(function)
    except RuntimeError as error:  # read-only installation without a writable cache directory
        logging.getLogger(__name__).warning(
            "kernels are compiled anew in every process (set NUMBA_CACHE_DIR): %s", error
        )
        return numba.njit([signature], **options)(function)
