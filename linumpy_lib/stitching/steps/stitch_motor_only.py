"""Step: the tiles of a slice where the stage alone says they lie, for comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.io import Volume

STITCHED = "slice_{name}_motor_only.ome.zarr"
PREVIEW = "{name}_stitch_motor_only_preview.png"


class StitchMotorOnlyParameters(Parameters):
    """What `stitch_motor_only` lets a user choose."""

    motor_only_overlap: Annotated[
        float,
        Field(
            description="Overlap of neighbouring tiles in the motor-only slice where no stage positions are known",
            ge=0,
            le=0.6,
            json_schema_extra={"unit": "fraction of a tile"},
        ),
    ] = 0.2
    motor_only_stitch_blending: Annotated[
        Literal["diffusion", "distance", "average", "none"],
        Field(description="Weights where tiles of the motor-only slice overlap, as in stitch_blending_method"),
    ] = "diffusion"


def stitch_motor_only(
    *,
    input: Volume,  # noqa: A002
    parameters: StitchMotorOnlyParameters,
    task: Task,
) -> None:
    """Write the slice with its tiles where the stage says they lie, and a picture; nothing is measured.

    Parameters
    ----------
    input : Volume
        Mosaic (z, y, x) with its tile grid and voxel size.
    parameters : StitchMotorOnlyParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the mosaic states no tile grid or voxel size, or has no tile.
    """
    from linumpy_lib.errors import InputError
    from linumpy_lib.io import open_volume
    from linumpy_lib.io.mosaic_grid import mosaic_grid
    from linumpy_lib.io.mosaic_tiles import tile_corners
    from linumpy_lib.stitching.assembly import write_slice
    from linumpy_lib.stitching.blending import BlendingWeights
    from linumpy_lib.stitching.canvas import plan_canvas
    from linumpy_lib.stitching.frame import slice_provenance
    from linumpy_lib.stitching.layout import nominal_layout
    from linumpy_lib.stitching.report import report_seams, write_preview

    # A stub run gets a corner of the mosaic, but needs one of every tile.
    volume = open_volume(input.path) if task.stub and input.path is not None else input
    grid = mosaic_grid(volume)
    if task.stub:
        volume, grid = tile_corners(volume, grid)
    places = list(grid.places())
    if not places:
        raise InputError(f"{volume.name}: slice {grid.slice_id} has no tile; take it out of the run")
    layout = nominal_layout(grid, input.require_spacing(), parameters.motor_only_overlap, use_stage=not task.stub)
    canvas = plan_canvas({place: layout.positions[place] for place in places}, layout.tile)
    weights = BlendingWeights(canvas, parameters.motor_only_stitch_blending, task.staging)
    path = task.path(STITCHED)
    try:
        mean = write_slice(
            path,
            volume,
            grid,
            canvas,
            weights,
            provenance={**task.provenance, **slice_provenance(volume, grid, layout, canvas)},
            threads=task.threads,
            progress=task.progress,
        )
    finally:
        weights.close()
    if layout.reason and not task.stub:
        task.note(f"{task.name}: {layout.reason}; tiles lie as motor_only_overlap says")
    task.metric("tiles", len(places))
    task.metric("positions_start", layout.source)
    report_seams(task, mean, canvas)
    write_preview(task.path(PREVIEW), path, canvas, mean, task.name)


STEP = Step(
    name="stitch_motor_only",
    function=stitch_motor_only,
    parameters=StitchMotorOnlyParameters,
    summary="The tiles of a slice where the motor says they lie",
    description="For comparison with stitch_slice: whether the overlaps know better than the stage. Voxels of tiles "
    "that hold zeros only are written as they are.",
    inputs=(Input("input", "mosaic of one slice, axes z,y,x"),),
    outputs={
        STITCHED: "the slice (float32)",
        PREVIEW: "mean over depth, half depth, and a section",
    },
)
