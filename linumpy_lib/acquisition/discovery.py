"""Find the raw tiles of an acquisition: flat or nested folders, any ids, nothing overlooked in silence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from linumpy_lib.errors import InputError

_TILE = re.compile(r"tile_x(\d+)_y(\d+)_z(\d+)", re.ASCII)
# A longer number is no index; whoever loops over what lies between two would not come to an end.
MAX_DIGITS = 6
MAX_DEPTH = 30


@dataclass(frozen=True, order=True)
class TileId:
    """Place of a tile: slice id, then index along y and x."""

    z: int
    y: int
    x: int

    def __str__(self) -> str:
        return f"tile_x{self.x:02d}_y{self.y:02d}_z{self.z:02d}"


@dataclass(frozen=True)
class Acquisition:
    """The tile folders below one folder, or in one list of folders.

    Attributes
    ----------
    root : Path
        Folder that was searched.
    tiles : dict of TileId to Path
        Folders of the tiles, sorted by id.
    ignored : tuple of Path
        Files and folders that are not part of a tile.
    """

    root: Path
    tiles: dict[TileId, Path]
    ignored: tuple[Path, ...] = ()

    @property
    def slice_ids(self) -> list[int]:
        """Ids of the slices, ascending."""
        return sorted({tile.z for tile in self.tiles})

    @property
    def missing_slices(self) -> list[int]:
        """Ids between the first and the last slice without a tile."""
        ids = self.slice_ids
        return sorted(set(range(ids[0], ids[-1] + 1)) - set(ids)) if ids else []

    @property
    def gaps(self) -> list[str]:
        """The missing slices for people: ``['2-98', '101-999', '1001']``."""
        pairs = [(low + 1, high - 1) for low, high in pairwise(self.slice_ids) if high > low + 1]
        return [str(low) if low == high else f"{low}-{high}" for low, high in pairs]

    def slice_tiles(self, slice_id: int) -> dict[TileId, Path]:
        """Tiles of one slice, sorted by y and x."""
        return {tile: path for tile, path in self.tiles.items() if tile.z == slice_id}


def tile_id(name: str) -> TileId | None:
    """Read a tile's place from its folder name, None if it is not the name of a tile.

    Raises
    ------
    InputError
        If an index has more than 6 digits.

    Examples
    --------
    >>> tile_id("tile_x03_y01_z1000")
    TileId(z=1000, y=1, x=3)
    """
    match = _TILE.fullmatch(name)
    if match is None:
        return None
    if any(len(number.lstrip("0")) > MAX_DIGITS for number in match.groups()):
        raise InputError(f"{name[:80]}: an index of more than {MAX_DIGITS} digits; rename the folder")
    return TileId(z=int(match[3]), y=int(match[2]), x=int(match[1]))


def find_tiles(inputs: Path | Iterable[Path], *, flat: bool = False) -> Acquisition:
    """Find tile folders.

    Parameters
    ----------
    inputs : Path or iterable of Path
        Folder to search, or tile folders and folders to search.
    flat : bool
        Take only the tiles that lie directly in the folder (`use_old_folder_structure`).

    Returns
    -------
    Acquisition
        At least one tile.

    Raises
    ------
    InputError
        If there is no tile, or two folders claim the same place.
    """
    roots = [inputs] if isinstance(inputs, Path) else list(inputs)
    found: dict[TileId, Path] = {}
    ignored: list[Path] = []
    clashes: list[str] = []

    def take(folder: Path, tile: TileId) -> None:
        if tile in found:
            clashes.append(f"{found[tile]} and {folder} are both {tile}")
        else:
            found[tile] = folder

    for root in roots:
        if not root.is_dir():
            raise InputError(f"{root}: not a folder; give the folder that holds the tile_x*_y*_z* folders")
        own = tile_id(root.name)
        if own is not None:
            take(root, own)
        else:
            _search(root, flat, take, ignored)
    if clashes:
        raise InputError(f"{roots[0]}: two tiles with one id: {'; '.join(clashes)}; remove or rename one of each")
    if not found:
        where = " directly in it (use_old_folder_structure is true)" if flat else " in it or below"
        raise InputError(f"{roots[0]}: no folder tile_x*_y*_z*{where}; check the input folder")
    return Acquisition(roots[0], dict(sorted(found.items())), tuple(ignored))


def _search(root: Path, flat: bool, take: Callable[[Path, TileId], None], ignored: list[Path], depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise InputError(f"{root}: more than {MAX_DEPTH} folders below each other (a link to itself?); remove it")
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{root}: cannot be listed ({error.strerror}); check its permissions") from None
    for entry in entries:
        path = Path(entry.path)
        tile = tile_id(entry.name)
        if tile is not None and entry.is_dir():
            take(path, tile)
        elif entry.is_dir() and not flat and not entry.name.startswith("."):
            _search(path, flat, take, ignored, depth + 1)
        else:
            ignored.append(path)
