"""Step: masks of several views in one, for instance the global mask of all time points of facing cameras."""

from __future__ import annotations

from pathlib import Path

from linumpy_lib.params import Parameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

JOINED = "{name}_mask.ome.zarr"
WHOLE = 99.9
"""Share of foreground [%] above which a mask is called useless."""
PREVIEW = "{name}_join_masks_preview.png"


class JoinMasksParameters(Parameters):
    """`join_masks` has no parameters."""


def join_masks(*, masks: list[Path], parameters: JoinMasksParameters, task: Task) -> None:
    """Write the union of masks, with its coordinate masks."""
    import math

    from linumpy_lib.fusion.bands import bands
    from linumpy_lib.fusion.view_store import open_mask, write_joined_mask
    from linumpy_lib.io import content_digest
    from linumpy_lib.quality.slice_preview import write_panels
    from linumpy_lib.quality.thresholds import judge

    opened = [open_mask(path) for path in masks]
    if task.stub:
        opened = [volume.corner(STUB_SIZE) for volume in opened]
    provenance = {
        **task.provenance,
        "inputs": {
            str(k): content_digest(volume.path or path)
            for k, (path, volume) in enumerate(zip(masks, opened, strict=True))
        },
    }
    with bands(task.threads) as rows:
        foreground, sums = write_joined_mask(
            task.path(JOINED), opened, rows, provenance=provenance, progress=task.progress
        )
    share = 100 * foreground / math.prod(opened[0].shape)
    if share > WHOLE:
        task.note(f"{task.name}: the mask covers the whole view and removes nothing; see segment_threshold")
    task.metric("masks", len(masks))
    task.metric("foreground_share", round(share, 3), "%", **judge("foreground_share", share))
    xz, xy = sums.masks()
    write_panels(
        task.path(PREVIEW),
        [("mean plane of the foreground", xy), ("mean column of the foreground (y, z)", xz)],
        title=task.name,
        shared_range=False,
    )


STEP = Step(
    name="join_masks",
    function=join_masks,
    parameters=JoinMasksParameters,
    summary="Masks of several views in one",
    description="Foreground is where any mask has it: the global mask of a recording, or the mask of a group of "
    "channels. Views take it with correct_view --mask.",
    inputs=(Input("masks", "masks of correct_view (segment_mode 2 or 3), or corrected views", kind="paths"),),
    outputs={JOINED: "the union, with labels xy_coords and xz_coords", PREVIEW: "where its foreground lies"},
)
