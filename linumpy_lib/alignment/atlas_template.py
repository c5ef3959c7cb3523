"""The Allen mouse template (CCFv3): found in a cache, or fetched once, whole and checked."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from linumpy_lib.errors import InputError

ALLEN_FOLDER = "http://download.alleninstitute.org/informatics-archive/current-release/mouse_ccf/average_template"
ALLEN_NAME = "average_template_"
ALLEN_ORIENTATION = "RIP"
"""Where z, y, x of the Allen files point to: to the right, down, and to the back."""

# As published by others who use these files; the 10 um file is checked by its own checksum (gzip) when it is read.
_SHA256 = {
    25: "e4a2b483e842b4c8c1b5452d940ea59e14bc1ebaa38fe6a9c3bacac6db2a8f4b",
    50: "6114c341d526f9782ca93b314b3244bb0c4c6cea17045f432d4cda63339915aa",
    100: "6c24cae773a5cf256586b0384af0ac93ad68564d211c9bdcff4bee9acf07786a",
}
_BLOCK = 1 << 20
_TIMEOUT_S = 30


def cache_folder() -> Path:
    """Return the folder for fetched templates: ``$LINUMPY_ATLAS_CACHE``, else below the user's cache folder."""
    given = os.environ.get("LINUMPY_ATLAS_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "linumpy-pipeline" / "atlas"


def allen_template(
    resolution_um: int,
    *,
    folder: Path | None = None,
    source: str = ALLEN_FOLDER,
    checksums: dict[int, str] | None = None,
) -> Path:
    """Return the Allen average template, fetched into the cache where it is not there yet.

    An interrupted download is taken up where it ended; the file takes its name when it is whole and its
    SHA-256 is right.

    Parameters
    ----------
    resolution_um : {10, 25, 50, 100}
        Voxel size, micrometres.
    folder : Path, optional
        The cache, by default `cache_folder`.
    source : str
        Address of the folder that holds the files.
    checksums : dict of int to str, optional
        SHA-256 by resolution.

    Raises
    ------
    InputError
        If it cannot be fetched, with the file to put in place by hand; or if what was fetched is not that file.
    """
    folder = cache_folder() if folder is None else folder
    name = f"{ALLEN_NAME}{resolution_um}.nrrd"
    target = folder / name
    if target.is_file():
        return target
    expected = (_SHA256 if checksums is None else checksums).get(resolution_um)
    part = folder / f".{name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(f"{source}/{name}", part)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise InputError(
            f"{target}: the Allen template is not there and cannot be fetched from {source}/{name} ({error}); "
            "fetch it on another machine and put it there, set LINUMPY_ATLAS_CACHE to a folder that has it, or give a "
            "template file of your own (atlas_template)"
        ) from None
    found = _sha256(part)
    if expected is not None and found != expected:
        part.unlink()
        raise InputError(
            f"{target}: what was fetched is not the Allen template (SHA-256 {found[:16]}… instead of "
            f"{expected[:16]}…); run again, or put the right file there by hand"
        )
    os.replace(part, target)
    return target


def _fetch(address: str, part: Path) -> None:
    """Download into `part`, which may hold the beginning already."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left: the part is the whole file, or the checksum will tell
            return
        raise
    with answer:
        resumed = have > 0 and answer.status == 206
        length = answer.headers.get("Content-Length")
        wanted = None if length is None else int(length) + (have if resumed else 0)
        with part.open("ab" if resumed else "wb") as stream:
            while block := answer.read(_BLOCK):
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
    size = part.stat().st_size
    if wanted is not None and size != wanted:
        raise OSError(f"the connection ended after {size} of {wanted} bytes; run again to go on from there")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
