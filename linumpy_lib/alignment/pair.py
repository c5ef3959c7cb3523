"""Registration of two neighbouring slices: matching depth, start, refinement, and what may be believed of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from linumpy_lib.alignment.planar import Bounds, Box, Image, content_box, even_details, score, starts
from linumpy_lib.alignment.plane_match import (
    DepthMatch,
    Depths,
    binned_motion,
    binned_planes,
    binning,
    match_depth,
    mean_plane,
    plan_depths,
)
from linumpy_lib.alignment.refinement import polish, search
from linumpy_lib.alignment.rigid import Rigid, image_centre
from linumpy_lib.alignment.slant import without_slant
from linumpy_lib.errors import InputError
from linumpy_lib.io.slice_frame import SliceFrame, slice_frame
from linumpy_lib.io.volume import Volume

Initial = Literal["both", "none", "com", "gradient"]
_ROUNDS = 3
_LEAST_DETAIL = 0.2
_INTERPOLATION = 1e-3
"""Correlation that a shift by a fraction of a pixel wins or loses by smoothing alone."""
_LIKE_TISSUE_UM = 300.0
"""Distance over which tissue changes so much that half of a registration's trust is left."""


@dataclass(frozen=True)
class PairSettings:
    """How a pair is registered; see the parameters of `register_pair`.

    With `try_identity`, the identity is among the starts even where it lies beyond the bounds.
    """

    rotate: bool = True
    max_translation_px: float = 200.0
    max_rotation_deg: float = 5.0
    initial: Initial = "both"
    first_plane: int = 4
    drift_um: float = 100.0
    planes: int = 8
    try_identity: bool = True


@dataclass(frozen=True)
class PairResult:
    """What was found.

    Attributes
    ----------
    fixed_id, moving_id : int
        The slices.
    motion : Rigid
        From fixed to moving voxels of the two stores.
    origin : Rigid
        The same as the positions on the canvas tell it.
    offset, fine_offset, expected : int, float, float
        Fixed plane minus moving plane that shows the same depth: found, found with a fraction, and expected.
    moving_plane : int
        First plane of the moving slice that was compared.
    correlation : float
        Correlation of the averaged matched planes under `motion`.
    start_correlation : float
        The same at the best start.
    start : str
        Which start that was; "start" itself is the result where refinement did not help.
    depth_correlation, sharpness : float
        Mean correlation of single matched planes, and how far it lies above the median over the depths tried.
    confidence : float
        0 to 1.
    overlaps : bool
        Whether the slices share a depth at all; if not, the two nearest planes were registered.
    depth_found : bool
        Whether a maximum along z was found; the expected depth is used otherwise.
    refused : bool
        A result outside the bounds was refused, and a start used instead.
    """

    fixed_id: int
    moving_id: int
    motion: Rigid
    origin: Rigid
    offset: int
    fine_offset: float
    expected: float
    moving_plane: int
    correlation: float
    start_correlation: float
    start: str
    depth_correlation: float
    sharpness: float
    confidence: float
    overlaps: bool
    depth_found: bool
    refused: bool
    source: str = "automated"

    @property
    def fixed_plane(self) -> int:
        """Plane of the fixed slice that shows the depth of `moving_plane`."""
        return self.moving_plane + self.offset

    @property
    def correction(self) -> Rigid:
        """What was found beyond the positions on the canvas, about the centre."""
        return Rigid(
            self.motion.angle_rad - self.origin.angle_rad,
            (self.motion.shift[0] - self.origin.shift[0], self.motion.shift[1] - self.origin.shift[1]),
            self.motion.centre,
        )


def confidence(depth_correlation: float, correction: Rigid, settings: PairSettings) -> float:
    """Trust in a registration, 0 to 1: mostly how alike the planes are, less so how little had to be moved."""
    moved = min(1.0, correction.length / settings.max_translation_px) if settings.max_translation_px else 1.0
    turned = min(1.0, abs(correction.angle_deg) / settings.max_rotation_deg) if settings.max_rotation_deg else 1.0
    return min(1.0, max(0.0, 0.5 * max(0.0, depth_correlation) + 0.3 * (1 - moved) + 0.2 * (1 - turned)))


def canvas_motion(
    fixed: SliceFrame, moving: SliceFrame, spacing_um: tuple[float, ...], centre: tuple[float, float]
) -> Rigid:
    """Motion from fixed to moving voxels that the places of two slices on their common canvas tell."""
    y, x = ((fixed.origin_um[k] - moving.origin_um[k]) / spacing_um[k] for k in (1, 2))
    return Rigid(0.0, (y, x), centre)


def check_pair(fixed: Volume, moving: Volume) -> tuple[SliceFrame, SliceFrame, float]:
    """Read the places of two slices; return them and the distance of their tops in planes.

    Raises
    ------
    InputError
        If the slices are not on one canvas, have different voxel sizes, the same id, or do not know their interval.
    """
    frames = slice_frame(fixed), slice_frame(moving)
    spacing = fixed.require_spacing()
    if any(abs(a - b) > 1e-6 * a for a, b in zip(spacing, moving.require_spacing(), strict=True)):
        raise InputError(
            f"{moving.name}: voxels of {moving.spacing_um} um, those of {fixed.name} have {fixed.spacing_um} um; "
            "resample both to one size"
        )
    if fixed.axes != "zyx" or moving.axes != "zyx" or fixed.shape[1:] != moving.shape[1:]:
        raise InputError(
            f"{moving.name}: shape {moving.shape}, {fixed.name} has {fixed.shape}; bring both to one canvas with "
            "align_common_space first"
        )
    if frames[1].slice_id <= frames[0].slice_id:
        raise InputError(
            f"{moving.name}: is slice {frames[1].slice_id}, which does not come after slice {frames[0].slice_id} of "
            f"{fixed.name}; swap --fixed and --moving"
        )
    interval = frames[1].interval_um if frames[1].interval_um is not None else frames[0].interval_um
    if interval is None or interval <= 0:
        raise InputError(f"{moving.name}: does not tell the cutting interval; run align_common_space first")
    return *frames, (frames[1].slice_id - frames[0].slice_id) * interval / spacing[0]


def register(fixed: Volume, moving: Volume, settings: PairSettings, start: PairResult | None = None) -> PairResult:
    """Register a slice to the one before it.

    Parameters
    ----------
    fixed, moving : Volume
        Slices (z, y, x) on one canvas.
    settings : PairSettings
        Bounds and methods.
    start : PairResult, optional
        A registration to start from, with its depth; bounds then count from it.

    Returns
    -------
    PairResult
        Never one under which the matched planes are less alike than at any of the starts, the canvas positions and
        the identity among them, by more than 0.001, which interpolation alone makes.

    Raises
    ------
    InputError
        If the two do not fit together.
    """
    fixed_frame, moving_frame, expected = check_pair(fixed, moving)
    spacing = fixed.require_spacing()
    centre = image_centre((fixed.shape[1], fixed.shape[2]))
    canvas = canvas_motion(fixed_frame, moving_frame, spacing, centre)
    origin = start.motion if start else canvas
    depths = plan_depths(
        fixed.shape[0],
        moving.shape[0],
        start.offset if start else expected,
        0.0 if start else settings.drift_um / spacing[0],
        settings.first_plane,
        settings.planes,
    )
    if not depths.offsets:
        return _nearest_planes(fixed, moving, (fixed_frame, moving_frame), settings, canvas, origin, depths)
    bounds = Bounds(settings.max_translation_px, math.radians(settings.max_rotation_deg), origin)
    depth_search = DepthSearch(fixed, moving, depths)
    depth = depth_search.at(origin)
    offset = round(depths.expected) if depth.at_limit else depth.offset
    for _ in range(_ROUNDS):
        planes = [z for z in depths.planes if 0 <= z + offset < fixed.shape[0]]
        pictures = mean_plane(fixed, [z + offset for z in planes]), mean_plane(moving, planes)
        found = _align(*pictures, origin, bounds, settings)
        depth = depth_search.at(found.motion)
        again = round(depths.expected) if depth.at_limit else depth.offset
        if again == offset:
            break
        offset = again
    else:
        planes = [z for z in depths.planes if 0 <= z + offset < fixed.shape[0]]
        found = _align(
            mean_plane(fixed, [z + offset for z in planes]), mean_plane(moving, planes), origin, bounds, settings
        )
        depth = depth_search.at(found.motion)
    return _result((fixed_frame, moving_frame), found, canvas, offset, depths, depth, settings)


@dataclass(frozen=True)
class _Alignment:
    motion: Rigid
    correlation: float
    start_correlation: float
    start: str
    refused: bool


def _align(fixed: Image, moving: Image, origin: Rigid, bounds: Bounds, settings: PairSettings) -> _Alignment:
    boxes: tuple[Box, Box] = content_box(fixed), content_box(moving)
    candidates = {
        name: motion
        for name, motion in starts(fixed, moving, boxes, origin, settings.initial).items()
        if name == "canvas" or (name == "identity" and settings.try_identity) or bounds.hold(motion)
    }
    values = {name: score(fixed, moving, motion, boxes) for name, motion in candidates.items()}
    best = max(values, key=lambda name: values[name])
    motion, value, refused = candidates[best], values[best], False
    # the search sees its own, coarser images: what it finds counts only if it is better in ours
    found = search(fixed, moving, candidates[best], boxes, rotate=settings.rotate)
    reached = score(fixed, moving, found, boxes)
    trial = found if reached > value else candidates[best]
    trial = polish(fixed, moving, trial, boxes, rotate=settings.rotate)
    reached = score(fixed, moving, trial, boxes)
    if reached > value:
        if bounds.hold(trial):
            motion, value = trial, reached
        else:
            refused = True
    fine = _on_details(fixed, moving, motion, boxes, rotate=settings.rotate)
    reached = score(fixed, moving, fine, boxes)
    # strictly better on details; on the whole images as good as the start but for what interpolation changes
    if reached >= values[best] - _INTERPOLATION and bounds.hold(fine):
        motion, value = fine, reached
    return _Alignment(motion, value, values[best], best, refused)


def _on_details(fixed: Image, moving: Image, start: Rigid, boxes: tuple[Box, Box], *, rotate: bool) -> Rigid:
    """Polish a motion on what is smaller than a few pixels, if the images share such details.

    The deep planes of a slice lie in the shadow of the tissue above them, the shallow planes of the next one do not:
    that changes brightness over tens of pixels, and would pull the motion along.
    """
    pictures = [even_details(image) for image in (fixed, moving)]
    if score(pictures[0], pictures[1], start, boxes) < _LEAST_DETAIL:
        return start
    return polish(pictures[0], pictures[1], start, boxes, rotate=rotate)


class DepthSearch:
    """The planes that depths are searched in, read once."""

    def __init__(self, fixed: Volume, moving: Volume, depths: Depths) -> None:
        self._depths, self._factor = depths, binning(fixed.shape)
        low = max(0, depths.planes[0] + depths.offsets[0])
        high = min(fixed.shape[0], depths.planes[-1] + depths.offsets[-1] + 1)
        self._low = low
        self._fixed = binned_planes(fixed, low, high, self._factor)
        first = depths.planes[0]
        stack = binned_planes(moving, first, depths.planes[-1] + 1, self._factor)
        self._moving = stack[[z - first for z in depths.planes]]

    def at(self, motion: Rigid) -> DepthMatch:
        """Search with the slices aligned by a motion."""
        return match_depth(self._fixed, self._moving, self._depths, self._low, binned_motion(motion, self._factor))


def _result(
    frames: tuple[SliceFrame, SliceFrame],
    found: _Alignment,
    canvas: Rigid,
    offset: int,
    depths: Depths,
    depth: DepthMatch,
    settings: PairSettings,
) -> PairResult:
    made = PairResult(
        fixed_id=frames[0].slice_id,
        moving_id=frames[1].slice_id,
        motion=found.motion,
        origin=canvas,
        offset=offset,
        fine_offset=depths.expected if depth.at_limit else depth.fine_offset,
        expected=depths.expected,
        moving_plane=depths.planes[0],
        correlation=found.correlation,
        start_correlation=found.start_correlation,
        start=found.start,
        depth_correlation=depth.correlation,
        sharpness=depth.sharpness,
        confidence=0.0,
        overlaps=True,
        depth_found=not depth.at_limit,
        refused=found.refused,
    )
    trust = confidence(made.correlation, made.correction, settings)
    return PairResult(**{**made.__dict__, "confidence": trust})


def _nearest_planes(
    fixed: Volume,
    moving: Volume,
    frames: tuple[SliceFrame, SliceFrame],
    settings: PairSettings,
    canvas: Rigid,
    origin: Rigid,
    depths: Depths,
) -> PairResult:
    """Register the deepest plane of one slice with the first of the next: the nearest that there is across a gap."""
    bounds = Bounds(settings.max_translation_px, math.radians(settings.max_rotation_deg), origin)
    first = depths.planes[0]
    count = min(settings.planes, fixed.shape[0], moving.shape[0] - first, 3)
    last = fixed.shape[0]
    pictures = mean_plane(fixed, range(last - count, last)), mean_plane(moving, range(first, first + count))
    found = _align(*pictures, origin, bounds, settings)
    apart = depths.expected + first - (last - count)
    straight = without_slant(fixed, moving, found.motion, (count, apart), first, rotate=settings.rotate)
    if bounds.hold(straight):
        found = replace(found, motion=straight)
    flat = DepthMatch(round(depths.expected), depths.expected, found.correlation, 0.0, at_limit=True)
    made = _result(frames, found, canvas, round(depths.expected), depths, flat, settings)
    # other tissue is looked at in its stead: the further off, the less it tells
    apart_um = (depths.expected + first - (last - 1)) * fixed.require_spacing()[0]
    trust = made.confidence / (1 + apart_um / _LIKE_TISSUE_UM)
    return PairResult(**{**made.__dict__, "overlaps": False, "confidence": trust})
