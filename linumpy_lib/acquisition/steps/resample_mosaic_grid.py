"""Step: a mosaic at another voxel size, tile by tile."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from linumpy_lib.params import Parameters, to_text
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from linumpy_lib.io import Volume
    from linumpy_lib.io.mosaic_grid import MosaicGrid

RESAMPLED = "mosaic_grid_{name}_resampled.ome.zarr"
PREVIEW = "{name}_resample_mosaic_grid_preview.png"
PREVIEW_PIXELS = 800


def _target(value: float) -> float:
    if value != -1 and value <= 0:
        raise ValueError("must be a voxel size above 0, or -1 to keep the voxels")
    return value


def tile_shape_text(value: object) -> str:
    """Check the size of a tile: empty, or two whole numbers y,x; return its text."""
    text = to_text(value)
    if not text.strip():
        return ""
    try:
        lengths = [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError("must be two whole numbers y,x") from None
    if len(lengths) != 2 or min(lengths) < 1:
        raise ValueError("must be two whole numbers y,x, each at least 1")
    return to_text(lengths)


class ResampleMosaicGridParameters(Parameters):
    """What `resample_mosaic_grid` lets a user choose."""

    resolution: Annotated[
        float,
        AfterValidator(_target),
        Field(
            description="Size of the cubic voxels to work on; -1 keeps the voxels of the mosaics",
            ge=-1,
            json_schema_extra={"unit": "um"},
        ),
    ] = 10
    resample_prefetch: Annotated[
        int,
        Field(
            description="Tiles that are read ahead; each costs its size in memory",
            ge=0,
            le=64,
            json_schema_extra={"unit": "tiles"},
        ),
    ] = 4
    import_tile_shape: Annotated[
        str,
        BeforeValidator(tile_shape_text),
        Field(
            description="Size y,x of a tile in mosaics of other programs, whose metadata do not tell it; empty accepts "
            "mosaics of create_mosaic_grid only",
            pattern=r"^(\d+\s*,\s*\d+)?$",
            json_schema_extra={"unit": "px", "form": "two whole numbers y,x, or empty"},
        ),
    ] = ""
    import_swap_xy: Annotated[
        bool,
        Field(
            description="Mosaics of other programs have x (tile index x, A-lines) as second axis and y as third, as "
            "linumpy's have"
        ),
    ] = False


def resample_mosaic_grid(*, input: Volume, parameters: ResampleMosaicGridParameters, task: Task) -> None:  # noqa: A002
    """Write the mosaic with cubic voxels, or as it is, and a picture of it.

    Parameters
    ----------
    input : Volume
        Mosaic (z, y, x) with a voxel size.
    parameters : ResampleMosaicGridParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the voxel size or the tile grid is unknown, or they contradict each other.
    """
    from linumpy_lib.acquisition.import_mosaic import import_mosaic
    from linumpy_lib.io import open_volume
    from linumpy_lib.io.mosaic_tiles import tile_corners

    source = open_volume(input.path) if input.path is not None else input
    shape = parameters.import_tile_shape
    tile_shape = (int(shape.split(",")[0]), int(shape.split(",")[1])) if shape else None
    volume, grid, imported = import_mosaic(source, tile_shape, swap_xy=parameters.import_swap_xy, name=task.name)
    if tile_shape is not None and not imported:
        task.note(f"{volume.name}: its metadata tell the tile grid; import_tile_shape is not needed and ignored")
    if task.stub:
        volume, grid = tile_corners(volume, grid)
    _write(volume, grid, imported, parameters, task)


def _write(
    volume: Volume, grid: MosaicGrid, imported: bool, parameters: ResampleMosaicGridParameters, task: Task
) -> None:
    import numpy as np

    from linumpy_lib.device import Device, get_device
    from linumpy_lib.device_memory import or_on_cpu
    from linumpy_lib.io import open_volume
    from linumpy_lib.io.mosaic_tiles import passed_on, write_mosaic_tiles
    from linumpy_lib.quality.slice_preview import write_panels
    from linumpy_lib.resample import resample, resampled_length, resampling_matrix

    spacing = volume.require_spacing()
    keep = parameters.resolution == -1 or task.stub
    target = spacing if keep else (float(parameters.resolution),) * 3
    lengths = [resampled_length(n, s, t) for n, s, t in zip(grid.tile_shape, spacing, target, strict=True)]
    out_grid = replace(grid, tile_shape=(lengths[0], lengths[1], lengths[2]))
    device = get_device(task.device)
    matrices = [resampling_matrix(n, s, t) for n, s, t in zip(grid.tile_shape, spacing, target, strict=True)]
    placed = {
        name: [where.to_device(m) for m in matrices]
        for name, where in (("cpu", get_device("cpu")), (device.name, device))
    }
    lock = threading.Lock()
    empty: list[tuple[int, int]] = []
    not_finite = 0

    def read(place: tuple[int, int]) -> npt.NDArray[Any]:
        return volume.read(grid.box(*place)).astype(np.float32, copy=False)

    def compute(place: tuple[int, int], tile: npt.NDArray[Any]) -> npt.NDArray[Any]:
        nonlocal not_finite
        good = np.isfinite(tile)
        bad = tile.size - int(np.count_nonzero(good))
        if bad:
            tile = np.where(good, tile, np.float32(0))
        with lock:
            not_finite += bad
            if imported and not tile.any():
                empty.append(place)
        if keep:
            return tile

        def work(where: Device) -> npt.NDArray[Any]:
            return where.to_numpy(resample(where.to_device(tile), placed[where.name]))

        return or_on_cpu(device, work)

    def finish(planned: MosaicGrid) -> MosaicGrid:
        return replace(planned, missing=tuple(sorted({*planned.missing, *empty})))

    path = task.path(RESAMPLED)
    write_mosaic_tiles(
        path,
        out_grid,
        target,
        read,
        compute,
        provenance={**task.provenance, **passed_on(volume)},
        threads=task.threads,
        prefetch=parameters.resample_prefetch,
        progress=task.progress,
        finish=finish if imported else None,
    )
    if imported:
        rows, columns = grid.grid
        task.note(
            f"{volume.name}: imported as slice {grid.slice_id}, {rows} x {columns} tiles, {len(empty)} of them empty; "
            "the stage positions of its tiles are unknown"
        )
    if not_finite:
        task.note(f"{volume.name}: {not_finite} voxels are NaN or infinite and were set to 0")
    task.metric("not_finite_voxels", not_finite, "voxels", status="warning" if not_finite else "ok")
    task.metric("tiles", out_grid.grid[0] * out_grid.grid[1] - len(grid.missing) - len(empty))
    task.metric("voxel_um", ",".join(f"{s:g}" for s in target), "um (z, y, x)")
    shape = out_grid.shape
    stride = max(1, -(-max(shape[1:]) // PREVIEW_PIXELS))
    written = open_volume(path)
    plane = written.read((slice(shape[0] // 2, shape[0] // 2 + 1), slice(None), slice(None)))[0, ::stride, ::stride]
    cut = written.read((slice(None), slice(shape[1] // 2, shape[1] // 2 + 1), slice(None)))[:, 0, ::stride]
    write_panels(
        task.path(PREVIEW),
        [(f"{task.name}: tiles at half depth", plane), ("across, through the middle row", cut)],
        spacing_um=(target[1] * stride, target[2] * stride),
    )


STEP = Step(
    name="resample_mosaic_grid",
    function=resample_mosaic_grid,
    parameters=ResampleMosaicGridParameters,
    summary="A mosaic at the voxel size to work on",
    description="Brings every tile of a mosaic to cubic voxels: anti-aliased, without a shift, tiles kept apart. Also "
    "the way in for mosaics of other programs, whose tile grid is not in their metadata.",
    inputs=(Input("input", "mosaic of one slice, axes z,y,x"),),
    outputs={RESAMPLED: "the mosaic (float32)", PREVIEW: "a plane and a section of it"},
    devices=("cpu", "cuda", "mps"),
)
