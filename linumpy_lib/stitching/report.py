"""What stitching tells people: tables of tiles and pairs, figures, a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.io import open_volume
from linumpy_lib.io.csv_file import write_rows
from linumpy_lib.io.mosaic_grid import MosaicGrid
from linumpy_lib.quality.slice_preview import write_panels
from linumpy_lib.quality.thresholds import judge
from linumpy_lib.step import Task
from linumpy_lib.stitching.canvas import Canvas
from linumpy_lib.stitching.layout import Layout, Place
from linumpy_lib.stitching.placement import Placement, place_names
from linumpy_lib.stitching.seams import seam_profile, seams_of
from linumpy_lib.stitching.tile_images import TileImages

Array = npt.NDArray[Any]


def write_positions(path: Path, grid: MosaicGrid, layout: Layout, placement: Placement, empty: list[Place]) -> None:
    """One row for each tile of the grid: status, nominal and final position, pixels."""
    rows = []
    for place in sorted(layout.positions):
        row = {"row": str(place[0]), "column": str(place[1]), "status": "used"}
        for name, value in zip("yx", layout.positions[place], strict=True):
            row[f"nominal_{name}_px"] = f"{value:.4f}"
        if place in placement.solution.positions:
            for name, value in zip("yx", placement.solution.positions[place], strict=True):
                row[f"{name}_px"] = f"{value:.4f}"
        else:
            row["status"] = "empty" if place in empty else "missing"
        rows.append(row)
    columns = ["row", "column", "status", "nominal_y_px", "nominal_x_px", "y_px", "x_px"]
    write_rows(path, columns, rows)


def write_pairs(path: Path, placement: Placement) -> None:
    """One row for each pair of neighbours: measured displacement, correlation, residual, whether it was believed."""
    rows = []
    for match in placement.matches:
        pair = match.pair
        rows.append(
            {
                "first": place_names([pair.first]).replace(",", " "),
                "second": place_names([pair.second]).replace(",", " "),
                "status": "outlier" if pair in placement.solution.outliers else "used",
                "dy_px": f"{match.displacement[0]:.4f}",
                "dx_px": f"{match.displacement[1]:.4f}",
                "correlation": f"{math.tanh(match.assured):.4f}",
                "residual_px": f"{placement.solution.residuals[pair]:.4f}",
            }
        )
    for pair in placement.silent:
        first, second = (place_names([place]).replace(",", " ") for place in (pair.first, pair.second))
        rows.append({"first": first, "second": second, "status": "silent"})
    rows.sort(key=lambda row: (row["first"], row["second"]))
    write_rows(path, ["first", "second", "status", "dy_px", "dx_px", "correlation", "residual_px"], rows)


def report_placement(
    task: Task,
    grid: MosaicGrid,
    images: TileImages,
    layout: Layout,
    placement: Placement,
    canvas: Canvas,
    mean: Array,
) -> None:
    """Record the figures of the slice."""
    solution = placement.solution
    task.metric("tiles", len(images.places))
    task.metric("missing_tiles", len(grid.missing))
    if images.empty:
        task.note(f"{task.name}: tiles {place_names(images.empty)} (row,column) hold zeros only and count as missing")
    task.metric("empty_tiles", len(images.empty), status="warning" if images.empty else "ok")
    task.metric("positions_start", layout.source)
    task.metric("positions_method", placement.method, status="warning" if placement.reason else "ok")
    task.metric("grid_step", placement.step)
    task.metric("pairs", len(placement.matches) + len(placement.silent))
    task.metric("pairs_measured", len(placement.matches))
    task.metric("pairs_rejected", len(solution.outliers))
    residuals = solution.inlier_residuals
    if residuals.size:
        rms = math.sqrt(float(np.mean(residuals**2)))
        task.metric("residual_rms", round(rms, 4), "px", **judge("residual_rms", rms))
        task.metric("residual_max", round(float(residuals.max()), 4), "px")
    moved = np.array([np.hypot(*(solution.positions[place] - layout.positions[place])) for place in solution.positions])
    task.metric("moved_mean", round(float(moved.mean()), 4), "px")
    task.metric("moved_max", round(float(moved.max()), 4), "px")
    task.metric("scatter", round(solution.spread_px, 4), "px")
    task.metric("clamped_tiles", solution.clamped, status="warning" if solution.clamped else "ok")
    for name, value in placement.correlation.items():
        if not math.isnan(value):
            task.metric(f"overlap_correlation_{name}", round(value, 5))
    covered = canvas.count() > 0
    report_seams(task, mean, canvas)
    hole = 1 - float(covered.mean())
    task.metric("empty_fraction", round(hole, 5), "fraction", **judge("empty_fraction", hole))
    task.metric("mean_intensity", float(mean[covered].mean()))


def report_seams(task: Task, mean: Array, canvas: Canvas) -> None:
    """Record how visible the tiles' borders are in the mean over depth."""
    visibility = seam_profile(mean, canvas.count() > 0, seams_of(canvas)).visibility
    if math.isfinite(visibility):
        task.metric("seam_visibility", round(visibility, 4), "ratio", **judge("seam_visibility", visibility))


def write_preview(path: Path, store: Path, canvas: Canvas, mean: Array, name: str) -> None:
    """Mean over depth, the plane at half depth, a section through the middle; holes are hatched."""
    volume = open_volume(store)
    depth, height, width = volume.shape
    stride = max(1, -(-max(height, width) // 1280))
    covered = canvas.count() > 0
    middle = slice(depth // 2, depth // 2 + 1)
    plane = volume.read((middle, slice(None), slice(None)))[0]
    section = volume.read((slice(None), slice(height // 2, height // 2 + 1), slice(None)))[:, 0]
    section = np.where(covered[height // 2], section, np.nan)
    spacing = volume.require_spacing()
    lateral = (spacing[1] * stride, spacing[2] * stride)
    write_panels(
        path,
        [
            (f"{name}: mean over depth", np.where(covered, mean, np.nan)[::stride, ::stride]),
            ("half depth", np.where(covered, plane, np.nan)[::stride, ::stride]),
            ("section through the middle row", section[:, ::stride]),
        ],
        spacing_um=[lateral, lateral, (spacing[0], spacing[2] * stride)],
        shared_range=False,
    )
