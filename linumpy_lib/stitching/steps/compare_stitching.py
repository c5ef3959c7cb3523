"""Step: what the overlaps gained over the stage's positions, seen at the seams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.io import Volume

TABLE = "slice_{name}_seam_profiles.csv"
PREVIEW = "{name}_compare_stitching_preview.png"


class CompareStitchingParameters(Parameters):
    """What `compare_stitching` lets a user choose."""

    comparison_tile_step: Annotated[
        int,
        Field(
            description="Distance of the seams in slices of other programs, which do not tell where their tiles lie",
            ge=2,
            le=100000,
            json_schema_extra={"unit": "px"},
        ),
    ] = 60


def compare_stitching(*, refined: Volume, motor: Volume, parameters: CompareStitchingParameters, task: Task) -> None:
    """Write how much two stitched slices change across their seams, and both pictures.

    Parameters
    ----------
    refined, motor : Volume
        The same slice (z, y, x), stitched by its overlaps and by the stage alone.
    parameters : CompareStitchingParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the slices have different voxels, or one of them has nothing to show.
    """
    import math

    import numpy as np

    from linumpy_lib.errors import InputError
    from linumpy_lib.io.csv_file import write_rows
    from linumpy_lib.quality.slice_preview import write_panels
    from linumpy_lib.quality.thresholds import judge
    from linumpy_lib.stitching.comparison import mean_and_cover, placed_alike
    from linumpy_lib.stitching.frame import canvas_of
    from linumpy_lib.stitching.seams import NEAR_PX, lattice, seam_profile, seams_of

    spacing = refined.require_spacing()
    if not np.allclose(spacing, motor.require_spacing(), rtol=1e-6):
        raise InputError(
            f"{refined.name} has voxels of {spacing} um, {motor.name} of {motor.require_spacing()}; compare two "
            "stitchings of one mosaic"
        )
    pictures, profiles = {}, {}
    for name, volume in (("refined", refined), ("motor", motor)):
        canvas = None if task.stub else canvas_of(volume)
        mean, covered = mean_and_cover(volume, canvas, threads=task.threads, progress=task.progress)
        seams = seams_of(canvas) if canvas else lattice(mean.shape, parameters.comparison_tile_step)
        if canvas is None and not task.stub:
            task.note(
                f"{task.name}: {volume.name} does not tell where its tiles lie; seams are looked for every "
                f"{parameters.comparison_tile_step} px (comparison_tile_step)"
            )
        pictures[name] = np.where(covered, mean, np.nan)
        profiles[name] = seam_profile(mean, covered, seams)
        visibility = profiles[name].visibility
        if math.isfinite(visibility):
            judged: dict[str, Any] = judge("seam_visibility", visibility) if name == "refined" else {}
            task.metric(f"seam_visibility_{name}", round(visibility, 4), "ratio", **judged)
            task.metric(f"seam_gradient_{name}", float(profiles[name].gradient), "intensity per px")
        else:
            task.note(f"{task.name}: {volume.name} has no seam that could be judged")
    one, other = placed_alike(refined, motor, pictures["refined"], pictures["motor"])
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() > 1 and np.std(one[both]) > 0 and np.std(other[both]) > 0:
        task.metric("correlation", round(float(np.corrcoef(one[both], other[both])[0, 1]), 5))
    rows = [
        {
            "distance_px": str(k),
            **{f"{name}_change": f"{profiles[name].change[k + NEAR_PX]:.6g}" for name in profiles},
        }
        for k in range(-NEAR_PX, NEAR_PX + 1)
    ]
    write_rows(task.path(TABLE), ["distance_px", "refined_change", "motor_change"], rows)
    lateral = (spacing[1], spacing[2])
    write_panels(
        task.path(PREVIEW),
        [
            (f"{task.name}: by the overlaps", one),
            ("by the motor alone", other),
            ("difference", np.abs(one - other)),
        ],
        spacing_um=[lateral] * 3,
        shared_range=False,
    )


STEP = Step(
    name="compare_stitching",
    function=compare_stitching,
    parameters=CompareStitchingParameters,
    summary="Seams of a slice stitched by its overlaps and by the motor",
    description="Mean change of neighbouring pixels of the depth-averaged slice, by distance from the tiles' borders. "
    "seam_visibility is the change at the borders relative to beside them: 1 where no seam can be seen.",
    inputs=(
        Input("refined", "slice of stitch_slice"),
        Input("motor", "the same slice of stitch_motor_only"),
    ),
    outputs={
        TABLE: "mean change across seams by distance, both slices",
        PREVIEW: "mean over depth of both, and their difference",
    },
)
