"""Step: a mosaic without the shading that all tiles share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from linumpy_lib.illumination.seams import Seams
    from linumpy_lib.illumination.shading import Shading
    from linumpy_lib.illumination.tile_pool import TilePool
    from linumpy_lib.io import Volume
    from linumpy_lib.io.mosaic_grid import MosaicGrid

CORRECTED = "mosaic_grid_{name}_illum_fix.ome.zarr"
PREVIEW = "{name}_fix_illumination_preview.png"
WORSE = 1.05
"""Seams this many times as strong as before are a correction that failed."""


class FixIlluminationParameters(Parameters):
    """What `fix_illumination` lets a user choose."""

    fix_illum_backend: Annotated[
        Literal["linum-basic", "basicpy"],
        Field(description="Solver: this program's own, or the package basicpy (extra illumination)"),
    ] = "linum-basic"
    fix_illum_fit_max_samples: Annotated[
        int,
        Field(
            description="Pictures of tiles, at several depths, that fields are fitted to",
            ge=4,
            le=100000,
            json_schema_extra={"unit": "pictures"},
        ),
    ] = 2000
    fix_illum_max_iterations: Annotated[int, Field(description="Iterations of a fit at most", ge=1, le=100000)] = 500
    fix_illum_darkfield: Annotated[
        bool, Field(description="Subtract a dark field too; needs many tiles of different brightness")
    ] = False
    fix_illum_darkfield_percentile: Annotated[
        float,
        Field(
            description="Percentile of each pixel over the tiles that the dark field may not exceed",
            ge=0,
            le=100,
            json_schema_extra={"unit": "%"},
        ),
    ] = 10
    fix_illum_smoothness_flatfield: Annotated[
        float,
        Field(
            description="Evidence that a detail of the flat field needs; 0.05 asks for two standard errors over the "
            "tiles, twice as much for four, 0 for none",
            ge=0,
            le=10,
        ),
    ] = 0.05
    fix_illum_per_z_fit: Annotated[
        bool, Field(description="Fit fields at every depth of the pictures, instead of one for all depths")
    ] = False


def fix_illumination(*, input: Volume, parameters: FixIlluminationParameters, task: Task) -> None:  # noqa: A002
    """Write the mosaic without its flat field, and a picture of both.

    Parameters
    ----------
    input : Volume
        Mosaic (z, y, x) with a voxel size and a tile grid.
    parameters : FixIlluminationParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the voxel size or the tile grid is unknown.
    ParameterError
        If the solver is not installed.
    """
    from linumpy_lib.device import get_device
    from linumpy_lib.illumination.seams import measure_seams, overlap_fraction
    from linumpy_lib.illumination.shading import ShadingChoices, corrected, fit_shading, fit_shading_to_overlaps
    from linumpy_lib.illumination.tile_pool import pool_tiles
    from linumpy_lib.io import open_volume
    from linumpy_lib.io.mosaic_grid import mosaic_grid
    from linumpy_lib.io.mosaic_tiles import tile_corners

    volume = open_volume(input.path) if input.path is not None else input
    grid = mosaic_grid(volume)
    volume.require_spacing()
    if task.stub:
        volume, grid = tile_corners(volume, grid)
    pool = pool_tiles(volume, grid, parameters.fix_illum_fit_max_samples, threads=task.threads, progress=task.progress)
    prefix = "fix_illum_"
    own = {name.removeprefix(prefix): value for name, value in parameters if name != "fix_illum_fit_max_samples"}
    choices = ShadingChoices(**own)
    overlap = overlap_fraction(grid)
    before = measure_seams(pool, overlap)
    fits = [fit_shading(pool, choices, get_device(task.device))]
    if choices.backend == "linum-basic" and not choices.darkfield:
        fits.append(fit_shading_to_overlaps(pool, choices, overlap))
    reason = fits[0][1]
    shading, after, better = None, before, pool
    for candidate in (found for found, _ in fits if found is not None):
        changed = corrected(pool, candidate)
        seams = measure_seams(changed, overlap)
        if shading is None or _fainter(seams, after):
            shading, after, better, reason = candidate, seams, changed, ""
    if before.seam_l1 is not None and after.seam_l1 is not None and after.seam_l1 > WORSE * before.seam_l1:
        reason = f"the fit makes seams worse ({before.seam_l1:.3f} before, {after.seam_l1:.3f} after)"
        shading, after, better = None, before, pool
    if reason:
        task.note(f"{volume.name}: illumination is left as it is: {reason}")
    elif shading is not None and not shading.converged:
        task.note(f"{volume.name}: the fit did not come to rest in {shading.iterations} iterations")
    _tell(task, pool, shading, before, after)
    task.metric("fitted_to_overlaps", int(shading is not None and len(fits) > 1 and shading is fits[1][0]))
    _write(volume, grid, shading, task)
    _draw(task, volume, grid, (pool, better), shading)


def _fainter(seams: Seams, others: Seams) -> bool:
    return seams.seam_l1 is not None and others.seam_l1 is not None and seams.seam_l1 < others.seam_l1


def _tell(task: Task, pool: TilePool, shading: Shading | None, before: Seams, after: Seams) -> None:
    from linumpy_lib.illumination.shading import usable
    from linumpy_lib.quality.thresholds import judge

    good = usable(pool)
    task.metric("corrected", int(shading is not None), status="ok" if shading is not None else "warning")
    task.metric("tiles_used", int(good.any(axis=1).sum()))
    task.metric("pictures_used", int(good.sum()))
    for name in ("seam_l1", "seam_correlation", "seam_curvature"):
        value = getattr(after, name)
        task.metric(f"{name}_before", getattr(before, name))
        task.metric(name, value, **judge(name, value))
    for name in ("not_finite", "saturated", "negative"):
        count = getattr(pool, name)
        task.metric(f"{name}_voxels", count, "voxels", status="warning" if count else "ok")
    if pool.not_finite:
        task.note(f"{task.name}: {pool.not_finite} voxels are NaN or infinite and were set to 0")
    if shading is not None:
        flat, dark = shading.fields((pool.images.shape[2], pool.images.shape[3]))
        task.metric("flat_field_min", float(flat.min()))
        task.metric("flat_field_max", float(flat.max()))
        task.metric("dark_field_mean", float(dark.mean()))
        task.metric("iterations", shading.iterations)
        task.metric("converged", int(shading.converged), status="ok" if shading.converged else "warning")
        task.metric("depths_fitted", len(shading.depths))


def _write(volume: Volume, grid: MosaicGrid, shading: Shading | None, task: Task) -> None:
    import numpy as np

    from linumpy_lib.device import get_device
    from linumpy_lib.device_memory import in_pieces
    from linumpy_lib.illumination.shading import undo_shading
    from linumpy_lib.io.mosaic_tiles import passed_on, write_mosaic_tiles

    device = get_device(task.device)
    nz, ny, nx = grid.tile_shape
    fields = None
    if shading is not None:
        flat, dark = shading.fields((ny, nx))
        fields = device.to_device(flat), device.to_device(dark)

    def read(place: tuple[int, int]) -> npt.NDArray[Any]:
        return volume.read(grid.box(*place)).astype(np.float32, copy=False)

    def compute(_place: tuple[int, int], tile: npt.NDArray[Any]) -> npt.NDArray[Any]:
        finite = np.isfinite(tile)
        if not finite.all():
            tile = np.where(finite, tile, np.float32(0))
        if shading is None or fields is None:
            return tile
        better = np.empty_like(tile)

        def work(part: slice) -> None:
            planes = device.to_device(tile[part])
            corrected = undo_shading(planes, range(nz)[part], shading, fields, device.xp)
            better[part] = device.to_numpy(corrected)

        in_pieces(device, nz, work, f"a tile of {tile.shape} voxels")
        return better

    write_mosaic_tiles(
        task.path(CORRECTED),
        grid,
        volume.require_spacing(),
        read,
        compute,
        provenance={**task.provenance, **passed_on(volume)},
        threads=task.threads,
        progress=task.progress,
    )


def _draw(
    task: Task, volume: Volume, grid: MosaicGrid, pools: tuple[TilePool, TilePool], shading: Shading | None
) -> None:
    import numpy as np

    from linumpy_lib.quality.slice_preview import write_panels

    _, dy, dx = volume.require_spacing()
    height, width = pools[0].images.shape[2:]
    panels = []
    for pool, title in zip(pools, ("before", "after"), strict=True):
        picture = np.zeros((grid.grid[0] * height, grid.grid[1] * width), np.float32)
        pictures = (pool.images * pool.weights).sum(axis=1) / np.maximum(pool.weights.sum(axis=1), 1)
        for (row, column), tile in zip(pool.places, pictures, strict=True):
            picture[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
        panels.append((f"{task.name}: mean over depth, {title}", picture))
    size = (grid.tile_shape[1] / height * dy, grid.tile_shape[2] / width * dx)
    sizes = [size, size]
    if shading is not None:
        flat = shading.fields((height, width))[0]
        # drawn large, in the mosaic's grey values; most of a mosaic may be water
        scale = float(np.percentile(panels[0][1], 90))
        scale = scale if scale > 0 else 1.0
        panels.append(("flat field at half depth, times the bright tissue", flat[len(flat) // 2] * np.float32(scale)))
        sizes.append((size[0] * grid.grid[0], size[1] * grid.grid[1]))
    write_panels(task.path(PREVIEW), panels, spacing_um=sizes)


STEP = Step(
    name="fix_illumination",
    function=fix_illumination,
    parameters=FixIlluminationParameters,
    summary="A mosaic without the shading that its tiles share",
    description="Finds the flat field (and dark field) that all tiles of a slice share and takes it out, so that tiles "
    "meet without a step in brightness. Seams are measured before and after; a fit that would make them worse is not "
    "used.",
    inputs=(Input("input", "mosaic of one slice, axes z,y,x"),),
    outputs={CORRECTED: "the mosaic (float32)", PREVIEW: "the mosaic before and after, and the flat field"},
    devices=("cpu", "cuda", "mps"),
)
