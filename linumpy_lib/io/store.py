"""Zarr hierarchies as files: a directory or an ``.ome.zarr.zip``, read key by key."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from linumpy_lib.errors import InputError

# A deflated member that grows more than this is a bomb or a mask; masks of that ratio are written stored by us.
_MAX_INFLATION = 1000


class Store(Protocol):
    """Bytes by key, and a form that zarr-python opens."""

    @property
    def label(self) -> str:
        """What messages call the store."""

    def read(self, key: str) -> bytes | None:
        """Bytes of `key`, None if it is absent."""

    def exists(self, key: str) -> bool:
        """Whether `key` is stored."""

    def names(self, prefix: str) -> list[str]:
        """Children directly below `prefix`, sorted."""

    def zarr_location(self, prefix: str) -> tuple[Any, str]:
        """Store argument and path for `zarr.open_array`."""


class DirectoryStore:
    """A Zarr hierarchy in a directory."""

    def __init__(self, root: Path) -> None:
        self.root, self.label = root, str(root)

    def read(self, key: str) -> bytes | None:
        """Bytes of `key`, None if it is absent."""
        try:
            return (self.root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def exists(self, key: str) -> bool:
        """Whether `key` is stored."""
        return (self.root / key).is_file()

    def names(self, prefix: str) -> list[str]:
        """Children directly below `prefix`, sorted."""
        folder = self.root / prefix
        return sorted(item.name for item in folder.iterdir()) if folder.is_dir() else []

    def zarr_location(self, prefix: str) -> tuple[Any, str]:
        """Store argument and path for `zarr.open_array`."""
        return str(self.root / prefix) if prefix else str(self.root), ""


class ArchiveStore:
    """A Zarr hierarchy in a zip file, at its root or in its single top folder."""

    def __init__(self, path: Path) -> None:
        self.path, self.label = path, str(path)
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
            raise InputError(f"{path}: not a readable zip archive ({error}); copy or export it again") from None
        self._members = {member.filename: member for member in members if not member.is_dir()}
        for member in members:
            _refuse_hostile(path, member)
        if len(self._members) != sum(not member.is_dir() for member in members):
            raise InputError(f"{path}: holds the same file name twice; write the archive again")
        tops = {PurePosixPath(name).parts[0] for name in self._members}
        at_root = {"zarr.json", ".zgroup", ".zattrs", ".zarray"} & self._members.keys()
        self._top = f"{tops.pop()}/" if len(tops) == 1 and not at_root else ""
        self._zarr_store: Any = None

    def read(self, key: str) -> bytes | None:
        """Bytes of `key`, None if it is absent."""
        name = self._top + key
        if name not in self._members:
            return None
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(name)
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            raise InputError(f"{self.path}: member {name} is damaged ({error}); copy or export it again") from None

    def exists(self, key: str) -> bool:
        """Whether `key` is stored."""
        return self._top + key in self._members

    def names(self, prefix: str) -> list[str]:
        """Children directly below `prefix`, sorted."""
        start = self._top + (f"{prefix}/" if prefix else "")
        return sorted({name[len(start) :].split("/")[0] for name in self._members if name.startswith(start)})

    def zarr_location(self, prefix: str) -> tuple[Any, str]:
        """Store argument and path for `zarr.open_array`."""
        if self._zarr_store is None:
            from zarr.storage import ZipStore

            self._zarr_store = ZipStore(self.path, mode="r")
        return self._zarr_store, (self._top + prefix).strip("/")


def _refuse_hostile(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or ".." in parts or (parts and ":" in parts[0]):
        raise InputError(f"{path}: member {name!r} points outside the archive; do not trust this file")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(f"{path}: member {name!r} is a symbolic link; write the archive without links")
    if member.flag_bits & 1:
        raise InputError(f"{path}: member {name!r} is encrypted; write the archive without a password")
    if member.file_size > (1 << 20) + _MAX_INFLATION * member.compress_size:
        raise InputError(
            f"{path}: member {name!r} would grow from {member.compress_size} to {member.file_size} bytes; "
            "write the archive with method 'store'"
        )


def open_store(path: Path) -> Store:
    """Open the directory or zip at `path` as a store."""
    return DirectoryStore(path) if path.is_dir() else ArchiveStore(path)


def read_document(store: Store, key: str) -> dict[str, Any] | None:
    """JSON object stored under `key`, None if absent.

    Raises
    ------
    InputError
        If it is not a JSON object.
    """
    text = store.read(key)
    if text is None:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{store.label}: metadata file {key} is corrupt ({error}); restore or write the store again"
        ) from None
    if not isinstance(document, dict):
        raise InputError(f"{store.label}: metadata file {key} is not a JSON object; restore or write the store again")
    return document
