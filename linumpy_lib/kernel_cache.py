"""Where compiled kernels are kept: not where others can change them, since what is in there gets executed."""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from pathlib import Path


def _usable(folder: Path, *, private: bool) -> bool:
    """Make the folder; tell whether it can be written to and, if `private`, is this user's alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat(follow_symlinks=not private)
    except OSError:
        return False
    if private and (found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        return False
    return stat.S_ISDIR(found.st_mode) and os.access(folder, os.W_OK)


@cache
def kernel_cache() -> Path:
    """Return a folder below the user's cache folder, else in the system's temporary folder, else a new one there.

    In a container there often is no home; the temporary folder is usually that of the machine.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    place = Path(home) / "linumpy-pipeline"
    if place.is_absolute() and _usable(place, private=False):
        return place
    place = Path(tempfile.gettempdir()) / f"linumpy-pipeline-{os.getuid()}"
    if _usable(place, private=True):
        return place
    return Path(tempfile.mkdtemp(prefix="linumpy-pipeline-kernels-"))
