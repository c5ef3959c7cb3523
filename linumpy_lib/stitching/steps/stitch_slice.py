"""Step: the tiles of a slice, in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.io import Volume
    from linumpy_lib.io.mosaic_grid import MosaicGrid
    from linumpy_lib.stitching.layout import Layout
    from linumpy_lib.stitching.placement import Known, Placement
    from linumpy_lib.stitching.tile_images import TileImages

STITCHED = "slice_{name}_stitch_3d.ome.zarr"
POSITIONS = "slice_{name}_tile_positions.csv"
PAIRS = "slice_{name}_tile_pairs.csv"
PREVIEW = "{name}_stitch_slice_preview.png"

# An overlap that differs by more than this (fraction of a tile) from the stated one contradicts it.
_CONTRADICTION = 0.02
_SATURATED = 0.02


class StitchSliceParameters(Parameters):
    """What `stitch_slice` lets a user choose."""

    use_motor_positions_for_stitching: Annotated[
        bool,
        Field(
            description="Begin with the stage's positions of the tiles; false: with their indices and "
            "stitch_overlap_fraction"
        ),
    ] = True
    stitch_overlap_fraction: Annotated[
        float,
        Field(
            description="Overlap of neighbouring tiles to begin with where stage positions are unknown or unused; the "
            "measured one replaces it",
            ge=0,
            le=0.6,
            json_schema_extra={"unit": "fraction of a tile"},
        ),
    ] = 0.2
    stitch_positions: Annotated[
        Literal["global", "affine", "motor"],
        Field(
            description="Positions of the tiles: each by itself, from all overlaps together; one linear map of the "
            "grid; as the stage says"
        ),
    ] = "global"
    stitch_blending_method: Annotated[
        Literal["diffusion", "distance", "average", "none"],
        Field(
            description="Weights where tiles overlap: Laplace's equation, distance from the tile's border, equal, or "
            "the last tile alone"
        ),
    ] = "diffusion"
    max_blend_refinement_px: Annotated[
        float,
        Field(
            description="Largest distance of a tile from the regular grid that the overlaps may ask for; 0 keeps the "
            "grid",
            ge=0,
            le=200,
            json_schema_extra={"unit": "px"},
        ),
    ] = 10
    stitch_min_pairs: Annotated[
        int,
        Field(
            description="Slices with fewer measured pairs of neighbours along y or x take the step of the tile grid "
            "from all slices together; 0 trusts every slice with its own",
            ge=0,
            le=10000,
            json_schema_extra={"unit": "pairs"},
        ),
    ] = 6


def stitch_slice(
    *,
    input: Volume,  # noqa: A002
    global_transform: Path | None,
    fallback_transform: Path | None,
    parameters: StitchSliceParameters,
    task: Task,
) -> None:
    """Write the slice, where its tiles lie, what each pair of them showed, and a picture.

    Parameters
    ----------
    input : Volume
        Mosaic (z, y, x) with its tile grid and voxel size.
    global_transform : Path or None
        File of `estimate_global_transform`: one linear map for all slices.
    fallback_transform : Path or None
        Such a file for slices with fewer than `stitch_min_pairs` pairs of their own.
    parameters : StitchSliceParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the mosaic states no tile grid or voxel size, or holds voxels that are not finite.
    """
    from linumpy_lib.errors import InputError
    from linumpy_lib.io import open_volume
    from linumpy_lib.io.mosaic_grid import mosaic_grid
    from linumpy_lib.io.mosaic_tiles import tile_corners
    from linumpy_lib.stitching.layout import nominal_layout
    from linumpy_lib.stitching.placement import Known
    from linumpy_lib.stitching.tile_images import TileImages
    from linumpy_lib.stitching.transform_file import matrix_from_steps, read_transform

    # A stub run gets a corner of the mosaic, but needs one of every tile.
    volume = open_volume(input.path) if task.stub and input.path is not None else input
    grid = mosaic_grid(volume)
    spacing = input.require_spacing()
    if task.stub:
        volume, grid = tile_corners(volume, grid)
    use_stage = parameters.use_motor_positions_for_stitching and not task.stub
    layout = nominal_layout(grid, spacing, parameters.stitch_overlap_fraction, use_stage=use_stage)
    known = None
    transform = global_transform or fallback_transform
    if transform is not None and not task.stub:
        step = read_transform(transform)
        matrix = matrix_from_steps(step / [[spacing[1]], [spacing[2]]], layout)
        known = Known(matrix, None if global_transform else parameters.stitch_min_pairs)
    images = TileImages(volume, grid, task.staging, threads=task.threads)
    try:
        if not images.places:
            raise InputError(
                f"{volume.name}: no tile of slice {grid.slice_id} holds anything; take the slice out of the run "
                "(use=false in slice_config.csv) or look at its raw tiles"
            )
        placement = _placed(images, layout, known, parameters, task)
    finally:
        images.close()
    _write(volume, grid, images, layout, placement, parameters, task)


def _placed(
    images: TileImages, layout: Layout, known: Known | None, parameters: StitchSliceParameters, task: Task
) -> Placement:
    from linumpy_lib.stitching.placement import place_tiles

    placement = place_tiles(
        images,
        layout,
        "motor" if task.stub else parameters.stitch_positions,
        parameters.max_blend_refinement_px,
        known=known,
        threads=task.threads,
    )
    if layout.reason and parameters.use_motor_positions_for_stitching and not task.stub:
        task.note(f"{task.name}: {layout.reason}; tiles start from stitch_overlap_fraction")
    if placement.reason:
        task.note(f"{task.name}: {placement.method} positions of the tiles, since {placement.reason}")
    if images.negative:
        task.note(f"{task.name}: some voxels are negative; they are stitched as they are")
    return placement


def _write(
    volume: Volume,
    grid: MosaicGrid,
    images: TileImages,
    layout: Layout,
    placement: Placement,
    parameters: StitchSliceParameters,
    task: Task,
) -> None:
    import math

    from linumpy_lib.stitching.assembly import write_slice
    from linumpy_lib.stitching.blending import BlendingWeights
    from linumpy_lib.stitching.canvas import plan_canvas
    from linumpy_lib.stitching.frame import slice_provenance
    from linumpy_lib.stitching.report import report_placement, write_pairs, write_positions, write_preview

    canvas = plan_canvas(placement.solution.positions, layout.tile)
    weights = BlendingWeights(canvas, parameters.stitch_blending_method, task.staging)
    path = task.path(STITCHED)
    try:
        mean = write_slice(
            path,
            volume,
            grid,
            canvas,
            weights,
            provenance={**task.provenance, **slice_provenance(volume, grid, layout, canvas)},
            lowest=-math.inf if images.negative else 0.0,
            threads=task.threads,
            progress=task.progress,
        )
    finally:
        weights.close()
    write_positions(task.path(POSITIONS), grid, layout, placement, images.empty)
    write_pairs(task.path(PAIRS), placement)
    if images.saturated > _SATURATED:
        task.note(f"{task.name}: {100 * images.saturated:.0f} % of a tile's voxels are at its maximum; it is saturated")
    report_placement(task, grid, images, layout, placement, canvas, mean)
    measured = {} if placement.method == "motor" else report_overlap(task, layout, placement)
    for axis, overlap in measured.items():
        stated = overlap_of(layout, axis)
        if abs(overlap - stated) > _CONTRADICTION:
            origin = "stitch_overlap_fraction" if layout.source == "overlap" else "the stage"
            task.note(
                f"{task.name}: tiles overlap by {100 * overlap:.1f} % along {axis}, not by {100 * stated:.1f} % as "
                f"{origin} says; the measured overlap is used"
            )
    write_preview(task.path(PREVIEW), path, canvas, mean, task.name)


def report_overlap(task: Task, layout: Layout, placement: Placement) -> dict[str, float]:
    """Record the measured overlap and angles of the grid; return the overlap by axis."""
    from linumpy_lib.quality.thresholds import judge
    from linumpy_lib.stitching.placement import angles_deg, measured_overlap

    measured = measured_overlap(layout, placement.matrix)
    for axis, overlap in measured.items():
        task.metric(f"overlap_{axis}", round(overlap, 5), "fraction of a tile")
        difference = overlap - overlap_of(layout, axis)
        task.metric(
            f"overlap_{axis}_difference",
            round(difference, 5),
            "fraction of a tile",
            **judge("overlap_difference", difference),
        )
    for name, angle in angles_deg(layout, placement.matrix).items():
        task.metric(f"grid_{name}", round(angle, 4), "deg")
    return measured


def overlap_of(layout: Layout, axis: str) -> float:
    """Overlap that a layout states along y or x, fraction of a tile."""
    import numpy as np

    from linumpy_lib.stitching.placement import measured_overlap

    return measured_overlap(layout, np.eye(2))[axis]


STEP = Step(
    name="stitch_slice",
    function=stitch_slice,
    parameters=StitchSliceParameters,
    summary="The tiles of a slice in one picture",
    description="Finds where the tiles lie from their overlaps (phase correlation, refined to fractions of a pixel, "
    "all pairs together, outliers left aside; never worse than the stage's positions) and blends them. Every voxel is "
    "interpolated once. Places without a tile are holes of zeros.",
    inputs=(
        Input("input", "mosaic of one slice, axes z,y,x"),
        Input("global_transform", "file of estimate_global_transform, for this slice too", kind="path", required=False),
        Input(
            "fallback_transform",
            "such a file for slices with fewer than stitch_min_pairs pairs of their own",
            kind="path",
            required=False,
        ),
    ),
    outputs={
        STITCHED: "the slice (float32)",
        POSITIONS: "where each tile lies, nominal and found",
        PAIRS: "what each pair of neighbours showed, and its residual",
        PREVIEW: "mean over depth, half depth, and a section",
    },
)
