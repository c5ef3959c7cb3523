"""How errors of pairs add up along a stack of fifty slices with known poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linumpy_lib.alignment.pair_folder import PairRecord
from linumpy_lib.alignment.pair_links import LinkRules, judge_link
from linumpy_lib.alignment.rigid import Rigid
from linumpy_lib.alignment.slice_poses import PoseRules, slice_poses

COUNT = 50


@dataclass(frozen=True)
class PoseErrors:
    """Errors of all poses, pixels and degrees; `drift` is that of the last five slices against the first five."""

    position_rms: float
    drift: float
    rotation_rms: float


def poses_of_fifty(seed: int, reach: int, error_px: float, error_deg: float) -> PoseErrors:
    """Solve poses (2 px, 0.7 degrees rms) from pairs up to `reach` apart, with errors of this rms along each axis."""
    random = np.random.default_rng([seed, reach])
    centre = (500.0, 500.0)
    true = [Rigid(np.radians(a), (y, x), centre) for a, y, x in random.normal(0, (0.7, 2, 2), (COUNT, 3))]
    links = []
    for apart in range(1, reach + 1):
        for k in range(apart, COUNT):
            step = true[k].after(true[k - apart].inverse())
            off = random.normal(0, (np.radians(error_deg), error_px, error_px))
            seen = Rigid(step.angle_rad + off[0], (step.shift[0] + off[1], step.shift[1] + off[2]), centre)
            record = PairRecord(k - apart, k, seen, 10, 0, 10.0, 0.9, 0.9, "ok")
            links.append(judge_link(record, seen, LinkRules(), excluded=False))
    found = slice_poses(range(COUNT), links, PoseRules(), centre).motions
    off_by = np.array([np.array(found[k].shift) - true[k].shift for k in range(COUNT)])
    off_by -= off_by.mean(axis=0)
    angles = np.array([found[k].angle_deg - true[k].angle_deg for k in range(COUNT)])
    return PoseErrors(
        float(np.sqrt((off_by**2).sum(axis=1).mean())),
        float(np.hypot(*(off_by[-5:].mean(axis=0) - off_by[:5].mean(axis=0)))),
        float(angles.std()),
    )
