"""What became of each missing slice: manifests of single slices, and the table of slices that holds them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from linumpy_lib.errors import InputError
from linumpy_lib.io.csv_file import read_rows, whole_number
from linumpy_lib.io.slice_config import is_true

MANIFEST_COLUMNS = ("slice_id", "method", "method_used", "fallback_reason", "interpolation_failed", "output_path")
NOT_ATTEMPTED = "not_attempted"


def read_manifests(paths: Iterable[Path]) -> dict[int, dict[str, str]]:
    """Read manifests of `interpolate_slice`, by slice.

    Raises
    ------
    InputError
        If a slice occurs twice, or a manifest is malformed.
    """
    found: dict[int, dict[str, str]] = {}
    for path in paths:
        for row in read_rows(path, MANIFEST_COLUMNS):
            slice_id = whole_number(row["slice_id"], path, "slice_id")
            if slice_id in found:
                raise InputError(f"{path}: slice {slice_id} has two manifests; keep the one of the last run")
            is_true(row["interpolation_failed"], f"{path}: interpolation_failed")
            found[slice_id] = row
    return dict(sorted(found.items()))


def gaps(positions: Path) -> dict[int, int]:
    """Slices between used ones that are not used themselves, and how many lie side by side, from common_space.csv."""
    rows = [
        (whole_number(row["slice_id"], positions, "slice_id"), row["status"] == "used")
        for row in read_rows(positions, ("slice_id", "status"))
    ]
    used = [slice_id for slice_id, is_used in rows if is_used]
    inner = sorted((s, u) for s, u in rows if used and used[0] <= s <= used[-1])
    found: dict[int, int] = {}
    for is_used, run in groupby(inner, key=lambda pair: pair[1]):
        ids = [slice_id for slice_id, _ in run]
        if not is_used:
            found.update(dict.fromkeys(ids, len(ids)))
    return found


def final_rows(
    config: Mapping[int, Mapping[str, str]],
    manifests: Mapping[int, Mapping[str, str]],
    wide: Mapping[int, int],
    present: Sequence[int],
) -> dict[int, dict[str, str | bool]]:
    """Merge the table of slices with what became of each gap.

    Parameters
    ----------
    config : mapping
        Rows of slice_config.csv; empty if there is none.
    manifests : mapping
        From `read_manifests`.
    wide : mapping of int to int
        From `gaps`.
    present : sequence of int
        Slices that are used, for rows that the table lacks.

    Returns
    -------
    dict of int to dict
        Rows of slice_config_final.csv. A slice that was missing gets a row with `use` false.
    """
    rows: dict[int, dict[str, str | bool]] = {slice_id: dict(row) for slice_id, row in config.items()}
    for slice_id in present:
        rows.setdefault(slice_id, {"use": True})
    for slice_id, count in wide.items():
        if slice_id in manifests:
            continue
        reason = NOT_ATTEMPTED if count == 1 else f"gap_of_{count}_slices"
        row = rows.setdefault(slice_id, {"use": False, "exclude_reason": "missing"})
        row.update(interpolated=False, interpolation_failed=True, interpolation_method_used="")
        row["interpolation_fallback_reason"] = reason
    for slice_id, told in manifests.items():
        failed = is_true(told["interpolation_failed"])
        row = rows.setdefault(slice_id, {"use": False, "exclude_reason": "missing"})
        row.update(interpolated=not failed, interpolation_failed=failed)
        row["interpolation_method_used"] = told["method_used"]
        row["interpolation_fallback_reason"] = told["fallback_reason"]
    for row in rows.values():
        row.setdefault("interpolated", False)
        row.setdefault("interpolation_failed", False)
    return rows
