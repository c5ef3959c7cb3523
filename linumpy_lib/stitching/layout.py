"""Where tiles should lie before anything is measured: from the stage, or from the tile indices and an overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.io.mosaic_grid import MosaicGrid

Array = npt.NDArray[Any]
Place = tuple[int, int]

# Steps of the stage, as fractions of a tile, that make a mosaic whose tiles overlap.
_STEPS = (0.2, 1.02)


@dataclass(frozen=True)
class Pair:
    """Two neighbouring tiles: `second` lies one column right of, or one row below, `first`."""

    first: Place
    second: Place

    @property
    def axis(self) -> int:
        """0 for tiles above each other, 1 for tiles side by side."""
        return 0 if self.second[0] > self.first[0] else 1


@dataclass(frozen=True)
class Layout:
    """Positions (y, x) of tiles, pixels of the mosaic.

    Attributes
    ----------
    tile : tuple of int
        Size (y, x) of a tile.
    positions : dict of (row, column) to ndarray, shape (2,)
        First pixel of every tile of the grid, missing ones too, tile (0, 0) of the nominal grid at 0, 0.
    source : str
        ``"stage"`` or ``"overlap"``: where they come from.
    reason : str
        Why not from the stage, empty if so.
    stage_px : ndarray, shape (2,), or None
        Centre of the regular grid's tile (0, 0) on the stage, pixels; None where the stage does not tell.
    """

    tile: tuple[int, int]
    positions: dict[Place, Array]
    source: str
    reason: str = ""
    stage_px: Array | None = None

    @property
    def centre(self) -> Array:
        """Mean position of the grid's tiles."""
        return np.asarray(np.mean(list(self.positions.values()), axis=0))

    def offset(self, pair: Pair) -> Array:
        """Position of a pair's second tile against its first, (y, x)."""
        return np.asarray(self.positions[pair.second] - self.positions[pair.first])

    def transformed(self, matrix: Array) -> dict[Place, Array]:
        """Positions after a linear map of the layout around its centre."""
        centre = self.centre
        return {place: centre + matrix @ (position - centre) for place, position in self.positions.items()}

    def step(self, axis: int) -> Array | None:
        """Median offset (y, x) of neighbours along rows (0) or columns (1); None if the grid has one only."""
        steps = [self.offset(pair) for pair in neighbours(self.positions) if pair.axis == axis]
        return np.median(steps, axis=0) if steps else None


def neighbours(places: Iterable[Place]) -> Iterator[Pair]:
    """Pairs of neighbouring tiles, row by row."""
    known = sorted(places)
    present = set(known)
    for row, column in known:
        for other in ((row, column + 1), (row + 1, column)):
            if other in present:
                yield Pair((row, column), other)


def nominal_layout(
    grid: MosaicGrid, spacing_um: tuple[float, ...], overlap: float, *, use_stage: bool = True
) -> Layout:
    """Lay out the tiles of a mosaic.

    Parameters
    ----------
    grid : MosaicGrid
        Its tiles.
    spacing_um : tuple of float
        Voxel size (z, y, x).
    overlap : float
        Overlap of neighbours as a fraction of a tile, used where the stage does not tell positions.
    use_stage : bool
        Whether to use stage positions at all.

    Returns
    -------
    Layout
        In the axes of the image; places without a stage position follow the regular grid of the others.
    """
    tile = (grid.tile_shape[1], grid.tile_shape[2])
    places = [(row, column) for row in range(grid.grid[0]) for column in range(grid.grid[1])]
    step = np.array(tile) * (1 - overlap)
    regular = {place: np.array(place) * step for place in places}
    if not use_stage:
        return Layout(tile, regular, "overlap", "stage positions are not used")
    if not grid.stage_mm:
        return Layout(tile, regular, "overlap", "the mosaic tells no stage positions")
    known = np.array(sorted(grid.stage_mm), dtype=float)
    stage = np.array([grid.stage_mm[place] for place in sorted(grid.stage_mm)])
    stage = stage * 1000 / np.asarray(spacing_um[1:])
    fitted, origin = _regular_fit(known, stage, step)
    problem = _step_problem(fitted, known, tile)
    if problem:
        return Layout(tile, regular, "overlap", problem)
    positions = {place: fitted @ np.array(place) for place in places}
    for place, position in zip(sorted(grid.stage_mm), stage, strict=True):
        positions[place] = position - origin
    return Layout(tile, positions, "stage", stage_px=origin)


def _regular_fit(index: Array, stage: Array, step: Array) -> tuple[Array, Array]:
    """Matrix from (row, column) to pixels and the position of tile (0, 0); `step` where the grid has one row only."""
    centred = index - index.mean(axis=0)
    seen = np.ptp(index, axis=0) > 0
    matrix = np.diag(step)
    if seen.any():
        shifted = stage - stage.mean(axis=0)
        matrix[:, seen] = np.linalg.lstsq(centred[:, seen], shifted, rcond=None)[0].T
    return matrix, stage.mean(axis=0) - matrix @ index.mean(axis=0)


def _step_problem(matrix: Array, index: Array, tile: tuple[int, int]) -> str:
    for axis, name in enumerate("yx"):
        if np.ptp(index[:, axis]) == 0:
            continue
        step = matrix[axis, axis] / tile[axis]
        if not _STEPS[0] <= step <= _STEPS[1]:
            return f"stage positions step {100 * step:.0f} % of a tile along {name}, which is no overlap"
    return ""
