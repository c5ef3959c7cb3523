"""Step: a mosaic whose tiles are no longer bent by the focal surface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from linumpy_lib.io import Volume

FLATTENED = "mosaic_grid_{name}_focal_fix.ome.zarr"
PREVIEW = "{name}_fix_focal_curvature_preview.png"


class FixFocalCurvatureParameters(Parameters):
    """`fix_focal_curvature` has nothing to choose."""


def fix_focal_curvature(*, input: Volume, parameters: FixFocalCurvatureParameters, task: Task) -> None:  # noqa: A002
    """Write the mosaic with its A-lines moved to where a flat focal surface would have put them.

    Parameters
    ----------
    input : Volume
        Mosaic (z, y, x) with a voxel size and a tile grid.
    parameters : FixFocalCurvatureParameters
        None.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the voxel size or the tile grid is unknown.
    """
    import numpy as np

    from linumpy_lib import blocks
    from linumpy_lib.device import get_device
    from linumpy_lib.device_memory import in_pieces
    from linumpy_lib.illumination.focal_curvature import fit_curvature, raise_lines, surface_places
    from linumpy_lib.illumination.seams import overlap_fraction
    from linumpy_lib.io import open_volume
    from linumpy_lib.io.mosaic_grid import mosaic_grid
    from linumpy_lib.io.mosaic_tiles import passed_on, tile_corners, write_mosaic_tiles
    from linumpy_lib.quality.slice_preview import write_panels

    volume = open_volume(input.path) if input.path is not None else input
    grid = mosaic_grid(volume)
    spacing = volume.require_spacing()
    if task.stub:
        volume, grid = tile_corners(volume, grid)
    device = get_device(task.device)
    nz, ny, nx = grid.tile_shape

    def read(region: tuple[slice, ...]) -> npt.NDArray[Any]:
        tile = volume.read(region).astype(np.float32, copy=False)
        finite = np.isfinite(tile)
        return tile if finite.all() else np.where(finite, tile, np.float32(0))

    places = list(grid.places())
    surfaces: list[Any] = []
    blocks.stream(
        (grid.box(*place) for place in places),
        read,
        surface_places,
        lambda _region, found: surfaces.append(found),
        threads=min(task.threads, 3),
        queue=1,
        description="find the surface",
        progress=task.progress,
    )
    overlap = overlap_fraction(grid)
    found = (
        fit_curvature(surfaces, places, None if overlap is None else (1 - overlap[0], 1 - overlap[1]))
        if places
        else None
    )
    lowered = np.zeros((ny, nx))
    reason = "too few places show a surface" if found is None else ""
    if found is not None:
        bend = found.lowering((ny, nx))
        if not np.isfinite(bend).all() or bend.max() > nz / 4:
            reason = f"a bend of {bend.max():.3g} of {nz} samples makes no sense"
        elif found.residual_px > found.before_px:
            reason = "tiles would be less flat than before"
        else:
            lowered = bend
        task.metric("surface_places", found.places)
        task.metric("surface_spread_before", found.before_px, "voxel")
        task.metric("surface_spread", found.residual_px if not reason else found.before_px, "voxel")
    if reason:
        task.note(f"{volume.name}: focal curvature is left as it is: {reason}")
    task.metric("corrected", int(not reason), status="warning" if reason else "ok")
    task.metric("curvature_range", float(lowered.max()), "voxel")

    def compute(_place: tuple[int, int], tile: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if reason:
            return tile
        flat = np.empty_like(tile)

        def work(rows: slice) -> None:
            flat[:, rows] = device.to_numpy(raise_lines(device.to_device(tile[:, rows]), lowered[rows], device))

        in_pieces(device, ny, work, f"a tile of {tile.shape} voxels")
        return flat

    path = task.path(FLATTENED)
    write_mosaic_tiles(
        path,
        grid,
        spacing,
        lambda place: read(grid.box(*place)),
        compute,
        provenance={**task.provenance, **passed_on(volume)},
        threads=task.threads,
        progress=task.progress,
    )
    row = grid.shape[1] // 2
    cut = (slice(0, nz), slice(row, row + 1), slice(0, grid.shape[2]))
    panels = [
        (f"{task.name}: section before", read(cut)[:, 0]),
        ("section after", open_volume(path).read(cut)[:, 0]),
    ]
    write_panels(task.path(PREVIEW), panels, spacing_um=(spacing[0], spacing[2]))


STEP = Step(
    name="fix_focal_curvature",
    function=fix_focal_curvature,
    parameters=FixFocalCurvatureParameters,
    summary="A mosaic whose tiles are no longer bent by the focal surface",
    description="Finds the tissue's surface in all tiles, fits the quadratic bend that they share, and moves every "
    "A-line up by its part of it, by fractions of a voxel and without wrapping around.",
    inputs=(Input("input", "mosaic of one slice, axes z,y,x"),),
    outputs={FLATTENED: "the mosaic (float32)", PREVIEW: "a section before and after"},
    devices=("cpu", "cuda", "mps"),
)
