"""Pairs that a person aligned, in full resolution voxels of the slices: reading them, and refining them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from linumpy_lib.alignment.pair import PairResult, PairSettings, canvas_motion, check_pair, register
from linumpy_lib.alignment.pair_folder import PairRecord, pair_folders, read_pair
from linumpy_lib.alignment.rigid import image_centre
from linumpy_lib.errors import InputError
from linumpy_lib.io.volume import Volume


@dataclass(frozen=True)
class RefinedPair:
    """A pair before and after.

    Attributes
    ----------
    manual : PairRecord
        As the person left it.
    result : PairResult
        What registration made of it; its correction counts from the canvas.
    moved_px, turned_deg : float
        Difference to the manual transform: at the centre, and as an angle.
    """

    manual: PairRecord
    result: PairResult
    moved_px: float
    turned_deg: float


def read_manual_pairs(folder: Path, ids: Sequence[int]) -> tuple[list[PairRecord], list[str]]:
    """Read the pairs of a folder.

    Parameters
    ----------
    folder : Path
        Holds one folder for each pair (``slice_z03/`` with transform, offsets and figures).
    ids : sequence of int
        Slices that are there, ascending. A pair that names no fixed slice belongs to the one before.

    Returns
    -------
    pairs : list of PairRecord
        Ascending by moving slice.
    notes : list of str
        Pairs that were left out because a slice is not there.

    Raises
    ------
    InputError
        If the folder holds no pair, or one that cannot be read.
    """
    folders = pair_folders([folder])
    if not folders:
        raise InputError(f"{folder}: holds no folder of a pair (slice_z<id>/transform.tfm and its figures); correct it")
    before = dict(zip(ids[1:], ids[:-1], strict=True))
    found, notes = [], []
    for path in folders:
        record = read_pair(path)
        fixed = record.fixed_id if record.fixed_id >= 0 else before.get(record.moving_id, -1)
        if fixed not in ids or record.moving_id not in ids:
            notes.append(f"{path.name} is left out: slice {record.moving_id}, or the one before it, is not there")
            continue
        found.append(replace(record, fixed_id=fixed, source="manual"))
    return sorted(found, key=lambda record: record.moving_id), notes


def refine_pair(volumes: Mapping[int, Volume], record: PairRecord, settings: PairSettings) -> RefinedPair:
    """Register the two slices again, near the manual transform and at its depth.

    Parameters
    ----------
    volumes : mapping of int to Volume
        The slices by id.
    record : PairRecord
        The manual pair.
    settings : PairSettings
        Bounds, from the manual transform on.

    Returns
    -------
    RefinedPair
        The manual transform itself where nothing nearby is better.
    """
    fixed, moving = volumes[record.fixed_id], volumes[record.moving_id]
    frames = check_pair(fixed, moving)
    spacing = fixed.require_spacing()
    origin = canvas_motion(frames[0], frames[1], spacing, image_centre((fixed.shape[1], fixed.shape[2])))
    start = PairResult(
        fixed_id=record.fixed_id,
        moving_id=record.moving_id,
        motion=record.motion,
        origin=origin,
        offset=record.fixed_plane - record.moving_plane,
        fine_offset=record.fine_offset,
        expected=frames[2],
        moving_plane=record.moving_plane,
        correlation=0.0,
        start_correlation=0.0,
        start="manual",
        depth_correlation=0.0,
        sharpness=0.0,
        confidence=1.0,
        overlaps=True,
        depth_found=True,
        refused=False,
        source="manual_refined",
    )
    found = register(fixed, moving, settings, start)
    # the depth is the person's; the canvas is what the figures count from
    result = replace(
        found,
        offset=start.offset,
        fine_offset=record.fine_offset,
        expected=start.expected,
        confidence=1.0,
        depth_found=True,
        source="manual_refined",
    )
    centre = record.motion.centre
    apart = result.motion.apply(centre) - record.motion.apply(centre)
    return RefinedPair(
        record, result, float((apart**2).sum() ** 0.5), result.motion.angle_deg - record.motion.angle_deg
    )
