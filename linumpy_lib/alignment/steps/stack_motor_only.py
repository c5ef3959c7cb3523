"""Step: the stack by the stage alone, for comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

STACKED = "{name}_motor_only.ome.zarr"
PREVIEW = "{name}_stack_motor_only_preview.png"


class StackMotorOnlyParameters(Parameters):
    """What `stack_motor_only` lets a user choose."""

    motor_only_stack_blending: Annotated[
        Literal["none", "average", "max", "feather"],
        Field(
            description="What planes show that several slices reach: the deepest slice, the mean, the largest value, "
            "or a mean with weights that fall towards the ends of each slice"
        ),
    ] = "none"


def stack_motor_only(*, slices: list[Path], parameters: StackMotorOnlyParameters, task: Task) -> None:
    """Write the volume and a picture of it."""
    from linumpy_lib import blocks
    from linumpy_lib.alignment.common_space import require_alike
    from linumpy_lib.alignment.motor_stack import MotorStack, motor_tops
    from linumpy_lib.alignment.slice_stores import open_slices
    from linumpy_lib.alignment.stack_plan import require_canvas
    from linumpy_lib.io import VolumeWriter, content_digest, open_volume
    from linumpy_lib.quality.stack_preview import save_stack_preview

    volumes, facts = open_slices(slices, STUB_SIZE if task.stub else None)
    real = [k for k in volumes if not facts[k].frame.interpolated]
    volumes, facts = {k: volumes[k] for k in real}, {k: facts[k] for k in real}
    spacing = require_alike(facts, {k: one.path or Path(one.name) for k, one in volumes.items()})
    require_canvas(volumes, facts)
    stack = MotorStack(volumes, motor_tops(facts), parameters.motor_only_stack_blending)
    with VolumeWriter(
        task.path(STACKED),
        shape=stack.shape,
        dtype="float32",
        spacing_um=spacing,
        threads=task.threads,
        provenance={
            **task.provenance,
            "inputs": {f"slice {k}": content_digest(v.path) for k, v in volumes.items() if v.path is not None},
            "slice_boundaries": list(stack.tops.values()),
        },
    ) as writer:
        blocks.stream(
            writer.regions(),
            lambda region: region,
            stack.read,
            writer.write,
            threads=task.threads,
            description=f"stack {task.name}",
            progress=task.progress,
        )
    task.metric("slices", len(volumes))
    task.metric("total_z_depth", stack.shape[0], "planes")
    save_stack_preview(task.path(PREVIEW), open_volume(task.path(STACKED)), f"{task.name}, stage positions alone")


STEP = Step(
    name="stack_motor_only",
    function=stack_motor_only,
    parameters=StackMotorOnlyParameters,
    summary="The stack by the stage alone",
    description="Puts every slice where the stage was and at the depth that the cutting interval tells, in whole "
    "pixels. Beside the volume of stack_slices it shows what registration gained, or spoilt. Slices that were "
    "interpolated are left out.",
    inputs=(
        Input("slices", "slices on the common canvas (slice_z*.ome.zarr), or folders that hold them", kind="paths"),
    ),
    outputs={STACKED: "the volume (float32)", PREVIEW: "its middle planes"},
)
