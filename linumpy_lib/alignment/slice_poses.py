"""Poses of all slices on the canvas from what the pairs tell: summed along the stack, or of all pairs jointly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.line_solver import Difference, solve_line
from linumpy_lib.alignment.pair_links import Link
from linumpy_lib.alignment.rigid import Rigid

Floats = npt.NDArray[np.float64]

TRANSLATION_NOISE_PX = 0.1
ROTATION_NOISE_DEG = 0.05
_LEAST_SPREAD_PX = 0.5
_LEAST_SPREAD_DEG = 0.1
_COUPLING_ROUNDS = 3


@dataclass(frozen=True)
class PoseRules:
    """How poses follow from pairs; see the parameters of `stack_slices`."""

    joint: bool = True
    accumulate: bool = True
    weigh: bool = True
    max_rotation_deg: float = 5.0
    max_drift_px: float = 50.0
    rotation_window: int = 5
    translation_sigma: float = 3.0


@dataclass(frozen=True)
class Poses:
    """Pose of each slice: the motion from the volume to the slice, on the canvas; and which were cut short."""

    motions: dict[int, Rigid]
    clamped_rotation: tuple[int, ...] = ()
    clamped_translation: tuple[int, ...] = ()


def slice_poses(ids: Sequence[int], links: Sequence[Link], rules: PoseRules, centre: tuple[float, float]) -> Poses:
    """Estimate the pose of every slice.

    Parameters
    ----------
    ids : sequence of int
        Slices, ascending.
    links : sequence of Link
        Judged pairs; with ``joint``, pairs of any distance count, otherwise those of consecutive slices.
    rules : PoseRules
        How.
    centre : (float, float)
        Centre of rotation (y, x), pixels of the canvas.

    Notes
    -----
    Jointly, rotations and then translations are the robust least-squares solution over all pairs, with a weak pull
    towards the canvas positions (`solve_line`). A pair two slices apart tells the sum of two steps with the error of
    one, so errors add up more slowly along the stack.
    """
    index = {slice_id: k for k, slice_id in enumerate(ids)}
    turning = [link for link in links if link.use != "none"]
    moving = [link for link in links if link.use == "full"]
    angles, shifts = (_joint if rules.joint else _chained)(index, turning, moving, rules)
    if not rules.accumulate:
        shifts = _own(index, moving, rules)
    limit = rules.max_rotation_deg
    turned = tuple(slice_id for slice_id in ids if abs(angles[index[slice_id]]) > limit)
    angles = np.clip(angles, -limit, limit)
    length = np.hypot(*shifts.T)
    far = np.zeros(len(ids), bool)
    if rules.max_drift_px > 0:
        far = length > rules.max_drift_px
        shifts[far] *= (rules.max_drift_px / length[far])[:, None]
    motions = {
        slice_id: Rigid(math.radians(angles[k]), (float(shifts[k, 0]), float(shifts[k, 1])), centre)
        for slice_id, k in index.items()
    }
    return Poses(motions, turned, tuple(slice_id for slice_id, k in index.items() if far[k]))


def _turned(shift: Floats, degrees: float) -> Floats:
    return Rigid(math.radians(degrees)).matrix() @ shift


def _joint(
    index: dict[int, int], turning: Sequence[Link], moving: Sequence[Link], rules: PoseRules
) -> tuple[Floats, Floats]:
    count = len(index)
    angles = solve_line(
        count,
        [Difference(index[a], index[b], k.change.angle_deg, k.weight) for k in turning for a, b in [k.ids]],
        ROTATION_NOISE_DEG,
        _LEAST_SPREAD_DEG,
    )
    shifts = np.zeros((count, 2))
    # a pair's translation is seen from a fixed slice that is itself turned: solved by a few passes, angles are small
    for _ in range(_COUPLING_ROUNDS):
        told = [
            np.array(k.change.shift) + _turned(shifts[index[k.ids[0]]], k.change.angle_deg) - shifts[index[k.ids[0]]]
            for k in moving
        ]
        shifts = np.stack(
            [
                solve_line(
                    count,
                    [
                        Difference(index[k.ids[0]], index[k.ids[1]], float(t[axis]), k.weight)
                        for k, t in zip(moving, told, strict=True)
                    ],
                    TRANSLATION_NOISE_PX,
                    _LEAST_SPREAD_PX,
                )
                for axis in (0, 1)
            ],
            axis=1,
        )
    return angles, shifts


def _consecutive(index: dict[int, int], links: Sequence[Link]) -> dict[int, Link]:
    return {index[k.ids[1]]: k for k in links if index[k.ids[1]] - index[k.ids[0]] == 1}


def _chained(
    index: dict[int, int], turning: Sequence[Link], moving: Sequence[Link], rules: PoseRules
) -> tuple[Floats, Floats]:
    from scipy import ndimage

    turns, moves = _consecutive(index, turning), _consecutive(index, moving)
    count = len(index)
    steps = np.array([turns[k].change.angle_deg if k in turns else 0.0 for k in range(count)])
    angles = np.cumsum(steps)
    shifts = np.zeros((count, 2))
    for k in range(1, count):
        shifts[k] = _turned(shifts[k - 1], steps[k])
        if k in moves:
            trust = moves[k].record.confidence if rules.weigh else 1.0
            shifts[k] += trust * np.array(moves[k].change.shift)
    if rules.rotation_window > 1 and count >= rules.rotation_window:
        angles = ndimage.uniform_filter1d(angles, rules.rotation_window, mode="nearest")
    if rules.translation_sigma > 0 and count >= 3:
        shifts = ndimage.gaussian_filter1d(shifts, rules.translation_sigma, axis=0, mode="nearest")
    # the middle of the stack stays where the stage put it
    middle = count // 2
    return angles - angles[middle], shifts - shifts[middle]


def _own(index: dict[int, int], moving: Sequence[Link], rules: PoseRules) -> Floats:
    moves = _consecutive(index, moving)
    shifts = np.zeros((len(index), 2))
    for k, link in moves.items():
        shifts[k] = np.array(link.change.shift) * (link.record.confidence if rules.weigh else 1.0)
    return shifts
