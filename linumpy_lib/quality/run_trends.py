"""Figures over slices: one series for each figure that several slices have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

from linumpy_lib.quality.run_files import Figure, RunFiles, TaskRecord
from linumpy_lib.quality.run_order import pair_of_slices
from linumpy_lib.step import Status

_MOTION = (("translation_x", "px"), ("translation_y", "px"), ("rotation_degrees", "deg"))


@dataclass(frozen=True)
class Series:
    """One figure over slices.

    Attributes
    ----------
    step, name, unit : str
        What it is.
    points : tuple of (int, float, str)
        Slice id, value and status, by id.
    bounds : tuple of (str, float)
        Thresholds as lines of a chart: status and value.
    judged : bool
        Whether the figure has thresholds or changes along slices by its nature.
    """

    step: str
    name: str
    unit: str
    points: tuple[tuple[int, float, Status], ...]
    bounds: tuple[tuple[Status, float], ...] = ()
    judged: bool = False

    @property
    def flagged(self) -> int:
        """How many points are out of range or worth a look."""
        return sum(status in ("warning", "error") for _, _, status in self.points)


def trends(run: RunFiles) -> list[Series]:
    """Collect the series of a run, in the order of its steps.

    A figure needs a number for two slices or more; those that are the same everywhere and in range are left out.
    """
    found: dict[tuple[str, str], dict[int, Figure]] = {}
    for task in run.tasks:
        if task.slice_id is not None:
            for name, figure in task.figures.items():
                if figure.number is not None:
                    found.setdefault((task.step, name), {})[task.slice_id] = figure
    every = [_series(step, name, figures) for (step, name), figures in found.items()]
    shown = [s for s in every if len(s.points) > 1 and (s.flagged or len({v for _, v, _ in s.points}) > 1)]
    series = [*_positions(run), *_accumulated(run.tasks), *_contradictions(run.tasks), *shown]
    first = list(dict.fromkeys(s.step for s in series))
    return sorted(series, key=lambda s: first.index(s.step))


def _series(step: str, name: str, figures: dict[int, Figure]) -> Series:
    last = figures[max(figures)]
    return Series(
        step,
        name,
        last.unit,
        tuple((number, figure.number or 0.0, figure.status) for number, figure in sorted(figures.items())),
        _bounds(last),
        judged=any(figure.thresholds for figure in figures.values()),
    )


def _bounds(figure: Figure) -> tuple[tuple[Status, float], ...]:
    lines: list[tuple[Status, float]] = []
    for words, value in figure.thresholds.items():
        status: Status = "error" if words.startswith("error") else "warning"
        lines += [(status, float(value))] + ([(status, -float(value))] if "±" in words else [])
    return tuple(lines)


def _positions(run: RunFiles) -> list[Series]:
    """Where the slices lie on the canvas."""
    series = []
    for axis in "xy":
        points: list[tuple[int, float, Status]] = []
        for row in run.tables.get("common_space.csv", []):
            try:
                number, value = int(row["slice_id"]), float(row[f"{axis}_um"])
            except (KeyError, ValueError):
                continue
            if math.isfinite(value):
                status: Status = "ok" if row.get("step_reliable", "true") != "false" else "warning"
                points.append((number, value, status))
        if len(points) > 1:
            series.append(Series("align_common_space", f"position {axis}", "um", tuple(sorted(points)), judged=True))
    return series


def _accumulated(tasks: list[TaskRecord]) -> list[Series]:
    """Sum up over the pairs of neighbours: how far a drift leads."""
    pairs = {t.slice_id: t for t in tasks if t.step == "register_pair" and t.slice_id is not None}
    series = []
    for name, unit in _MOTION:
        numbers = [(n, task.figures[name].number) for n, task in sorted(pairs.items()) if name in task.figures]
        known = [(n, value) for n, value in numbers if value is not None]
        if len(known) > 1:
            sums = accumulate(value for _, value in known)
            points: list[tuple[int, float, Status]] = [(n, s, "info") for (n, _), s in zip(known, sums, strict=True)]
            series.append(Series("register_pair", f"sum of {name}", unit, tuple(points), judged=True))
    return series


def _contradictions(tasks: list[TaskRecord]) -> list[Series]:
    """Compare pairs with slices between them with the sum of the neighbours that lead from one slice to the other.

    The difference is the error of registration as it shows without a truth. It is drawn at the lower slice; where
    several pairs end at a slice, that from farthest away counts.
    """
    pairs = [task for task in tasks if task.step == "register_pair"]
    near = {t.slice_id: t for t in pairs if t.slice_id is not None}
    far = {ids: task for task in pairs if (ids := pair_of_slices(task.name)) is not None}
    series = []
    for name, unit in _MOTION:
        found: dict[int, float] = {}
        for (fixed, moving), task in sorted(far.items(), key=lambda item: item[0], reverse=True):
            whole, sum_ = _number(task, name), _way(near, fixed, moving, name)
            if whole is not None and sum_ is not None:
                found[moving] = whole - sum_
        if len(found) > 1:
            points: tuple[tuple[int, float, Status], ...] = tuple((n, found[n], "info") for n in sorted(found))
            series.append(Series("register_pair", f"{name} beyond neighbours", unit, points, judged=True))
    return series


def _way(near: dict[int, TaskRecord], fixed: int, moving: int, name: str) -> float | None:
    """Sum of a figure over the neighbours from one slice to a later one; None where one is absent."""
    total = 0.0
    while moving > fixed:
        task = near.get(moving)
        step, before = (None, None) if task is None else (_number(task, name), _number(task, "fixed_id"))
        if step is None or before is None or before >= moving:
            return None
        total, moving = total + step, int(before)
    return total if moving == fixed else None


def _number(task: TaskRecord, name: str) -> float | None:
    return task.figures[name].number if name in task.figures else None
