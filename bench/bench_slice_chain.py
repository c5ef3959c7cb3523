"""One slice through all steps from its mosaic to the finished slice: time and peak memory of each.

python -m bench.bench_slice_chain [--quick] [--large] [--json results.json] [--folder scratch]
python -m bench.bench_slice_chain --large --folder scratch --only prepare    # then each step by its name, one at a time
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import measure, write_json

OVERLAP = 0.15
SPACING_UM = (3.5, 10.0, 10.0)
# Step, where it lives, what it reads, what it writes, its options.
STEPS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    ("resample_mosaic_grid", "acquisition", "mosaic_grid_3d_z00", "mosaic_grid_z00_resampled", ("--resolution=-1",)),
    ("fix_focal_curvature", "illumination", "mosaic_grid_z00_resampled", "mosaic_grid_z00_focal_fix", ()),
    ("fix_illumination", "illumination", "mosaic_grid_z00_focal_fix", "mosaic_grid_z00_illum_fix", ()),
    ("stitch_slice", "stitching", "mosaic_grid_z00_illum_fix", "slice_z00_stitch_3d", ()),
    ("correct_beam_profile", "intensity", "slice_z00_stitch_3d", "slice_z00_axial_corr", ()),
    ("crop_interface", "intensity", "slice_z00_axial_corr", "slice_z00_crop_interface", ()),
    ("compensate_attenuation", "intensity", "slice_z00_crop_interface", "slice_z00_attn_corr", ()),
    ("measure_slice", "intensity", "slice_z00_attn_corr", "", ()),
    (
        "normalize_slice",
        "intensity",
        "slice_z00_attn_corr",
        "slice_z00_normalize",
        ("--levels", "slice_z00_levels.json"),
    ),
)


def prepare(folder: str, grid: list[int], tile: list[int]) -> None:
    """Write a mosaic: tissue in agarose below a cut face, vignetting, bent focus, speckle, a jittery stage."""
    from scipy import ndimage

    from linumpy_lib.io.mosaic_grid import MosaicGrid
    from linumpy_lib.io.mosaic_tiles import write_mosaic_tiles

    nz, ny, nx = tile
    rng = np.random.default_rng(0)
    step = np.array([ny, nx]) * (1 - OVERLAP)
    size = [int(n * s) + t + 16 for n, s, t in zip(grid, step, (ny, nx), strict=True)]
    texture = np.zeros(size, np.float32)
    for scale in (1.5, 5, 20):
        layer = ndimage.gaussian_filter(rng.standard_normal(size, dtype=np.float32), scale)
        texture += layer / layer.std()
    y, x = (np.arange(n, dtype=np.float32) / n - 0.5 for n in size)
    tissue = y[:, None] ** 2 + x**2 < 0.17
    brightness = np.where(tissue, 1000 * np.exp(0.2 * texture), 120).astype(np.float32)
    places = [(row, column) for row in range(grid[0]) for column in range(grid[1])]
    nominal = {place: np.array(place) * step for place in places}
    true = {place: np.clip(np.rint(nominal[place] + rng.normal(0, 1.5, 2)), 0, None).astype(int) for place in places}
    v, u = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in (ny, nx)), indexing="ij")
    shade, surface = 1 - 0.2 * (u**2 + v**2), (20 + 4 * (u**2 + v**2)).astype(np.float32)
    depth = np.arange(nz, dtype=np.float32)[:, None, None]

    def make(place: tuple[int, int]) -> np.ndarray:
        at = true[place]
        plane = brightness[at[0] : at[0] + ny, at[1] : at[1] + nx] * shade
        fade = np.where(depth < surface, np.float32(0.01), np.exp((surface - depth) / (0.5 * nz)))
        fade *= 1 / (1 + ((depth - 0.4 * nz) / (0.6 * nz)) ** 2)
        speckle = np.random.default_rng(1 + 1000 * place[0] + place[1]).standard_exponential(tuple(tile), np.float32)
        speckle *= 0.4
        speckle += 0.6
        speckle *= fade
        speckle *= plane
        return speckle

    field = (ny * SPACING_UM[1], nx * SPACING_UM[2])
    described = MosaicGrid(
        slice_id=0,
        tile_shape=(nz, ny, nx),
        grid=(grid[0], grid[1]),
        stage_mm={
            place: (
                float((p[0] + (ny - 1) / 2) * SPACING_UM[1] / 1000),
                float((p[1] + (nx - 1) / 2) * SPACING_UM[2] / 1000),
            )
            for place, p in nominal.items()
        },
        field_of_view_um=field,
    )
    path = Path(folder, "mosaic_grid_3d_z00.ome.zarr")
    write_mosaic_tiles(path, described, SPACING_UM, make, lambda _place, voxels: voxels, provenance={}, threads=2)
    np.save(Path(folder, "true.npy"), np.array([true[place] for place in places]))


def run_step(folder: str, name: str, domain: str, source: str, options: list[str], threads: int) -> None:
    """Run one step as its script does."""
    from linumpy_lib.cli import execute

    step = importlib.import_module(f"linumpy_lib.{domain}.steps.{name}").STEP
    words = ["--input", str(Path(folder, f"{source}.ome.zarr")), "--output", folder, "--name", "z00", "--quiet"]
    given = [str(Path(folder, word)) if word.endswith(".json") else word for word in options]
    device = ["--device", "cpu"] if len(step.devices) > 1 else []
    execute(step, [*words, *given, *device, "--processes", str(threads)])


def imports() -> None:
    """Start and import nothing."""


def position_error(folder: str) -> float:
    """Rms distance of tile positions from the truth, pixels, of the tiles that show more than agarose."""
    with Path(folder, "slice_z00_tile_positions.csv").open() as file:
        tiles = list(csv.DictReader(file))
    with Path(folder, "slice_z00_tile_pairs.csv").open() as file:
        pairs = [row for row in csv.DictReader(file) if row["status"] == "used"]
    seen = {row[end] for row in pairs for end in ("first", "second")}
    found = np.array([[float(row["y_px"]), float(row["x_px"])] for row in tiles])
    known = np.array([f"{row['row']} {row['column']}" in seen for row in tiles])
    difference = (found - np.load(Path(folder, "true.npy")))[known]
    difference -= difference.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(difference**2, axis=1))))


def bench(grid: list[int], tile: list[int], folder: str, only: str | None) -> list[dict[str, Any]]:
    """Run the chain, or one part of it; stores that no later step needs are removed."""
    rows: list[dict[str, Any]] = []
    voxels = int(np.prod(tile)) * grid[0] * grid[1]
    threads = len(os.sched_getaffinity(0))
    if only in (None, "prepare"):
        measure("bench.bench_slice_chain:prepare", {"folder": folder, "grid": grid, "tile": tile}, 1)
    for name, domain, source, target, options in STEPS:
        if only not in (None, name):
            continue
        arguments = {"folder": folder, "name": name, "domain": domain, "source": source, "threads": threads}
        cost = measure("bench.bench_slice_chain:run_step", {**arguments, "options": list(options)}, 1)
        rows.append(
            {
                "step": name,
                "tiles": f"{grid[0]}x{grid[1]}x({'x'.join(map(str, tile))})",
                "wall_s": cost.wall_s,
                "cpu_s": cost.cpu_s,
                "cpu_ns_per_voxel": 1e9 * cost.cpu_s / voxels,
                "peak_mb": cost.peak_mb,
                "tile_mb": 4e-6 * float(np.prod(tile)),
                "slice_mb": 4e-6 * voxels,
            }
        )
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else str(v) for k, v in rows[-1].items()), flush=True)
        if name == "stitch_slice":
            rows[-1]["position_error_px"] = position_error(folder)
            print(f"rms error of tile positions: {rows[-1]['position_error_px']:.3f} px", flush=True)
        if target:
            shutil.rmtree(Path(folder, f"{source}.ome.zarr"))
    return rows


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 x 2 small tiles")
    parser.add_argument("--large", action="store_true", help="10 x 10 tiles of 400 x 400 x 200 voxels: 26 GB of disk")
    parser.add_argument("--folder", help="where the stores are written (default: the system's folder for such)")
    parser.add_argument(
        "--only",
        choices=["prepare", *(step[0] for step in STEPS)],
        help="this part of the chain, whose predecessors were run with the same --folder",
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    grid, tile = ([2, 2], [64, 96, 96]) if options.quick else ([4, 4], [200, 200, 200])
    if options.large:
        grid, tile = [10, 10], [200, 400, 400]
    if options.only and not options.folder:
        parser.error("--only needs --folder, where the other parts have left their stores")
    if options.only:
        Path(options.folder).mkdir(parents=True, exist_ok=True)
        rows = bench(grid, tile, options.folder, options.only)
    else:
        with tempfile.TemporaryDirectory(prefix="bench_slice_chain_", dir=options.folder) as folder:
            rows = bench(grid, tile, folder, None)
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
