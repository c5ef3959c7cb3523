"""`slice_factors.csv`: the brightness of each slice, and the factor that matches it with the others."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from linumpy_lib.errors import InputError
from linumpy_lib.io.csv_file import read_rows, whole_number, write_rows

COLUMNS = ("slice_id", "reference", "tissue_voxels", "smoothed", "factor", "level")


@dataclass(frozen=True)
class SliceFactor:
    """One slice.

    Attributes
    ----------
    slice_id : int
        The slice.
    reference : float
        Its brightness (99th percentile of the tissue above the background).
    tissue_voxels : int
        Voxels that this comes from.
    smoothed : float
        Brightness smoothed over the slices.
    factor : float
        What its intensities are multiplied by.
    level : float
        Brightness that all slices are brought to, which becomes 1.
    """

    slice_id: int
    reference: float
    tissue_voxels: int
    smoothed: float
    factor: float
    level: float


def write_factors(path: Path, factors: Iterable[SliceFactor]) -> None:
    """Write the table, sorted by id."""
    write_rows(
        path,
        COLUMNS,
        (
            {
                "slice_id": str(f.slice_id),
                "reference": f"{f.reference:.9g}",
                "tissue_voxels": str(f.tissue_voxels),
                "smoothed": f"{f.smoothed:.9g}",
                "factor": f"{f.factor:.9g}",
                "level": f"{f.level:.9g}",
            }
            for f in sorted(factors, key=lambda f: f.slice_id)
        ),
    )


def read_factors(path: Path) -> dict[int, SliceFactor]:
    """Read the table.

    Raises
    ------
    InputError
        If a column is missing, a value is no positive number, or a slice has two rows.
    """
    found: dict[int, SliceFactor] = {}
    for row in read_rows(path, COLUMNS):
        slice_id = whole_number(row["slice_id"], path, "slice_id")
        try:
            values = {name: float(row[name]) for name in ("reference", "smoothed", "factor", "level")}
        except ValueError:
            raise InputError(
                f"{path}: slice {slice_id} has a value that is no number; run match_slices again"
            ) from None
        if not all(math.isfinite(v) and v >= 0 for v in values.values()) or values["factor"] <= 0:
            raise InputError(f"{path}: the values of slice {slice_id} are out of range; run match_slices again")
        if slice_id in found:
            raise InputError(f"{path}: slice {slice_id} has two rows; leave one")
        voxels = whole_number(row["tissue_voxels"], path, "tissue_voxels", 1 << 53)
        found[slice_id] = SliceFactor(slice_id=slice_id, tissue_voxels=voxels, **values)
    return found
