"""Plan an acquisition of many terabytes from measured costs per voxel: tasks, processor time, memory, disk, files.

python -m bench.plan_large [--terabytes 10] [--tile 200,400,400] [--grid 10] [--cores 256] [--check]

The costs are those that `bench.bench_slice_chain`, `bench.bench_preprocess`, `bench.bench_stack` and
`bench.bench_anisotropy_volume` measured; `--check` holds the same model, made from the smaller runs, against the
largest ones.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

SHARD = 256
"""Edge of the shards of slices and volumes, voxels."""
LEFT = 0.88
"""Share of float32 voxels that stays after compression, measured on speckle (docs/benchmarks.md: 1.18-fold)."""


@dataclass(frozen=True)
class Cost:
    """A step: processor nanoseconds per voxel in a smaller and in the largest run, peak memory in the latter."""

    step: str
    small_ns: float
    large_ns: float
    peak_mb: float
    writes: str
    whole: bool = False


# Slices of 400 and 3200 million voxels; maps of 134 and 1074 million voxels.
COSTS = (
    Cost("create_mosaic_grid", 6.6, 6.6, 257, "mosaic"),
    Cost("resample_mosaic_grid", 14, 17.1, 951, "mosaic"),
    Cost("fix_focal_curvature", 30, 35.2, 1268, "mosaic"),
    Cost("fix_illumination", 69, 34.5, 1275, "mosaic"),
    Cost("stitch_slice", 73, 63.4, 715, "slice"),
    Cost("correct_beam_profile", 30, 25.4, 679, "slice"),
    Cost("crop_interface", 26, 21.5, 686, "slice"),
    Cost("compensate_attenuation", 32, 27.6, 677, "slice"),
    Cost("measure_slice", 15, 12.5, 477, ""),
    Cost("normalize_slice", 16, 20.1, 385, "slice"),
    Cost("align_common_space", 47, 47, 630, "slice", whole=True),
    Cost("register_pair", 100, 100, 340, ""),
    Cost("stack_slices", 47, 47, 630, "volume", whole=True),
)
MAPS = Cost("compute_anisotropy", 170, 172, 1237, "maps")


def check() -> list[tuple[str, float]]:
    """Return by step what the smaller run predicts for the largest one, as a ratio."""
    measured = [cost for cost in (*COSTS, MAPS) if cost.small_ns != cost.large_ns]
    rows = [(cost.step, cost.small_ns / cost.large_ns) for cost in measured]
    chain = [cost for cost in measured if cost is not MAPS]
    rows.append(("chain of a slice", sum(c.small_ns for c in chain) / sum(c.large_ns for c in chain)))
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
    for cost in COSTS:
        # Costs of the chain are counted on voxels of the mosaic, overlap included, those of stacking on stitched ones.
        worked = stitched if cost.step in ("align_common_space", "register_pair", "stack_slices") else raw
        rows.append(
            {
                "step": cost.step,
                "tasks": 1 if cost.whole else slices,
                "cpu_h": slices * worked * cost.large_ns / 3.6e12,
                "task_cpu_h": (slices if cost.whole else 1) * worked * cost.large_ns / 3.6e12,
                "peak_mb": cost.peak_mb,
                "disk_tb": slices * size[cost.writes] * 4 * LEFT / 1e12,
                "files": slices * files[cost.writes],
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
