"""Step: centre planes of a mosaic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linumpy_lib.cli import Input, Step, Task
from linumpy_lib.params import Parameters

if TYPE_CHECKING:
    from linumpy_lib.io import Volume

PREVIEW = "mosaic_grid_{name}_preview.png"


class GeneratePreviewsParameters(Parameters):
    """`generate_previews` has nothing to choose."""


def generate_previews(*, input: Volume, parameters: GeneratePreviewsParameters, task: Task) -> None:  # noqa: A002, ARG001
    """Write the picture."""
    from linumpy_lib.acquisition.pictures import write_preview
    from linumpy_lib.io.mosaic_grid import mosaic_grid
    from linumpy_lib.io.slice_config import slice_name

    grid = mosaic_grid(input)
    task.name = f"z{slice_name(grid.slice_id)}"
    rows, columns = grid.grid
    holes = f", {len(grid.missing)} missing" if grid.missing else ""
    write_preview(task.path(PREVIEW), input, f"slice {grid.slice_id}: {rows} x {columns} tiles{holes}")


STEP = Step(
    name="generate_previews",
    function=generate_previews,
    parameters=GeneratePreviewsParameters,
    summary="Centre planes of a mosaic",
    description="PNG of the planes XY, XZ and YZ through the centre, in millimetres.",
    inputs=(Input("input", "mosaic from create_mosaic_grid"),),
    outputs={PREVIEW: "centre planes of slice NAME (z03, say)"},
)
