"""The first rows of `slice_config.csv`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from linumpy_lib.errors import InputError
from linumpy_lib.io.csv_file import whole_number
from linumpy_lib.io.text_file import read_json

CALIBRATION = "calibration_slice"


def read_records(paths: Sequence[Path]) -> dict[int, dict[str, Any]]:
    """Read what `create_mosaic_grid` recorded of the galvo mirror.

    Parameters
    ----------
    paths : sequence of Path
        Files `mosaic_grid_3d_z*.json`.

    Returns
    -------
    dict of int to dict
        Galvo decision by slice id.

    Raises
    ------
    InputError
        If a file is not such a record.
    """
    found = {}
    for path in paths:
        try:
            record = read_json(path, "make the mosaic again")
            galvo = record["galvo"]
            examined = {
                "method": str(galvo["method"]),
                "confidence": float(galvo["confidence"]),
                "shift_px": int(galvo["shift_px"]),
            }
            found[whole_number(str(record["slice_id"]), path, "slice_id")] = examined
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise InputError(f"{path}: not a record of create_mosaic_grid ({error!r}); make the mosaic again") from None
    return found


def slice_rows(
    slice_ids: Iterable[int], *, exclude_first: int, galvo: Mapping[int, Mapping[str, Any]] | None
) -> dict[int, dict[str, str | bool]]:
    """Make the rows of the table.

    Parameters
    ----------
    slice_ids : iterable of int
        Slices that exist.
    exclude_first : int
        Leading slices that are left out as calibration slices.
    galvo : mapping of int to mapping, optional
        Galvo decision by slice id, to be entered in the table.

    Returns
    -------
    dict of int to dict
        Columns by slice id.
    """
    rows: dict[int, dict[str, str | bool]] = {}
    for rank, slice_id in enumerate(sorted(slice_ids)):
        first = rank < exclude_first
        row: dict[str, str | bool] = {"use": not first, "exclude_reason": CALIBRATION if first else ""}
        notes = [CALIBRATION] if first else []
        if galvo is not None:
            finding = galvo.get(slice_id, {"method": "none"})
            examined = finding["method"] != "none"
            row["galvo_confidence"] = f"{finding['confidence']:.3f}" if examined else ""
            row["galvo_fix"] = bool(examined and finding["shift_px"] != 0)
            if not examined:
                notes.append("galvo not examined (fix_galvo_shift is false)")
        row["notes"] = "; ".join(notes)
        rows[slice_id] = row
    return rows
