"""What `info.txt` says of one raw tile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from linumpy_lib.errors import InputError
from linumpy_lib.io.text_file import read_text

INFO_FILE = "info.txt"
# Beyond these no microscope goes; a product of values within them does not overflow.
_MAX_BYTES, _MAX_FRAME_BYTES = 1 << 20, 1 << 30
_MAX_NUMBER, _MAX_COUNT = 1e9, 1_000_000
_REQUIRED = ("nx", "ny", "width", "height", "top_z", "bottom_z")


@dataclass(frozen=True)
class TileInfo:
    """Geometry of one raw tile.

    Attributes
    ----------
    nx, ny : int
        A-lines per B-scan (x) and B-scans (y) of the image.
    nz : int
        Depth samples.
    n_extra : int
        A-lines recorded in every B-scan while the galvo mirror returns.
    n_repeat : int
        Times that every B-scan was recorded.
    width_um, height_um : float
        Field of view along x and y, micrometres.
    stage_mm : tuple of float or None
        Position (x, y) of the stage, millimetres; None if the file does not tell it.
    stage_z_mm : float or None
        Height of the stage, millimetres.
    """

    nx: int
    ny: int
    nz: int
    n_extra: int
    n_repeat: int
    width_um: float
    height_um: float
    stage_mm: tuple[float, float] | None
    stage_z_mm: float | None

    @property
    def pixel_um(self) -> tuple[float, float]:
        """Distance (y, x) of B-scans and of A-lines, micrometres."""
        return self.height_um / self.ny, self.width_um / self.nx

    @property
    def frame_shape(self) -> tuple[int, int]:
        """A-lines and depth samples of one B-scan on disk, in C order."""
        return self.nx + self.n_extra, self.nz

    @property
    def frame_bytes(self) -> int:
        """Size of one B-scan on disk."""
        return math.prod(self.frame_shape) * 4

    @property
    def geometry(self) -> tuple[int, int, int, int, float, float]:
        """What all tiles of a slice share."""
        return self.nz, self.ny, self.nx, self.n_extra, self.height_um, self.width_um


def read_tile_info(folder: Path) -> TileInfo:
    """Read `info.txt` of a tile folder.

    Lines are ``key: value``; other lines are ignored. `nx`, `ny`, `width`, `height` (micrometres), `top_z` and
    `bottom_z` are needed.

    Parameters
    ----------
    folder : Path
        A tile folder.

    Raises
    ------
    InputError
        If the file is absent, unreadable, or a value is missing, malformed or impossible.
    """
    path = folder / INFO_FILE
    try:
        text = read_text(path, "check the file and its permissions", most=_MAX_BYTES, errors="replace")
    except FileNotFoundError:
        raise InputError(f"{path}: missing; every tile folder needs it (see docs/preprocess.md)") from None
    values = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            values[key.strip()] = value.strip()
    missing = [key for key in _REQUIRED if key not in values]
    if missing:
        raise InputError(
            f"{path}: no {', '.join(missing)}; lines must read 'key: value' (is the file damaged or not OCT?)"
        )
    reader = _Values(path, values)
    stage = [reader.number(f"stage_{axis}_pos_mm") if f"stage_{axis}_pos_mm" in values else None for axis in "xyz"]
    info = TileInfo(
        nx=reader.whole("nx", 1),
        ny=reader.whole("ny", 1),
        nz=reader.whole("bottom_z") - reader.whole("top_z") + 1,
        n_extra=reader.whole("n_extra", 0) if "n_extra" in values else 0,
        n_repeat=reader.whole("n_repeat", 1) if "n_repeat" in values else 1,
        width_um=reader.number("width"),
        height_um=reader.number("height"),
        stage_mm=None if stage[0] is None or stage[1] is None else (stage[0], stage[1]),
        stage_z_mm=stage[2],
    )
    if info.nz < 1:
        raise InputError(f"{path}: bottom_z is above top_z; correct the two values")
    if info.frame_bytes > _MAX_FRAME_BYTES:
        raise InputError(
            f"{path}: one B-scan would take {info.frame_bytes} bytes; correct nx, n_extra, top_z, bottom_z"
        )
    for key, extent in (("width", info.width_um), ("height", info.height_um)):
        if extent < 1e-3:
            raise InputError(f"{path}: {key} is {extent:g}; it must be the field of view in micrometres")
    return info


@dataclass(frozen=True)
class _Values:
    path: Path
    texts: dict[str, str]

    def number(self, key: str) -> float:
        text = self.texts[key]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not abs(value) <= _MAX_NUMBER:
            raise InputError(f"{self.path}: {key} is '{text[:80]}', not a number that can be; correct the file")
        return value

    def whole(self, key: str, least: int | None = None) -> int:
        value = self.number(key)
        if not value.is_integer() or abs(value) > _MAX_COUNT or (least is not None and value < least):
            allowed = "a whole number" if least is None else f"a whole number of at least {least}"
            if value > _MAX_COUNT:
                allowed += f", at most {_MAX_COUNT}"
            raise InputError(f"{self.path}: {key} is '{self.texts[key]}', it must be {allowed}; correct the file")
        return int(value)
