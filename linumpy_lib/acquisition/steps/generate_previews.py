"""Step: centre planes of a mosaic."""

from __future__ import annotations

from pathlib import Path

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

PREVIEW = "mosaic_grid_{name}_preview.png"


class GeneratePreviewsParameters(Parameters):
    """`generate_previews` has nothing to choose."""


def generate_previews(*, input: Path, parameters: GeneratePreviewsParameters, task: Task) -> None:  # noqa: A002
    """Write the picture."""
    from linumpy_lib.acquisition.pictures import write_preview
    from linumpy_lib.io import open_volume
    from linumpy_lib.io.mosaic_grid import mosaic_grid
    from linumpy_lib.io.slice_config import slice_name

    volume = open_volume(input)
    grid = mosaic_grid(volume)
    task.name = f"z{slice_name(grid.slice_id)}"
    rows, columns = grid.grid
    holes = f", {len(grid.missing)} missing" if grid.missing else ""
    write_preview(task.path(PREVIEW), volume, f"slice {grid.slice_id}: {rows} x {columns} tiles{holes}")


STEP = Step(
    name="generate_previews",
    function=generate_previews,
    parameters=GeneratePreviewsParameters,
    summary="Centre planes of a mosaic",
    description="PNG of the planes XY, XZ and YZ through the centre, in millimetres.",
    inputs=(Input("input", "mosaic from create_mosaic_grid", kind="path"),),
    outputs={PREVIEW: "centre planes of slice NAME (z03, say)"},
)
