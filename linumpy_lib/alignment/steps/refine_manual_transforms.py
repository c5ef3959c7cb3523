"""Step: transforms made by hand, refined by registration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.alignment.manual_pairs import RefinedPair
    from linumpy_lib.io import Volume

FOLDER = "manual_transforms"
TABLE = "manual_refinement.csv"
PREVIEW = "{name}_refine_manual_transforms_preview.png"


class RefineManualTransformsParameters(Parameters):
    """What `refine_manual_transforms` lets a user choose."""

    refine_max_translation_px: Annotated[
        float,
        Field(
            description="Farthest that registration may move a slice from where it was put by hand",
            ge=0,
            json_schema_extra={"unit": "px"},
        ),
    ] = 10.0
    refine_max_rotation_deg: Annotated[
        float,
        Field(
            description="Farthest that registration may turn a slice from how it was turned by hand",
            ge=0,
            le=180,
            json_schema_extra={"unit": "deg"},
        ),
    ] = 2.0


def refine_manual_transforms(
    *, slices: list[Path], manual: Path, parameters: RefineManualTransformsParameters, task: Task
) -> None:
    """Write a folder of pairs like the given one."""
    from linumpy_lib.alignment.manual_pairs import read_manual_pairs, refine_pair
    from linumpy_lib.alignment.pair import PairSettings
    from linumpy_lib.alignment.pair_folder import write_pair
    from linumpy_lib.alignment.slice_stores import open_slices
    from linumpy_lib.io.slice_config import slice_name

    volumes, _ = open_slices(slices, STUB_SIZE if task.stub else None)
    records, notes = read_manual_pairs(manual, list(volumes))
    for note in notes:
        task.note(note)
    settings = PairSettings(
        max_translation_px=parameters.refine_max_translation_px,
        max_rotation_deg=parameters.refine_max_rotation_deg,
        first_plane=0,
        try_identity=False,
    )
    task.path(FOLDER).mkdir()
    refined = []
    for record in records:
        one = refine_pair(volumes, record, settings)
        write_pair(task.path(FOLDER) / f"slice_z{slice_name(record.moving_id)}", one.result, "ok")
        refined.append(one)
        if one.result.refused:
            task.note(f"slice {record.moving_id}: a better match lies beyond the bounds; it stays where it was put")
    _table(refined, task)
    task.metric("pairs", len(refined))
    task.metric("pairs_kept", sum(one.moved_px == 0 and one.turned_deg == 0 for one in refined))
    if refined:
        gain = [one.result.correlation - one.result.start_correlation for one in refined]
        task.metric("largest_refinement", round(max(one.moved_px for one in refined), 4), "px")
        task.metric("largest_refinement_rotation", round(max(abs(one.turned_deg) for one in refined), 4), "deg")
        task.metric("mean_correlation_gain", round(sum(gain) / len(gain), 6))
        _picture(volumes, max(refined, key=lambda one: one.moved_px), task)


def _table(refined: list[RefinedPair], task: Task) -> None:
    from linumpy_lib.io.csv_file import write_rows
    from linumpy_lib.io.slice_config import slice_name

    columns = ["fixed_id", "moving_id", "moved_px", "turned_deg", "correlation", "start_correlation", "refused"]
    rows = [
        {
            "fixed_id": slice_name(one.manual.fixed_id),
            "moving_id": slice_name(one.manual.moving_id),
            "moved_px": f"{one.moved_px:.6f}",
            "turned_deg": f"{one.turned_deg:.6f}",
            "correlation": f"{one.result.correlation:.6f}",
            "start_correlation": f"{one.result.start_correlation:.6f}",
            "refused": "true" if one.result.refused else "false",
        }
        for one in refined
    ]
    write_rows(task.path(TABLE), columns, rows)


def _picture(volumes: dict[int, Volume], one: RefinedPair, task: Task) -> None:
    from linumpy_lib.alignment.planar import resample
    from linumpy_lib.alignment.plane_match import mean_plane
    from linumpy_lib.quality.slice_preview import write_panels

    fixed, moving = volumes[one.manual.fixed_id], volumes[one.manual.moving_id]
    _, dy, dx = fixed.require_spacing()
    depths = (min(one.manual.fixed_plane, fixed.shape[0] - 1), min(one.manual.moving_plane, moving.shape[0] - 1))
    still, moved = (mean_plane(v, [z], 0) for v, z in zip((fixed, moving), depths, strict=True))
    box = (slice(0, still.shape[0]), slice(0, still.shape[1]))
    write_panels(
        task.path(PREVIEW),
        [
            (f"slice {one.manual.fixed_id}, plane {depths[0]}", still),
            (f"slice {one.manual.moving_id}, plane {depths[1]}", moved),
            ("difference by hand", still - resample(moved, one.manual.motion, box)),
            ("difference refined", still - resample(moved, one.result.motion, box)),
        ],
        spacing_um=(dy, dx),
        title=f"the pair that moved most: {one.moved_px:.2f} px, {one.turned_deg:.2f}°",
        shared_range=False,
    )


STEP = Step(
    name="refine_manual_transforms",
    function=refine_manual_transforms,
    parameters=RefineManualTransformsParameters,
    summary="Transforms made by hand, refined",
    description="Registers each pair that a person aligned once more, near the transform and at the depth that they "
    "chose. Where nothing within the bounds is more alike, the transform stays as it is. The result takes the place "
    "of the given folder in stack_slices.",
    inputs=(
        Input("slices", "slices on the common canvas (slice_z*.ome.zarr), or folders that hold them", kind="paths"),
        Input("manual", "folder of pairs aligned by hand (slice_z*/)", kind="path"),
    ),
    outputs={
        FOLDER: "a folder for each pair: transform, matching planes and figures",
        TABLE: "how far each pair was moved and turned",
        PREVIEW: "the pair that was moved most, by hand and refined",
    },
)
