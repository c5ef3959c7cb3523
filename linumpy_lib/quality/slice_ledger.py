"""What became of every input slice: used, excluded, interpolated, gap or failed, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from linumpy_lib.quality.run_files import RunFiles
from linumpy_lib.quality.run_order import rank, title
from linumpy_lib.step import Status

State = Literal["used", "excluded", "interpolated", "gap", "failed"]
STATES: tuple[State, ...] = ("used", "excluded", "interpolated", "gap", "failed")

_TRUE = ("true", "1", "1.0", "yes", "y", "t")
_MISSING = "missing"
_FLAGS = {
    "rehomed": "the stage was re-homed before it",
    "galvo_fix": "galvo return put right",
}


@dataclass
class SliceRow:
    """One line of the ledger.

    Attributes
    ----------
    id : int
        Slice id.
    state : str
        One of `STATES`.
    why : str
        Reason for any state but *used*; remarks otherwise.
    steps : dict of str to str
        Worst status of the figures by step, for the steps that worked on this slice alone.
    """

    id: int
    state: State
    why: str = ""
    steps: dict[str, Status] = field(default_factory=dict)


def slice_ledger(run: RunFiles) -> list[SliceRow]:
    """Tell what became of every slice that any file of the run mentions.

    Parameters
    ----------
    run : RunFiles
        What the run left behind.

    Returns
    -------
    list of SliceRow
        By id.
    """
    config = {
        **_by_id(run, "slice_config.csv"),
        **_by_id(run, "slice_config_final.csv"),
    }
    canvas = _by_id(run, "common_space.csv")
    stacked = _by_id(run, "stacking_decisions.csv")
    failed = _failures(run)
    finished: dict[int, dict[str, Status]] = {}
    for task in run.tasks:
        if task.slice_id is not None:
            finished.setdefault(task.slice_id, {})[task.step] = task.status
    told = [_whole(entry) for entry in _entries(run.facts.get("slices"))]
    ids = {i for i in told if i is not None} | config.keys() | canvas.keys() | stacked.keys() | failed.keys()
    rows = []
    for number in sorted(ids | finished.keys()):
        place, row = canvas.get(number, {}), config.get(number, {})
        steps = dict(sorted(finished.get(number, {}).items(), key=lambda item: rank(item[0])))
        if number in failed:
            state, why = "failed", failed[number]
        else:
            state, why = _state(row, place, steps, bool(canvas))
        rows.append(SliceRow(number, _as_state(state), why, steps))
    return rows


def _as_state(text: str) -> State:
    return next(state for state in STATES if state == text)


def _state(row: dict[str, str], place: dict[str, str], steps: dict[str, Status], has_canvas: bool) -> tuple[str, str]:
    """State and reason of a slice whose tasks did not fail."""
    made = _yes(row.get("interpolated"))
    method = row.get("interpolation_method_used") or "its neighbours"
    unfilled = row.get("interpolation_fallback_reason", "")
    refused = f"; interpolation was refused: {unfilled}" if unfilled else ""
    reason = row.get("exclude_reason") or place.get("reason") or row.get("notes") or ""
    absent = reason == _MISSING or (place.get("status") == _MISSING and row.get("use", "false") != "true")
    if absent and made:
        return "interpolated", f"was not recorded; filled from its neighbours ({method})"
    if absent and not _worked(steps):
        return "gap", f"was not recorded{refused}"
    if row and not _yes(row.get("use")):
        return "excluded", (reason or "use is false in the table of slices") + _place_of_excluded(made, method, refused)
    if place.get("status") == "excluded":
        return "excluded", reason or "excluded on the common canvas"
    if has_canvas and place.get("status", _MISSING) != "used":
        last = title(max(steps, key=rank)) if steps else ""
        stopped = f"its last finished step is '{last}'; nothing tells why it went no further"
        return ("failed", stopped) if steps else ("gap", f"no file of it was found{refused}")
    return "used", _remarks(row)


def _place_of_excluded(made: bool, method: str, refused: str) -> str:
    return f"; its place is filled from its neighbours ({method})" if made else refused


def _remarks(row: dict[str, str]) -> str:
    parts = [text for name, text in _FLAGS.items() if _yes(row.get(name))]
    if _yes(row.get("auto_excluded")):
        why = row.get("auto_exclude_reason") or "its registration is not to be trusted"
        parts.append(f"placed by the stage alone: {why}")
    if row.get("notes"):
        parts.append(row["notes"])
    return "; ".join(parts)


def _worked(steps: dict[str, Status]) -> bool:
    """Whether any step but those that stand in for a slice worked on it."""
    return bool(steps.keys() - {"interpolate_slice"})


def _yes(text: str | None) -> bool:
    return (text or "").lower() in _TRUE


def _whole(text: object) -> int | None:
    try:
        number = float(str(text).removeprefix("z"))
    except ValueError:
        return None
    return int(number) if number.is_integer() and 0 <= number < 1e15 else None


def _entries(data: Any) -> Iterable[Any]:
    return data if isinstance(data, list) else ()


def _by_id(run: RunFiles, table: str) -> dict[int, dict[str, str]]:
    """Rows of a table by slice; a row without a readable id is reported as damage."""
    found: dict[int, dict[str, str]] = {}
    for row in run.tables.get(table, []):
        number = _whole(row.get("slice_id"))
        if number is None:
            problem = (table, "a row has no readable slice_id")
            run.damaged += [problem] if problem not in run.damaged else []
        else:
            found[number] = row
    return found


def _failures(run: RunFiles) -> dict[int, str]:
    found: dict[int, str] = {}
    for entry in _entries(run.facts.get("failed")):
        number = _whole(entry.get("slice")) if isinstance(entry, dict) else None
        if number is not None:
            reason = str(entry.get("reason", "")) or "nothing tells why"
            found.setdefault(number, f"{title(str(entry.get('step', '?')))} failed: {reason}")
    return found
