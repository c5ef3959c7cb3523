"""NRRD volumes: raw data are memory-mapped, compressed ones read whole on first use."""

from __future__ import annotations

import bz2
import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import Array, ArraySource, LazyArray, Region, Source
from linumpy_lib.io.units import known_spacing
from linumpy_lib.io.volume import Level, Volume, canonical

# Spellings of the NRRD format definition, per NumPy type.
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
# Bytes that one byte of a file can become: a limit of deflate, of bzip2 for runs, and text of small numbers.
_MOST_GROWTH = {"gz": 1032, "bz": 100_000}
_DOMAIN_KINDS = ("domain", "space", "none", "???")


def open_nrrd(path: Path) -> Volume:
    """Open an NRRD file or a detached header (.nhdr).

    The spacing comes from `space directions` or `spacings`, and only if `space units` or `units` name a length.

    Raises
    ------
    InputError
        If the header is corrupt, the data are shorter than it says, or it is no volume.
    """
    import nrrd

    try:
        header: dict[str, Any] = nrrd.read_header(str(path))
        sizes = [int(n) for n in header["sizes"]]
        encoding = str(header["encoding"]).lower()
        dtype = _dtype(header)
    except (nrrd.NRRDError, ValueError, KeyError, OSError, TypeError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: the NRRD header is corrupt ({reason}); export the file again") from None
    shape = tuple(reversed(sizes))
    if 0 in shape:
        raise InputError(f"{path}: the array is empty, shape {shape}; export it again")
    _check_axes(path, header, len(sizes), min(sizes, default=-1))
    source: Source = _mapped(path, header, dtype, shape) if encoding == "raw" else WholeNrrd(path, header, dtype, shape)
    kinds = [str(kind).lower() for kind in header.get("kinds", ["domain"] * len(sizes))][::-1]
    spatial = [k for k, kind in enumerate(kinds) if kind in _DOMAIN_KINDS]
    others = [k for k in range(len(shape)) if k not in spatial]
    if len(spatial) > 3 and not others:
        spatial, others = spatial[-3:], spatial[:-3]
    if len(spatial) > 3 or len(others) > 1:
        raise InputError(
            f"{path}: {len(shape)} axes of kinds {kinds[::-1]} are no volume; export z, y, x (and channels)"
        )
    letters = ["c"] * len(shape)
    for position, axis in zip(spatial, "zyx"[3 - len(spatial) :], strict=True):
        letters[position] = axis
    lazy, axes, _ = canonical(source, "".join(letters), str(path))
    return Volume(
        array=LazyArray(lazy),
        axes=axes,
        spacing_um=_spacing(path, header, [len(shape) - 1 - k for k in spatial]),
        origin_um=(0.0,) * len(spatial),
        path=path,
        levels=(Level("", (1.0,) * len(axes)),),
    )


def _check_axes(path: Path, header: dict[str, Any], axes: int, least: int) -> None:
    """Refuse a header that contradicts itself: each field of axes has an entry for each axis."""
    per_axis = ("kinds", "spacings", "space directions", "units")
    wrong = [name for name in per_axis if name in header and len(header[name]) != axes]
    if least < 0 or wrong:
        what = f"{wrong[0]!r} has not {axes} entries" if wrong else "sizes are negative or missing"
        raise InputError(f"{path}: the NRRD header is corrupt ({what}); export the file again")


def _dtype(header: dict[str, Any]) -> np.dtype[Any]:
    name = " ".join(str(header["type"]).lower().split())
    code = next((code for code, names in _TYPES.items() if name in names), None)
    if code is None:
        raise ValueError(f"type {name!r}")
    order = {"big": ">", "little": "<"}.get(str(header.get("endian", "little")).lower())
    if order is None:
        raise ValueError(f"endian {header['endian']!r}")
    return np.dtype(order + code)


def _mapped(path: Path, header: dict[str, Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Source:
    data = _data_file(path, header)
    detached = None if data == path else data
    need = math.prod(shape) * dtype.itemsize
    size = data.stat().st_size
    skip = int(header.get("byte skip", header.get("byteskip", 0)))
    offset = size - need if skip == -1 or detached is None else skip
    if detached is None:
        with path.open("rb") as handle:
            offset = _header_end(handle.read(1 << 20)) + max(skip, 0)
    if offset < 0 or offset + need > size:
        raise InputError(f"{data}: the file is truncated, {size} bytes where {offset + need} are needed; copy it again")
    mapped: Array = np.memmap(data, dtype, "r", offset, shape)
    return ArraySource(mapped)


def _data_file(path: Path, header: dict[str, Any]) -> Path:
    """Return the file with the data, which may be another one beside the header or below it."""
    detached = header.get("data file") or header.get("datafile")
    data = path if detached is None else path.parent / str(detached)
    if detached is not None and ((" " in str(detached) and not data.is_file()) or str(detached).upper() == "LIST"):
        raise InputError(f"{path}: data spread over several files are not supported; join them in one raw file")
    if detached is not None and (Path(str(detached)).is_absolute() or ".." in Path(str(detached)).parts):
        raise InputError(f"{path}: its data file {str(detached)!r} is not beside the header; put it there")
    if not data.is_file():
        raise InputError(f"{path}: its data file {data} is missing; put it beside the header")
    if header.get("line skip") or header.get("lineskip"):
        raise InputError(f"{path}: 'line skip' is not supported; use 'byte skip'")
    return data


def _header_end(head: bytes) -> int:
    ends = [head.find(mark) + len(mark) for mark in (b"\n\n", b"\r\n\r\n") if mark in head]
    return min(ends) if ends else len(head)


def _spacing(path: Path, header: dict[str, Any], file_axes: list[int]) -> tuple[float, ...] | None:
    """(z, y, x) in micrometres; `file_axes` are the axes of the header, fastest first, in that order."""
    directions = header.get("space directions")
    if directions is not None:
        rows = np.asarray(directions, dtype=float)
        scale = [float(np.linalg.norm(rows[k])) for k in file_axes]
        units = list(header.get("space units", []))
        if len(set(map(str, units))) > 1:
            return None
        names = [str(units[0]) if units else None] * len(file_axes)
    elif "spacings" in header:
        scale = [float(header["spacings"][k]) for k in file_axes]
        units = list(header.get("units", header.get("space units", [])))
        names = [str(units[k]) if k < len(units) else None for k in file_axes]
    else:
        return None
    if any(np.isnan(step) for step in scale):
        return None
    return known_spacing(scale, [name.strip('"') if name else None for name in names], str(path))


class WholeNrrd:
    """Compressed or text data, which have no random access: read once, then kept.

    Nothing is unpacked beyond what the header tells, and what no file of its size can hold is refused.
    """

    def __init__(self, path: Path, header: dict[str, Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._path, self._stored = path, dtype
        self.shape = shape
        self.dtype: np.dtype[Any] = dtype.newbyteorder("=")
        self.chunks: tuple[int, ...] | None = None
        self._values: Array | None = None
        self._data = _data_file(path, header)
        self._encoding = str(header["encoding"]).lower()
        self._skip = max(0, int(header.get("byte skip", header.get("byteskip", 0))))
        need = math.prod(shape) * dtype.itemsize
        most = _MOST_GROWTH.get(self._encoding[:2], 8) * self._data.stat().st_size
        if self._skip + need > most:
            told = self._skip + need
            raise InputError(f"{path}: the file is truncated, it cannot hold the {told} bytes told; copy it again")

    def read(self, region: Region) -> Array:
        """Box of the array.

        Raises
        ------
        InputError
            If the data do not decode.
        """
        if self._values is None:
            import zlib

            import nrrd

            try:
                self._values = self._unpacked()
            except (nrrd.NRRDError, ValueError, OSError, EOFError, zlib.error) as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise InputError(f"{self._path}: the data are damaged ({reason}); export the file again") from None
        return np.array(self._values[region], dtype=self.dtype, order="C")

    def _unpacked(self) -> Array:
        if self._encoding[:2] not in ("gz", "bz"):
            import nrrd

            whole: Array = nrrd.read(str(self._path), index_order="C")[0]
            return whole
        opener = gzip.open if self._encoding[:2] == "gz" else bz2.open
        need = math.prod(self.shape) * self._stored.itemsize
        with self._data.open("rb") as file:
            file.seek(_header_end(file.read(1 << 20)) if self._data == self._path else 0)
            with opener(file, "rb") as stream:
                stream.read(self._skip)
                data = stream.read(need + 1)
        if len(data) != need:
            raise ValueError(f"it unpacks to {'more' if len(data) > need else len(data)} bytes where {need} are told")
        return np.frombuffer(data, self._stored).reshape(self.shape)
