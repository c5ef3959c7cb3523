"""Step: stack all slices into one volume."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from linumpy_lib.errors import InputError
from linumpy_lib.params import Parameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.alignment.pair_links import Link
    from linumpy_lib.alignment.placement import SliceFacts
    from linumpy_lib.alignment.rigid import Rigid
    from linumpy_lib.alignment.slice_depths import DepthStep
    from linumpy_lib.alignment.stack_volume import PlacedSlice, StackedVolume
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
    _require_canvas(volumes, facts)

    links, notes = ([], []) if task.stub else _links(pairs, manual, config or {}, facts, parameters)
    for note in notes:
        task.note(note)
    poses = _poses(volumes, facts, links, parameters, task)
    steps = _depths(volumes, facts, links, poses, parameters, spacing)
    stack = _assembled(volumes, facts, links, poses, steps, parameters, task)
    _write(stack, volumes, facts, steps, spacing, parameters, task)
    write_tables(
        task.path(MATCHES), task.path(DECISIONS), stack, links, steps, applied=parameters.apply_pairwise_transforms
    )
    report(stack, links, steps, spacing, task)
    _pictures(stack, parameters, task)


def _require_canvas(volumes: dict[int, Volume], facts: dict[int, SliceFacts]) -> None:
    first = next(iter(volumes))
    for k, volume in volumes.items():
        if volume.shape[1:] != volumes[first].shape[1:]:
            raise InputError(
                f"{volume.name}: {volume.shape[1:]} pixels (y, x), but {volumes[first].name} has "
                f"{volumes[first].shape[1:]}; bring both to one canvas with align_common_space first"
            )
        interval = facts[k].frame.interval_um
        if len(volumes) > 1 and (interval is None or interval <= 0):
            raise InputError(f"{volume.name}: does not tell the cutting interval; run align_common_space first")
        if interval != facts[first].frame.interval_um:
            raise InputError(
                f"{volume.name}: was cut every {interval} um, but {volumes[first].name} every "
                f"{facts[first].frame.interval_um} um; align all slices in one run"
            )


def _pair_folders(paths: list[Path]) -> list[Path]:
    from linumpy_lib.alignment.pair_folder import FIGURES

    found: list[Path] = []
    for path in paths:
        found += [path] if (path / FIGURES).exists() else sorted(p.parent for p in path.glob(f"*/{FIGURES}"))
    return found


def _canvas_motion(facts: SliceFacts, shape: tuple[int, ...]) -> Rigid:
    """Motion from the canvas to the slice's own pixels: what its frame tells."""
    from linumpy_lib.alignment.rigid import Rigid, image_centre

    y, x = (-facts.frame.origin_um[k] / facts.spacing_um[k] for k in (1, 2))
    return Rigid(0.0, (y, x), image_centre((shape[1], shape[2])))


def _links(
    pairs: list[Path] | None,
    manual: Path | None,
    config: dict[int, dict[str, str]],
    facts: dict[int, SliceFacts],
    parameters: StackSlicesParameters,
) -> tuple[list[Link], list[str]]:
    from linumpy_lib.alignment.pair_folder import read_pair
    from linumpy_lib.alignment.pair_links import LinkRules, chosen_records, judge_link, on_canvas
    from linumpy_lib.io.slice_config import is_true

    rules = LinkRules(
        apply=parameters.apply_pairwise_transforms,
        rotation_only=parameters.apply_rotation_only,
        confidence_high=parameters.transform_confidence_high,
        confidence_low=parameters.transform_confidence_low,
        skip_error=parameters.skip_error_transforms,
        skip_warning=parameters.skip_warning_transforms,
        min_correlation=parameters.load_transform_min_zcorr,
        max_rotation_deg=parameters.load_transform_max_rotation,
        translation_min_correlation=parameters.stack_translation_min_zcorr,
        max_translation_px=parameters.stack_max_pairwise_translation,
        weigh=parameters.stack_confidence_weight_translations,
    )
    by_hand = [] if manual is None else [read_pair(path) for path in _pair_folders([manual])]
    if manual is not None and not by_hand:
        raise InputError(f"{manual}: holds no folder of a pair (slice_z<id>/transform.tfm and its figures); correct it")
    by_hand = [one if one.source.startswith("manual") else replace(one, source="manual") for one in by_hand]
    records, notes = chosen_records([read_pair(path) for path in _pair_folders(pairs or [])], by_hand, list(facts))
    links = []
    for record in records:
        fixed, moving = facts[record.fixed_id], facts[record.moving_id]
        change = on_canvas(record.motion, _canvas_motion(fixed, fixed.shape), _canvas_motion(moving, moving.shape))
        excluded = is_true(config.get(record.moving_id, {}).get("auto_excluded", ""))
        links.append(judge_link(record, change, rules, excluded=excluded))
    return links, notes


def _poses(
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    links: list[Link],
    parameters: StackSlicesParameters,
    task: Task,
) -> dict[int, Rigid]:
    """Motion of each slice on the canvas; interpolated ones lie between their neighbours."""
    from linumpy_lib.alignment.rigid import Rigid, between, image_centre
    from linumpy_lib.alignment.slice_poses import PoseRules, slice_poses

    shape = next(iter(volumes.values())).shape
    centre = image_centre((shape[1], shape[2]))
    rules = PoseRules(
        joint=parameters.stack_joint_poses,
        accumulate=parameters.stack_accumulate_translations,
        weigh=parameters.stack_confidence_weight_translations,
        max_rotation_deg=parameters.max_rotation_deg,
        max_drift_px=parameters.stack_max_cumulative_drift_px,
        rotation_window=parameters.stack_smooth_window,
        translation_sigma=parameters.stack_translation_smooth_sigma,
    )
    real = [k for k in volumes if not facts[k].frame.interpolated]
    poses = slice_poses(real, links, rules, centre)
    for what, clamped in (
        (f"rotation is cut to max_rotation_deg ({rules.max_rotation_deg:g})", poses.clamped_rotation),
        (f"translation is cut to stack_max_cumulative_drift_px ({rules.max_drift_px:g})", poses.clamped_translation),
    ):
        if clamped:
            task.note(f"slices {', '.join(map(str, clamped))}: {what}")
    motions = dict(poses.motions)
    for k in volumes:
        if k in motions:
            continue
        above, below = max((r for r in real if r < k), default=None), min((r for r in real if r > k), default=None)
        if above is None or below is None:
            motions[k] = motions[above if above is not None else below] if real else Rigid(centre=centre)  # type: ignore[index]
        else:
            motions[k] = between(motions[above], motions[below], (k - above) / (below - above))
    return {k: motions[k] for k in volumes}


def _depths(
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    links: list[Link],
    poses: dict[int, Rigid],
    parameters: StackSlicesParameters,
    spacing: tuple[float, float, float],
) -> list[DepthStep]:
    from linumpy_lib.alignment.slice_depths import DepthStep, measured_steps, repaired_steps

    by_pair = {link.ids: link for link in links}
    expected = []
    for pair in pairwise(volumes):
        interval = facts[pair[0]].frame.interval_um or 0.0
        apart = (pair[1] - pair[0]) * interval / spacing[0]
        link = by_pair.get(pair)
        trust = None if link is None else link.record.confidence
        seen = None if link is None else link.record.correlation
        expected.append(DepthStep(*pair, apart, apart, confidence=trust, correlation=seen))
    if parameters.use_expected_z_overlap:
        return expected
    registered = {link.ids: link.record.fine_offset for link in links if link.use != "none" and link.record.depth_found}

    def search(fixed_id: int, moving_id: int) -> tuple[float, float] | None:
        if facts[fixed_id].frame.interpolated or facts[moving_id].frame.interpolated:
            return None
        return _searched_depth(volumes, facts, poses, (fixed_id, moving_id), parameters, spacing)

    steps = measured_steps(expected, registered, search, parameters.z_overlap_min_corr)
    return repaired_steps(steps, parameters.transform_confidence_high)


def _searched_depth(
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    poses: dict[int, Rigid],
    pair: tuple[int, int],
    parameters: StackSlicesParameters,
    spacing: tuple[float, float, float],
) -> tuple[float, float] | None:
    """Distance of the tops of two slices as their images tell it, and the correlation there; None if none is seen."""
    from linumpy_lib.alignment.pair import DepthSearch
    from linumpy_lib.alignment.plane_match import plan_depths

    fixed, moving = (volumes[k] for k in pair)
    expected = (pair[1] - pair[0]) * (facts[pair[0]].frame.interval_um or 0.0) / spacing[0]
    reach = 1000 * parameters.stack_z_search_mm / spacing[0]
    depths = plan_depths(fixed.shape[0], moving.shape[0], expected, reach, parameters.stack_first_plane, 8)
    if not depths.offsets:
        return None
    own = [_canvas_motion(facts[k], facts[k].shape).after(poses[k]) for k in pair]
    match = DepthSearch(fixed, moving, depths).at(own[1].after(own[0].inverse()))
    return None if match.at_limit else (match.fine_offset, match.correlation)


def _assembled(
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    links: list[Link],
    poses: dict[int, Rigid],
    steps: list[DepthStep],
    parameters: StackSlicesParameters,
    task: Task,
) -> StackedVolume:
    from linumpy_lib.alignment.rigid import Rigid
    from linumpy_lib.alignment.slice_depths import tops
    from linumpy_lib.alignment.slice_overlap import gains, remaining_shifts
    from linumpy_lib.alignment.stack_volume import PlacedSlice, StackedVolume, extent

    ids = list(volumes)
    top = tops(ids, steps)
    by_pair = {link.ids: link for link in links}
    placed: list[PlacedSlice] = []
    bottom = 0
    for k in ids:
        start = min(top[k] + parameters.stack_first_plane, max(top[k], bottom))
        stop = max(start, bottom) if parameters.stack_blend_enabled else start
        pose = _canvas_motion(facts[k], facts[k].shape).after(poses[k])
        placed.append(PlacedSlice(k, volumes[k], top[k], pose, ramp=(start, stop)))
        bottom = max(bottom, top[k] + volumes[k].shape[0])
    for k, (above, below) in enumerate(pairwise(placed)):
        link = by_pair.get((above.slice_id, below.slice_id))
        slide = 0
        if link is not None and parameters.use_expected_z_overlap and link.record.depth_found and link.use != "none":
            slide = round(link.record.fine_offset - (below.top - above.top))
        most = parameters.stack_blend_z_refine_vox
        if abs(slide) > most or (
            link is not None and link.record.confidence < parameters.blend_z_refine_min_confidence
        ):
            slide = 0
        placed[k] = replace(above, slide=slide, next_ramp=below.ramp)

    def stacked() -> StackedVolume:
        canvas = volumes[ids[0]].shape
        corner, size = extent([one.pose for one in placed], (canvas[1], canvas[2]))
        return StackedVolume(tuple(placed), (bottom, *size), corner)

    if parameters.blend_refinement_px > 0 and not task.stub:
        shifts = remaining_shifts(stacked(), parameters.blend_refinement_px)
        placed = [
            replace(one, pose=one.pose.after(Rigid(0.0, shift, one.pose.centre)))
            for one, shift in zip(placed, shifts, strict=True)
        ]
        task.metric("overlap_refinement", round(max(abs(v) for shift in shifts for v in shift), 4), "px")
    if parameters.stack_match_intensity and not task.stub:
        factors, ratios = gains(stacked())
        placed = [replace(one, gain=factor) for one, factor in zip(placed, factors, strict=True)]
        if ratios:
            task.metric(
                "overlap_brightness_ratio", round(float(sum(ratios) / len(ratios)), 4), "lower over upper slice"
            )
    return stacked()


def _write(
    stack: StackedVolume,
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    steps: list[DepthStep],
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
