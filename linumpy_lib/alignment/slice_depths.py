"""Depth of every slice in a stack: from the cutting interval, the registrations, or the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

Source = Literal["expected", "registration", "correlation", "correlation_fallback"]

_DEVIATION = 0.3
_FEWEST_STEPS = 3


@dataclass(frozen=True)
class DepthStep:
    """How far the top of a slice lies below that of the one before.

    Attributes
    ----------
    fixed_id, moving_id : int
        The slices.
    planes : float
        Distance of their tops.
    expected : float
        What the cutting interval tells.
    source : str
        Where `planes` comes from.
    confidence : float or None
        Trust in the registration of the two, if there is one.
    correlation : float or None
        Of the planes that match.
    repaired : bool
        The distance contradicted the others and was replaced by that of its neighbours.
    """

    fixed_id: int
    moving_id: int
    planes: float
    expected: float
    source: Source = "expected"
    confidence: float | None = None
    correlation: float | None = None
    repaired: bool = False

    @property
    def apart(self) -> int:
        """Difference of the ids: how many cuts lie between the two."""
        return self.moving_id - self.fixed_id


def measured_steps(
    expected: Sequence[DepthStep],
    registered: Mapping[tuple[int, int], float],
    search: Callable[[int, int], tuple[float, float] | None],
    min_correlation: float,
) -> list[DepthStep]:
    """Take each distance from the registration, else from the images, else from the cutting interval.

    Parameters
    ----------
    expected : sequence of DepthStep
        As the interval tells.
    registered : mapping of (int, int) to float
        Distances of believed registrations by the ids of the pair, planes.
    search : callable
        Looks for the distance of two slices in their images; returns it and its correlation, or None.
    min_correlation : float
        Correlation below which the images are not believed.
    """
    steps = []
    for step in expected:
        pair = step.fixed_id, step.moving_id
        if pair in registered:
            steps.append(replace(step, planes=registered[pair], source="registration"))
            continue
        found = search(*pair)
        if found is not None and found[1] >= min_correlation:
            steps.append(replace(step, planes=found[0], correlation=found[1], source="correlation"))
        else:
            seen = None if found is None else found[1]
            steps.append(replace(step, correlation=seen, source="correlation_fallback"))
    return steps


def repaired_steps(steps: Sequence[DepthStep], trusted: float) -> list[DepthStep]:
    """Replace distances per cut that differ from the rest by the median of their neighbours.

    A distance is an outlier if it deviates from the median by more than 30 % and its registration is not trusted.

    Parameters
    ----------
    steps : sequence of DepthStep
        Distances; fewer than three are left as they are.
    trusted : float
        Confidence from which a registration is believed whatever the others tell.

    Examples
    --------
    >>> odd = [DepthStep(k, k + 1, p, 20.0, "correlation") for k, p in enumerate((20.0, 33.0, 21.0))]
    >>> [step.planes for step in repaired_steps(odd, 0.6)]
    [20.0, 20.5, 21.0]
    """
    if len(steps) < _FEWEST_STEPS:
        return list(steps)
    per_cut = np.array([step.planes / step.apart for step in steps])
    middle = float(np.median(per_cut))
    odd = [
        abs(one - middle) > _DEVIATION * middle and (step.confidence is None or step.confidence < trusted)
        for one, step in zip(per_cut, steps, strict=True)
    ]
    result = []
    for k, step in enumerate(steps):
        if odd[k]:
            near = [per_cut[j] for j in (k - 1, k + 1) if 0 <= j < len(steps) and not odd[j]]
            step = replace(step, planes=float(np.median(near or [middle])) * step.apart, repaired=True)  # noqa: PLW2901
        result.append(step)
    return result


def tops(ids: Sequence[int], steps: Sequence[DepthStep]) -> dict[int, int]:
    """Plane of the stack that each slice's plane 0 becomes; the first slice's is 0.

    Distances are added up before they are rounded, so that roundings do not add up.

    Examples
    --------
    >>> tops([1, 2, 3], [DepthStep(1, 2, 2.4, 2.4), DepthStep(2, 3, 2.4, 2.4)])
    {1: 0, 2: 2, 3: 5}
    """
    by_pair = {(step.fixed_id, step.moving_id): step.planes for step in steps}
    depth = 0.0
    result = {ids[0]: 0}
    for pair in pairwise(ids):
        depth += by_pair[pair]
        result[pair[1]] = int(np.floor(depth + 0.5))
    return result
