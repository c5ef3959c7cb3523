"""Where a result goes: refused early when it cannot go there, built aside, renamed when whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from linumpy_lib.errors import OutputError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES)


def check_output(
    path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = (), *, overwrite: bool = False
) -> Path:
    """Refuse an output that cannot or must not be written; call it before computing.

    Parameters
    ----------
    path : path-like
        Store or file to make.
    inputs : iterable of path-like
        Files it is computed from.
    overwrite : bool
        Whether an existing Zarr store may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If `path` is, holds or lies inside an input, exists, or lies where nothing can be written.
    """
    path = Path(path)
    place = path.resolve()
    for source in inputs:
        other = Path(source).resolve()
        if place == other:
            raise OutputError(f"{path}: is the input as well; choose another output")
        if other in place.parents or place in other.parents:
            raise OutputError(f"{path}: overlaps with the input {source}; choose an output outside it")
    if os.path.lexists(path):
        if not overwrite:
            raise OutputError(f"{path}: exists already; remove it, choose another output or allow overwriting")
        if not (path / "zarr.json").is_file() and not (path / ".zgroup").is_file():
            raise OutputError(
                f"{path}: exists and is no Zarr store, so it is not replaced; remove it or choose another output"
            )
    folder = place.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"{path}: {folder} is not a folder; choose another output")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: folder {folder} is not writable; change its permissions or choose another output")
    return path


def explain(error: OSError, path: Path, needed_bytes: float) -> OutputError:
    """One line for an operating-system error while writing `path`."""
    if error.errno in _FULL:
        folder = path.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        return OutputError(
            f"{path}: the disk is full; about {needed_bytes / 1e9:.3g} GB are needed and {free / 1e9:.3g} GB are free "
            f"in {folder}; free space or choose another output"
        )
    return OutputError(f"{path}: cannot be written ({error.strerror or error}); check the output folder")


class Destination:
    """A folder built beside `path` under a hidden name, and moved there by `commit`."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path, self._overwrite = path, overwrite
        self.building = path.parent / f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.partial"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.building.mkdir()
        except OSError as error:
            raise explain(error, path, 0) from None

    def commit(self) -> None:
        """Give the finished folder its name."""
        if self._overwrite and self.path.exists():
            old = self.building.with_suffix(".old")
            os.rename(self.path, old)
            os.rename(self.building, self.path)
            shutil.rmtree(old)
            return
        if os.path.lexists(self.path):
            raise OutputError(f"{self.path}: appeared while it was being written; remove it and run again")
        os.rename(self.building, self.path)

    def discard(self) -> None:
        """Remove everything that was built."""
        shutil.rmtree(self.building, ignore_errors=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard link, or a copy where the file system refuses links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, target)
