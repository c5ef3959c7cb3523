"""What a run left behind: figures, pictures, tables and facts, read from a folder whatever state it is in.

The folder is either a published output directory or what a workflow collected for its report. Nothing in it stops the
reading: a file that is damaged is named, and the rest is used.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linumpy_lib.quality.run_order import rank, slice_id, step_of_picture
from linumpy_lib.quality.thresholds import judge
from linumpy_lib.step import Status

FACTS = "run.json"
"""What the launcher tells of the run; see docs/report.md."""

_SUFFIX = "_metrics.json"
_TABLES = (
    *("slice_config.csv", "slice_config_final.csv", "common_space.csv", "stacking_decisions.csv", "z_matches.csv"),
    *("shifts_xy.csv", "shifts_xy_clean.csv"),
)
_RECORDS = {"params.json": "parameters", "versions.json": "versions", "failed_slices.json": "failed"}
_TRUTH = "truth.json"
_LARGEST = 64 << 20
_STATUSES: tuple[Status, ...] = ("info", "ok", "warning", "error")
_STORES = (".zarr", ".zip")
_SKIPPED = ("work",)


@dataclass(frozen=True)
class Figure:
    """One figure of a task, as its metrics file has it."""

    value: Any
    unit: str
    status: Status
    thresholds: dict[str, float]
    description: str

    @property
    def number(self) -> float | None:
        """The value, if it is a finite number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            return None
        try:
            number = float(self.value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None


@dataclass(frozen=True)
class TaskRecord:
    """What the metrics file of one task says."""

    step: str
    name: str
    where: str
    device: str
    figures: dict[str, Figure]
    notes: tuple[str, ...]
    resources: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def slice_id(self) -> int | None:
        """The slice that the task worked on, if it was one."""
        return slice_id(self.name)

    @property
    def status(self) -> Status:
        """Worst status of the figures."""
        return max((f.status for f in self.figures.values()), key=_STATUSES.index, default="info")


@dataclass(frozen=True)
class Picture:
    """A picture that a step made."""

    path: Path
    where: str
    step: str

    @property
    def slice_id(self) -> int | None:
        """The slice that it shows, if it is one."""
        return slice_id(self.path.name)


@dataclass
class RunFiles:
    """Everything found in a folder.

    Attributes
    ----------
    tasks : list of TaskRecord
        In the order of a run.
    pictures : list of Picture
        In the order of a run.
    tables : dict of str to list of dict
        Rows of the known CSV files, by file name.
    facts : dict
        ``subject``, ``workflow``, ``parameters``, ``versions``, ``slices``, ``failed``, as far as they are known.
    truth : dict
        The truth file of a simulated acquisition, or empty.
    damaged : list of (str, str)
        Files that could not be used, and why.
    """

    tasks: list[TaskRecord] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)
    damaged: list[tuple[str, str]] = field(default_factory=list)


class _DamagedError(Exception):
    """A file that cannot be used."""


def read_run(
    folder: Path, facts: Path | None = None, thresholds: Mapping[str, Mapping[str, Any]] | None = None
) -> RunFiles:
    """Read all that a run left in a folder.

    Parameters
    ----------
    folder : Path
        Output directory of a run, or a folder of collected results, in any arrangement.
    facts : Path, optional
        What the launcher tells of the run; without it `pipeline_info/` is looked at.
    thresholds : mapping, optional
        Figures that a step judged by thresholds are judged again by these.
    """
    run = RunFiles()
    if facts is not None:
        _take(run, facts, facts.name, lambda path: run.facts.update(_mapping(_json(path))))
    published = run.facts.get("files")
    places = published if isinstance(published, list) else []
    pictures = []
    for path in _walk(folder):
        where = _where(path.relative_to(folder), places)
        if path.name.endswith(_SUFFIX):
            _take(run, path, where, lambda path, where=where: _add_task(run, path, where, thresholds))
        elif path.suffix == ".png":
            pictures.append((path, where))
        elif path.name in _TABLES:
            _take(run, path, where, lambda path: run.tables.__setitem__(path.name, _rows(path)))
        elif path.name == _TRUTH:
            _take(run, path, where, lambda path: run.truth.update(_mapping(_json(path))))
        elif path.name in _RECORDS and facts is None:
            _take(run, path, where, lambda path: run.facts.__setitem__(_RECORDS[path.name], _json(path)))
    steps = frozenset(task.step for task in run.tasks)
    run.pictures = [Picture(path, where, step_of_picture(where, steps)) for path, where in pictures]
    run.tasks.sort(key=lambda t: (rank(t.step), t.slice_id is None, t.slice_id or 0, t.name, t.where))
    run.pictures.sort(key=lambda p: (rank(p.step), p.slice_id is None, p.slice_id or 0, p.where))
    if facts is None:
        _failures_of_trace(run, folder / "pipeline_info")
    return run


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder in the order of their names, stores and work folders left out."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            f for f in folders if not f.endswith(_STORES) and not f.startswith(".") and f not in _SKIPPED
        )
        yield from (Path(parent, name) for name in sorted(names))


def _where(relative: Path, places: list[Any]) -> str:
    """Path in the output directory: staged files lie in numbered folders, and the facts list what they were."""
    first = relative.parts[0]
    if places and first.isdigit() and 0 < int(first) <= len(places) and len(relative.parts) == 2:
        place = str(places[int(first) - 1])
        if place.split("/")[-1] == relative.name:
            return place
    return relative.as_posix()


def _take(run: RunFiles, path: Path, where: str, read: Any) -> None:
    try:
        read(path)
    except _DamagedError as error:
        run.damaged.append((where, str(error)))
    except OSError as error:
        run.damaged.append((where, f"cannot be read ({error.strerror or error})"))


def _text(path: Path) -> str:
    if path.stat().st_size > _LARGEST:
        raise _DamagedError(f"has {path.stat().st_size >> 20} MiB, which no such file should have")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _DamagedError("is no text in UTF-8") from None


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except ValueError as error:
        raise _DamagedError(f"is no JSON ({error})") from None
    except RecursionError:
        raise _DamagedError("is nested too deeply") from None


def _mapping(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _DamagedError("holds no JSON object")
    return data


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        lines = [line for line in csv.reader(io.StringIO(_text(path))) if line]
    except csv.Error as error:
        raise _DamagedError(f"is no CSV ({error})") from None
    if not lines:
        raise _DamagedError("is empty")
    return [{name.strip(): value.strip() for name, value in zip(lines[0], line, strict=False)} for line in lines[1:]]


def _add_task(run: RunFiles, path: Path, where: str, thresholds: Mapping[str, Mapping[str, Any]] | None) -> None:
    data = _mapping(_json(path))
    step = data.get("step")
    if not isinstance(step, str):
        if "step_name" in data or path.parent.name.endswith("_pairwise_registration"):
            return  # the figures of a pair, which its task's own file repeats
        raise _DamagedError("names no step")
    if step == "generate_report":
        return  # an older report of the same run
    figures = data.get("metrics", {})
    if not isinstance(figures, dict):
        raise _DamagedError("'metrics' is no table")
    notes = data.get("notes", [])
    task_name = str(data.get("name", ""))
    run.tasks.append(
        TaskRecord(
            step=step,
            name=task_name,
            where=where,
            device=str(data.get("device", "")),
            figures={
                name.removeprefix(f"{task_name}_"): _figure(name, figure, thresholds)
                for name, figure in figures.items()
            },
            notes=tuple(str(note) for note in notes) if isinstance(notes, list) else (),
            resources=_part(data, "resources"),
            provenance=_part(data, "provenance"),
        )
    )


def _part(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _figure(name: str, data: Any, thresholds: Mapping[str, Mapping[str, Any]] | None) -> Figure:
    if not isinstance(data, dict):
        raise _DamagedError(f"figure '{name}' is no table")
    bounds = data.get("thresholds")
    bounds = {str(k): v for k, v in bounds.items() if _is_number(v)} if isinstance(bounds, dict) else {}
    status: Status = data["status"] if data.get("status") in _STATUSES else "info"
    figure = Figure(data.get("value"), str(data.get("unit", "")), status, bounds, str(data.get("description") or ""))
    if thresholds is None or name not in thresholds or not bounds or figure.number is None:
        return figure
    again = judge(name, figure.number, thresholds)
    return Figure(
        figure.value, figure.unit, again["status"], again["thresholds"], again.get("description") or figure.description
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _failures_of_trace(run: RunFiles, folder: Path) -> None:
    """Note the tasks that the newest trace of the launcher calls failed, unless they succeeded later."""
    traces = sorted(folder.glob("trace_*.txt"))
    if not traces or run.facts.get("failed"):
        return

    def read(path: Path) -> None:
        header, *lines = [line.split("\t") for line in _text(path).splitlines() if line] or [[]]
        rows = [dict(zip(header, line, strict=False)) for line in lines]
        last = {row.get("name", ""): row for row in rows}
        run.facts["failed"] = [
            {
                "step": row.get("process", "").split(":")[-1].lower(),
                "name": row.get("tag", ""),
                "slice": slice_id((row.get("tag", "").split() or [""])[-1]),
                "reason": f"exit status {row.get('exit', '-')}; see {row.get('workdir', '')}/.command.log",
            }
            for row in last.values()
            if row.get("status") == "FAILED"
        ]

    _take(run, traces[-1], f"pipeline_info/{traces[-1].name}", read)
