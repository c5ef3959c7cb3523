"""Step: whether the rotations of registered pairs drift along the stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

TABLE = "registration_transforms.csv"
PLOT = "rotation_analysis.png"
TEXT = "rotation_analysis.txt"


class AnalyzeRotationDriftParameters(Parameters):
    """What `analyze_rotation_drift` lets a user choose."""

    diagnostic_rotation_threshold: Annotated[
        float,
        Field(
            description="Rotation of a registered pair, to either side, from which it is named",
            ge=0,
            le=180,
            json_schema_extra={"unit": "deg"},
        ),
    ] = 2.0


def analyze_rotation_drift(*, pairs: list[Path], parameters: AnalyzeRotationDriftParameters, task: Task) -> None:
    """Write table, picture and text."""
    import numpy as np

    from linumpy_lib.alignment.bad_pairs import neighbours_only
    from linumpy_lib.alignment.pair_folder import pair_folders, read_pair
    from linumpy_lib.alignment.rotation_analysis import CUMULATIVE_DEG, findings_text, pair_rotations
    from linumpy_lib.alignment.rotation_plots import write_line_plots
    from linumpy_lib.errors import InputError
    from linumpy_lib.io.csv_file import write_rows
    from linumpy_lib.io.slice_config import slice_name
    from linumpy_lib.quality.thresholds import judge

    folders = pair_folders(pairs)
    if not folders:
        raise InputError(f"{pairs[0]}: holds no folder of a registered pair; run register_pair first")
    records = neighbours_only([read_pair(folder) for folder in folders])
    limit = parameters.diagnostic_rotation_threshold
    found = pair_rotations(records, limit)
    columns = ["fixed_id", "moving_id", "rotation_deg", "cumulative_deg", "shift_y_px", "shift_x_px", "confidence"]
    rows = [
        {
            "fixed_id": slice_name(record.fixed_id) if record.fixed_id >= 0 else "",
            "moving_id": slice_name(record.moving_id),
            "rotation_deg": f"{angle:.6f}",
            "cumulative_deg": f"{total:.6f}",
            "shift_y_px": f"{record.motion.shift[0]:.6f}",
            "shift_x_px": f"{record.motion.shift[1]:.6f}",
            "confidence": f"{record.confidence:.6f}",
        }
        for record, angle, total in zip(records, found.rotation.tolist(), found.cumulative.tolist(), strict=True)
    ]
    write_rows(task.path(TABLE), columns, rows)
    figures = {
        "mean_rotation": float(found.rotation.mean()),
        "rotation_std": float(found.rotation.std()),
        "largest_rotation": float(found.rotation[np.argmax(np.abs(found.rotation))]),
        "cumulative_rotation": float(found.cumulative[-1]),
        "largest_cumulative_rotation": float(found.cumulative[np.argmax(np.abs(found.cumulative))]),
    }
    lines = [f"{name.replace('_', ' ')}: {value:+.4f} deg" for name, value in figures.items()]
    title = f"{task.name}: rotations of {len(records)} registered pairs"
    task.path(TEXT).write_text(findings_text(title, lines, found.findings), encoding="utf-8")
    write_line_plots(
        task.path(PLOT),
        found.moving_ids,
        {"rotation (deg)": found.rotation, "sum of rotations (deg)": found.cumulative},
        title=title,
        limits={"rotation (deg)": limit, "sum of rotations (deg)": CUMULATIVE_DEG},
        marked=found.large,
    )
    for finding in found.findings:
        task.note(finding)
    for name, value in figures.items():
        task.metric(name, round(value, 6), "deg", **judge(name, value))
    task.metric("pairs", len(records))
    task.metric("pairs_turned_far", len(found.large), status="warning" if found.large else "ok")


STEP = Step(
    name="analyze_rotation_drift",
    function=analyze_rotation_drift,
    parameters=AnalyzeRotationDriftParameters,
    summary="Rotations along the stack",
    description="Describes the rotations that registration found between neighbours: single large ones, their mean, "
    "and what they add up to. Nothing is corrected here.",
    inputs=(Input("pairs", "folders of registered pairs, or folders that hold them", kind="paths"),),
    outputs={
        TABLE: "rotation and translation of each pair, and the sum of rotations",
        PLOT: "both along the stack",
        TEXT: "figures and findings",
    },
)
