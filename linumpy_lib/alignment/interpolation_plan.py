"""Which planes of its neighbours a missing slice is made of, by depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["zmorph", "weighted", "average"]

# Share of an interval over which the picture changes from the deep planes of one slice to the top of the next one.
_CHANGE = 0.25


@dataclass(frozen=True)
class PlanePlan:
    """What one plane of the missing slice is made of.

    Attributes
    ----------
    before, after : float
        Plane of the slice above and of the one below; fractions lie between two planes.
    pose : float
        0 is the pose of the slice above, 1 that of the slice below.
    weight : float
        Weight of the slice below; that of the slice above is the rest.
    measured : bool
        Whether a neighbour really shows this depth.
    """

    before: float
    after: float
    pose: float
    weight: float
    measured: bool


def plan_planes(n_before: int, n_after: int, interval: float, method: Method) -> list[PlanePlan]:
    """Plan all planes of a missing slice.

    Plane z of the missing slice lies as deep as plane z + interval of the slice above and plane z - interval of the
    slice below. Slices that are deeper than the interval therefore show parts of it: where one of them reaches, its
    planes are taken; only the depths between them are interpolated.

    The map between the neighbours holds two things: how the anatomy changes over the depths that neither shows, and how
    the sample moved, which no depth explains. If the neighbours leave a whole interval open, the pose follows the
    anatomy from that of the slice above (0) to that of the slice below (1). If they leave nothing open, the map is
    motion alone, and the whole slice takes the pose halfway, so that it can be registered to both as one piece. In
    between, the pose covers that part of the way.

    Parameters
    ----------
    n_before, n_after : int
        Planes of the neighbours.
    interval : float
        Planes that are cut off between slices.
    method : {'zmorph', 'weighted', 'average'}
        'average' gives both neighbours the same weight at every depth.

    Returns
    -------
    list of PlanePlan
        As many planes as the shallower neighbour has.
    """
    reach = n_before - 1 - interval
    # a slice as thick as the interval ends one plane before the missing one begins
    open_part = min(1.0, max(0.0, (interval - reach) / (interval + 1)))
    plans = []
    for z in range(min(n_before, n_after)):
        before, after = min(z + interval, n_before - 1.0), max(z - interval, 0.0)
        if reach < interval:
            weight = _ramp(z, reach, interval)
        else:
            weight = _ramp(z, interval, min(reach, interval * (1 + _CHANGE)))
        pose = 0.5 + open_part * (_ramp(z, reach, interval) - 0.5)
        if method == "average":
            weight = 0.5
        plans.append(PlanePlan(before, after, pose, weight, z <= reach or z >= interval))
    return plans


def _ramp(z: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, straight in between."""
    if high <= low:
        return 0.0 if z <= low else 1.0
    return min(1.0, max(0.0, (z - low) / (high - low)))


def matching_planes(n_before: int, n_after: int, interval: float, window: int) -> list[tuple[int, int]]:
    """Pairs of planes (above, below) on which the neighbours can be compared.

    Where both neighbours show the same depths, such planes, at most `window` of them; else all pairs among the last
    `window` planes of the slice above and the first of the slice below, the closest first.
    """
    # the slice below lies two intervals deeper
    first = round(2 * interval)
    shared = min(n_before - first, n_after)
    if shared >= 1:
        step = max(1, shared // window)
        return [(first + k, k) for k in range(0, shared, step)][:window]
    above = range(n_before - 1, max(-1, n_before - 1 - window), -1)
    below = range(min(window, n_after))
    return sorted(((i, j) for i in above for j in below), key=lambda p: (n_before - 1 - p[0] + p[1], p[1]))
