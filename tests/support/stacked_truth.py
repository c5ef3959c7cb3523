"""Stacks of virtually cut slices, and how far they are from the truth."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import ndimage

from linumpy_lib.alignment.rigid import Rigid
from linumpy_lib.alignment.steps import register_pair, stack_slices
from linumpy_lib.cli import execute
from linumpy_lib.io import open_volume
from tests.support.virtual_slices import VirtualSlices


@dataclass(frozen=True)
class Accuracy:
    """Errors of a stack: positions (voxels) and rotations (degrees) after the whole stack's own offset."""

    position_rms: float
    position_max: float
    drift: float
    rotation_rms: float
    depth_max: float
    correlation: float


def register_all(made: VirtualSlices, folder: Path) -> Path:
    """Register every two neighbours that are there."""
    for fixed, moving in pairwise(made.ids):
        words = ["--fixed", str(made.paths[fixed]), "--moving", str(made.paths[moving]), "--output", str(folder)]
        execute(register_pair.STEP, [*words, "--name", f"z{moving:02d}", "--quiet", "--processes", "2"])
    return folder


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
    return Accuracy(
        position_rms=float(np.sqrt(np.mean(errors**2))),
        position_max=float(errors.max()),
        drift=float(np.hypot(*(places[-1] - places[0]))),
        rotation_rms=float(np.sqrt(np.mean(turned**2))),
        depth_max=float(np.abs(depths).max()),
        correlation=_correlation(
            made, out, Rigid(math.radians(-float(np.mean(angles))), tuple(whole), made.poses[made.ids[0]].centre)
        ),
    )


def _correlation(made: VirtualSlices, out: Path, whole: Rigid) -> float:
    """Correlation with the truth, moved as the whole stack is, where the stack has tissue and the truth too."""
    volume = open_volume(out / "brain.ome.zarr")
    data = volume.read()
    first = made.tops[made.ids[0]]
    corner = [round(o / s) for o, s in zip(volume.origin_um[1:], volume.require_spacing()[1:], strict=True)]
    matrix, offset = whole.inverse().affine()
    values = []
    for plane, true in zip(data, made.truth[first : first + len(data)], strict=True):
        moved = ndimage.affine_transform(
            true, matrix, offset + matrix @ np.array(corner, float), output_shape=plane.shape, order=3
        )
        lit = (plane > 0) & (moved > 0.02)
        values.append(np.stack([plane[lit], moved[lit]]))
    a, b = np.concatenate(values, axis=1)
    return float(np.corrcoef(a, b)[0, 1])
