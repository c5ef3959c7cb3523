"""What counts as good, worth a look, or bad: the thresholds of all figures, in `thresholds.json` beside this file.

`steps` judge their figures with :func:`judge`; the report judges them again where a user gives a file of their own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linumpy_lib.errors import InputError
from linumpy_lib.io.text_file import read_json
from linumpy_lib.step import Status

DEFAULT_FILE = Path(__file__).with_name("thresholds.json")
_DIRECTIONS = ("above", "below", "magnitude")


def read_thresholds(path: Path) -> dict[str, dict[str, Any]]:
    """Read a file of thresholds.

    Parameters
    ----------
    path : Path
        JSON: ``{"<figure>": {"bad": "above" | "below" | "magnitude", "warning": number, "error": number}}``.
        *magnitude* judges the absolute value, for figures with a sign. An optional "description" says in words
        what the figure means.

    Returns
    -------
    dict of str to dict
        Thresholds by name of the figure.

    Raises
    ------
    InputError
        If the file cannot be read, or an entry is malformed or contradicts itself.
    """
    data = read_json(path, f"write a table of thresholds in JSON like {DEFAULT_FILE.name}")
    for name, entry in data.items():
        _check(path, name, entry)
    return data


def _check(path: Path, name: str, entry: Any) -> None:
    where = f"{path}: thresholds of '{name}'"
    if not isinstance(entry, dict) or entry.get("bad") not in _DIRECTIONS:
        raise InputError(f'{where}: need "bad": one of {", ".join(_DIRECTIONS)}')
    if not isinstance(entry.get("description", ""), str):
        raise InputError(f'{where}: "description" has to be text')
    values = [entry.get("warning"), entry.get("error")]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values):
        raise InputError(f'{where}: need finite numbers for "warning" and "error"')
    warning, error = float(entry["warning"]), float(entry["error"])
    if (error < warning) if entry["bad"] != "below" else (error > warning):
        raise InputError(f'{where}: "error" {error} is reached before "warning" {warning}; swap them')


@functools.cache
def _defaults() -> dict[str, dict[str, Any]]:
    return read_thresholds(DEFAULT_FILE)


def judge(
    name: str, value: float | int | str | None, thresholds: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Judge one figure; the answer fits `Task.metric`'s keywords.

    Parameters
    ----------
    name : str
        Name of the figure in the table; a figure without thresholds is information.
    value : float, int, str or None
        None and text are information, a number that is not finite is an error.
    thresholds : mapping, optional
        The table, by default that of `thresholds.json`.

    Returns
    -------
    dict
        ``status``, ``thresholds`` (``{"warning above": 0.1, "error above": 0.2}``) and, where the table has one,
        ``description``.

    Examples
    --------
    >>> judge("rotation_degrees", -2.5)["status"]
    'error'
    >>> judge("number_of_things", 3)["status"]
    'info'
    """
    entry = (_defaults() if thresholds is None else thresholds).get(name)
    if entry is None or value is None or isinstance(value, str):
        return {"status": "info", "thresholds": {}}
    words = {"description": entry["description"]} if "description" in entry else {}
    word = {"above": "above", "below": "below", "magnitude": "beyond ±"}[entry["bad"]]
    bounds = {f"warning {word}": entry["warning"], f"error {word}": entry["error"]}
    if not math.isfinite(value):
        return {"status": "error", "thresholds": bounds, **words}
    number = abs(value) if entry["bad"] == "magnitude" else value
    status: Status = "ok"
    levels: tuple[Status, ...] = ("warning", "error")
    for level in levels:
        if (number < entry[level]) if entry["bad"] == "below" else (number > entry[level]):
            status = level
    return {"status": status, "thresholds": bounds, **words}
