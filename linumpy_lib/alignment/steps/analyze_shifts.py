"""Step: what the shifts between slices look like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

TEXT = "shifts_analysis.txt"
PLOT = "drift_analysis.png"
FILTERED = "shifts_filtered.csv"


class AnalyzeShiftsParameters(Parameters):
    """What `analyze_shifts` lets a user choose."""

    outlier_iqr_multiplier: Annotated[
        float,
        Field(
            description="A shift is an outlier if it is longer than the third quartile by this many interquartile "
            "ranges",
            ge=0,
            le=100,
        ),
    ] = 1.5


def analyze_shifts(*, shifts: Path, parameters: AnalyzeShiftsParameters, task: Task) -> None:
    """Write text, picture and a table without outliers."""
    from linumpy_lib.alignment.shift_analysis import analyse, analysis_text, path_mm
    from linumpy_lib.alignment.shift_plots import write_shift_plot
    from linumpy_lib.io.shift_table import read_shifts, write_shifts

    table = read_shifts(shifts)
    analysis = analyse(table, parameters.outlier_iqr_multiplier)
    if not table:
        task.note(f"{shifts.name} holds no shift: there is one slice only, or none")
    write_shifts(task.path(FILTERED), analysis.filtered)
    task.path(TEXT).write_text(analysis_text(table, analysis), encoding="utf-8")
    write_shift_plot(
        task.path(PLOT),
        table,
        analysis.filtered,
        limit_mm=analysis.limit_mm,
        title=f"{task.name}: shifts between slices",
        names=("recorded", "without outliers"),
    )
    path = path_mm(table) * 1000
    task.metric("shifts", len(table))
    task.metric("outlier_shifts", len(analysis.outliers))
    task.metric("unreliable_shifts", sum(not shift.reliable for shift in table))
    task.metric("largest_shift", round(max((s.length_mm for s in table), default=0.0) * 1000, 3), "um")
    for k, axis in enumerate("xy"):
        task.metric(f"drift_{axis}", round(float(path[-1, k] - path[0, k]), 3), "um")


STEP = Step(
    name="analyze_shifts",
    function=analyze_shifts,
    parameters=AnalyzeShiftsParameters,
    summary="Drift of the slices",
    description="Describes the shifts between slices: lengths, outliers, the path that they add up to. Nothing is "
    "corrected here; shifts_filtered.csv is for looking at.",
    inputs=(Input("shifts", "shifts_xy.csv", kind="path"),),
    outputs={
        TEXT: "the shifts and their statistics as text",
        PLOT: "lengths and positions, with and without outliers",
        FILTERED: "the table, outliers replaced by the median of their neighbours",
    },
)
