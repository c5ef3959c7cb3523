"""Step: encoder glitches out of the shifts, re-homings kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linumpy_lib.alignment.shift_cleaning import Event
    from linumpy_lib.io.shift_table import Shift

CLEAN = "shifts_xy_clean.csv"
CONFIG = "slice_config.csv"
REPORT = "rehoming_report.json"
PLOT = "rehoming_plot.png"
PREVIEW = "{name}_detect_rehoming_preview.png"


class DetectRehomingParameters(Parameters):
    """What `detect_rehoming` lets a user choose."""

    rehoming_return_fraction: Annotated[
        float,
        Field(
            description="A step is a glitch if it and the next one cancel to less than this fraction of it",
            ge=0,
            le=1,
        ),
    ] = 0.4
    rehoming_max_shift_mm: Annotated[
        float,
        Field(
            description="Shifts above this are glitches or re-homings, and are not believed without the images",
            gt=0,
            json_schema_extra={"unit": "mm"},
        ),
    ] = 0.5
    tile_fov_mm: Annotated[
        float,
        Field(
            description="Old tables of shifts: step by which a growing mosaic's border jumps; 0 looks for no jumps",
            ge=0,
            json_schema_extra={"unit": "mm"},
        ),
    ] = 0.0
    tile_fov_tolerance: Annotated[
        float,
        Field(
            description="Deviation of a jump from a whole number of tile_fov_mm",
            ge=0,
            le=0.5,
            json_schema_extra={"unit": "fraction of tile_fov_mm"},
        ),
    ] = 0.05
    rehoming_diagnostics: Annotated[
        bool, Field(description="Write rehoming_plot.png, the path of the slices before and after, too")
    ] = False


def detect_rehoming(
    *, shifts: Path, slice_config: Path | None, parameters: DetectRehomingParameters, task: Task
) -> None:
    """Write the corrected table, the stamped table of slices and what was found."""
    from linumpy_lib.alignment.shift_cleaning import clean_shifts
    from linumpy_lib.alignment.shift_plots import write_shift_plot
    from linumpy_lib.io.shift_table import read_shifts, write_shifts

    recorded = read_shifts(shifts)
    cleaned, events = clean_shifts(
        recorded,
        max_shift_mm=parameters.rehoming_max_shift_mm,
        return_fraction=parameters.rehoming_return_fraction,
        tile_fov_mm=parameters.tile_fov_mm,
        tile_fov_tolerance=parameters.tile_fov_tolerance,
    )
    write_shifts(task.path(CLEAN), cleaned)
    _stamp(slice_config, cleaned, events, task)
    found = {kind: [e for e in events if e.kind == kind] for kind in ("glitch", "tile_step", "rehoming")}
    report = {
        "n_corrected": len(found["glitch"]) + len(found["tile_step"]),
        "corrected_spikes": [event.as_json() for event in found["glitch"]],
        "corrected_tile_offsets": [event.as_json() for event in found["tile_step"]],
        "kept_rehomings": [event.as_json() for event in found["rehoming"]],
    }
    task.path(REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for target, detailed in ((PREVIEW, False), (PLOT, True)):
        if target == PREVIEW or parameters.rehoming_diagnostics:
            write_shift_plot(
                task.path(target),
                recorded,
                cleaned,
                limit_mm=parameters.rehoming_max_shift_mm,
                title=f"{task.name}: glitches and re-homings",
                events=events,
                detailed=detailed,
            )
    for event in events:
        step = f"{event.fixed_id} to {event.moving_id}"
        told = {
            "glitch": f"the step {step} returns with its neighbour: an encoder glitch, taken out",
            "tile_step": f"the step {step} is a whole number of fields of view: the border moved, taken out",
            "rehoming": f"the step {step} stays: a re-homing, kept; the images have to confirm it",
        }
        task.note(told[event.kind])
    task.metric("glitch_steps", len(found["glitch"]))
    task.metric("tile_steps", len(found["tile_step"]))
    task.metric("rehomings", len(found["rehoming"]))
    doubtful = sum(not shift.reliable for shift in cleaned)
    task.metric("unreliable_shifts", doubtful, status="warning" if doubtful else "ok")


def _stamp(slice_config: Path | None, cleaned: Sequence[Shift], events: Sequence[Event], task: Task) -> None:
    from linumpy_lib.alignment.shift_analysis import slice_ids
    from linumpy_lib.io.slice_config import read_slice_config, write_slice_config

    ids = slice_ids(cleaned)
    rows: dict[int, dict[str, str | bool]]
    if slice_config is None:
        rows = {slice_id: {"use": True} for slice_id in ids}
    else:
        rows = {slice_id: dict(row) for slice_id, row in read_slice_config(slice_config).items()}
        unknown = [slice_id for slice_id in ids if slice_id not in rows]
        if unknown:
            task.note(f"{slice_config.name} has no row for slices {unknown}; added, in use")
            rows.update({slice_id: {"use": True} for slice_id in unknown})
        strange = [slice_id for slice_id in rows if slice_id not in ids] if ids else []
        if strange:
            task.note(f"{slice_config.name} lists slices {strange}, which the shifts do not name")
    stays = {event.moving_id for event in events if event.kind == "rehoming"}
    spoilt = {event.slice_id for event in events if event.kind == "glitch"}
    for shift in cleaned:
        row = rows[shift.moving_id]
        row["rehomed"] = shift.moving_id in stays
        row["rehoming_reliable"] = shift.reliable
        if shift.moving_id in spoilt:
            row["notes"] = "; ".join(filter(None, [str(row.get("notes", "")), "encoder_glitch_corrected"]))
    write_slice_config(task.path(CONFIG), rows)


STEP = Step(
    name="detect_rehoming",
    function=detect_rehoming,
    parameters=DetectRehomingParameters,
    summary="Encoder glitches and re-homings among the shifts",
    description="Takes out steps that the stage recorded but nobody made: spikes that return, and (with tile_fov_mm) "
    "jumps of the mosaic's border by whole fields of view. A large step that stays is a re-homing and is kept. What "
    "was corrected or is large is marked unreliable, so that align_common_space looks at the images.",
    inputs=(
        Input("shifts", "shifts_xy.csv", kind="path"),
        Input("slice_config", "slice_config.csv, to be stamped", kind="path", required=False),
    ),
    outputs={
        CLEAN: "the corrected table; x_removed_mm and y_removed_mm hold what was taken off",
        CONFIG: "slice_config.csv with rehomed and rehoming_reliable",
        REPORT: "every event: what was recorded, what was kept",
        PREVIEW: "lengths of the steps and positions, before and after",
        PLOT: "the same with the path in the plane (rehoming_diagnostics)",
    },
)
