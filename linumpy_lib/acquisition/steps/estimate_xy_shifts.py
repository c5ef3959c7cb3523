"""Step: shifts between slices, from the stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

SHIFTS = "shifts_xy.csv"


class EstimateXyShiftsParameters(Parameters):
    """What `estimate_xy_shifts` lets a user choose."""

    use_old_folder_structure: Annotated[
        bool, Field(description="Take only the tile folders that lie directly in the input folder")
    ] = False


def estimate_xy_shifts(*, input: list[Path], parameters: EstimateXyShiftsParameters, task: Task) -> None:  # noqa: A002
    """Write the table of shifts of all slices."""
    from linumpy_lib.acquisition.discovery import find_tiles
    from linumpy_lib.acquisition.slice_shifts import estimate_shifts
    from linumpy_lib.acquisition.slice_tiles import slice_stages
    from linumpy_lib.io.shift_table import write_shifts

    acquisition = find_tiles(input, flat=parameters.use_old_folder_structure)
    shifts, axes, notes = estimate_shifts(slice_stages(acquisition))
    for note in notes:
        task.note(note)
    if acquisition.gaps:
        task.note(f"slices {', '.join(acquisition.gaps)} are missing; shifts lead over the gaps")
    described = axes.as_json()
    task.metric("stage_axis_of_image_x", described["x"], status="warning" if "x" in axes.assumed else "ok")
    task.metric("stage_axis_of_image_y", described["y"], status="warning" if "y" in axes.assumed else "ok")
    task.metric("stage_step_x", axes.step_mm[0], "mm")
    task.metric("stage_step_y", axes.step_mm[1], "mm")
    task.metric("stage_scatter", axes.scatter_mm, "mm", status="ok" if axes.trusted else "warning")
    doubtful = sum(not shift.reliable for shift in shifts)
    task.metric("unreliable_shifts", doubtful, status="warning" if doubtful else "ok")
    write_shifts(task.path(SHIFTS), shifts)


STEP = Step(
    name="estimate_xy_shifts",
    function=estimate_xy_shifts,
    parameters=EstimateXyShiftsParameters,
    summary="Shifts between slices, from stage positions",
    description="Compares both boundaries of neighbouring mosaics. Shifts follow the image axes: which stage axis and "
    "sign that is, is inferred from tile indices and stage positions. Without stage positions an overlap of 20 % is "
    "assumed and `reliable` is 0.",
    inputs=(Input("input", "tile folders (tile_x*_y*_z*), or folders that hold them", kind="paths"),),
    outputs={SHIFTS: "fixed_id, moving_id, shift of fixed minus moving in px and mm, reliable"},
)
