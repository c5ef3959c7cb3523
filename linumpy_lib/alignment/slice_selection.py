"""Which slices are used: what the stores, the table of slices and a list for debugging say together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from linumpy_lib.errors import InputError
from linumpy_lib.io.slice_config import is_true, slice_numbers
from linumpy_lib.quality.slice_quality import REASONS


@dataclass(frozen=True)
class Selection:
    """What happens to each slice.

    Attributes
    ----------
    used : tuple of int
        Slices that are placed, ascending.
    excluded : dict of int to str
        Slices that are left out, and why.
    notes : tuple of str
        What does not fit together.
    """

    used: tuple[int, ...]
    excluded: Mapping[int, str]
    notes: tuple[str, ...]


def left_out(row: Mapping[str, str], where: str) -> str:
    """Why a row of slice_config.csv leaves its slice out; empty if the slice is used.

    A slice with ``use`` false is left out, and so is one whose pictures failed `assess_quality`. What a later step
    marks ``auto_excluded`` for its registration keeps its place in the stack.
    """
    if not is_true(row.get("use", ""), where):
        return row.get("exclude_reason", "") or "use is false"
    reason = row.get("auto_exclude_reason", "")
    if is_true(row.get("auto_excluded", ""), where) and reason in REASONS:
        return reason
    return ""


def select_slices(
    present: Iterable[int], config: Mapping[int, Mapping[str, str]] | None, config_path: Path | None, debug: str
) -> Selection:
    """Decide which slices are used.

    Parameters
    ----------
    present : iterable of int
        Slices whose stores are there.
    config : mapping, optional
        Rows of slice_config.csv by slice.
    config_path : Path, optional
        Where they are from, for messages.
    debug : str
        Slices to use whatever the table says; empty for all.

    Raises
    ------
    InputError
        If no slice is left, or a slice to debug is not there.
    """
    stores = sorted(present)
    rows = config or {}
    chosen = slice_numbers(debug, "debug_slices")
    if chosen:
        absent = sorted(chosen - set(stores))
        if absent:
            raise InputError(
                f"debug_slices asks for slices {absent}, which are not among the given ones "
                f"({stores[0]} to {stores[-1]}); correct the list"
            )
        others = dict.fromkeys((s for s in stores if s not in chosen), "not among debug_slices")
        return Selection(tuple(s for s in stores if s in chosen), others, ())
    where = str(config_path) if config_path is not None else "slice_config.csv"
    excluded = {s: why for s, row in rows.items() if (why := left_out(row, f"{where}: slice {s}"))}
    used = tuple(s for s in stores if s not in excluded)
    if not used:
        raise InputError(
            f"{where}: excludes all {len(stores)} slices; set use=true for those to align"
            if stores
            else "no slices were given; give the stores of normalised slices with --slices"
        )
    notes = []
    unknown = [s for s in stores if config is not None and s not in rows]
    if unknown:
        notes.append(f"{where} has no row for slices {unknown}; they are used")
    lost = [s for s in rows if s not in excluded and s not in stores]
    if lost:
        notes.append(f"{where} uses slices {lost}, but their stores are not there; they stay gaps")
    return Selection(used, excluded, tuple(notes))
