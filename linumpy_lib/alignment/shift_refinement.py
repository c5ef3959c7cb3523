"""Steps that the stage does not vouch for, measured in the images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.phase_correlation import Offset, ShiftFit, find_shift
from linumpy_lib.alignment.placement import PlacedStep, SliceFacts
from linumpy_lib.blocks import grid
from linumpy_lib.io import Volume

Array = npt.NDArray[Any]

# Planes that are averaged: enough against speckle, thin enough to show one depth.
_PLANES = 16
_COARSE_SIDE = 1024
_BLOCK = 512
# Pixels around a start that are searched again, and by how much a distant match has to beat them.
_NEAR_PX = 12.0
_CLEARLY_BETTER = 0.05


@dataclass(frozen=True)
class Measured:
    """Outcome of looking at the images of one step.

    Attributes
    ----------
    step : PlacedStep
        The step, measured if the measurement was accepted.
    correlation : float
        Of the images at the best place.
    discrepancy_px : float
        Distance of that place from where the step would have put the slice, pixels of the slices.
    refused : str
        Why the measurement was not accepted; empty if it was.
    """

    step: PlacedStep
    correlation: float
    discrepancy_px: float
    refused: str = ""


def common_planes(fixed: SliceFacts, moving: SliceFacts, distance_um: float) -> tuple[slice, slice]:
    """Planes of two slices that show the same tissue, or as nearly as there are.

    Parameters
    ----------
    fixed, moving : SliceFacts
        The slices.
    distance_um : float
        How much deeper the moving slice's first plane lies.

    Returns
    -------
    slice, slice
        Planes of the fixed and of the moving slice. Where the fixed slice is deeper than the distance, the same depths;
        else its deepest fifth and the moving slice's topmost fifth.
    """
    lower = round(distance_um / fixed.spacing_um[0])
    shared = min(fixed.shape[0] - lower, moving.shape[0])
    if shared >= 2:
        count = min(shared, _PLANES)
        return slice(lower, lower + count), slice(0, count)
    ends = [min(_PLANES, max(1, s.shape[0] // 5)) for s in (fixed, moving)]
    return slice(fixed.shape[0] - ends[0], fixed.shape[0]), slice(0, ends[1])


def mean_plane(volume: Volume, planes: slice, rows: slice, columns: slice, bin_px: int = 1) -> Array:
    """Average planes of a volume, and squares of pixels, block by block.

    Parameters
    ----------
    volume : Volume
        (z, y, x).
    planes, rows, columns : slice
        What is averaged.
    bin_px : int
        Side of the squares; what is left over at the far edges is dropped.

    Returns
    -------
    ndarray of float32, shape (rows // bin_px, columns // bin_px)
    """
    size = ((rows.stop - rows.start) // bin_px, (columns.stop - columns.start) // bin_px)
    out = np.empty(size, np.float32)
    side = max(1, _BLOCK // bin_px)
    for box in grid(size, (min(side, size[0]), min(side, size[1]))):
        source = tuple(
            slice(part.start + b.start * bin_px, part.start + b.stop * bin_px)
            for part, b in zip((rows, columns), box, strict=True)
        )
        block = volume.read((planes, *source)).mean(axis=0, dtype=np.float32)
        height, width = block.shape[0] // bin_px, block.shape[1] // bin_px
        out[box] = block.reshape(height, bin_px, width, bin_px).mean(axis=(1, 3), dtype=np.float32)
    return out


def measure_offset(
    fixed: Volume, moving: Volume, planes: tuple[slice, slice], starts: Sequence[Offset]
) -> tuple[ShiftFit, ShiftFit]:
    """Find where the moving slice lies in the fixed one.

    Large slices are searched at a coarser pixel and measured again in a central window at their own. A distant match
    has to beat the neighbourhood of the starts clearly, since noise has many distant places to match by chance.

    Parameters
    ----------
    fixed, moving : Volume
        Slices of the same voxel size.
    planes : (slice, slice)
        Planes to compare.
    starts : sequence of (float, float)
        Offsets (y, x) in pixels that the records suggest.

    Returns
    -------
    found, start : ShiftFit
        The best offset, and what the first start is worth, refined.
    """
    bin_px = max(1, math.ceil(max(*fixed.shape[1:], *moving.shape[1:]) / _COARSE_SIDE))
    pictures = [
        mean_plane(volume, part, slice(0, volume.shape[1]), slice(0, volume.shape[2]), bin_px)
        for volume, part in zip((fixed, moving), planes, strict=True)
    ]
    coarse = [(y / bin_px, x / bin_px) for y, x in starts]
    near = [find_shift(*pictures, starts=(start,), limit_px=_NEAR_PX, around=start) for start in coarse]
    anywhere = find_shift(*pictures, starts=tuple(coarse))
    best = max(near, key=lambda fit: fit.correlation)
    if anywhere.correlation > best.correlation + _CLEARLY_BETTER:
        best = anywhere
    fits = [replace(fit, offset=(fit.offset[0] * bin_px, fit.offset[1] * bin_px)) for fit in (best, near[0])]
    if bin_px > 1 and fits[0].correlation > 0:
        fits[0] = _measured_finely(fixed, moving, planes, fits[0], bin_px)
    return fits[0], fits[1]


def _measured_finely(
    fixed: Volume, moving: Volume, planes: tuple[slice, slice], coarse: ShiftFit, bin_px: int
) -> ShiftFit:
    """Measure again at full resolution, in the middle of what overlaps."""
    whole = (round(coarse.offset[0]), round(coarse.offset[1]))
    boxes: list[tuple[slice, slice]] = []
    for n_fixed, n_moving, o in zip(fixed.shape[1:], moving.shape[1:], whole, strict=True):
        low, high = max(0, o), min(n_fixed, n_moving + o)
        middle, half = (low + high) // 2, min(_COARSE_SIDE, high - low) // 2
        boxes.append((slice(middle - half, middle + half), slice(middle - half - o, middle + half - o)))
    window = [mean_plane(volume, planes[k], boxes[0][k], boxes[1][k]) for k, volume in enumerate((fixed, moving))]
    fit = find_shift(window[0], window[1], starts=((0.0, 0.0),), limit_px=2.0 * bin_px)
    if fit.correlation <= 0:
        return coarse
    return ShiftFit((whole[0] + fit.offset[0], whole[1] + fit.offset[1]), coarse.correlation, coarse.overlap)


def refine_step(
    step: PlacedStep,
    volumes: tuple[Volume, Volume],
    facts: tuple[SliceFacts, SliceFacts],
    *,
    interval_um: float,
    min_correlation: float,
    max_discrepancy_px: float,
) -> Measured:
    """Measure one step in the images.

    Parameters
    ----------
    step : PlacedStep
        What the records say.
    volumes, facts : pair
        Fixed and moving slice.
    interval_um : float
        Distance in depth of consecutive ids.
    min_correlation : float
        Correlation below which the images are not believed.
    max_discrepancy_px : float
        Largest distance from the recorded step that is believed, pixels of the slices; 0 is any.

    Returns
    -------
    Measured
        Never a step that correlates less than the recorded one.
    """
    fixed, moving = facts
    spacing = np.array(moving.spacing_um[1:])
    corner = np.array(moving.frame.origin_um[1:]) - np.array(fixed.frame.origin_um[1:])
    starts = [
        (float(y), float(x))
        for y, x in ((np.array(one) + corner) / spacing for one in (step.step_um, *step.candidates_um))
    ]
    planes = common_planes(fixed, moving, interval_um * (step.moving_id - step.fixed_id))
    found, start = measure_offset(*volumes, planes, starts)
    distance = math.dist(found.offset, starts[0])
    refused = ""
    if found.correlation < min_correlation:
        refused = f"correlation {found.correlation:.2f} is below {min_correlation:g}"
    elif max_discrepancy_px > 0 and distance > max_discrepancy_px:
        refused = f"it lies {distance:.1f} px from the recorded step, more than {max_discrepancy_px:g}"
    elif found.correlation < start.correlation:
        refused = "the recorded step correlates better"
    if refused:
        return Measured(replace(step, correlation=start.correlation), found.correlation, distance, refused)
    y, x = (np.array(found.offset) * spacing - corner).tolist()
    return Measured(
        replace(step, step_um=(y, x), source="image", correlation=found.correlation), found.correlation, distance
    )
