"""Stacks of virtually cut slices, and how far they are from the truth."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import ndimage

from linumpy_lib.alignment.pair_folder import pair_folders, read_pair
from linumpy_lib.alignment.rigid import Rigid
from linumpy_lib.alignment.steps import register_pair, stack_slices
from linumpy_lib.cli import execute
from linumpy_lib.io import open_volume
from tests.support.virtual_slices import VirtualSlices


@dataclass(frozen=True)
class Accuracy:
    """Errors of a stack: positions (voxels) and rotations (degrees) after the whole stack's own offset.

    `correlation` is that of single voxels, their noise and all; `smooth_correlation` that of both volumes blurred by a
    Gaussian of one voxel.
    """

    position_rms: float
    position_max: float
    drift: float
    rotation_rms: float
    depth_max: float
    correlation: float
    smooth_correlation: float


def register_all(made: VirtualSlices, folder: Path, reach: int = 1) -> Path:
    """Register every two neighbours that are there, and slices up to `reach` ids apart."""
    near = set(pairwise(made.ids))
    near |= {(a, b) for a in made.ids for b in made.ids if 1 < b - a <= reach}
    for fixed, moving in sorted(near):
        words = ["--fixed", str(made.paths[fixed]), "--moving", str(made.paths[moving]), "--output", str(folder)]
        apart = "" if (fixed, moving) in set(pairwise(made.ids)) else f"_from_z{fixed:02d}"
        execute(register_pair.STEP, [*words, "--name", f"z{moving:02d}{apart}", "--quiet", "--processes", "2"])
    return folder


def pair_errors(made: VirtualSlices, folder: Path) -> tuple[float, float]:
    """Errors of registered pairs that share planes: pixels along each axis at the centre, and degrees; both rms."""
    shifts, turns = [], []
    for path in pair_folders([folder]):
        pair = read_pair(path)
        if (pair.moving_id - pair.fixed_id) * made.plan.interval >= made.plan.depth:
            continue
        true = made.poses[pair.moving_id].after(made.poses[pair.fixed_id].inverse())
        shifts.append(pair.motion.apply(true.centre) - true.apply(true.centre))
        turns.append(pair.motion.angle_deg - true.angle_deg)
    return float(np.sqrt(np.mean(np.square(shifts)))), float(np.sqrt(np.mean(np.square(turns))))


def stack(made: VirtualSlices, pairs: Path | None, out: Path, *words: str) -> list[dict[str, str]]:
    """Stack the slices as `brain`; rows of stacking_decisions.csv."""
    given = [
        "--slices",
        *[str(path) for path in made.paths.values()],
        "--output",
        str(out),
        "--name",
        "brain",
        "--quiet",
    ]
    execute(stack_slices.STEP, [*given, *(["--pairs", str(pairs)] if pairs else []), *words])
    with (out / "stacking_decisions.csv").open() as stream:
        return list(csv.DictReader(stream))


def accuracy(made: VirtualSlices, out: Path, rows: list[dict[str, str]]) -> Accuracy:
    """Compare a stack with the truth."""
    found = {int(row["slice_id"]): row for row in rows}
    offsets, angles, depths = [], [], []
    for k in made.ids:
        true = made.poses[k]
        shift = float(found[k]["shift_y_px"]), float(found[k]["shift_x_px"])
        pose = Rigid(math.radians(float(found[k]["rotation_deg"])), shift, true.centre)
        # where the stack puts the tissue of the truth's centre
        offsets.append(pose.inverse_apply(true.apply(true.centre)) - np.array(true.centre))
        angles.append(true.angle_deg - pose.angle_deg)
        depths.append(int(found[k]["first_plane"]) - (made.tops[k] - made.tops[made.ids[0]]))
    places = np.array(offsets)
    whole = places.mean(axis=0)
    errors = np.hypot(*(places - whole).T)
    turned = np.array(angles) - np.mean(angles)
    whole_pose = Rigid(math.radians(-float(np.mean(angles))), tuple(whole), made.poses[made.ids[0]].centre)
    plain, smooth = _correlations(made, out, whole_pose)
    return Accuracy(
        position_rms=float(np.sqrt(np.mean(errors**2))),
        position_max=float(errors.max()),
        drift=float(np.hypot(*(places[-1] - places[0]))),
        rotation_rms=float(np.sqrt(np.mean(turned**2))),
        depth_max=float(np.abs(depths).max()),
        correlation=plain,
        smooth_correlation=smooth,
    )


def _correlations(made: VirtualSlices, out: Path, whole: Rigid) -> tuple[float, float]:
    """Correlations with the truth, moved as the whole stack is, where the stack has tissue and the truth too."""
    volume = open_volume(out / "brain.ome.zarr")
    data = volume.read()
    first = made.tops[made.ids[0]]
    corner = [round(o / s) for o, s in zip(volume.origin_um[1:], volume.require_spacing()[1:], strict=True)]
    matrix, offset = whole.inverse().affine()
    moved = np.stack(
        [
            ndimage.affine_transform(
                true, matrix, offset + matrix @ np.array(corner, float), output_shape=data.shape[1:], order=3
            )
            for true in made.truth[first : first + len(data)]
        ]
    )
    data = data[: len(moved)]
    lit = (data > 0) & (moved > 0.02)
    soft = [ndimage.gaussian_filter(one, 1.0) for one in (data, moved)]
    return float(np.corrcoef(data[lit], moved[lit])[0, 1]), float(np.corrcoef(soft[0][lit], soft[1][lit])[0, 1])
