"""Step: whether the stage's path turns from slice to slice."""

from __future__ import annotations

import json
import math
from pathlib import Path

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

TABLE = "acquisition_rotation_data.csv"
FIGURES = "acquisition_rotation.json"
PLOT = "acquisition_rotation.png"
TEXT = "acquisition_rotation.txt"


class AnalyzeAcquisitionRotationParameters(Parameters):
    """What `analyze_acquisition_rotation` lets a user choose: nothing."""


def analyze_acquisition_rotation(*, shifts: Path, parameters: AnalyzeAcquisitionRotationParameters, task: Task) -> None:
    """Write table, figures, picture and text."""
    from linumpy_lib.alignment.rotation_analysis import JUMP_DEG, LEAST_STEP_MM, findings_text, path_turning
    from linumpy_lib.alignment.rotation_plots import write_line_plots
    from linumpy_lib.io.csv_file import write_rows
    from linumpy_lib.io.shift_table import read_shifts
    from linumpy_lib.io.slice_config import slice_name

    table = read_shifts(shifts)
    found = path_turning(table)
    columns = ["fixed_id", "moving_id", "shift_angle", "angular_velocity", "cumulative_rotation", "length_mm"]

    def text(value: float) -> str:
        return "" if math.isnan(value) else f"{value:.6f}"

    rows = [
        {
            "fixed_id": slice_name(shift.fixed_id),
            "moving_id": slice_name(shift.moving_id),
            "shift_angle": text(found.angle[k]),
            "angular_velocity": text(found.velocity[k]),
            "cumulative_rotation": text(found.cumulative[k]),
            "length_mm": f"{shift.length_mm:.6f}",
        }
        for k, shift in enumerate(table)
    ]
    write_rows(task.path(TABLE), columns, rows)
    known = [k for k in range(len(table)) if not math.isnan(found.angle[k])]
    total = float(found.cumulative[known[-1]]) if known else 0.0
    figures = {
        "steps": len(table),
        "steps_with_a_direction": len(known),
        "drift_deg_per_slice": None if math.isnan(found.drift_deg) else round(found.drift_deg, 6),
        "cumulative_rotation_deg": round(total, 6),
        "jumps": list(found.jumps),
        "sign_changes": None if math.isnan(found.sign_changes) else round(found.sign_changes, 6),
        "findings": list(found.findings),
    }
    task.path(FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    title = f"{task.name}: directions of {len(known)} steps of the stage"
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in figures.items() if name != "findings"]
    lines.append(f"steps shorter than {1000 * LEAST_STEP_MM:g} um have no direction")
    task.path(TEXT).write_text(findings_text(title, lines, found.findings), encoding="utf-8")
    write_line_plots(
        task.path(PLOT),
        [shift.moving_id for shift in table],
        {
            "direction (deg)": found.angle,
            "change of direction (deg)": found.velocity,
            "sum of changes (deg)": found.cumulative,
        },
        title=title,
        limits={"change of direction (deg)": JUMP_DEG},
        marked=found.jumps,
    )
    for finding in found.findings:
        task.note(finding)
    task.metric("steps_with_a_direction", len(known))
    task.metric("path_turning", figures["drift_deg_per_slice"], "deg per slice")  # type: ignore[arg-type]
    task.metric("path_turning_sum", figures["cumulative_rotation_deg"], "deg")  # type: ignore[arg-type]
    task.metric("path_jumps", len(found.jumps))


STEP = Step(
    name="analyze_acquisition_rotation",
    function=analyze_acquisition_rotation,
    parameters=AnalyzeAcquisitionRotationParameters,
    summary="Turning of the stage's path",
    description="Describes how the direction of the stage's steps changes from slice to slice: a steady turn, jumps, "
    "or swings to and fro. Nothing is corrected here.",
    inputs=(Input("shifts", "shifts_xy.csv", kind="path"),),
    outputs={
        TABLE: "direction of each step, its change, and the sum of changes",
        FIGURES: "figures and findings",
        PLOT: "all three along the slices",
        TEXT: "the same as text",
    },
)
