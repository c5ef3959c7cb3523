"""The report of a run as data: verdict, ledger of slices, figures by step, what it cost; as JSON and as text."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from linumpy_lib.quality.report import format_value
from linumpy_lib.quality.run_files import RunFiles, TaskRecord
from linumpy_lib.quality.run_order import rank, title
from linumpy_lib.quality.run_trends import Series, trends
from linumpy_lib.quality.slice_ledger import STATES, SliceRow, slice_ledger
from linumpy_lib.step import Status

FORMAT = "linumpy-run-report"
VERSION = 1


@dataclass(frozen=True)
class Issue:
    """A figure that is out of range, or nearly, in one or several tasks.

    Attributes
    ----------
    step, figure : str
        Where it was found.
    status : {"warning", "error"}
        The worst of them.
    found : tuple of (str, str)
        Name of the task and value with its unit, the worst first.
    bounds : str
        The thresholds in words.
    """

    step: str
    figure: str
    status: Status
    found: tuple[tuple[str, str], ...]
    bounds: str = ""


@dataclass(frozen=True)
class StepSummary:
    """The tasks of one step together."""

    step: str
    tasks: tuple[TaskRecord, ...]

    @property
    def status(self) -> Status:
        """Worst status of any figure."""
        order: tuple[Status, ...] = ("info", "ok", "warning", "error")
        return max((task.status for task in self.tasks), key=order.index, default="info")

    def figures(self) -> list[dict[str, Any]]:
        """Every figure over the tasks: count, smallest, median, largest, thresholds, worst status, how many flagged."""
        names = dict.fromkeys(name for task in self.tasks for name in task.figures)
        return [self._figure(name) for name in names]

    def _figure(self, name: str) -> dict[str, Any]:
        order: tuple[Status, ...] = ("info", "ok", "warning", "error")
        all_of_it = [task.figures[name] for task in self.tasks if name in task.figures]
        numbers = [figure.number for figure in all_of_it if figure.number is not None]
        texts = Counter(format_value(figure.value) for figure in all_of_it if figure.number is None)
        bounds = next((figure.thresholds for figure in reversed(all_of_it) if figure.thresholds), {})
        return {
            "name": name,
            "unit": all_of_it[-1].unit,
            "count": len(all_of_it),
            "min": min(numbers, default=None),
            "median": statistics.median(numbers) if numbers else None,
            "max": max(numbers, default=None),
            "texts": ", ".join(f"{text} ({n})" if len(texts) > 1 else text for text, n in texts.most_common(4)),
            "thresholds": bounds,
            "status": max((figure.status for figure in all_of_it), key=order.index),
            "flagged": sum(figure.status in ("warning", "error") for figure in all_of_it),
            "description": all_of_it[-1].description,
        }

    def cost(self) -> dict[str, float | int | None]:
        """Tasks, wall and processor seconds together, the longest task, peak memory of the largest [MiB]."""
        walls, cpus, peaks = (self._numbers(key) for key in ("wall_s", "cpu_s", "peak_rss_mb"))
        return {
            "tasks": len(self.tasks),
            "wall_s": sum(walls) if walls else None,
            "longest_s": max(walls, default=None),
            "cpu_s": sum(cpus) if cpus else None,
            "peak_rss_mb": max(peaks, default=None),
        }

    def _numbers(self, key: str) -> list[float]:
        values = [task.resources.get(key) for task in self.tasks]
        return [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]

    def devices(self) -> str:
        """Devices that the tasks computed on."""
        return ", ".join(sorted({task.device for task in self.tasks if task.device}))


@dataclass
class RunReport:
    """A run, ready to be written in any form.

    Attributes
    ----------
    subject : str
        What the run worked on.
    run : RunFiles
        What was read.
    slices : list of SliceRow
        The ledger.
    steps : list of StepSummary
        In the order of a run.
    issues : list of Issue
        Errors first.
    series : list of Series
        Figures over slices.
    """

    subject: str
    run: RunFiles
    slices: list[SliceRow]
    steps: list[StepSummary]
    issues: list[Issue]
    series: list[Series] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Slices by state."""
        found = Counter(row.state for row in self.slices)
        return {state: found[state] for state in STATES}

    @property
    def workflows(self) -> str:
        """The workflows that ran."""
        told = self.run.facts.get("workflow") or _parameters(self.run).get("workflow") or ""
        return ", ".join(str(part) for part in told) if isinstance(told, list) else str(told).replace(",", ", ")

    def failures(self) -> list[str]:
        """Tasks that failed, other than those of slices in the ledger."""
        entries = self.run.facts.get("failed")
        found = []
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and entry.get("slice") is None:
                where = f"{title(str(entry.get('step', '?')))} ({entry.get('name', '')})"
                found.append(f"{where} failed: {entry.get('reason') or 'nothing tells why'}")
        return found

    @property
    def status(self) -> Status:
        """The overall verdict."""
        counts = self.counts()
        if counts["failed"] or self.failures() or any(issue.status == "error" for issue in self.issues):
            return "error"
        if counts["gap"] or counts["interpolated"] or self.issues or self.run.damaged or not self.run.tasks:
            return "warning"
        return "ok"

    def verdict(self) -> list[str]:
        """Tell the verdict in sentences, the gravest first."""
        counts, lines = self.counts(), []
        if counts["failed"]:
            lines.append(f"{_number(counts['failed'], 'slice')} failed and {_is(counts['failed'])} not in the result.")
        lines += [f"{failure}." for failure in self.failures()]
        for status, words in (("error", "out of range"), ("warning", "worth a look")):
            found = [issue for issue in self.issues if issue.status == status]
            if found:
                steps = ", ".join(dict.fromkeys(title(issue.step) for issue in found))
                lines.append(f"{_number(len(found), 'figure')} {words}, in: {steps}.")
        if counts["gap"]:
            lines.append(f"{_number(counts['gap'], 'slice')} left as a gap that keeps its thickness.")
        if counts["interpolated"]:
            lines.append(f"{_number(counts['interpolated'], 'slice')} filled from neighbours, marked as interpolated.")
        if counts["excluded"]:
            lines.append(f"{_number(counts['excluded'], 'slice')} excluded by the table of slices or by the pipeline.")
        if self.run.damaged:
            lines.append(f"{_number(len(self.run.damaged), 'file')} could not be read and may hide something.")
        if not self.run.tasks:
            lines.append("No step left figures, so there is nothing to judge.")
        elif not lines or self.status == "ok":
            lines.append("Every figure that has thresholds is in range.")
        return lines

    def parameters(self) -> dict[str, Any]:
        """Parameters of the run as resolved; those of the steps where the launcher's record is absent."""
        told = _parameters(self.run)
        if told:
            return dict(sorted(told.items()))
        found: dict[str, Any] = {}
        for task in self.run.tasks:
            own = task.provenance.get("parameters")
            found |= own if isinstance(own, dict) else {}
        return dict(sorted(found.items()))

    def changed(self) -> dict[str, Any]:
        """Parameters that differ from their defaults, where the launcher told those."""
        defaults = self.run.facts.get("defaults")
        if not isinstance(defaults, dict):
            return {}
        return {
            name: value for name, value in self.parameters().items() if name in defaults and value != defaults[name]
        }

    def versions(self) -> dict[str, Any]:
        """Versions of the pipeline, the launcher and the libraries, and the code hash of each step."""
        told = self.run.facts.get("versions")
        found = {k: v for k, v in told.items() if k != "steps"} if isinstance(told, dict) else {}
        for summary in self.steps:
            for task in summary.tasks:
                libraries = task.provenance.get("libraries")
                found |= libraries if isinstance(libraries, dict) else {}
                if "version" in task.provenance:
                    found.setdefault("pipeline", task.provenance["version"])
        hashes = {
            s.step: ", ".join(sorted({str(t.provenance["code"]) for t in s.tasks if t.provenance.get("code")}))
            for s in self.steps
        }
        return {**found, **{f"code of {step}": text for step, text in hashes.items() if text}}

    def as_json(self) -> dict[str, Any]:
        """Return the whole report as plain data."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "subject": self.subject,
            "workflow": self.workflows,
            "status": self.status,
            "verdict": self.verdict(),
            "slice_counts": self.counts(),
            "slices": [
                {"slice_id": row.id, "state": row.state, "why": row.why, "steps": row.steps} for row in self.slices
            ],
            "issues": [
                {"step": i.step, "figure": i.figure, "status": i.status, "found": dict(i.found), "thresholds": i.bounds}
                for i in self.issues
            ],
            "notes": [{"note": note, "tasks": names} for note, names in self.notes()],
            "steps": {
                s.step: {"status": s.status, "figures": s.figures(), "cost": s.cost(), "devices": s.devices()}
                for s in self.steps
            },
            "tasks": [
                {
                    "step": task.step,
                    "name": task.name,
                    "file": task.where,
                    "status": task.status,
                    "figures": {name: {"value": f.value, "unit": f.unit} for name, f in task.figures.items()},
                    "notes": list(task.notes),
                    "resources": task.resources,
                }
                for task in self.run.tasks
            ],
            "parameters": self.parameters(),
            "versions": self.versions(),
            "unreadable": [{"file": where, "why": why} for where, why in self.run.damaged],
        }

    def notes(self) -> list[tuple[str, list[str]]]:
        """List what the tasks noted, and which of them did."""
        found: dict[str, list[str]] = {}
        for task in self.run.tasks:
            for note in task.notes:
                found.setdefault(_general(note, task), []).append(f"{task.step} {task.name}".strip())
        return list(found.items())


def run_report(run: RunFiles, *, subject: str = "") -> RunReport:
    """Put together what the files of a run tell."""
    told = run.facts.get("subject") or _parameters(run).get("subject_name") or subject
    by_step: dict[str, list[TaskRecord]] = {}
    for task in run.tasks:
        by_step.setdefault(task.step, []).append(task)
    steps = [StepSummary(step, tuple(tasks)) for step, tasks in sorted(by_step.items(), key=lambda item: rank(item[0]))]
    issues = sorted(_issues(run.tasks), key=lambda i: (i.status != "error", rank(i.step)))
    return RunReport(str(told), run, slice_ledger(run), steps, issues, trends(run))


def _parameters(run: RunFiles) -> dict[str, Any]:
    told = run.facts.get("parameters")
    return told if isinstance(told, dict) else {}


def _issues(tasks: Iterable[TaskRecord]) -> list[Issue]:
    found: dict[tuple[str, str], list[tuple[TaskRecord, Any]]] = {}
    for task in tasks:
        for name, figure in task.figures.items():
            if figure.status in ("warning", "error"):
                found.setdefault((task.step, name), []).append((task, figure))
    issues = []
    for (step, name), entries in found.items():
        entries.sort(key=lambda e: (e[1].status != "error", -abs(e[1].number or 0.0), e[0].name))
        bounds = ", ".join(f"{words} {format_value(value)}" for words, value in entries[0][1].thresholds.items())
        values = tuple((task.name, f"{format_value(f.value)} {f.unit}".strip()) for task, f in entries)
        issues.append(Issue(step, name, entries[0][1].status, values, bounds))
    return issues


def _general(note: str, task: TaskRecord) -> str:
    """Take the slice out of a note, so that one line tells what holds of many."""
    if task.slice_id is None:
        return note
    return re.sub(rf"(?<![0-9A-Za-z]){re.escape(task.name)}(?![0-9A-Za-z])", "z*", note).removeprefix("z*: ")


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
