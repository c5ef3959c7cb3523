"""Step: background, white level and brightness of one slice, for normalize_slice and match_slices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.io import Volume

LEVELS = "slice_{name}_levels.json"


class MeasureSliceParameters(Parameters):
    """What `measure_slice` lets a user choose."""

    clip_percentile_upper: Annotated[
        float,
        Field(
            description="Percentile of each plane above which normalize_slice cuts intensities",
            gt=50,
            le=100,
            json_schema_extra={"unit": "percent"},
        ),
    ] = 99.9


def measure_slice(*, input: Volume, parameters: MeasureSliceParameters, task: Task) -> None:  # noqa: A002
    """Write the levels of a slice.

    Parameters
    ----------
    input : Volume
        A slice, axes z, y, x, that states its place.
    parameters : MeasureSliceParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the slice cannot be used or is empty.
    """
    from linumpy_lib.intensity.brightness import measure_brightness
    from linumpy_lib.intensity.slice_columns import bin_slice, slice_volume
    from linumpy_lib.io.slice_frame import slice_frame
    from linumpy_lib.quality.thresholds import judge

    volume = slice_volume(input)
    frame = slice_frame(volume)
    binned = bin_slice(volume, task)
    found = measure_brightness(
        volume, binned, parameters.clip_percentile_upper, threads=task.threads, progress=task.progress
    )
    if found.agarose == 0:
        task.note(f"{task.name}: no agarose was told from tissue; no background will be subtracted")
    if found.reference == 0:
        task.note(f"{task.name}: too little tissue to measure its brightness; it takes what its neighbours have")
    record = {
        "slice_id": frame.slice_id,
        "background": [round(float(v), 6) for v in found.background],
        "white": [round(float(v), 6) for v in found.white],
        "reference": found.reference,
        "tissue_voxels": found.tissue_voxels,
    }
    task.path(LEVELS).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    level = float(found.white.mean()) or 1.0
    spread = float(found.background.std()) / level
    task.metric("agarose_coverage", round(found.agarose, 4), "fraction", **judge("agarose_coverage", found.agarose))
    task.metric("tissue_coverage", round(found.tissue, 4), "fraction", **judge("tissue_coverage", found.tissue))
    task.metric("otsu_threshold", round(found.threshold, 4), "counts")
    task.metric("mean_background", round(float(found.background.mean()), 4), "counts")
    task.metric("std_background", round(spread, 5), "of the white level", **judge("std_background", spread))
    task.metric("tissue_reference", round(found.reference, 4), "counts")


STEP = Step(
    name="measure_slice",
    function=measure_slice,
    parameters=MeasureSliceParameters,
    summary="Background and brightness of slices",
    description="Tells agarose from tissue and measures, plane by plane, the median of the agarose and an upper "
    "percentile, and the brightness of the tissue. Reads each voxel twice and writes a small table.",
    inputs=(Input("input", "slice, axes z,y,x (compensate_attenuation)"),),
    outputs={LEVELS: "levels of slice NAME (z03, say)"},
)
