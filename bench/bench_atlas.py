"""Accuracy and cost of the registration to a template: a real mouse brain moved at random, as its own template.

The voxel is the stored one (50 x 40 x 40 um); images are registered at twice its size. Needs the mouse brain in
../shared/data.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from bench.measure import measure, write_json

ROOT = Path(__file__).resolve().parents[1]
FACTOR = 2


def register(seed: int, metric: str) -> dict[str, float]:
    import numpy as np

    sys.path.insert(0, str(ROOT / "tests"))
    from support.asymmetric_brain import moved, pose_errors
    from support.mouse_brain import ORIENTATION, SPACING_MM, averaged, mouse_brain

    from linumpy_lib.alignment.atlas_registration import Brain, register_to_template
    from linumpy_lib.alignment.orientation import Orientation, reorient

    volume = mouse_brain()
    if volume is None:
        raise SystemExit("bench_atlas: the mouse brain is absent")
    code = Orientation(ORIENTATION)
    image = averaged(np.asarray(reorient(volume.astype(np.float32), code)), FACTOR)
    z, y, x = (SPACING_MM[axis] * FACTOR for axis in code.transpose())
    truth = moved(image, (z, y, x), degrees=30, voxels=20 / FACTOR, seed=seed, noise=20, gain=0.7)
    fixed = Brain.of(image, (z, y, x), "template")
    fit = register_to_template(fixed, Brain.of(truth.image, (z, y, x), "subject"), metric=metric)  # type: ignore[arg-type]
    stored = (z / FACTOR, y / FACTOR, x / FACTOR)
    angle, shift = pose_errors(fit.pose.matrix, fit.pose.offset, truth, fixed.centroid_mm, stored)
    return {"angle_deg": angle, "shift_voxels": shift, "overlap": fit.overlap, "correlation": fit.correlation}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="bench/results/bench_atlas.json")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--metric", default="MI")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print("start  angle deg  shift voxels  overlap  wall s  CPU s  peak MB")
    for seed in range(options.starts):
        cost = measure("bench.bench_atlas:register", {"seed": seed, "metric": options.metric}, repeat=1)
        found = cost.result
        rows.append({"seed": seed, **found, "wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "peak_mb": cost.peak_mb})
        print(
            f"{seed:5d} {found['angle_deg']:10.3f} {found['shift_voxels']:13.3f} {found['overlap']:8.3f} "
            f"{cost.wall_s:7.1f} {cost.cpu_s:6.1f} {cost.peak_mb:8.0f}",
            flush=True,
        )
    worst = max(row["angle_deg"] for row in rows), max(row["shift_voxels"] for row in rows)
    print(f"worst of {len(rows)}: {worst[0]:.3f} deg, {worst[1]:.3f} voxels")
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
