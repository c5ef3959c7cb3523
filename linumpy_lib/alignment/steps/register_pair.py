"""Step: register a slice to the one before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.alignment.pair import PairResult
    from linumpy_lib.io import Volume

FOLDER = "slice_{name}_pairwise_registration"
PREVIEW = "{name}_register_pair_preview.png"


def _unit(name: str) -> dict[str, Any]:
    return {"unit": name}


class RegisterPairParameters(Parameters):
    """What `register_pair` lets a user choose."""

    registration_transform: Annotated[
        Literal["euler", "translation"], Field(description="Rotation and translation, or translation only")
    ] = "euler"
    registration_max_translation: Annotated[
        float,
        Field(description="Largest translation beyond the canvas positions", ge=0, json_schema_extra=_unit("px")),
    ] = 200.0
    registration_max_rotation: Annotated[
        float, Field(description="Largest rotation", ge=0, le=180, json_schema_extra=_unit("deg"))
    ] = 5.0
    registration_initial_alignment: Annotated[
        Literal["both", "none", "com", "gradient"],
        Field(
            description="Starts besides the canvas positions: phase correlation of edges (gradient), centres of mass "
            "(com), both, or none; the best one is refined"
        ),
    ] = "both"
    moving_slice_first_index: Annotated[
        int,
        Field(
            description="First plane of a slice to trust; the cut disturbs those before it",
            ge=0,
            json_schema_extra=_unit("planes"),
        ),
    ] = 4
    registration_allowed_drifting_mm: Annotated[
        float,
        Field(
            description="How far the matching depth may be from what the cutting interval tells",
            ge=0,
            json_schema_extra=_unit("mm"),
        ),
    ] = 0.1
    registration_planes: Annotated[
        int,
        Field(
            description="Most planes of the shared depth to compare; more are steadier and slower",
            ge=1,
            le=1000,
            json_schema_extra=_unit("planes"),
        ),
    ] = 8


def register_pair(*, fixed: Volume, moving: Volume, parameters: RegisterPairParameters, task: Task) -> None:
    """Write the folder of a pair: transform, matching planes, figures."""
    from linumpy_lib.alignment.pair import PairSettings, check_pair, register
    from linumpy_lib.alignment.pair_folder import figures, reliability, write_pair
    from linumpy_lib.quality.thresholds import judge

    settings = PairSettings(
        rotate=parameters.registration_transform == "euler",
        max_translation_px=parameters.registration_max_translation,
        max_rotation_deg=parameters.registration_max_rotation,
        initial=parameters.registration_initial_alignment,
        first_plane=parameters.moving_slice_first_index,
        drift_um=1000 * parameters.registration_allowed_drifting_mm,
        planes=parameters.registration_planes,
    )
    fixed_frame, moving_frame, _ = check_pair(fixed, moving)
    result = register(fixed, moving, settings)
    status: str = reliability(result)
    if fixed_frame.interpolated or moving_frame.interpolated:
        task.note("one of the two slices was interpolated: it says nothing of where the tissue lay; confidence 0")
        result, status = replace(result, confidence=0.0), "error"
    write_pair(task.path(FOLDER), result, status)
    names = {"rotation": "rotation_degrees"}
    for name, (value, unit, _) in figures(result).items():
        task.metric(names.get(name, name), value, unit, **judge(names.get(name, name), value))
    _tell(result, task)
    _picture(fixed, moving, result, task)


def _tell(result: PairResult, task: Task) -> None:
    if not result.overlaps:
        task.note(
            f"slices {result.fixed_id} and {result.moving_id} share no depth; the nearest planes were compared, and "
            "the depth is the expected one"
        )
    elif not result.depth_found:
        task.note(
            f"slices {result.fixed_id} and {result.moving_id}: no matching depth was found; the expected one is used"
        )
    if result.refused:
        task.note(f"slices {result.fixed_id} and {result.moving_id}: a result beyond the bounds was refused")


def _picture(fixed: Volume, moving: Volume, result: PairResult, task: Task) -> None:
    from linumpy_lib.alignment.planar import resample
    from linumpy_lib.alignment.plane_match import mean_plane
    from linumpy_lib.quality.slice_preview import write_panels

    z, dy, dx = fixed.require_spacing()
    depth = min(max(0, result.fixed_plane), fixed.shape[0] - 1)
    still, moved = mean_plane(fixed, [depth], 0), mean_plane(moving, [result.moving_plane], 0)
    box = (slice(0, still.shape[0]), slice(0, still.shape[1]))
    before, after = (still - resample(moved, motion, box) for motion in (result.origin, result.motion))
    write_panels(
        task.path(PREVIEW),
        [
            (f"slice {result.fixed_id}, plane {depth}", still),
            (f"slice {result.moving_id}, plane {result.moving_plane}", moved),
            ("difference before", before),
            ("difference after", after),
        ],
        spacing_um=(dy, dx),
        title=f"correlation {result.correlation:.3f}, {result.correction.angle_deg:.2f}°, "
        f"{result.correction.length:.2f} px, depth {(result.fine_offset - result.expected) * z:+.1f} µm",
        shared_range=False,
    )


STEP = Step(
    name="register_pair",
    function=register_pair,
    parameters=RegisterPairParameters,
    summary="Registration of neighbouring slices",
    description="Finds which depth of the fixed slice a moving slice begins at, and the rotation and translation "
    "between the two, from several planes of the tissue that both show. The result is never worse than the canvas "
    "positions or the identity. The folder holds transform.tfm (ITK, pixels, from fixed to moving), offsets.txt "
    "(matching planes) and pairwise_registration_metrics.json.",
    inputs=(
        Input("fixed", "slice on the common canvas"),
        Input("moving", "the next slice"),
    ),
    outputs={FOLDER: "transform, matching planes and figures of the pair", PREVIEW: "the planes before and after"},
)
