"""Step: factors that bring all slices to one brightness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from linumpy_lib.errors import InputError
from linumpy_lib.io.text_file import read_json
from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

FACTORS = "slice_factors.csv"


class MatchSlicesParameters(Parameters):
    """What `match_slices` lets a user choose."""

    normalize_smooth_sigma: Annotated[
        float,
        Field(
            description="Smoothing (Gaussian) of the brightness over slices before they are matched; 0 matches each by "
            "itself",
            ge=0,
            le=1000,
            json_schema_extra={"unit": "slices"},
        ),
    ] = 0.0
    normalize_min_scale: Annotated[
        float, Field(description="Smallest factor that a slice is multiplied by to match the others", gt=0, le=1)
    ] = 0.5
    normalize_max_scale: Annotated[
        float, Field(description="Largest factor that a slice is multiplied by to match the others", ge=1, le=1000)
    ] = 2.0


def read_levels(path: Path) -> dict[str, Any]:
    """Read what measure_slice wrote.

    Raises
    ------
    InputError
        If it is no such file.
    """
    try:
        record = read_json(path, "make it with measure_slice")
        return {
            "slice_id": int(record["slice_id"]),
            "background": [float(v) for v in record["background"]],
            "white": [float(v) for v in record["white"]],
            "reference": float(record["reference"]),
            "tissue_voxels": int(record["tissue_voxels"]),
        }
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: holds no levels of a slice ({error}); make it with measure_slice") from None


def match_slices(*, levels: list[Path], parameters: MatchSlicesParameters, task: Task) -> None:
    """Write the table of factors.

    Parameters
    ----------
    levels : list of Path
        Levels of all slices.
    parameters : MatchSlicesParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If a file is malformed, or two are of one slice.
    """
    from linumpy_lib.intensity.brightness import match_factors
    from linumpy_lib.io.slice_factors import SliceFactor, write_factors
    from linumpy_lib.quality.thresholds import judge

    records = sorted((read_levels(path) for path in levels), key=lambda record: int(record["slice_id"]))
    ids = [record["slice_id"] for record in records]
    if len(set(ids)) < len(ids):
        twice = next(slice_id for slice_id in ids if ids.count(slice_id) > 1)
        raise InputError(f"{levels[0].parent}: slice {twice} is there twice; give the levels of each slice once")
    limits = (parameters.normalize_min_scale, parameters.normalize_max_scale)
    level, smooth, factors = match_factors(
        ids,
        [record["reference"] for record in records],
        [record["tissue_voxels"] for record in records],
        sigma=parameters.normalize_smooth_sigma,
        limits=limits,
    )
    if level == 0:
        task.note("no slice has enough tissue to be matched")
    rows = [
        SliceFactor(record["slice_id"], record["reference"], record["tissue_voxels"], float(s), float(factor), level)
        for record, s, factor in zip(records, smooth, factors, strict=True)
    ]
    write_factors(task.path(FACTORS), rows)
    held = [row.slice_id for row in rows if row.factor in limits and row.factor != 1]
    if held:
        task.note(f"the factors of slices {held} reach normalize_min_scale or normalize_max_scale")
    spread = float((factors.max() / factors.min()) - 1)
    task.metric("slices", len(rows))
    task.metric("brightness_level", round(level, 4), "counts")
    task.metric("brightness_spread", round(spread, 4), "fraction", **judge("brightness_spread", spread))
    task.metric("held_slices", len(held), status="warning" if held else "ok")


STEP = Step(
    name="match_slices",
    function=match_slices,
    parameters=MatchSlicesParameters,
    summary="Brightness of slices against one another",
    description="From the brightness of the tissue of each slice, smoothed over the slices if asked for, the factor "
    "that brings it to the median of all.",
    inputs=(Input("levels", "slice_z*_levels.json from measure_slice", kind="paths"),),
    outputs={FACTORS: "slice_id, reference, tissue_voxels, smoothed, factor, level"},
)
