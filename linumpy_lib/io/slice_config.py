"""`slice_config.csv`: which slices are used, and what the steps found out about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.io.csv_file import read_rows, whole_number, write_rows

COLUMNS = (
    "slice_id",
    "use",
    "exclude_reason",
    "quality_score",
    "galvo_confidence",
    "galvo_fix",
    "notes",
    "rehomed",
    "rehoming_reliable",
    "auto_excluded",
    "auto_exclude_reason",
    "interpolated",
    "interpolation_failed",
    "interpolation_method_used",
    "interpolation_fallback_reason",
)
_BASIC = ("slice_id", "use", "exclude_reason", "notes")
SLICES_PATTERN = r"^\s*(\d+\s*(-\s*\d+\s*)?(,\s*\d+\s*(-\s*\d+\s*)?)*)?$"
"""Text of a list of slices, or of none."""

_TRUE = ("true", "1", "1.0", "yes", "y", "t")
_FALSE = ("false", "0", "0.0", "no", "n", "f", "")


def slice_name(slice_id: int) -> str:
    """Write a slice id as file names and tables do: at least two digits.

    Examples
    --------
    >>> slice_name(3), slice_name(1000)
    ('03', '1000')
    """
    return f"{slice_id:02d}"


def slice_numbers(text: str, parameter: str) -> set[int]:
    """Read a list of slices such as ``25,27-29``, the value of a parameter.

    Raises
    ------
    ParameterError
        If a range runs backwards.

    Examples
    --------
    >>> sorted(slice_numbers("25,27-29", "debug_slices"))
    [25, 27, 28, 29]
    """
    found: set[int] = set()
    for part in filter(None, (p.strip() for p in text.split(","))):
        low, _, high = (p.strip() for p in part.partition("-"))
        if high and int(high) < int(low):
            raise ParameterError(f"parameter '{parameter}': '{part}' is not allowed: the range runs backwards")
        found |= set(range(int(low), int(high or low) + 1))
    return found


def is_true(text: str, where: str = "slice_config.csv") -> bool:
    """Read a truth value of the table; empty is false.

    Raises
    ------
    InputError
        If it is neither true nor false.
    """
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in _FALSE:
        return False
    raise InputError(f"{where}: '{text}' is neither true nor false; write true or false")


def read_slice_config(path: Path) -> dict[int, dict[str, str]]:
    """Read the table; every column is kept as text.

    Returns
    -------
    dict of int to dict of str to str
        Row by slice id, ascending.

    Raises
    ------
    InputError
        If `slice_id` or `use` is absent or malformed, or an id occurs twice.
    """
    found: dict[int, dict[str, str]] = {}
    for row in read_rows(path, ("slice_id", "use")):
        slice_id = whole_number(row["slice_id"], path, "slice_id")
        if slice_id in found:
            raise InputError(f"{path}: slice {slice_id} occurs twice; keep one row for each slice")
        is_true(row["use"], f"{path}: use of slice {slice_id}")
        found[slice_id] = {name: value for name, value in row.items() if name != "slice_id"}
    return dict(sorted(found.items()))


def write_slice_config(path: Path, rows: Mapping[int, Mapping[str, str | bool]]) -> None:
    """Write the table, sorted by id, columns in the documented order, further ones after them.

    Parameters
    ----------
    path : Path
        The file; an older one is replaced in one move.
    rows : mapping of int to mapping
        Values by slice id; truth values become ``true`` and ``false``.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    texts = {
        slice_id: {name: _text(value) for name, value in row.items() if name != "slice_id"}
        for slice_id, row in sorted(rows.items())
    }
    used = _in_order({name for row in texts.values() for name in row} | set(_BASIC))
    write_rows(path, used, ({"slice_id": slice_name(slice_id), **row} for slice_id, row in texts.items()))


def _in_order(names: Iterable[str]) -> list[str]:
    names = set(names)
    return [name for name in COLUMNS if name in names] + sorted(names - set(COLUMNS))


def _text(value: str | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else value
