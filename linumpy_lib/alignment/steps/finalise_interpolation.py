"""Step: the table of slices with what became of each gap."""

from __future__ import annotations

from pathlib import Path

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

FINAL = "slice_config_final.csv"


class FinaliseInterpolationParameters(Parameters):
    """What `finalise_interpolation` lets a user choose: nothing."""


def finalise_interpolation(
    *,
    slice_config: Path | None,
    positions: Path | None,
    manifests: list[Path] | None,
    parameters: FinaliseInterpolationParameters,
    task: Task,
) -> None:
    """Merge the manifests into the table."""
    from linumpy_lib.alignment.interpolation_manifest import final_rows, gaps, read_manifests
    from linumpy_lib.io.csv_file import read_rows
    from linumpy_lib.io.slice_config import is_true, read_slice_config, write_slice_config

    config = {} if slice_config is None else read_slice_config(slice_config)
    told = read_manifests(manifests or [])
    wide = {} if positions is None else gaps(positions)
    used = (
        [int(row["slice_id"]) for row in read_rows(positions, ("slice_id", "status")) if row["status"] == "used"]
        if positions is not None
        else []
    )
    rows = final_rows(config, told, wide, used)
    write_slice_config(task.path(FINAL), rows)
    failed = [slice_id for slice_id, row in rows.items() if is_true(str(row["interpolation_failed"]))]
    if failed:
        task.note(f"slices {failed} stay gaps in the volume")
    task.metric("interpolated_slices", sum(is_true(str(row["interpolated"])) for row in rows.values()))
    task.metric("gap_slices", len(failed), status="warning" if failed else "ok")


STEP = Step(
    name="finalise_interpolation",
    function=finalise_interpolation,
    parameters=FinaliseInterpolationParameters,
    summary="The table of slices after interpolation",
    description="Merges the manifests of interpolate_slice into slice_config.csv. Gaps wider than one slice, which are "
    "not interpolated, are marked as well.",
    inputs=(
        Input("slice_config", "slice_config.csv", kind="path", required=False),
        Input("positions", "common_space.csv from align_common_space", kind="path", required=False),
        Input("manifests", "slice_z*_manifest.csv from interpolate_slice", kind="paths", required=False),
    ),
    outputs={FINAL: "slice_config.csv with interpolated, interpolation_failed, the method and the reason"},
)
