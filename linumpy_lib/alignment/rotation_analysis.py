"""How rotations run along a stack: those of registered pairs, and the turning of the stage's path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.pair_folder import PairRecord
from linumpy_lib.io.shift_table import Shift

Floats = npt.NDArray[np.float64]

CUMULATIVE_DEG = 5.0
"""Sum of rotations from which a stack is said to wind."""
MEAN_DEG = 0.5
"""Mean rotation of pairs, or of the path per slice, that is said to be a drift."""
JUMP_DEG = 5.0
"""Change of the path's direction from one slice to the next that is said to be a jump."""
OSCILLATION = 0.4
"""Share of changes of direction that have the other sign than the one before, from which a path oscillates."""
LEAST_STEP_MM = 0.005
"""Shorter steps of the stage have no direction."""

_FEWEST_TURNS = 5


@dataclass(frozen=True)
class PairRotations:
    """Rotations of registered pairs, degrees.

    Attributes
    ----------
    moving_ids : tuple of int
        The slices, ascending.
    rotation, cumulative : ndarray
        Of each pair, and summed from the first one on.
    findings : tuple of str
        What is out of the ordinary.
    large : tuple of int
        Moving slices of pairs that are turned by more than the threshold.
    """

    moving_ids: tuple[int, ...]
    rotation: Floats
    cumulative: Floats
    findings: tuple[str, ...]
    large: tuple[int, ...]


def pair_rotations(records: Sequence[PairRecord], threshold_deg: float) -> PairRotations:
    """Sum the rotations of pairs up, and see whether they drift.

    Parameters
    ----------
    records : sequence of PairRecord
        Pairs of neighbours, ascending.
    threshold_deg : float
        Rotation of a single pair that is named.
    """
    ids = tuple(record.moving_id for record in records)
    rotation = np.array([record.motion.angle_deg for record in records], np.float64)
    cumulative = np.cumsum(rotation)
    large = tuple(k for k, angle in zip(ids, rotation.tolist(), strict=True) if abs(angle) > threshold_deg)
    findings = []
    if large:
        findings.append(f"turned by more than {threshold_deg:g} deg: slices {', '.join(map(str, large))}")
    if len(ids) and float(np.abs(cumulative).max()) > CUMULATIVE_DEG:
        worst = int(np.argmax(np.abs(cumulative)))
        findings.append(f"the rotations add up to {cumulative[worst]:+.2f} deg at slice {ids[worst]}")
    if len(ids) and abs(float(rotation.mean())) > MEAN_DEG:
        findings.append(f"the mean rotation of a pair is {rotation.mean():+.3f} deg: the stack winds in one direction")
    return PairRotations(ids, rotation, cumulative, tuple(findings), large)


@dataclass(frozen=True)
class PathTurning:
    """How the stage's path turns, degrees; NaN where a step is too short to have a direction.

    Attributes
    ----------
    angle : ndarray
        Direction of each step from x towards y, -180 to 180.
    velocity : ndarray
        Change of direction from the last step that had one, -180 to 180; NaN for the first.
    cumulative : ndarray
        Sum of the changes.
    jumps : tuple of int
        Moving slices at which the direction changes by more than `JUMP_DEG`.
    drift_deg : float
        Median change, NaN if fewer than two steps have a direction.
    sign_changes : float
        Share of changes with the other sign than the one before, NaN if there are too few.
    findings : tuple of str
        What is out of the ordinary.
    """

    angle: Floats
    velocity: Floats
    cumulative: Floats
    jumps: tuple[int, ...]
    drift_deg: float
    sign_changes: float
    findings: tuple[str, ...]


def path_turning(shifts: Sequence[Shift]) -> PathTurning:
    """Describe how the direction of the stage's steps changes along the slices.

    A stage whose axes turn against the sample makes every step of a straight cut turn a little further; directions that
    jump or oscillate come from the steps themselves.

    Parameters
    ----------
    shifts : sequence of Shift
        The table, ascending.
    """
    angle = np.full(len(shifts), np.nan)
    velocity, cumulative = angle.copy(), angle.copy()
    last, total = math.nan, 0.0
    for k, shift in enumerate(shifts):
        if shift.length_mm < LEAST_STEP_MM:
            continue
        angle[k] = math.degrees(math.atan2(shift.y_mm, shift.x_mm))
        if not math.isnan(last):
            velocity[k] = (angle[k] - last + 180) % 360 - 180
            total += float(velocity[k])
        cumulative[k] = total
        last = float(angle[k])
    turns = velocity[np.isfinite(velocity)]
    jumps = tuple(s.moving_id for s, v in zip(shifts, velocity.tolist(), strict=True) if abs(v) > JUMP_DEG)
    drift = float(np.median(turns)) if len(turns) else math.nan
    changes = math.nan
    if len(turns) >= _FEWEST_TURNS:
        changes = float(np.mean(np.sign(turns[1:]) * np.sign(turns[:-1]) < 0))
    findings = []
    if abs(drift) > MEAN_DEG:
        findings.append(f"the path turns by {drift:+.3f} deg per slice")
    if jumps:
        findings.append(f"the direction changes by more than {JUMP_DEG:g} deg at {len(jumps)} of {len(turns)} slices")
    if changes > OSCILLATION:
        findings.append(f"the direction swings to and fro: {100 * changes:.0f} % of its changes reverse the one before")
    return PathTurning(angle, velocity, cumulative, jumps, drift, changes, tuple(findings))


def findings_text(title: str, lines: Sequence[str], findings: Sequence[str]) -> str:
    """Write figures and findings as text."""
    told = [f"- {finding}" for finding in findings] or ["- nothing out of the ordinary"]
    return "\n".join([title, "=" * len(title), "", *lines, "", "Findings", *told, ""])
