"""Mosaics cut from one picture, so that the positions of their tiles are known exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from linumpy_lib.io import Volume, open_volume, write_volume
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid

Array = npt.NDArray[Any]
MakeMosaic = Callable[..., "CutMosaic"]


class CutMosaic:
    """A mosaic, the true positions of its tiles (y, x) and the picture that they were cut from."""

    def __init__(self, path: Path, positions: dict[tuple[int, int], Array], picture: Array) -> None:
        self.path, self.positions, self.picture = path, positions, picture

    @property
    def volume(self) -> Volume:
        return open_volume(self.path)

    def error_px(self, found: dict[tuple[int, int], Array]) -> float:
        """Rms distance from the truth, the mean offset taken away."""
        difference = np.array([found[place] - self.positions[place] for place in found])
        difference -= difference.mean(axis=0)
        return float(np.sqrt(np.mean(np.sum(difference**2, axis=1))))


def tissue(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """A picture with structure of several sizes, positive, mean about 1."""
    field = np.zeros(shape)
    for scale, amount in ((1.5, 1.0), (4.0, 1.0), (12.0, 1.0)):
        layer = ndimage.gaussian_filter(rng.standard_normal(shape), scale)
        field += amount * layer / layer.std()
    result: Array = np.exp(0.25 * field)
    return result


def cut_mosaic(
    path: Path,
    grid: tuple[int, int] = (3, 3),
    tile: tuple[int, int, int] = (6, 96, 112),
    overlap: float = 0.15,
    *,
    jitter: float = 1.0,
    noise: float = 0.05,
    matrix: Array | None = None,
    missing: tuple[tuple[int, int], ...] = (),
    stage: bool = True,
    empty: tuple[tuple[int, int], ...] = (),
    change: Callable[[Array], Array] | None = None,
    seed: int = 0,
    slice_id: int = 3,
    structure: bool = True,
    shading: bool = False,
    stage_errors: Mapping[tuple[int, int], tuple[float, float]] | None = None,
) -> CutMosaic:
    """Write a mosaic whose tiles show one picture; the stage may be wrong about some, by (y, x) pixels."""
    rng = np.random.default_rng(seed)
    nz, ny, nx = tile
    step = np.array([ny, nx]) * (1 - overlap)
    linear = np.eye(2) if matrix is None else matrix
    positions, nominal = {}, {}
    for row in range(grid[0]):
        for column in range(grid[1]):
            nominal[row, column] = np.array([row, column]) * step
            positions[row, column] = linear @ nominal[row, column] + jitter * rng.standard_normal(2)
    low = np.min(list(positions.values()), axis=0) - 10
    extent = np.ceil(np.max(list(positions.values()), axis=0) - low + np.array([ny + 10, nx + 10])).astype(int)
    picture = tissue((int(extent[0]), int(extent[1])), rng) if structure else np.ones(extent)
    coefficients = ndimage.spline_filter(picture, order=5)
    y, x = np.mgrid[:ny, :nx].astype(float)
    shade = 1 - 0.3 * ((y / ny - 0.45) ** 2 + (x / nx - 0.55) ** 2) * 4 if shading else np.ones((ny, nx))
    voxels = np.zeros((nz, grid[0] * ny, grid[1] * nx), np.float32)
    for (row, column), position in positions.items():
        if (row, column) in missing or (row, column) in empty:
            continue
        at = np.stack([y + position[0] - low[0], x + position[1] - low[1]])
        plane = ndimage.map_coordinates(coefficients, at, order=5, prefilter=False) * shade
        part = plane + noise * rng.standard_normal((nz, ny, nx))
        voxels[:, row * ny : (row + 1) * ny, column * nx : (column + 1) * nx] = np.maximum(part, 0)
    if change is not None:
        voxels = change(voxels)
    wrong = stage_errors or {}
    described = MosaicGrid(
        slice_id=slice_id,
        tile_shape=tile,
        grid=grid,
        missing=missing,
        stage_mm={
            place: tuple((5 + (nominal[place] + wrong.get(place, (0, 0)) + [ny / 2, nx / 2]) * 0.01).tolist())
            for place in positions
            if stage and place not in missing
        },
        field_of_view_um=(ny * 10.0, nx * 10.0),
    )
    write_volume(path, voxels, spacing_um=(5, 10, 10), levels=1, provenance={KEY: described.as_json()})
    kept = {place: position for place, position in positions.items() if place not in (*missing, *empty)}
    return CutMosaic(path, kept, picture)
