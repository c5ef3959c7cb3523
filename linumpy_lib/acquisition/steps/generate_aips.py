"""Step: depth-averaged picture of a mosaic."""

from __future__ import annotations

from pathlib import Path

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

AIP = "aip_{name}.png"


class GenerateAipsParameters(Parameters):
    """`generate_aips` has nothing to choose."""


def generate_aips(*, input: Path, parameters: GenerateAipsParameters, task: Task) -> None:  # noqa: A002
    """Write the picture."""
    from linumpy_lib.acquisition.pictures import average_projection, present, to_uint16, write_png16
    from linumpy_lib.io import open_volume
    from linumpy_lib.io.mosaic_grid import mosaic_grid
    from linumpy_lib.io.slice_config import slice_name

    volume = open_volume(input)
    grid = mosaic_grid(volume)
    task.name = f"z{slice_name(grid.slice_id)}"
    plane = average_projection(volume, task.threads)
    mask = present(grid)
    task.metric("mean_intensity", float(plane[mask].mean()) if mask.any() else 0.0)
    write_png16(task.path(AIP), to_uint16(plane, mask))


STEP = Step(
    name="generate_aips",
    function=generate_aips,
    parameters=GenerateAipsParameters,
    summary="Depth-averaged picture of a mosaic",
    description="16-bit PNG, one pixel for each A-line; the 0.1st to 99.9th percentile span the whole range.",
    inputs=(Input("input", "mosaic from create_mosaic_grid", kind="path"),),
    outputs={AIP: "average intensity projection of slice NAME (z03, say)"},
)
