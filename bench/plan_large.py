"""Plan an acquisition of many terabytes from measured costs per voxel: tasks, processor time, memory, disk, files.

python -m bench.plan_large [--terabytes 10] [--tile 200,400,400] [--grid 10] [--cores 256] [--check]

The rates are those of the pipeline's own `--check` (`linumpy_lib.costs`), peaks of memory those of the benchmarks. Here
`--check` holds the rates against the largest runs that were measured: `bench.bench_slice_chain --large` and
`bench.bench_anisotropy_volume --large`.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

from linumpy_lib.costs import Work

SHARD = 256
"""Edge of the shards of slices and volumes, voxels."""
LEFT = 0.88
"""Share of float32 voxels that stays after compression, measured on speckle (docs/benchmarks.md: 1.18-fold)."""


@dataclass(frozen=True)
class Step:
    """What the plan needs of a step besides its rate; processor seconds and memory are those of the largest run."""

    name: str
    writes: str
    peak_mb: float
    measured_cpu_s: float | None = None
    whole: bool = False


# Measured: one slice of 3200 million voxels, 10 x 10 tiles.
STEPS = (
    Step("create_mosaic_grid", "mosaic", 257),
    Step("resample_mosaic_grid", "mosaic", 951, 54.9),
    Step("fix_focal_curvature", "mosaic", 1268, 112.6),
    Step("fix_illumination", "mosaic", 1275, 110.6),
    Step("stitch_slice", "slice", 715, 202.9),
    Step("correct_beam_profile", "slice", 679, 81.3),
    Step("crop_interface", "slice", 686, 68.7),
    Step("compensate_attenuation", "slice", 677, 88.2),
    Step("measure_slice", "", 477, 40.1),
    Step("normalize_slice", "slice", 385, 64.5),
    Step("align_common_space", "slice", 630, whole=True),
    Step("register_pair", "", 340),
    Step("stack_slices", "volume", 630, whole=True),
)
MEASURED_VOXELS = 3200e6
MAPS = Step("compute_anisotropy", "", 1237, 184.3)
MAPS_VOXELS = 1024.0**3


def check() -> list[tuple[str, float]]:
    """Return by step what the rates predict for the largest measured run, as a ratio."""
    measured = {step.name: step.measured_cpu_s for step in STEPS if step.measured_cpu_s}
    told = {name: Work(name, 1, MEASURED_VOXELS).cpu_s for name in measured}
    rows = [(name, told[name] / seconds) for name, seconds in measured.items()]
    rows.append(("chain of a slice", sum(told.values()) / sum(measured.values())))
    rows.append((MAPS.name, Work(MAPS.name, 1, MAPS_VOXELS).cpu_s / (MAPS.measured_cpu_s or math.nan)))
    return rows


def plan(
    terabytes: float, tile: tuple[int, int, int], grid: int, overlap: float = 0.15
) -> list[dict[str, float | str]]:
    """Return one row for each step.

    Parameters
    ----------
    terabytes : float
        Raw tiles, float32.
    tile : tuple of int
        Voxels of a tile along z, y, x.
    grid : int
        Tiles of a slice along each of y and x.
    overlap : float
        Share of a tile that its neighbour shows too.
    """
    raw = math.prod(tile) * grid**2
    slices = max(round(terabytes * 1e12 / (4 * raw)), 1)
    side = tile[1] * (1 + (grid - 1) * (1 - overlap)), tile[2] * (1 + (grid - 1) * (1 - overlap))
    stitched = tile[0] * side[0] * side[1]
    shards = math.ceil(tile[0] / SHARD) * math.ceil(side[0] / SHARD) * math.ceil(side[1] / SHARD)
    per_side = 4
    while per_side > 1 and 4 * math.prod(tile) * per_side**2 > 1 << 30:
        per_side -= 1
    files = {"mosaic": math.ceil(grid / per_side) ** 2 + 2, "slice": shards + 2, "volume": shards, "": 0}
    size = {"mosaic": raw, "slice": stitched, "volume": stitched * 8 / 7, "": 0.0}
    rows: list[dict[str, float | str]] = []
    for step in STEPS:
        tasks, worked = 1 if step.whole else slices, slices * raw * 1.0
        if step.name in ("align_common_space", "stack_slices"):
            worked = slices * stitched
        elif step.name == "register_pair":  # pairs one and two apart, each of two slices
            tasks, worked = max(0, 2 * slices - 3), 4 * slices * stitched
        hours = Work(step.name, tasks, worked).cpu_s / 3600
        rows.append(
            {
                "step": step.name,
                "tasks": tasks,
                "cpu_h": hours,
                "task_cpu_h": hours / max(tasks, 1),
                "peak_mb": step.peak_mb,
                "disk_tb": slices * size[step.writes] * 4 * LEFT / 1e12,
                "files": slices * files[step.writes],
            }
        )
    return rows


def main() -> None:
    """Print the plan, or the check of its model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terabytes", type=float, default=10)
    parser.add_argument("--tile", default="200,400,400", help="voxels of a tile: z,y,x")
    parser.add_argument("--grid", type=int, default=10, help="tiles of a slice along y and x")
    parser.add_argument("--cores", type=int, default=256)
    parser.add_argument("--check", action="store_true", help="hold the model against the largest measured runs")
    options = parser.parse_args()
    if options.check:
        for step, ratio in check():
            print(f"{step:<24} {ratio:.2f} of the measured time")
        return
    depth, height, width = (int(word) for word in options.tile.split(","))
    rows = plan(options.terabytes, (depth, height, width), options.grid)
    print(f"{'step':<24}{'tasks':>7}{'CPU h':>9}{'CPU h/task':>12}{'peak MB':>9}{'disk TB':>9}{'files':>10}")
    for row in rows:
        print(
            f"{row['step']:<24}{row['tasks']:>7}{row['cpu_h']:>9.1f}{row['task_cpu_h']:>12.2f}{row['peak_mb']:>9.0f}"
            f"{row['disk_tb']:>9.2f}{row['files']:>10}"
        )
    total = sum(float(row["cpu_h"]) for row in rows)
    single = sum(float(row["cpu_h"]) for row in rows if row["tasks"] == 1)
    print(
        f"altogether {total:.0f} CPU h, {sum(float(r['disk_tb']) for r in rows):.0f} TB, "
        f"{sum(int(r['files']) for r in rows)} files; {(total - single) / options.cores:.1f} h on {options.cores} "
        f"cores, and {single:.0f} CPU h in tasks that see all slices"
    )


if __name__ == "__main__":
    main()
