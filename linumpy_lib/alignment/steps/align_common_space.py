"""Step: all slices on one canvas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.alignment.common_space import Canvas
    from linumpy_lib.alignment.placement import Pair, PlacedStep, SliceFacts
    from linumpy_lib.alignment.shift_refinement import Measured
    from linumpy_lib.alignment.slice_selection import Selection
    from linumpy_lib.io import Volume
    from linumpy_lib.io.shift_table import Shift

COMMON = "slice_{name}_common.ome.zarr"
POSITIONS = "common_space.csv"
PREVIEW = "{name}_align_common_space_preview.png"
SLICE_PREVIEW = "slice_{name}_common_preview.png"


class AlignCommonSpaceParameters(Parameters):
    """What `align_common_space` lets a user choose."""

    registration_slicing_interval_mm: Annotated[
        float,
        Field(
            description="Thickness that is cut off between slices: distance in depth of consecutive ids",
            gt=0,
            json_schema_extra={"unit": "mm"},
        ),
    ] = 0.2
    common_space_excluded_slice_mode: Annotated[
        Literal["local_median", "keep", "median", "zero"],
        Field(
            description="What replaces the shifts from and to excluded slices: the median of the shifts nearby, "
            "nothing (they are kept), the median of all, or no shift"
        ),
    ] = "local_median"
    common_space_excluded_slice_window: Annotated[
        int,
        Field(
            description="Rows of the table on either side that local_median looks at",
            ge=1,
            le=1000,
            json_schema_extra={"unit": "slices"},
        ),
    ] = 2
    common_space_refine_unreliable: Annotated[
        bool, Field(description="Measure shifts that are marked unreliable, or were replaced, in the images")
    ] = True
    common_space_refine_max_discrepancy_px: Annotated[
        float,
        Field(
            description="Largest distance of a measured shift from the recorded one that is believed; 0 is any",
            ge=0,
            json_schema_extra={"unit": "px of the slices"},
        ),
    ] = 0
    common_space_refine_min_correlation: Annotated[
        float,
        Field(description="Correlation of the images below which a measured shift is not believed", ge=0, le=1),
    ] = 0.2
    common_space_preview: Annotated[bool, Field(description="Write a picture of each slice on the canvas too")] = False
    debug_slices: Annotated[
        str,
        Field(
            description="Slices to work on, whatever slice_config.csv says, such as 25,27-29; empty is all",
            pattern=r"^\s*(\d+\s*(-\s*\d+\s*)?(,\s*\d+\s*(-\s*\d+\s*)?)*)?$",
            json_schema_extra={"form": "slice ids and ranges separated by commas"},
        ),
    ] = ""


def align_common_space(
    *,
    slices: list[Path],
    shifts: Path,
    slice_config: Path | None,
    parameters: AlignCommonSpaceParameters,
    task: Task,
) -> None:
    """Write every used slice on the common canvas, and where each of them lies."""
    from linumpy_lib.alignment.common_space import plan_canvas, require_alike
    from linumpy_lib.alignment.placement import image_axes, placed_steps, positions_um, require_chain, without_excluded
    from linumpy_lib.alignment.slice_selection import select_slices
    from linumpy_lib.alignment.slice_stores import open_slices
    from linumpy_lib.io.shift_table import read_shifts
    from linumpy_lib.io.slice_config import read_slice_config

    volumes, facts = open_slices(slices, STUB_SIZE if task.stub else None)
    config = None if slice_config is None else read_slice_config(slice_config)
    selection = select_slices(volumes, config, slice_config, parameters.debug_slices)
    for note in selection.notes:
        task.note(note)
    ids = selection.used
    used = {slice_id: facts[slice_id] for slice_id in ids}
    spacing = require_alike(used, {slice_id: volumes[slice_id].path or shifts for slice_id in ids})
    table = read_shifts(shifts)
    require_chain(table, ids, shifts)
    table, note = image_axes(table, facts)
    if note:
        task.note(note)
    left_out = set(selection.excluded) if not parameters.debug_slices else set()
    kept, replaced = without_excluded(
        table, left_out, parameters.common_space_excluded_slice_mode, parameters.common_space_excluded_slice_window
    )
    steps, notes = placed_steps(table, kept, replaced, ids, used)
    for note in notes:
        task.note(note)
    if parameters.common_space_refine_unreliable and not task.stub:
        steps, measured = _refined(steps, volumes, used, parameters, task)
    else:
        measured = {}
    places = positions_um(steps, ids)
    canvas = plan_canvas(places, used)
    _write(volumes, used, canvas, parameters, task)
    _positions(table, steps, measured, canvas, spacing, selection, task)
    _report(volumes, used, steps, measured, places, canvas, parameters, task)


def _refined(
    steps: list[PlacedStep],
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    parameters: AlignCommonSpaceParameters,
    task: Task,
) -> tuple[list[PlacedStep], dict[int, Measured]]:
    """Look at the images of every step that is not vouched for; outcomes by the moving slice."""
    from linumpy_lib.alignment.shift_refinement import refine_step

    measured = {}
    result = []
    for step in steps:
        if not step.reliable:
            pair = step.fixed_id, step.moving_id
            one = refine_step(
                step,
                (volumes[pair[0]], volumes[pair[1]]),
                (facts[pair[0]], facts[pair[1]]),
                interval_um=parameters.registration_slicing_interval_mm * 1000,
                min_correlation=parameters.common_space_refine_min_correlation,
                max_discrepancy_px=parameters.common_space_refine_max_discrepancy_px,
            )
            measured[step.moving_id] = one
            where = f"shift from slice {pair[0]} to {pair[1]}"
            if one.refused:
                task.note(f"{where}: the images are not believed, {one.refused}; the recorded step stays")
            else:
                task.note(f"{where}: measured in the images, {one.discrepancy_px:.1f} px from the recorded step")
            step = one.step  # noqa: PLW2901
        result.append(step)
    return result, measured


def _write(
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    canvas: Canvas,
    parameters: AlignCommonSpaceParameters,
    task: Task,
) -> None:
    from linumpy_lib.alignment.common_space import placed_frame, write_on_canvas
    from linumpy_lib.blocks import Progress
    from linumpy_lib.io import content_digest
    from linumpy_lib.io.slice_config import slice_name

    ids = sorted(facts)
    middle = ids[len(ids) // 2]
    origin = canvas_stage_mm(facts[middle], canvas, middle)
    with Progress(len(ids), task.name, shown=task.progress) as bar:
        for slice_id in ids:
            volume = volumes[slice_id]
            inputs = {} if volume.path is None else {"slice": content_digest(volume.path)}
            write_on_canvas(
                task.path(COMMON.replace("{name}", f"z{slice_name(slice_id)}")),
                volume,
                canvas,
                placed_frame(facts[slice_id].frame, canvas, parameters.registration_slicing_interval_mm * 1000, origin),
                provenance={**task.provenance, "inputs": inputs},
                threads=task.threads,
            )
            bar.advance()


def canvas_stage_mm(facts: SliceFacts, canvas: Canvas, slice_id: int) -> Pair | None:
    """Stage position (y, x) of the canvas's first pixel, from the middle slice; None if the stage is unknown."""
    stage = facts.frame.stage_origin_mm
    if stage is None:
        return None
    y, x = (
        stage[k]
        + (
            facts.frame.origin_um[k + 1]
            - canvas.remainder_um[slice_id][k]
            - canvas.corner[slice_id][k] * facts.spacing_um[k + 1]
        )
        / 1000
        for k in (0, 1)
    )
    return y, x


def _positions(
    table: list[Shift],
    steps: list[PlacedStep],
    measured: dict[int, Measured],
    canvas: Canvas,
    spacing: tuple[float, float, float],
    selection: Selection,
    task: Task,
) -> None:
    from linumpy_lib.alignment.shift_analysis import slice_ids
    from linumpy_lib.io.csv_file import write_rows
    from linumpy_lib.io.slice_config import slice_name

    by_moving = {step.moving_id: step for step in steps}
    known = sorted({*slice_ids(table), *selection.used, *selection.excluded})
    rows = []
    for slice_id in range(known[0], known[-1] + 1):
        row = {"slice_id": slice_name(slice_id), "status": "missing"}
        if slice_id in canvas.corner:
            row["status"] = "used"
            for axis, place, um, rest in zip(
                "yx", canvas.corner[slice_id], spacing[1:], canvas.remainder_um[slice_id], strict=True
            ):
                row[f"{axis}_px"] = str(place)
                row[f"{axis}_um"] = f"{place * um + rest:.6f}"
        elif slice_id in selection.excluded:
            row.update(status="excluded", reason=selection.excluded[slice_id])
        if slice_id in by_moving:
            step = by_moving[slice_id]
            row.update(step_from=slice_name(step.fixed_id), step_source=step.source)
            row["step_reliable"] = "true" if step.reliable or step.source == "image" else "false"
        if slice_id in measured:
            one = measured[slice_id]
            row["step_correlation"] = f"{one.correlation:.6f}"
            row["step_discrepancy_px"] = f"{one.discrepancy_px:.6f}"
            row["step_refused"] = one.refused
        rows.append(row)
    columns = ["slice_id", "status", "y_px", "x_px", "y_um", "x_um", "step_from", "step_source", "step_reliable"]
    columns += ["step_correlation", "step_discrepancy_px", "step_refused", "reason"]
    write_rows(task.path(POSITIONS), columns, rows)
    gaps = [row["slice_id"] for row in rows if row["status"] != "used"]
    inner = [gap for gap in gaps if selection.used[0] < int(gap) < selection.used[-1]]
    if inner:
        task.note(f"slices {', '.join(inner)} are gaps in the common space")
    task.metric("gaps", len(inner), status="warning" if inner else "ok")


def _report(
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    steps: list[PlacedStep],
    measured: dict[int, Measured],
    places: dict[int, Pair],
    canvas: Canvas,
    parameters: AlignCommonSpaceParameters,
    task: Task,
) -> None:
    from linumpy_lib.alignment.common_preview import write_slice_preview, write_space_preview
    from linumpy_lib.io.slice_config import slice_name

    largest = max(one.shape[1] * one.shape[2] for one in facts.values())
    share = canvas.shape[0] * canvas.shape[1] / largest
    if share > 4:
        task.note(
            f"the canvas is {share:.1f} times as large as the largest slice: the slices lie far apart; look at "
            f"{POSITIONS} and the shifts"
        )
    depths = sorted({one.shape[0] for one in facts.values()})
    if len(depths) > 1:
        task.note(f"slices have {depths[0]} to {depths[-1]} planes; each keeps its own")
    task.metric("slices", len(facts))
    task.metric("canvas_y", canvas.shape[0], "px")
    task.metric("canvas_x", canvas.shape[1], "px")
    task.metric("measured_steps", sum(not one.refused for one in measured.values()))
    doubtful = sum(not step.reliable and step.source != "image" for step in steps)
    task.metric("unreliable_steps", doubtful, status="warning" if doubtful else "ok")
    task.metric("replaced_steps", sum(step.source == "replaced" for step in steps))
    for slice_id, (y, x) in places.items():
        task.metric(f"z{slice_name(slice_id)}_position_x", round(x, 3), "um")
        task.metric(f"z{slice_name(slice_id)}_position_y", round(y, 3), "um")
    pictures: dict[int, Any] = {slice_id: volumes[slice_id] for slice_id in facts}
    write_space_preview(task.path(PREVIEW), pictures, canvas, title=task.name)
    if parameters.common_space_preview:
        for slice_id, volume in pictures.items():
            name = f"z{slice_name(slice_id)}"
            write_slice_preview(task.path(SLICE_PREVIEW.replace("{name}", name)), volume, canvas, slice_id)


STEP = Step(
    name="align_common_space",
    function=align_common_space,
    parameters=AlignCommonSpaceParameters,
    summary="Slices on one canvas",
    description="Adds the shifts between slices up to places, measures in the images what the stage does not vouch "
    "for, and writes every slice on one canvas. Voxels are moved by whole pixels and stay as they are; the rest, at "
    "most half a pixel, stands in each store's frame. Missing and excluded slices are gaps.",
    inputs=(
        Input("slices", "stores of the slices (slice_z*.ome.zarr), or folders that hold them", kind="paths"),
        Input("shifts", "shifts_xy_clean.csv or shifts_xy.csv", kind="path"),
        Input("slice_config", "slice_config.csv", kind="path", required=False),
    ),
    outputs={
        COMMON: "a slice (name z03, say) on the canvas",
        POSITIONS: "every slice: used, excluded or missing; its place, and where its step comes from",
        PREVIEW: "a row and a column of every slice, before and after",
        SLICE_PREVIEW: "the middle plane of a slice on the canvas (common_space_preview)",
    },
)
