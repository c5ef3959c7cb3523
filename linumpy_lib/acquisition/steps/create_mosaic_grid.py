"""Step: the mosaic of each slice, from its raw tiles."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.acquisition.discovery import Acquisition
    from linumpy_lib.acquisition.galvo_slice import GalvoDecision
    from linumpy_lib.acquisition.mosaic import MosaicPlan

MOSAIC = "mosaic_grid_3d_{name}.ome.zarr"
RECORD = "mosaic_grid_3d_{name}.json"


class CreateMosaicGridParameters(Parameters):
    """What `create_mosaic_grid` lets a user choose."""

    axial_resolution: Annotated[
        float,
        Field(
            description="Distance of depth samples; raw tiles do not tell it", gt=0, json_schema_extra={"unit": "um"}
        ),
    ] = 1.36
    mosaic_resolution: Annotated[
        float,
        Field(
            description="Size of the mosaics' cubic voxels; -1 keeps the voxels as they were recorded",
            ge=-1,
            json_schema_extra={"unit": "um"},
        ),
    ] = -1
    sharding_factor: Annotated[
        int,
        Field(
            description="Tiles per shard (file) along y and x; fewer where a shard would exceed 1 GiB",
            ge=1,
            le=64,
            json_schema_extra={"unit": "tiles"},
        ),
    ] = 4
    fix_galvo_shift: Annotated[
        bool, Field(description="Look for a displaced galvo return in the tiles, and put it right")
    ] = True
    galvo_confidence_threshold: Annotated[
        float,
        Field(
            description="Confidence from which on the galvo return is put right: 0.4 is eager, 0.7 cautious", ge=0, le=1
        ),
    ] = 0.6
    fix_camera_shift: Annotated[
        bool, Field(description="Legacy data: undo the late start of the camera, which shifts the A-lines")
    ] = False
    preprocess: Annotated[bool, Field(description="Legacy data: swap x and y of every tile and flip both")] = False


def create_mosaic_grid(*, input: list[Path], parameters: CreateMosaicGridParameters, task: Task) -> None:  # noqa: A002
    """Write a mosaic and a record of each slice that the tiles belong to."""
    from linumpy_lib.acquisition.discovery import find_tiles
    from linumpy_lib.io.slice_config import slice_name

    acquisition = find_tiles(input)
    if acquisition.ignored:
        shown = ", ".join(path.name for path in acquisition.ignored[:5])
        task.note(f"{len(acquisition.ignored)} files or folders that are no tiles are ignored: {shown}")
    names = {slice_id: f"z{slice_name(slice_id)}" for slice_id in acquisition.slice_ids}
    if len(names) == 1:
        task.name = next(iter(names.values()))
    for slice_id, name in names.items():
        _one_slice(acquisition, slice_id, name, parameters, task)


def _one_slice(
    acquisition: Acquisition, slice_id: int, name: str, parameters: CreateMosaicGridParameters, task: Task
) -> None:
    from linumpy_lib.acquisition.galvo_slice import NOT_EXAMINED, examine_slice
    from linumpy_lib.acquisition.mosaic import plan_mosaic, write_mosaic
    from linumpy_lib.acquisition.native_tiles import load_kernels
    from linumpy_lib.acquisition.slice_tiles import measure_slice
    from linumpy_lib.acquisition.stub_mosaic import write_stub_mosaic
    from linumpy_lib.acquisition.tile_image import TileFixes
    from linumpy_lib.blocks import Progress

    if parameters.mosaic_resolution <= 0 and not task.stub:
        # It is loaded while the disk is waited for.
        threading.Thread(target=load_kernels, name="load", daemon=True).start()
    source = measure_slice(slice_id, acquisition.slice_tiles(slice_id))
    galvo = NOT_EXAMINED
    if parameters.fix_galvo_shift:
        galvo = examine_slice(
            list(source.tiles.values()), parameters.galvo_confidence_threshold, camera=parameters.fix_camera_shift
        )
    fixes = TileFixes(galvo.shift_px, parameters.fix_camera_shift, parameters.preprocess)
    plan = plan_mosaic(
        source,
        fixes,
        axial_resolution_um=parameters.axial_resolution,
        resolution_um=parameters.mosaic_resolution,
        sharding_factor=parameters.sharding_factor,
    )
    provenance = {**task.provenance, "galvo": galvo.as_json(), "stage_axes": plan.axes.as_json()}
    path = task.staging / MOSAIC.format(name=name)
    if task.stub:
        write_stub_mosaic(plan, path, provenance=provenance)
    else:
        device = None
        if task.device != "cpu":
            from linumpy_lib.device import get_device

            device = get_device(task.device)
        with Progress(len(source.tiles), name, shown=task.progress) as bar:
            write_mosaic(plan, path, provenance=provenance, device=device, threads=task.threads, advance=bar.advance)
    _report(plan, galvo, name, task)


def _report(plan: MosaicPlan, galvo: GalvoDecision, name: str, task: Task) -> None:
    """Tell what is worth knowing of a slice, and keep it beside the mosaic."""
    source = plan.source
    rows, columns = source.grid
    if source.holes:
        task.note(
            f"{name}: {len(source.holes)} of {rows * columns} tiles are missing and stay black, at (row, column) "
            f"{', '.join(str(hole) for hole in source.holes[:8])}"
        )
    task.note(f"{name}: galvo: {galvo.reason}")
    if not plan.grid.stage_mm:
        task.note(f"{name}: info.txt tells no stage positions")
    if source.info.n_repeat > 1 and next(iter(source.tiles.values())).repeats == 1:
        task.note(f"{name}: info.txt says n_repeat {source.info.n_repeat}, but every B-scan is there once")
    task.metric(f"{name}_tiles", len(source.tiles))
    task.metric(f"{name}_missing_tiles", len(source.holes), status="warning" if source.holes else "ok")
    task.metric(f"{name}_galvo_confidence", round(galvo.confidence, 3))
    task.metric(f"{name}_galvo_shift", galvo.shift_px, "px")
    record = {
        "slice_id": source.slice_id,
        "galvo": galvo.as_json(),
        "stage_axes": plan.axes.as_json(),
        "grid": plan.grid.as_json(),
        "spacing_um": list(plan.spacing_um),
        "raw_spacing_um": list(plan.raw_spacing_um),
        "raw_bytes": source.n_bytes,
    }
    (task.staging / RECORD.format(name=name)).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


STEP = Step(
    name="create_mosaic_grid",
    function=create_mosaic_grid,
    parameters=CreateMosaicGridParameters,
    summary="Mosaics of raw tiles",
    description="Puts the raw tiles of each slice side by side, their overlap kept, in one sharded OME-Zarr store. "
    "Displaced galvo returns are found and put right; missing tiles stay black and are listed. The store's metadata "
    "state the tile grid (provenance.mosaic_grid).",
    inputs=(Input("input", "tile folders (tile_x*_y*_z*), or folders that hold them", kind="paths"),),
    outputs={MOSAIC: "mosaic of slice NAME (z03, say)", RECORD: "its grid, stage axes and galvo decision"},
    devices=("cpu", "cuda", "mps"),
)
