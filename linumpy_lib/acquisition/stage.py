"""Which way the stage moves the image: inferred from tile indices against stage positions, for any instrument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

NOMINAL_STEP = 0.8
# Scatter of the stage positions around a regular grid, as a fraction of the step, from which on it is no grid.
_SCATTER = 0.3


@dataclass(frozen=True)
class SliceStage:
    """Tile indices and stage positions of one slice.

    Attributes
    ----------
    slice_id : int
        Its id.
    index : ndarray of int, shape (n, 2)
        Tile indices (x, y).
    stage_mm : ndarray, shape (n, 2), or None
        Stage positions (x, y) as the instrument counts them; None if any tile lacks them.
    field_mm : tuple of float
        Extent (x, y) of a tile.
    pixel_mm : tuple of float
        Pixel size (x, y) of a tile.
    """

    slice_id: int
    index: Array
    stage_mm: Array | None
    field_mm: tuple[float, float]
    pixel_mm: tuple[float, float]

    @property
    def grid(self) -> tuple[int, int]:
        """Tiles along (x, y), holes included."""
        span = self.index.max(axis=0) - self.index.min(axis=0) + 1
        return int(span[0]), int(span[1])


@dataclass(frozen=True)
class StageAxes:
    """Stage axis and sign that image x and image y follow.

    Attributes
    ----------
    x_from, y_from : {0, 1}
        Stage axis (0 is x, 1 is y) along which tile index x and y grow.
    x_sign, y_sign : {-1, 1}
        Whether the stage coordinate grows or falls with the tile index.
    step_mm : tuple of float
        Distance (x, y) of neighbouring tiles; 0 where it cannot be seen.
    scatter_mm : float
        Root mean square distance of the positions from a regular grid.
    assumed : tuple of str
        Image axes whose direction no slice shows, so that the usual one was assumed.
    """

    x_from: int = 0
    y_from: int = 1
    x_sign: int = 1
    y_sign: int = 1
    step_mm: tuple[float, float] = (0.0, 0.0)
    scatter_mm: float = 0.0
    assumed: tuple[str, ...] = ("x", "y")

    @property
    def trusted(self) -> bool:
        """Whether the positions lie on a regular grid well enough to tell the axes."""
        steps = [step for step in self.step_mm if step > 0]
        return bool(steps) and self.scatter_mm <= _SCATTER * min(steps)

    def image_mm(self, stage_mm: Array) -> Array:
        """Turn stage positions (n, 2) into positions along the image axes (x, y), millimetres."""
        return np.stack([self.x_sign * stage_mm[:, self.x_from], self.y_sign * stage_mm[:, self.y_from]], axis=1)

    def describe(self) -> str:
        """Describe the axes in words."""

        def one(axis: str, source: int, sign: int) -> str:
            return f"image {axis} is stage {'-' if sign < 0 else '+'}{'xy'[source]}"

        text = f"{one('x', self.x_from, self.x_sign)}, {one('y', self.y_from, self.y_sign)}"
        return text + (f" (assumed for {' and '.join(self.assumed)}: one tile only)" if self.assumed else "")

    def as_json(self) -> dict[str, Any]:
        """Plain JSON form for metadata."""
        return {
            "x": f"{'-' if self.x_sign < 0 else '+'}{'xy'[self.x_from]}",
            "y": f"{'-' if self.y_sign < 0 else '+'}{'xy'[self.y_from]}",
            "step_mm": [round(step, 9) for step in self.step_mm],
            "scatter_mm": round(self.scatter_mm, 9),
            "assumed": list(self.assumed),
        }


def infer_axes(slices: Sequence[SliceStage]) -> StageAxes:
    """Infer how the stage's axes lie in the image.

    A linear model, stage = offset of the slice + matrix x tile index, is fitted to all tiles; the largest entries of
    the matrix name the axes and signs. Offsets of whole slices (drift, re-homing, glitches) cancel.

    Parameters
    ----------
    slices : sequence of SliceStage
        Slices with stage positions; others are left out.

    Returns
    -------
    StageAxes
    """
    known = [s for s in slices if s.stage_mm is not None and len(s.index)]
    if not known:
        return StageAxes()
    index = np.concatenate([s.index - s.index.mean(axis=0) for s in known])
    stage = np.concatenate([s.stage_mm - s.stage_mm.mean(axis=0) for s in known if s.stage_mm is not None])
    seen = [bool(np.ptp(index[:, axis]) > 0) for axis in (0, 1)]
    matrix = np.linalg.lstsq(index, stage, rcond=None)[0].T
    scatter = float(np.sqrt(((stage - index @ matrix.T) ** 2).sum(axis=1).mean()))
    straight = abs(matrix[0, 0]) + abs(matrix[1, 1])
    swapped = abs(matrix[0, 1]) + abs(matrix[1, 0])
    x_from, y_from = (1, 0) if swapped > straight else (0, 1)
    along = (float(matrix[x_from, 0]), float(matrix[y_from, 1]))
    assumed = tuple(axis for axis, shown, step in zip("xy", seen, along, strict=True) if not shown or step == 0)
    return StageAxes(
        x_from,
        y_from,
        -1 if along[0] < 0 else 1,
        -1 if along[1] < 0 else 1,
        (abs(along[0]), abs(along[1])),
        scatter,
        assumed,
    )


def nominal_mm(index: Array, field_mm: tuple[float, float]) -> Array:
    """Positions (x, y) of tiles whose stage positions are unknown: an overlap of one fifth is assumed.

    Parameters
    ----------
    index : ndarray of int, shape (n, 2)
        Tile indices (x, y).
    field_mm : tuple of float
        Extent (x, y) of a tile.
    """
    positions: Array = index * np.asarray(field_mm) * NOMINAL_STEP
    return positions
