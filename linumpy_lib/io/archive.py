"""`zip_store`: an OME-Zarr directory as one ``.ome.zarr.zip``, stored as it is."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

from linumpy_lib.errors import InputError
from linumpy_lib.io.destination import check_output, explain

# The earliest time that a zip can hold: equal stores give equal archives.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def zip_store(path: str | os.PathLike[str], zip_path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Pack a Zarr store into a zip without compressing it again; readers then seek to chunks inside.

    Metadata come first (the root's ``zarr.json`` at the very beginning), files in name order with a fixed date.

    Parameters
    ----------
    path : path-like
        Store directory.
    zip_path : path-like
        Archive to make; it appears when it is whole.
    overwrite : bool
        Replace an existing archive.

    Returns
    -------
    Path
        `zip_path`.

    Raises
    ------
    InputError
        If `path` is no Zarr store.
    OutputError
        If the archive exists, or cannot be written.
    """
    root = Path(path)
    if not any((root / mark).is_file() for mark in ("zarr.json", ".zgroup", ".zarray")):
        raise InputError(f"{root}: is no Zarr store; give the folder that holds zarr.json")
    target = Path(zip_path)
    if overwrite and target.is_file():
        check_output(target.with_name(f".{target.name}.partial"), [root])
    else:
        check_output(target, [root])
    files = sorted(
        (file for file in root.rglob("*") if file.is_file()),
        key=lambda file: (
            not _is_metadata(file),
            len(file.relative_to(root).parts) if _is_metadata(file) else 0,
            file.as_posix(),
        ),
    )
    partial = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for file in files:
                member = zipfile.ZipInfo(file.relative_to(root).as_posix(), _EPOCH)
                member.external_attr = 0o100644 << 16
                member.create_system = 3
                size = file.stat().st_size
                with file.open("rb") as source, archive.open(member, "w", force_zip64=size >= 1 << 31) as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise explain(error, target, sum(file.stat().st_size for file in files)) from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return target


def _is_metadata(file: Path) -> bool:
    return file.name in ("zarr.json", ".zgroup", ".zattrs", ".zarray")
