"""Digests of files and stores: a cheap one that notices any change, and one of the content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from linumpy_lib.errors import InputError

_BLOCK = 1 << 20


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Relative POSIX name and path of every file, sorted by name."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    if path.is_file():
        yield path.name, path
        return
    found = [
        (Path(folder, name).relative_to(path).as_posix(), Path(folder, name))
        for folder, _, names in os.walk(path, followlinks=True)
        for name in names
    ]
    yield from sorted(found)


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Digest of the names, sizes and modification times of a file or of everything below a folder.

    Nextflow hashes a directory by its own path, size and time only, so a changed chunk goes unnoticed; pass this beside
    it.

    Raises
    ------
    InputError
        If there is no such file or folder.
    """
    digest = hashlib.sha256()
    for name, file in _files(Path(path)):
        status = file.stat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def content_digest(path: str | os.PathLike[str]) -> str:
    """Digest of the names and bytes of a file or of everything below a folder, equal for equal content anywhere.

    The name of the file or folder itself does not count.

    Raises
    ------
    InputError
        If there is no such file or folder.
    """
    path = Path(path)
    whole = hashlib.sha256()
    for name, file in _files(path):
        digest = hashlib.sha256()
        with file.open("rb") as handle:
            while block := handle.read(_BLOCK):
                digest.update(block)
        whole.update(f"{'' if path.is_file() else name}\0{digest.hexdigest()}\n".encode())
    return whole.hexdigest()
