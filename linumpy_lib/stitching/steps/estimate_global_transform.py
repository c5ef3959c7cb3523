"""Step: how the tile grid of a whole acquisition is scaled, turned and skewed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from linumpy_lib.io.slice_config import SLICES_PATTERN
from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.stitching.pooling import PooledTransform

TRANSFORM = "{name}_global_transform.json"
PREVIEW = "{name}_estimate_global_transform_preview.png"
# Residuals that the picture shows, pixels around zero.
_SHOWN_PX = 10


class EstimateGlobalTransformParameters(Parameters):
    """What `estimate_global_transform` lets a user choose."""

    stitch_global_transform_slices: Annotated[
        str,
        Field(
            description="Slices whose tiles decide, such as 25,27-29; empty is all",
            pattern=SLICES_PATTERN,
            json_schema_extra={"form": "slice ids and ranges separated by commas"},
        ),
    ] = ""
    stitch_global_transform_histogram_match: Annotated[
        bool, Field(description="Bring the brightness of a pair's overlap to one histogram before it is compared")
    ] = True
    stitch_global_transform_max_empty_fraction: Annotated[
        float,
        Field(
            description="Pairs whose overlap is background to a larger share are left aside; 1 keeps all",
            ge=0,
            le=1,
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.9
    stitch_global_transform_n_samples: Annotated[
        int,
        Field(
            description="Pairs of tiles that are looked at, drawn from all slices; 0 takes all",
            ge=0,
            json_schema_extra={"unit": "pairs"},
        ),
    ] = 2048
    stitch_global_transform_seed: Annotated[
        int, Field(description="Seed of the drawing; equal seeds draw equal pairs", ge=0)
    ] = 0


def estimate_global_transform(
    *, mosaics: list[Path], parameters: EstimateGlobalTransformParameters, task: Task
) -> None:
    """Write the transform, and a picture of what it leaves.

    Parameters
    ----------
    mosaics : list of Path
        Mosaics of the slices (z, y, x), or folders that hold them.
    parameters : EstimateGlobalTransformParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If a mosaic states no tile grid, two differ in their tiles, or none of the slices asked for is there.
    """
    import numpy as np

    from linumpy_lib.stitching.mosaics import open_mosaics
    from linumpy_lib.stitching.pooling import pool_slices, sample_pairs
    from linumpy_lib.stitching.transform_file import write_transform

    volumes, grids = open_mosaics(mosaics, parameters.stitch_global_transform_slices)
    spacing = volumes[0].require_spacing()
    sampled = sample_pairs(grids, parameters.stitch_global_transform_n_samples, parameters.stitch_global_transform_seed)
    pooled = pool_slices(
        volumes,
        grids,
        [] if task.stub else sampled,
        task.staging,
        max_empty_fraction=parameters.stitch_global_transform_max_empty_fraction,
        histogram_match=parameters.stitch_global_transform_histogram_match,
        threads=task.threads,
    )
    step_um = pooled.step_px * np.array([[spacing[1]], [spacing[2]]])
    lengths = np.hypot(*pooled.residuals.T)
    facts = {
        "slices": [grid.slice_id for grid in grids],
        "pairs": len(pooled.matches),
        "residual_median_px": float(np.median(lengths)) if lengths.size else None,
    }
    write_transform(task.path(TRANSFORM), step_um, facts)
    _report(pooled, len(sampled), len(grids), task)


def _report(pooled: PooledTransform, sampled: int, slices: int, task: Task) -> None:
    import math

    import numpy as np

    from linumpy_lib.quality.slice_preview import write_panels
    from linumpy_lib.quality.thresholds import judge

    task.metric("slices", slices)
    task.metric("pairs_sampled", sampled)
    task.metric("pairs_empty", pooled.skipped)
    task.metric("pairs_measured", len(pooled.matches))
    lengths = np.hypot(*pooled.residuals.T)
    if lengths.size:
        task.metric("residual_median", round(float(np.median(lengths)), 4), "px")
        nominal = float(np.median(np.hypot(*pooled.nominal.T)))
        task.metric("residual_median_nominal", round(nominal, 4), "px")
    tile = pooled.layouts[0].tile
    for axis, name in enumerate("yx"):
        step = pooled.step_px[:, axis]
        if not np.isfinite(step).all():
            task.note(
                f"{task.name}: no overlap along {name} can be measured; stitch_slice keeps the stage's step there"
            )
            continue
        overlap = 1 - step[axis] / tile[axis]
        task.metric(f"overlap_{name}", round(float(overlap), 5), "fraction of a tile")
        stated = pooled.layouts[0].step(axis)
        if stated is not None:
            difference = float((stated[axis] - step[axis]) / tile[axis])
            task.metric(
                f"overlap_{name}_difference",
                round(difference, 5),
                "fraction of a tile",
                **judge("overlap_difference", difference),
            )
    if np.isfinite(pooled.step_px).all():
        (yy, yx), (xy, xx) = pooled.step_px
        task.metric("grid_rotation", round(math.degrees(math.atan2(-yx, xx)), 4), "deg")
        skew = 90 - math.degrees(math.acos((yy * yx + xy * xx) / (math.hypot(yy, xy) * math.hypot(yx, xx))))
        task.metric("grid_perpendicularity", round(skew, 4), "deg")
    edges = np.linspace(-_SHOWN_PX, _SHOWN_PX, 81)
    panels = []
    for title, found in (
        ("pairs, against the stage", pooled.nominal),
        ("pairs, against the transform", pooled.residuals),
    ):
        density = np.histogram2d(found[:, 0], found[:, 1], bins=(edges, edges))[0]
        panels.append((f"{title}: y, x within {_SHOWN_PX} px", np.log1p(density)))
    write_panels(task.path(PREVIEW), panels, title=f"{task.name}: {len(pooled.matches)} pairs of {slices} slices")


STEP = Step(
    name="estimate_global_transform",
    function=estimate_global_transform,
    parameters=EstimateGlobalTransformParameters,
    summary="One linear map of the tile grid for all slices",
    description="Pools pairs of neighbouring tiles of all slices, each measured to fractions of a pixel, and fits one "
    "step along rows and one along columns, outliers left aside. For slices with too few pairs of their own.",
    inputs=(Input("mosaics", "mosaics of the slices, or folders that hold them", kind="paths"),),
    outputs={
        TRANSFORM: "step_um: displacement (y, x) of the next row and of the next column, micrometres",
        PREVIEW: "what every pair says, before and after",
    },
)
