"""Digests of files and stores: a cheap one that notices any change, and one of the content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from linumpy_lib.errors import InputError

WHOLE_UP_TO = 1 << 30
_BLOCK = 1 << 20
_SAMPLE, _SAMPLES = 1 << 16, 64


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


def content_digest(path: str | os.PathLike[str], *, whole_up_to: int = WHOLE_UP_TO) -> str:
    """Digest of the names and bytes of a file or of everything below a folder, equal for equal content anywhere.

    The name of the file or folder itself does not count. Reading terabytes only to name them would take as long as the
    work itself, so that above `whole_up_to` each file counts with its size, its first and last 64 KiB (which hold the
    index of a shard) and 64 blocks of 64 KiB between them; such a digest begins with ``sampled-``.

    Parameters
    ----------
    path : path-like
        File or folder.
    whole_up_to : int
        Total size up to which every byte counts [bytes].

    Raises
    ------
    InputError
        If there is no such file or folder.
    """
    path = Path(path)
    files = list(_files(path))
    whole = sum(file.stat().st_size for _, file in files) <= whole_up_to
    combined = hashlib.sha256()
    for name, file in files:
        digest = hashlib.sha256()
        with file.open("rb") as handle:
            if whole:
                while block := handle.read(_BLOCK):
                    digest.update(block)
            else:
                size = file.stat().st_size
                digest.update(str(size).encode())
                last = max(0, size - _SAMPLE)
                for start in sorted({last * k // (_SAMPLES + 1) for k in range(_SAMPLES + 2)}):
                    handle.seek(start)
                    digest.update(handle.read(_SAMPLE))
        combined.update(f"{'' if path.is_file() else name}\0{digest.hexdigest()}\n".encode())
    return ("" if whole else "sampled-") + combined.hexdigest()
