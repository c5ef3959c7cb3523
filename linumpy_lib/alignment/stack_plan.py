"""From slices and registered pairs to a planned stack: which pairs count, poses, depths, ramps and gains."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from linumpy_lib.alignment.pair import DepthSearch
from linumpy_lib.alignment.pair_folder import pair_folders, read_pair
from linumpy_lib.alignment.pair_links import Link, LinkRules, chosen_records, judge_link, on_canvas
from linumpy_lib.alignment.placement import SliceFacts
from linumpy_lib.alignment.plane_match import plan_depths
from linumpy_lib.alignment.rigid import Rigid, between, image_centre
from linumpy_lib.alignment.slice_depths import DepthStep, measured_steps, repaired_steps, tops
from linumpy_lib.alignment.slice_overlap import gains, remaining_shifts
from linumpy_lib.alignment.slice_poses import PoseRules, slice_poses
from linumpy_lib.alignment.stack_volume import PlacedSlice, StackedVolume, extent
from linumpy_lib.errors import InputError
from linumpy_lib.io import Volume
from linumpy_lib.io.slice_config import is_true
from linumpy_lib.step import Task

if TYPE_CHECKING:
    from linumpy_lib.alignment.steps.stack_slices import StackSlicesParameters


def require_canvas(volumes: dict[int, Volume], facts: dict[int, SliceFacts]) -> None:
    """Refuse slices that are not on one canvas or were cut at different intervals.

    Raises
    ------
    InputError
        Naming the slice and the remedy.
    """
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


def _canvas_motion(facts: SliceFacts, shape: tuple[int, ...]) -> Rigid:
    """Motion from the canvas to the slice's own pixels: what its frame tells."""
    y, x = (-facts.frame.origin_um[k] / facts.spacing_um[k] for k in (1, 2))
    return Rigid(0.0, (y, x), image_centre((shape[1], shape[2])))


def links(
    pairs: list[Path] | None,
    manual: Path | None,
    config: dict[int, dict[str, str]],
    facts: dict[int, SliceFacts],
    parameters: StackSlicesParameters,
) -> tuple[list[Link], list[str]]:
    """Read the pairs and decide what of each is believed.

    Parameters
    ----------
    pairs : list of Path, optional
        Folders of pairs, or folders that hold them.
    manual : Path, optional
        Folder of pairs that were aligned by hand; each takes the place of the registered one.
    config : dict
        Rows of slice_config.csv by slice.
    facts : dict of int to SliceFacts
        The slices, ascending.
    parameters : StackSlicesParameters
        The rules.

    Returns
    -------
    links : list of Link
    notes : list of str
        Pairs that were left out because a slice is not there.
    """
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
    by_hand = [] if manual is None else [read_pair(path) for path in pair_folders([manual])]
    if manual is not None and not by_hand:
        raise InputError(f"{manual}: holds no folder of a pair (slice_z<id>/transform.tfm and its figures); correct it")
    by_hand = [one if one.source.startswith("manual") else replace(one, source="manual") for one in by_hand]
    records, notes = chosen_records(
        [read_pair(path) for path in pair_folders(pairs or [])], by_hand, list(facts), parameters.stack_pair_reach
    )
    links = []
    for record in records:
        fixed, moving = facts[record.fixed_id], facts[record.moving_id]
        change = on_canvas(record.motion, _canvas_motion(fixed, fixed.shape), _canvas_motion(moving, moving.shape))
        excluded = is_true(config.get(record.moving_id, {}).get("auto_excluded", ""))
        links.append(judge_link(record, change, rules, excluded=excluded))
    return links, notes


def poses(
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    links: list[Link],
    parameters: StackSlicesParameters,
    task: Task,
) -> dict[int, Rigid]:
    """Motion of each slice on the canvas; interpolated ones lie between their neighbours."""
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


def depths(
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    links: list[Link],
    poses: dict[int, Rigid],
    parameters: StackSlicesParameters,
    spacing: tuple[float, float, float],
) -> list[DepthStep]:
    """Distance of the tops of neighbours: expected, registered, or seen in the images.

    Returns
    -------
    list of DepthStep
        One for each two neighbours, from the top down.
    """
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
    fixed, moving = (volumes[k] for k in pair)
    expected = (pair[1] - pair[0]) * (facts[pair[0]].frame.interval_um or 0.0) / spacing[0]
    reach = 1000 * parameters.stack_z_search_mm / spacing[0]
    depths = plan_depths(fixed.shape[0], moving.shape[0], expected, reach, parameters.stack_first_plane, 8)
    if not depths.offsets:
        return None
    own = [_canvas_motion(facts[k], facts[k].shape).after(poses[k]) for k in pair]
    match = DepthSearch(fixed, moving, depths).at(own[1].after(own[0].inverse()))
    return None if match.at_limit else (match.fine_offset, match.correlation)


def assembled(
    volumes: dict[int, Volume],
    facts: dict[int, SliceFacts],
    links: list[Link],
    poses: dict[int, Rigid],
    steps: list[DepthStep],
    parameters: StackSlicesParameters,
    task: Task,
) -> StackedVolume:
    """Put slices, poses and depths together; decide ramps, slides and gains.

    Returns
    -------
    StackedVolume
        Ready to be read.
    """
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

    apart = [(a.slice_id, b.slice_id) for a, b in pairwise(placed) if b.top > a.bottom and b.slice_id - a.slice_id == 1]
    if apart and not task.stub:
        task.note(
            f"{len(apart)} slices do not reach down to the next one (the first is slice {apart[0][0]}): planes between "
            "them are empty; check registration_slicing_interval_mm and crop_interface_out_depth"
        )

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
