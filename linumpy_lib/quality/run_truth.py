"""Appendix of the report where the input was simulated: what the simulator did, and how far the results are from it."""

from __future__ import annotations

import math
from typing import Any

from linumpy_lib.quality.report import Metric, Report, Section
from linumpy_lib.quality.run_report import RunReport

STEP = "compare_with_truth"
"""The step whose figures compare results with the truth."""


def truth_section(page: Report, report: RunReport) -> None:
    """Add the appendix, if any file of the run tells the truth."""
    tasks = [task for task in report.run.tasks if task.step == STEP]
    slices = _slices(report.run.truth)
    if not tasks and not slices:
        return
    section = page.section("Appendix: the truth of the simulated input")
    for task in tasks:
        section.metrics(
            Metric(
                name.replace("_", " "),
                figure.value if isinstance(figure.value, int | float | str) else None,
                figure.unit,
                figure.status,
                figure.thresholds,
                figure.description,
            )
            for name, figure in task.figures.items()
        )
    if slices:
        _table(section, slices, report)


def _table(section: Section, slices: list[dict[str, Any]], report: RunReport) -> None:
    states = {row.id: row for row in report.slices}
    rows = []
    for item in slices:
        row = states.get(item["id"]) if isinstance(item["id"], int) else None
        rows.append(
            (
                item["id"],
                "yes" if item.get("recorded", True) else "no",
                _vector(item.get("drift_xy_um")),
                _vector(item.get("shift_xy_um")),
                _number(item.get("rotation_deg")),
                _vector(item.get("glitch_xy_um")),
                _vector(item.get("rehoming_xy_um")),
                "yes" if item.get("degraded") else "no",
                row.state if row else "",
                row.why if row else "not in any file of the run",
            )
        )
    section.heading("What the simulator did to each slice, and what the run made of it")
    section.table(
        (
            "slice",
            "recorded",
            "drift x, y [um]",
            "unrecorded shift x, y [um]",
            "rotation [deg]",
            "glitch x, y [um]",
            "re-homing x, y [um]",
            "degraded",
            "state",
            "why",
        ),
        rows,
    )


def _slices(truth: dict[str, Any]) -> list[dict[str, Any]]:
    found = truth.get("slices")
    return [s for s in found if isinstance(s, dict) and "id" in s] if isinstance(found, list) else []


def _vector(value: Any) -> str:
    if not isinstance(value, list):
        return ""
    numbers = [_number(v) for v in value]
    return ", ".join("?" if n is None else f"{n:.1f}" for n in numbers) if any(numbers) else "0"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
