"""A folder of 2-D TIFF planes as one volume."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import Array, LazyArray, Region, Source
from linumpy_lib.io.tiff import open_tiff_plane
from linumpy_lib.io.volume import Level, Volume

_SUFFIXES = (".tif", ".tiff")


def open_plane_folder(path: Path) -> Volume:
    """Stack the TIFF planes of a folder along z, in natural order of their names (``2`` before ``10``).

    Raises
    ------
    InputError
        If there are no planes, if one differs in size or type, or if their numbers have gaps.
    """
    files = sorted(
        (item for item in path.iterdir() if item.suffix.lower() in _SUFFIXES and not item.name.startswith(".")),
        key=lambda item: natural_key(item.name),
    )
    if not files:
        raise InputError(f"{path}: neither a Zarr store nor a folder with .tif planes; check the path")
    _refuse_gaps(files)
    source = PlanesSource(files)
    return Volume(array=LazyArray(source), axes="zyx", path=path, levels=(Level("", (1.0, 1.0, 1.0)),))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that compares digits as numbers."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", name) if part]


def _refuse_gaps(files: list[Path]) -> None:
    """Check that the one number that changes from name to name rises in equal steps."""
    numbers = [[int(digits) for digits in re.findall(r"\d+", item.stem)] for item in files]
    if len(files) < 2 or len({len(row) for row in numbers}) != 1:
        return
    columns = [list(column) for column in zip(*numbers, strict=True) if len(set(column)) > 1]
    if len(columns) != 1:
        return
    steps = np.diff(columns[0])
    step = int(steps.min())
    for k, found in enumerate(steps):
        if found != step or step == 0:
            problem = "repeats the number of" if found == 0 else "does not follow"
            raise InputError(
                f"{files[k + 1]}: {problem} {files[k].name}; planes are missing or doubled, complete the folder"
            )


class PlanesSource:
    """Planes of equal size and type in files of their own."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        first = open_tiff_plane(files[0])
        self._planes: list[Source] = [first]
        for file in files[1:]:
            plane = open_tiff_plane(file)
            if plane.shape != first.shape or plane.dtype != first.dtype:
                raise InputError(
                    f"{file}: is {plane.shape} {plane.dtype}, but {files[0].name} is {first.shape} {first.dtype}; "
                    "make all planes alike"
                )
            self._planes.append(plane)
        self.shape: tuple[int, ...] = (len(files), *first.shape)
        self.dtype: np.dtype[Any] = first.dtype
        self.chunks: tuple[int, ...] | None = (1, *first.shape)

    def read(self, region: Region) -> Array:
        """Box of the stack."""
        planes, inside = region[0], region[1:]
        out = np.empty([box.stop - box.start for box in region], self.dtype)
        for k in range(planes.start, planes.stop):
            out[k - planes.start] = self._planes[k].read(inside)
        return out
