"""Step: what a person needs to align slices by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.alignment.manual_package import Image

PACKAGE = "manual_align_package"
PREVIEW = "{name}_export_manual_align_preview.png"

_SHOWN_PAIRS = 3


class ExportManualAlignParameters(Parameters):
    """What `export_manual_align` lets a user choose."""

    manual_align_level: Annotated[
        int, Field(description="Level of the pictures: they are 2 to this power times coarser", ge=0, le=8)
    ] = 1


def export_manual_align(
    *, slices: list[Path], pairs: list[Path] | None, parameters: ExportManualAlignParameters, task: Task
) -> None:
    """Write the package."""
    from itertools import pairwise

    from linumpy_lib.alignment.common_space import require_alike
    from linumpy_lib.alignment.manual_package import (
        pair_depths,
        pair_pictures,
        reduced,
        write_metadata,
        write_pair_views,
        write_slice_views,
    )
    from linumpy_lib.alignment.pair_folder import FIGURES, OFFSETS, TRANSFORM, pair_folders, read_pair
    from linumpy_lib.alignment.slice_stores import open_slices
    from linumpy_lib.errors import InputError
    from linumpy_lib.io.slice_config import slice_name

    volumes, facts = open_slices(slices, STUB_SIZE if task.stub else None)
    spacing = require_alike(facts, {k: volume.path or Path(volume.name) for k, volume in volumes.items()})
    package = task.path(PACKAGE)
    for part in ("aips", "aips_xz", "aips_yz", "transforms"):
        (package / part).mkdir(parents=True)
    level = parameters.manual_align_level
    ids = list(volumes)
    before = dict(pairwise(reversed(ids)))
    records, chosen = {}, {}
    for folder in pair_folders(pairs or []):
        record = read_pair(folder)
        if record.fixed_id in (before.get(record.moving_id), -1):
            records[record.moving_id], chosen[record.moving_id] = record, folder
    for moving, folder in chosen.items():
        target = package / "transforms" / f"slice_z{slice_name(moving)}"
        target.mkdir()
        for name in (TRANSFORM, OFFSETS, FIGURES):
            shutil.copyfile(folder / name, target / name)
    above = reduced(volumes[ids[0]], level)
    write_slice_views(package, ids[0], above)
    shown: list[tuple[str, Image]] = []
    for fixed_id, moving_id in pairwise(ids):
        interval = facts[fixed_id].frame.interval_um
        if interval is None:
            raise InputError(
                f"{volumes[fixed_id].name}: does not tell the cutting interval; run align_common_space first"
            )
        below = reduced(volumes[moving_id], level)
        write_slice_views(package, moving_id, below)
        depths = pair_depths(records.get(moving_id), (moving_id - fixed_id) * interval / spacing[0], level)
        write_pair_views(package, (fixed_id, moving_id), above, below, depths)
        if len(shown) < 2 * _SHOWN_PAIRS:
            pictures = pair_pictures(above, below, depths)
            shown += [(f"{fixed_id}, deep", pictures[0]), (f"{moving_id}, shallow", pictures[1])]
        above = below
    made = [k for k, one in facts.items() if one.frame.interpolated]
    files = {k: (volume.path or Path(volume.name)).name for k, volume in volumes.items()}
    write_metadata(package / "manual_align_metadata.json", level, files, made, len(records))
    task.metric("slices", len(ids))
    task.metric("transforms", len(records))
    task.metric("pixel", spacing[2] * 2**level, "um")
    _picture(shown, above.values[0], above.spacing_um, task)


def _picture(shown: list[tuple[str, Image]], single: Image, spacing: tuple[float, ...], task: Task) -> None:
    from linumpy_lib.quality.slice_preview import write_panels

    write_panels(
        task.path(PREVIEW),
        shown or [("the only slice", single)],
        spacing_um=(spacing[1], spacing[2]),
        title=f"{task.name}: pairs as the package shows them",
    )


STEP = Step(
    name="export_manual_align",
    function=export_manual_align,
    parameters=ExportManualAlignParameters,
    summary="Pictures and transforms to align by hand",
    description="Writes averages and vertical sections of every slice and of every two neighbours at the depth where "
    "they match, with the transforms that registration found. What a person makes of them, a folder "
    "slice_z<id>/ for each pair, goes back through manual_transforms_dir: transform.tfm in full-resolution pixels, "
    "offsets.txt with the matching planes, pairwise_registration_metrics.json with source manual.",
    inputs=(
        Input("slices", "slices on the common canvas (slice_z*.ome.zarr), or folders that hold them", kind="paths"),
        Input("pairs", "folders of registered pairs, or folders that hold them", kind="paths", required=False),
    ),
    outputs={
        PACKAGE: "aips, aips_xz, aips_yz, transforms and manual_align_metadata.json",
        PREVIEW: "the first pairs",
    },
)
