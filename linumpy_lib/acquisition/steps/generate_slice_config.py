"""Step: the table that says which slices are used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

CONFIG = "slice_config.csv"


class GenerateSliceConfigParameters(Parameters):
    """What `generate_slice_config` lets a user choose."""

    exclude_first_slices: Annotated[
        int,
        Field(
            description="Leading slices to leave out: they calibrate the cut",
            ge=0,
            json_schema_extra={"unit": "slices"},
        ),
    ] = 1
    detect_galvo: Annotated[bool, Field(description="Enter the galvo finding of each slice in slice_config.csv")] = (
        False
    )


def generate_slice_config(
    *, shifts: Path, records: list[Path] | None, parameters: GenerateSliceConfigParameters, task: Task
) -> None:
    """Write one row for each slice."""
    from linumpy_lib.acquisition.slice_rows import read_records, slice_rows
    from linumpy_lib.io.shift_table import read_shifts
    from linumpy_lib.io.slice_config import write_slice_config

    galvo = read_records(records or [])
    ids = {slice_id for shift in read_shifts(shifts) for slice_id in (shift.fixed_id, shift.moving_id)} | set(galvo)
    rows = slice_rows(
        ids, exclude_first=parameters.exclude_first_slices, galvo=galvo if parameters.detect_galvo else None
    )
    if parameters.exclude_first_slices >= len(ids) > 0:
        task.note(
            f"all {len(ids)} slices are excluded, since exclude_first_slices is {parameters.exclude_first_slices}"
        )
    task.metric("slices", len(rows))
    task.metric("used_slices", sum(bool(row["use"]) for row in rows.values()))
    write_slice_config(task.path(CONFIG), rows)


STEP = Step(
    name="generate_slice_config",
    function=generate_slice_config,
    parameters=GenerateSliceConfigParameters,
    summary="Table of the slices to use",
    description="One row for each slice; edit `use` to leave slices out.",
    inputs=(
        Input("shifts", "shifts_xy.csv from estimate_xy_shifts", kind="path"),
        Input("records", "mosaic_grid_3d_z*.json from create_mosaic_grid", kind="paths", required=False),
    ),
    outputs={CONFIG: "slice_id, use, exclude_reason, notes, and the galvo finding if asked for"},
)
