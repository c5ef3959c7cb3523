"""Stitching against peers: sub-pixel shifts, tile positions, diffusion weights, memory of whole slices.

python -m bench.bench_stitching [--quick] [--large] [--json results.json] [--repeat 3]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import measure, write_json

PAIRS = 40


# --- Sub-pixel shifts of two overlapping images ---------------------------------------------------------------------


def strips(width: int, seed: int) -> tuple[list[tuple[Any, Any]], Any]:
    """Pairs of overlaps, 256 pixels long, cut from one picture at known shifts, 5 % noise each."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    pairs, shifts = [], rng.uniform(-1.5, 1.5, (PAIRS, 2))
    for shift in shifts:
        size = (256 + 24, width + 24)
        field = sum(
            (layer := ndimage.gaussian_filter(rng.standard_normal(size), scale)) / layer.std() for scale in (1.5, 4, 12)
        )
        coefficients = ndimage.spline_filter(np.exp(0.25 * field), order=5)
        at = np.meshgrid(np.arange(256.0) + 12, np.arange(float(width)) + 12, indexing="ij")
        images = [
            ndimage.map_coordinates(coefficients, [axis + s for axis, s in zip(at, move, strict=True)], order=5)
            for move in ((0, 0), shift)
        ]
        pairs.append(tuple(image + 0.05 * rng.standard_normal(image.shape) for image in images))
    return pairs, shifts


def ours(a: Any, b: Any) -> Any:
    """Shift of b against a by `match_pair`'s way: whole-pixel correlation, then least squares."""
    from linumpy_lib.stitching.correlation import Window, correlate
    from linumpy_lib.stitching.matching import peaks
    from linumpy_lib.stitching.refinement import refine
    from linumpy_lib.stitching.tile_images import _versions

    (log_a, level_a), (log_b, level_b) = (
        _versions(image[None].astype(np.float32), np.array([0.1])) for image in (a, b)
    )
    surface = correlate(level_a, level_b, np.ones(1), Window((-6, -6), (6, 6))).assured()
    peak = peaks(surface, 1)[0]
    start = (peak[0] - 6, peak[1] - 6)
    found = refine(log_a, log_b, np.ones(1), start, np.zeros(2))
    return np.full(2, np.nan) if found is None else found.displacement


def sub_pixel(width: int) -> list[dict[str, Any]]:
    """Median error, share below half a pixel and largest error of each way."""
    from skimage.registration import phase_cross_correlation

    pairs, shifts = strips(width, 7)
    ways = {
        "ours": ours,
        "scikit-image, whole pixels": lambda a, b: phase_cross_correlation(a, b)[0],
        "scikit-image, 1/100 px": lambda a, b: phase_cross_correlation(a, b, upsample_factor=100)[0],
        "scikit-image, 1/100 px, not normalised": lambda a, b: phase_cross_correlation(
            a, b, upsample_factor=100, normalization=None
        )[0],
    }
    rows = []
    for name, way in ways.items():
        way(*pairs[0])
        start = time.process_time()
        found = np.array([way(a, b) for a, b in pairs])
        seconds = time.process_time() - start
        error = np.hypot(*(found - shifts).T)
        rows.append(
            {
                "case": f"shift of 256x{width} overlaps",
                "who": name,
                "median_error_px": float(np.median(error)),
                "share_below_half_px": float(np.mean(error < 0.5)),
                "largest_error_px": float(error.max()),
                "cpu_ms_per_pair": 1000 * seconds / len(pairs),
            }
        )
    return rows


# --- Diffusion weights ----------------------------------------------------------------------------------------------


def jacobi_numpy(value: Any, kind: Any, tolerance: float) -> int:
    """Plain Jacobi on whole arrays: every free pixel becomes the mean of its neighbours."""
    present, free = (kind != 0).astype(np.float64), kind == 2
    number = sum(np.roll(present, s, a) for a in (0, 1) for s in (1, -1))
    sweeps = 0
    while True:
        filled = value * present
        mean = sum(np.roll(filled, s, a) for a in (0, 1) for s in (1, -1)) / np.maximum(number, 1)
        change = np.where(free, mean - value, 0)
        sweeps += 1
        if np.abs(change).max() <= tolerance:
            return sweeps
        value += change


def _jacobi_sweep(value: Any, kind: Any, new: Any) -> float:
    worst = 0.0
    height, width = value.shape
    for y in range(height):
        for x in range(width):
            new[y, x] = value[y, x]
            if kind[y, x] != 2:
                continue
            total, number = 0.0, 0
            if y > 0 and kind[y - 1, x] != 0:
                total += value[y - 1, x]
                number += 1
            if y + 1 < height and kind[y + 1, x] != 0:
                total += value[y + 1, x]
                number += 1
            if x > 0 and kind[y, x - 1] != 0:
                total += value[y, x - 1]
                number += 1
            if x + 1 < width and kind[y, x + 1] != 0:
                total += value[y, x + 1]
                number += 1
            if number > 0:
                new[y, x] = total / number
                worst = max(worst, abs(new[y, x] - value[y, x]))
    return worst


def jacobi_compiled(value: Any, kind: Any, tolerance: float) -> int:
    """Plain Jacobi, compiled."""
    import numba

    sweep = numba.njit(_jacobi_sweep)
    sweep(value[:4, :4].copy(), kind[:4, :4].copy(), value[:4, :4].copy())
    jacobi_compiled.seconds = -time.process_time()  # type: ignore[attr-defined]
    new, sweeps = np.empty_like(value), 0
    while True:
        worst = sweep(value, kind, new)
        value, new = new, value
        sweeps += 1
        if worst <= tolerance:
            jacobi_compiled.seconds += time.process_time()  # type: ignore[attr-defined]
            return sweeps


def diffusion(edge: int) -> list[dict[str, Any]]:
    """Weights of a tile with neighbours on all sides, overlap 15 %, to one tolerance."""
    from linumpy_lib.stitching.blending import TOLERANCE, boundary_values, relax
    from linumpy_lib.stitching.canvas import plan_canvas

    step = 0.85 * edge
    canvas = plan_canvas({(r, c): np.array([r, c]) * step for r in range(3) for c in range(3)}, (edge, edge))
    count, middle = np.pad(canvas.count(), 1), canvas.tiles[4]
    value, kind = boundary_values(count, middle)
    relax(value.copy(), kind)
    rows = []
    for name, solver in (
        ("ours", relax),
        ("plain Jacobi, compiled", jacobi_compiled),
        ("plain Jacobi, NumPy", jacobi_numpy),
    ):
        mine = value.copy()
        start = time.process_time()
        sweeps = solver(mine, kind, TOLERANCE)
        seconds = time.process_time() - start
        rows.append(
            {
                "case": f"diffusion weight of {edge}x{edge}, residual {TOLERANCE:g}",
                "who": name,
                "sweeps": sweeps,
                "cpu_s": getattr(solver, "seconds", seconds),
            }
        )
    for row in rows:
        row["of_ours"] = row["cpu_s"] / rows[0]["cpu_s"]
    return rows


# --- Tile positions -------------------------------------------------------------------------------------------------


def cut(folder: Path, grid: tuple[int, int], edge: int) -> Any:
    """Write a mosaic whose tiles are cut from one picture at known places."""
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from support.cut_mosaic import cut_mosaic

    return cut_mosaic(folder / "mosaic.ome.zarr", grid, (4, edge, edge), 0.15, jitter=1.5, seed=11)


def positions(grid: tuple[int, int], edge: int) -> list[dict[str, Any]]:
    """Rms error of tile positions and processor time, ours and multiview-stitcher's."""
    rows: list[dict[str, Any]] = []
    case = f"positions of {grid[0]}x{grid[1]} tiles of {edge}x{edge}"
    with tempfile.TemporaryDirectory(prefix="bench_stitching_") as scratch:
        mosaic = cut(Path(scratch), grid, edge)
        start = time.process_time()
        found = ours_positions(mosaic, Path(scratch))
        rows.append({"case": case, "who": "ours", "error_px": mosaic.error_px(found)})
        rows[-1]["cpu_s"] = time.process_time() - start
        try:
            start = time.process_time()
            found = multiview_positions(mosaic)
            rows.append({"case": case, "who": "multiview-stitcher", "error_px": mosaic.error_px(found)})
            rows[-1]["cpu_s"] = time.process_time() - start
        except ImportError:
            print("multiview-stitcher is not installed: no comparison of tile positions")
    return rows


def ours_positions(mosaic: Any, scratch: Path) -> dict[tuple[int, int], Any]:
    """Positions by the functions of `stitch_slice`."""
    from linumpy_lib.io.mosaic_grid import mosaic_grid
    from linumpy_lib.stitching.layout import nominal_layout
    from linumpy_lib.stitching.placement import place_tiles
    from linumpy_lib.stitching.tile_images import TileImages

    grid = mosaic_grid(mosaic.volume)
    layout = nominal_layout(grid, mosaic.volume.require_spacing(), 0.15)
    images = TileImages(mosaic.volume, grid, scratch)
    try:
        return place_tiles(images, layout, "global", 10).solution.positions
    finally:
        images.close()


def multiview_positions(mosaic: Any) -> dict[tuple[int, int], Any]:
    """Positions by multiview-stitcher's phase correlation and global optimisation with its defaults, same start."""
    import warnings

    from multiview_stitcher import msi_utils, registration
    from multiview_stitcher import spatial_image_utils as si_utils

    from linumpy_lib.io.mosaic_grid import mosaic_grid
    from linumpy_lib.stitching.layout import nominal_layout

    volume = mosaic.volume
    grid = mosaic_grid(volume)
    layout = nominal_layout(grid, volume.require_spacing(), 0.15)
    places = list(grid.places())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tiles = []
        for place in places:
            image = volume.read(grid.box(*place)).mean(axis=0)
            y, x = layout.positions[place]
            tiles.append(
                msi_utils.get_msim_from_sim(
                    si_utils.get_sim_from_array(
                        image,
                        dims=["y", "x"],
                        scale={"y": 1.0, "x": 1.0},
                        translation={"y": float(y), "x": float(x)},
                        transform_key="stage",
                    ),
                    scale_factors=[],
                )
            )
        parameters = registration.register(
            tiles, transform_key="stage", new_transform_key="found", reg_channel_index=0, scheduler="single-threaded"
        )
    moves = [np.asarray(p).squeeze()[:2, 2] for p in parameters]
    return {place: layout.positions[place] + move for place, move in zip(places, moves, strict=True)}


# --- Whole slices ---------------------------------------------------------------------------------------------------


def memory(grid: list[int], tile: list[int]) -> list[dict[str, Any]]:
    """Peak memory of `stitch_slice`, in a fresh process, against a tile and the slice."""
    with tempfile.TemporaryDirectory(prefix="bench_stitching_") as folder:
        measure("bench.bench_slice_chain:prepare", {"folder": folder, "grid": grid, "tile": tile}, 1)
        arguments = {"folder": folder, "name": "stitch_slice", "domain": "stitching", "source": "mosaic_grid_3d_z00"}
        cost = measure("bench.bench_slice_chain:run_step", {**arguments, "options": [], "threads": 2}, 1)
        from bench.bench_slice_chain import position_error

        voxels = float(np.prod(tile)) * grid[0] * grid[1]
        return [
            {
                "case": f"stitch_slice, {grid[0]}x{grid[1]} tiles of {'x'.join(map(str, tile))}",
                "who": "ours",
                "wall_s": cost.wall_s,
                "cpu_s": cost.cpu_s,
                "cpu_ns_per_voxel": 1e9 * cost.cpu_s / voxels,
                "peak_mb": cost.peak_mb,
                "tile_mb": 4e-6 * float(np.prod(tile)),
                "slice_mb": 4e-6 * voxels,
                "error_px": position_error(folder),
            }
        ]


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small tiles")
    parser.add_argument("--large", action="store_true", help="10 x 10 tiles of 400 x 400 x 200 voxels: 26 GB of disk")
    parser.add_argument("--repeat", type=int, default=1, help="ignored: errors do not vary, times are of many pairs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    rows = [row for width in ((26,) if options.quick else (26, 52, 128)) for row in sub_pixel(width)]
    rows += diffusion(120 if options.quick else 400)
    rows += positions((2, 3) if options.quick else (4, 4), 96 if options.quick else 256)
    sizes = [([2, 2], [20, 96, 96])] if options.quick else [([3, 3], [100, 200, 200]), ([10, 10], [100, 200, 200])]
    if options.large:
        sizes.append(([10, 10], [200, 400, 400]))
    for grid, tile in sizes:
        rows += memory(grid, tile)
    for row in rows:
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{v!s}" for k, v in row.items()), flush=True)
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
