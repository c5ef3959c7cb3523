"""What a run of the preprocess workflow is going to do with an acquisition, and what stands in its way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from linumpy_lib.acquisition.discovery import Acquisition, find_tiles
from linumpy_lib.acquisition.mosaic import MosaicPlan, plan_mosaic
from linumpy_lib.acquisition.slice_shifts import estimate_shifts
from linumpy_lib.acquisition.slice_tiles import SliceTiles, measure_slice
from linumpy_lib.acquisition.steps.create_mosaic_grid import CreateMosaicGridParameters
from linumpy_lib.acquisition.steps.estimate_xy_shifts import EstimateXyShiftsParameters
from linumpy_lib.acquisition.tile_image import TileFixes, tile_shape
from linumpy_lib.costs import (
    Work,
    cost_line,
    maps_bytes,
    maps_work,
    reconstruction_work,
    slice_memory_bytes,
    volume_bytes,
)
from linumpy_lib.errors import PipelineError
from linumpy_lib.io.slice_config import slice_name

_SHOWN = 6


def check_acquisition(folder: Path, choices: Mapping[str, str]) -> tuple[list[str], list[str], int]:
    """Measure all tiles of an acquisition, without reading their voxels, and plan the mosaics.

    Parameters
    ----------
    folder : Path
        Folder that holds the tile folders.
    choices : mapping of str to str
        Parameters of `create_mosaic_grid` and `estimate_xy_shifts` by name; those absent have their defaults.

    Returns
    -------
    lines : list of str
        The plan, for people: grid, holes, stage range and size of each slice.
    problems : list of str
        Why the workflow would stop; empty if it would not.
    disk_bytes : int
        Upper bound of the size of the results.
    """
    try:
        own = {name: choices[name] for name in CreateMosaicGridParameters.model_fields if name in choices}
        mosaic = CreateMosaicGridParameters.parse(own)
        own = {name: choices[name] for name in EstimateXyShiftsParameters.model_fields if name in choices}
        acquisition = find_tiles(folder, flat=EstimateXyShiftsParameters.parse(own).use_old_folder_structure)
    except PipelineError as error:
        return [], [str(error)], 0
    lines = _found(folder, acquisition)
    problems: list[str] = []
    slices: list[SliceTiles] = []
    plans: list[MosaicPlan] = []
    disk = memory = 0
    for slice_id in acquisition.slice_ids:
        try:
            source = measure_slice(slice_id, acquisition.slice_tiles(slice_id))
        except PipelineError as error:
            problems.append(str(error))
            continue
        plan = plan_mosaic(
            source,
            TileFixes(rotate=mosaic.preprocess),
            axial_resolution_um=mosaic.axial_resolution,
            resolution_um=mosaic.mosaic_resolution,
            sharding_factor=mosaic.sharding_factor,
        )
        slices.append(source)
        plans.append(plan)
        lines.append(_describe(plan))
        disk += plan.n_bytes
        memory = max(memory, _memory(plan))
    if slices:
        _, _, notes = estimate_shifts([source.stage() for source in slices])
        lines += [f"  {note}" for note in notes]
        lines.append(
            f"  {len(slices)} mosaics, 0.3 GB of memory each and {memory / 1e9:.2g} GB more for each thread, "
            f"at most {disk / 1e9:.3g} GB of results"
        )
        raw = sum(tile.n_bytes for source in slices for tile in source.tiles.values()) / 4
        work = [Work("create_mosaic_grid", len(slices), raw), Work("tables", 2, 0)]
        work += [
            Work(step, len(slices), disk / 4)
            for step in ("generate_aips", "generate_previews")
            if choices.get(step) == "true"
        ]
        after, most, more = _later(plans, choices)
        disk += more
        lines.append(cost_line(work + after, max(2e8 + 2 * memory, most)))
    return lines, problems, disk


def _later(plans: Sequence[MosaicPlan], choices: Mapping[str, str]) -> tuple[list[Work], float, int]:
    """Tasks that make a volume of the mosaics, memory of the largest, bytes of results; none if it does not follow."""
    if "reconstruct" not in choices.get("later", "").split(","):
        return [], 0.0, 0
    target = float(choices.get("resolution") or 10)
    size = [math.prod(plan.grid.shape) for plan in plans]
    finer = [math.prod(plan.spacing_um) / target**3 if target > 0 else 1.0 for plan in plans]
    voxels = sum(n * f for n, f in zip(size, finer, strict=True))
    ids = [plan.source.slice_id for plan in plans]
    interval_um = 1000 * float(choices.get("registration_slicing_interval_mm") or 0.2)
    depth = (max(ids) - min(ids) + 1) * interval_um / (target if target > 0 else plans[0].spacing_um[0])
    area = max(
        n * f / (p.grid.shape[0] * p.spacing_um[0] / (target if target > 0 else p.spacing_um[0]))
        for n, f, p in zip(size, finer, plans, strict=True)
    )
    tile = max(math.prod(p.grid.tile_shape) * max(1.0, f) for p, f in zip(plans, finer, strict=True))
    work = reconstruction_work(len(plans), sum(size), voxels, depth * area, choices)
    maps = maps_work(depth * area, choices)
    stored = volume_bytes(depth * area) + (maps_bytes(depth * area) if maps else 0)
    return work + maps, slice_memory_bytes(tile), stored


def _found(folder: Path, acquisition: Acquisition) -> list[str]:
    ids = acquisition.slice_ids
    lines = [f"{folder.name}: {len(acquisition.tiles)} tiles in {len(ids)} slices, ids {ids[0]} to {ids[-1]}"]
    if acquisition.gaps:
        lines.append(f"  gaps: no slice {_list(acquisition.gaps)}")
    if acquisition.ignored:
        names = [path.name for path in acquisition.ignored]
        lines.append(f"  no tiles, ignored: {_list(names)}")
    return lines


def _list(items: list[str]) -> str:
    shown = ", ".join(items[:_SHOWN])
    return shown + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")


def _describe(plan: MosaicPlan) -> str:
    source, (rows, columns) = plan.source, plan.grid.grid
    size = " x ".join(str(n) for n in plan.grid.shape)
    spacing = " x ".join(f"{s:g}" for s in plan.spacing_um)
    text = f"  z{slice_name(source.slice_id)}: {columns} x {rows} tiles (x, y)"
    if source.holes:
        first_row, first_column = source.first_index
        missing = [f"x{column + first_column} y{row + first_row}" for row, column in source.holes]
        text += f", missing {_list(missing)}"
    stage = source.stage().stage_mm
    if stage is None:
        text += ", no stage positions"
    else:
        (x0, y0), (x1, y1) = stage.min(axis=0), stage.max(axis=0)
        text += f", stage x {x0:.3f} to {x1:.3f} mm, y {y0:.3f} to {y1:.3f} mm"
    return f"{text}; {size} voxels (z, y, x) of {spacing} um, {plan.n_bytes / 1e9:.3g} GB"


def _memory(plan: MosaicPlan) -> int:
    """Two tiles: one that is read, and one whose encoded chunks wait to be written."""
    return 2 * 4 * math.prod(plan.grid.tile_shape if plan.native else tile_shape(plan.source.info, plan.fixes))
