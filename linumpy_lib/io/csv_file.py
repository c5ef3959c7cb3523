"""CSV tables: whole rows of text, checked columns, replaced at once."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from linumpy_lib.errors import InputError, OutputError
from linumpy_lib.io.text_file import read_text

MAX_ID = 999_999


def read_rows(path: Path, required: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV file with a header.

    Parameters
    ----------
    path : Path
        The file.
    required : sequence of str
        Columns that must be there.

    Returns
    -------
    list of dict of str to str
        One dict for each row, values without surrounding blanks.

    Raises
    ------
    InputError
        If the file is absent, is no text, lacks a column, or a row has another number of values than the header.
    """
    try:
        text = read_text(path, "give a CSV file in UTF-8")
        lines = [line for line in csv.reader(io.StringIO(text, newline="")) if line]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read ({error}); give a CSV file in UTF-8") from None
    header = [name.strip() for name in lines[0]] if lines else []
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise InputError(f"{path}: column {sorted(twice)[0]!r} occurs twice; keep one")
    missing = [name for name in required if name not in header]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; the first line must name the columns")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise InputError(f"{path}: row {number} has {len(line)} values, the header has {len(header)}; correct it")
        rows.append({name: value.strip() for name, value in zip(header, line, strict=True)})
    return rows


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write a CSV file, replacing an older one in one move.

    Parameters
    ----------
    path : Path
        The file.
    columns : sequence of str
        Header; absent values are empty.
    rows : iterable of mapping
        Values by column.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(unfinished, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); check the output folder") from None


def whole_number(text: str, path: Path, column: str, most: int = MAX_ID) -> int:
    """Read an id; ``3.0``, as other programs write it, counts as 3.

    Raises
    ------
    InputError
        If it is not a whole number from 0 to `most`.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value.is_integer() or not 0 <= value <= most:
        raise InputError(f"{path}: {column} '{text}' is not a slice id; give a whole number") from None
    return int(value)
