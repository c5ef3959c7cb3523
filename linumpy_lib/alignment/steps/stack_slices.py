"""Step: stack all slices into one volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.alignment.placement import SliceFacts
    from linumpy_lib.alignment.stack_volume import StackedVolume
    from linumpy_lib.io import Volume

VOLUME = "{name}.ome.zarr"
ARCHIVE = "{name}.ome.zarr.zip"
PREVIEW = "{name}.png"
ANNOTATED = "{name}_annotated.png"
MATCHES = "z_matches.csv"
DECISIONS = "stacking_decisions.csv"


def _unit(name: str) -> dict[str, Any]:
    return {"unit": name}


class StackSlicesParameters(Parameters):
    """What `stack_slices` lets a user choose."""

    apply_pairwise_transforms: Annotated[
        bool,
        Field(description="Move and turn slices as the registered pairs tell; false leaves them where the stage was"),
    ] = True
    apply_rotation_only: Annotated[
        bool, Field(description="Take only the rotation of registered pairs; the stage tells the translation")
    ] = False
    skip_error_transforms: Annotated[bool, Field(description="Leave out pairs whose registration failed")] = True
    skip_warning_transforms: Annotated[bool, Field(description="Leave out pairs whose registration is doubtful")] = True
    transform_confidence_high: Annotated[
        float, Field(description="Confidence from which a pair is believed entirely", ge=0, le=1)
    ] = 0.6
    transform_confidence_low: Annotated[
        float,
        Field(
            description="Confidence below which a pair is left out; between the two only its rotation counts",
            ge=0,
            le=1,
        ),
    ] = 0.3
    load_transform_min_zcorr: Annotated[
        float,
        Field(
            description="Least z_correlation of a pair; with load_transform_max_rotation it takes the place of the "
            "status; 0 is none",
            ge=0,
            le=1,
        ),
    ] = 0.0
    load_transform_max_rotation: Annotated[
        float,
        Field(
            description="Largest rotation of a pair; see load_transform_min_zcorr; 0 is any",
            ge=0,
            le=180,
            json_schema_extra=_unit("deg"),
        ),
    ] = 0.0
    stack_translation_min_zcorr: Annotated[
        float, Field(description="Least z_correlation of a pair whose translation counts", ge=0, le=1)
    ] = 0.2
    stack_max_pairwise_translation: Annotated[
        float,
        Field(
            description="A translation that reaches 95 % of this has run into its bound and is ignored; 0 is any",
            ge=0,
            json_schema_extra=_unit("px"),
        ),
    ] = 0.0
    stack_joint_poses: Annotated[
        bool,
        Field(
            description="Estimate all poses together from all pairs and the stage positions, so that errors do not add "
            "up; false adds the pairs up along the stack and smooths"
        ),
    ] = True
    stack_pair_reach: Annotated[
        int,
        Field(
            description="Places in the stack up to which two slices are registered, if they share planes; more than 1 "
            "keeps errors of neighbours from adding up (stack_joint_poses)",
            ge=1,
            le=10,
            json_schema_extra=_unit("slices"),
        ),
    ] = 2
    stack_accumulate_translations: Annotated[
        bool, Field(description="A slice's translation carries on to those below it; false moves each slice by itself")
    ] = True
    stack_confidence_weight_translations: Annotated[bool, Field(description="Weigh pairs by their confidence")] = True
    max_rotation_deg: Annotated[
        float, Field(description="Largest rotation of a slice", ge=0, le=180, json_schema_extra=_unit("deg"))
    ] = 5.0
    stack_max_cumulative_drift_px: Annotated[
        float,
        Field(
            description="Farthest that a slice is moved from its stage position; 0 is any",
            ge=0,
            json_schema_extra=_unit("px"),
        ),
    ] = 50.0
    stack_smooth_window: Annotated[
        int,
        Field(
            description="Slices over which rotations are averaged when stack_joint_poses is false; 0 or 1 is none",
            ge=0,
            le=1000,
            json_schema_extra=_unit("slices"),
        ),
    ] = 5
    stack_translation_smooth_sigma: Annotated[
        float,
        Field(
            description="Gaussian smoothing of translations along the stack when stack_joint_poses is false; 0 is none",
            ge=0,
            le=1000,
            json_schema_extra=_unit("slices"),
        ),
    ] = 3.0
    use_expected_z_overlap: Annotated[
        bool,
        Field(description="Depths from the cutting interval; false takes them from the registrations, else the images"),
    ] = True
    z_overlap_min_corr: Annotated[
        float,
        Field(description="Least correlation of planes when depths are searched in the images", ge=0, le=1),
    ] = 0.5
    stack_z_search_mm: Annotated[
        float,
        Field(
            description="How far from the cutting interval depths are searched in the images",
            ge=0,
            json_schema_extra=_unit("mm"),
        ),
    ] = 0.1
    stack_blend_enabled: Annotated[
        bool, Field(description="Blend slices over the planes that both show (Hann); false takes over at once")
    ] = True
    stack_first_plane: Annotated[
        int,
        Field(
            description="First planes of a slice that the cut disturbed: taken from the slice above where it has them",
            ge=0,
            json_schema_extra=_unit("planes"),
        ),
    ] = 4
    stack_blend_z_refine_vox: Annotated[
        int,
        Field(
            description="Most planes by which the deep end of a slice may slide to show what the next slice shows "
            "(use_expected_z_overlap); 0 is none",
            ge=0,
            json_schema_extra=_unit("planes"),
        ),
    ] = 5
    blend_z_refine_min_confidence: Annotated[
        float, Field(description="Least confidence of a pair whose depth is used for that", ge=0, le=1)
    ] = 0.5
    blend_refinement_px: Annotated[
        float,
        Field(
            description="Largest shift seen in the overlaps after all else that is still taken out; 0 is none",
            ge=0,
            json_schema_extra=_unit("px"),
        ),
    ] = 0.0
    stack_match_intensity: Annotated[
        bool, Field(description="Even out the brightness of slices where they overlap, without drift along the stack")
    ] = True
    pyramid_resolutions: Annotated[
        str,
        Field(
            description="Resolutions of the levels below the full one; those not coarser are left out",
            pattern=r"^\s*\d+(\.\d+)?(\s*,\s*\d+(\.\d+)?)*\s*$",
            json_schema_extra={"unit": "um", "form": "numbers separated by commas"},
        ),
    ] = "10,25,50,100"
    pyramid_n_levels: Annotated[
        int, Field(description="Number of levels by halving, instead of pyramid_resolutions; 0 uses those", ge=0, le=16)
    ] = 0
    annotated_label_every: Annotated[
        int,
        Field(description="Name every n-th slice in the annotated preview", ge=1, json_schema_extra=_unit("slices")),
    ] = 1
    annotated_show_lines: Annotated[bool, Field(description="Draw where slices begin in the annotated preview")] = False


def stack_slices(
    *,
    slices: list[Path],
    pairs: list[Path] | None,
    manual: Path | None,
    slice_config: Path | None,
    parameters: StackSlicesParameters,
    task: Task,
) -> None:
    """Write the volume, its archive, its previews and what was decided for every slice.

    Parameters
    ----------
    slices : list of Path
        Slices on the common canvas, interpolated ones among them.
    pairs : list of Path, optional
        Folders of registered pairs, or folders that hold them.
    manual : Path, optional
        Folder of pairs that were aligned by hand; each takes the place of the registered one.
    slice_config : Path, optional
        Table of slices; rows marked ``auto_excluded`` stay at their stage positions.
    parameters : StackSlicesParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If slices do not fit together, or none is left.
    """
    from linumpy_lib.alignment import stack_plan as plan
    from linumpy_lib.alignment.common_space import require_alike
    from linumpy_lib.alignment.slice_selection import select_slices
    from linumpy_lib.alignment.slice_stores import open_slices
    from linumpy_lib.alignment.stack_report import report, write_tables
    from linumpy_lib.io.slice_config import read_slice_config

    volumes, facts = open_slices(slices, STUB_SIZE if task.stub else None)
    config = None if slice_config is None else read_slice_config(slice_config)
    # a slice that was made from its neighbours is listed as unused because it was never recorded
    made = {k for k, one in facts.items() if one.frame.interpolated}
    listed = None if config is None else {k: row | {"use": "true"} if k in made else row for k, row in config.items()}
    selection = select_slices(volumes, listed, slice_config, "")
    for note in selection.notes:
        task.note(note)
    ids = selection.used
    volumes, facts = {k: volumes[k] for k in ids}, {k: facts[k] for k in ids}
    spacing = require_alike(facts, {k: volumes[k].path or Path(volumes[k].name) for k in ids})
    plan.require_canvas(volumes, facts)

    links, notes = ([], []) if task.stub else plan.links(pairs, manual, config or {}, facts, parameters)
    for note in notes:
        task.note(note)
    poses = plan.poses(volumes, facts, links, parameters, task)
    steps = plan.depths(volumes, facts, links, poses, parameters, spacing)
    stack = plan.assembled(volumes, facts, links, poses, steps, parameters, task)
    _write(stack, volumes, facts, spacing, parameters, task)
    write_tables(
        task.path(MATCHES), task.path(DECISIONS), stack, links, steps, applied=parameters.apply_pairwise_transforms
    )
    report(stack, links, steps, spacing, task)
    _pictures(stack, parameters, task)


def _write(
    stack: StackedVolume,
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    spacing: tuple[float, float, float],
    parameters: StackSlicesParameters,
    task: Task,
) -> None:
    from linumpy_lib import blocks
    from linumpy_lib.alignment.stack_report import boundaries
    from linumpy_lib.io import VolumeWriter, content_digest, zip_store

    inputs = {f"slice {k}": content_digest(v.path) for k, v in volumes.items() if v.path is not None}
    records = [
        {
            "slice_id": one.slice_id,
            "first_plane": one.top,
            "planes": one.volume.shape[0],
            "interpolated": facts[one.slice_id].frame.interpolated,
            "rotation_deg": round(one.pose.angle_deg, 6),
            "gain": round(one.gain, 6),
        }
        for one in stack.slices
    ]
    by_halving = parameters.pyramid_n_levels > 0
    targets = [float(word) for word in parameters.pyramid_resolutions.split(",")]
    with VolumeWriter(
        task.path(VOLUME),
        shape=stack.shape,
        dtype="float32",
        spacing_um=spacing,
        pyramid="powers" if by_halving else targets,
        levels=parameters.pyramid_n_levels if by_halving else None,
        origin_um=(0.0, stack.corner[0] * spacing[1], stack.corner[1] * spacing[2]),
        threads=task.threads,
        provenance={
            **task.provenance,
            "inputs": inputs,
            "slice_boundaries": boundaries(stack),
            "slices": records,
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
    zip_store(task.path(VOLUME), task.path(ARCHIVE))


def _pictures(stack: StackedVolume, parameters: StackSlicesParameters, task: Task) -> None:
    from linumpy_lib.alignment.stack_report import bands
    from linumpy_lib.io import open_volume
    from linumpy_lib.quality.stack_preview import save_annotated_preview, save_stack_preview

    volume = open_volume(task.path(VOLUME))
    save_stack_preview(task.path(PREVIEW), volume, task.name)
    save_annotated_preview(
        task.path(ANNOTATED),
        volume,
        bands(stack),
        task.name,
        every=parameters.annotated_label_every,
        lines=parameters.annotated_show_lines,
    )


STEP = Step(
    name="stack_slices",
    function=stack_slices,
    parameters=StackSlicesParameters,
    summary="All slices as one volume",
    description="Every slice takes the depth that the cutting interval, the registrations or the images tell, and "
    "the pose that follows from the registered pairs and the stage positions together. Slices are blended over the "
    "planes that both show. Ids that are missing keep their thickness. Stage positions are kept for slices that no "
    "believed pair moves; stacking_decisions.csv tells which and why.",
    inputs=(
        Input("slices", "slices on the common canvas (slice_z*.ome.zarr), or folders that hold them", kind="paths"),
        Input("pairs", "folders of registered pairs (slice_z*_pairwise_registration)", kind="paths", required=False),
        Input("manual", "folder of pairs aligned by hand (slice_z*/)", kind="path", required=False),
        Input("slice_config", "slice_config.csv", kind="path", required=False),
    ),
    outputs={
        VOLUME: "the volume (float32): full resolution and analysis levels",
        ARCHIVE: "the same store as one zip",
        PREVIEW: "middle planes",
        ANNOTATED: "vertical sections with the slices named",
        MATCHES: "overlap of each pair of neighbours",
        DECISIONS: "what was decided for each slice, and why",
    },
)
