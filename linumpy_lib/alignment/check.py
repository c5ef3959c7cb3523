"""What a run of the reconstruct workflow is going to do with a folder of mosaics, and what stands in its way."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from linumpy_lib.costs import cost_line, maps_bytes, maps_work, reconstruction_work, slice_memory_bytes, volume_bytes
from linumpy_lib.errors import PipelineError
from linumpy_lib.io import open_volume
from linumpy_lib.io.mosaic_grid import mosaic_grid
from linumpy_lib.io.shift_table import read_shifts
from linumpy_lib.io.slice_config import is_true, read_slice_config, slice_name

_NAME = re.compile(r"mosaic_grid\w*_z(\d+)\w*\.ome\.zarr")
_SHOWN = 8


def check_mosaics(folder: Path, choices: Mapping[str, str]) -> tuple[list[str], list[str], int]:
    """Open all mosaics and tables, without reading voxels, and plan the reconstruction.

    Parameters
    ----------
    folder : Path
        Folder that holds the mosaics.
    choices : mapping of str to str
        Parameters by name: `shifts_xy`, `slice_config`, `resolution`, `registration_slicing_interval_mm`.

    Returns
    -------
    lines : list of str
        The plan, for people: grid, holes and use of each slice, gaps, size of the volume.
    problems : list of str
        Why the workflow would stop; empty if it would not.
    disk_bytes : int
        Estimate of the size of the results.
    """
    stores = {int(m[1]): path for path in sorted(folder.iterdir()) if (m := _NAME.fullmatch(path.name))}
    lines = [f"{folder.name}: {len(stores)} mosaics"]
    problems: list[str] = []
    if not stores:
        return lines, [f"--input: {folder} holds no mosaic_grid*_z*.ome.zarr; make mosaics with preprocess"], 0
    target = float(choices.get("resolution") or 10)
    areas, spacing = {}, (target,) * 3
    native_voxels, voxels, tile = 0.0, 0.0, 0.0
    for slice_id, path in stores.items():
        try:
            volume = open_volume(path)
            grid = mosaic_grid(volume)
            native = volume.require_spacing()
        except PipelineError as error:
            problems.append(str(error))
            continue
        if target <= 0:
            spacing = (native[-3], native[-2], native[-1])
        rows, columns = grid.grid
        text = f"  z{slice_name(slice_id)}: {columns} x {rows} tiles (x, y)"
        if grid.missing:
            text += f", {len(grid.missing)} missing"
        lines.append(f"{text}; {' x '.join(str(n) for n in volume.shape)} voxels of {_sizes(native)} um")
        finer = math.prod(native[-3:]) / math.prod(spacing)
        native_voxels, voxels = native_voxels + math.prod(volume.shape), voxels + math.prod(volume.shape) * finer
        tile = max(tile, math.prod(grid.tile_shape) * max(1.0, finer))
        areas[slice_id] = (grid.shape[1] * native[-2] / spacing[1], grid.shape[2] * native[-1] / spacing[2])
    problems += _tables(folder, stores, choices, lines)
    if not areas:
        return lines, problems, 0
    first, last = min(stores), max(stores)
    gaps = sorted(set(range(first, last + 1)) - set(stores))
    if gaps:
        lines.append(f"  gaps: no slice {_list(gaps)}; a gap keeps its thickness in the volume")
    interval_mm = float(choices.get("registration_slicing_interval_mm") or 0.2)
    depth = math.ceil((last - first + 1) * interval_mm * 1000 / spacing[0])
    height, width = (math.ceil(max(area[k] for area in areas.values())) for k in range(2))
    size = 4 * depth * height * width
    lines.append(f"  volume of about {depth} x {height} x {width} voxels (z, y, x) of {_sizes(spacing)} um")
    lines.append(f"  {size / 1e9:.3g} GB of float32 before compression")
    volume_voxels = depth * height * width
    work = reconstruction_work(len(stores), native_voxels, voxels, volume_voxels, choices)
    maps = maps_work(volume_voxels, choices)
    lines.append(cost_line(work + maps, slice_memory_bytes(tile)))
    stored = volume_bytes(volume_voxels) + (maps_bytes(volume_voxels) if maps else 0)
    return lines, problems, stored


def _tables(folder: Path, stores: Mapping[int, Path], choices: Mapping[str, str], lines: list[str]) -> list[str]:
    """Hold the tables against the mosaics; add what they say to the plan."""
    problems = []
    try:
        shifts = read_shifts(Path(choices.get("shifts_xy") or folder / "shifts_xy.csv"))
        known = {s.fixed_id for s in shifts} | {s.moving_id for s in shifts}
        unknown = sorted(set(stores) - known)
        if unknown and len(stores) > 1:
            problems.append(
                f"--shifts_xy: tells nothing of slice {_list(unknown)}; make the table again with preprocess"
            )
        doubtful = [s.moving_id for s in shifts if not s.reliable]
        if doubtful:
            lines.append(f"  shifts that cannot be relied on lead to slice {_list(doubtful)}")
    except PipelineError as error:
        problems.append(str(error))
    config = Path(choices.get("slice_config") or folder / "slice_config.csv")
    if config.is_file():
        try:
            rows = read_slice_config(config)
            left_out = [i for i, row in rows.items() if not is_true(row["use"])]
            absent = sorted(i for i, row in rows.items() if is_true(row["use"]) and i not in stores)
            if left_out:
                lines.append(f"  left out by {config.name}: slice {_list(left_out)}")
            if absent:
                problems.append(f"--slice_config: slice {_list(absent)} is to be used but has no mosaic in {folder}")
            if rows and not set(stores) - set(left_out):
                problems.append(f"--slice_config: {config} leaves out every slice; set use to true for some")
        except PipelineError as error:
            problems.append(str(error))
    return problems


def _list(items: list[int]) -> str:
    shown = ", ".join(str(item) for item in items[:_SHOWN])
    return shown + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")


def _sizes(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{s:g}" for s in spacing)
