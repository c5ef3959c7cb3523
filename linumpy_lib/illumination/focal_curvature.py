"""The bend that the focal surface gives to the tissue's surface, the same in all tiles: found, and taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

BLOCKS = 16
"""Places along each axis of a tile at which its surface is looked for."""

FEWEST_PLACES = 24

_SIGMA_Z = 2.0
# A step in depth counts as the surface if it is this part of the steepest one of its column.
_CLEAR = 0.4
_ITERATIONS = 40
_SMALLEST_SCALE = 0.25
_OUTLIER = 3.0


@dataclass(frozen=True)
class Curvature:
    """The common bend of all tiles.

    Attributes
    ----------
    coefficients : float64 array, shape (5,)
        Depth samples, of y, x, y², y x and x², with y and x from -1 to 1 over a tile.
    places : int
        Places of the tiles where the surface was used.
    residual_px : float
        Robust standard deviation of what the surfaces show beyond the bend.
    before_px : float
        The same, with one depth for every tile and no bend.
    """

    coefficients: Float64
    places: int
    residual_px: float
    before_px: float

    def lowering(self, shape: tuple[int, int]) -> Float64:
        """Depth samples (y, x), 0 or more, by which the bend lowers every A-line of a tile."""
        y, x = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape)
        bend = (_terms(*np.meshgrid(y, x, indexing="ij")) @ self.coefficients).reshape(shape)
        lowered: Float64 = bend - bend.min()
        return lowered


def _terms(y: Float64, x: Float64) -> Float64:
    y, x = y.reshape(-1), x.reshape(-1)
    return np.stack([y, x, y * y, y * x, x * x], axis=1)


def surface_places(tile: npt.NDArray[np.float32]) -> tuple[Float64, Float64, Float64]:
    """Find the surface of a tile: the first clear step from dark to bright, in logarithms.

    Parameters
    ----------
    tile : float32 array, shape (z, y, x)
        Intensities, finite.

    Returns
    -------
    depth, y, x : float64 arrays, shape (blocks y, blocks x)
        Depth index, NaN where there is none, and position from -1 to 1.
    """
    from scipy.ndimage import gaussian_filter1d

    nz, ny, nx = tile.shape
    blocks = [np.array_split(np.arange(n), min(BLOCKS, n)) for n in (ny, nx)]
    columns = np.stack([tile[:, rows].mean(axis=1, dtype=np.float64) for rows in blocks[0]], axis=1)
    columns = np.stack([columns[:, :, part].mean(axis=2) for part in blocks[1]], axis=2)
    y, x = (
        np.array([2 * part.mean() / max(1, n - 1) - 1 for part in parts])
        for parts, n in zip(blocks, (ny, nx), strict=True)
    )
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    bright = float(np.percentile(columns, 90))
    depth = np.full(grid_y.shape, np.nan)
    if bright <= 0 or nz < 5:
        return depth, grid_y, grid_x
    step = gaussian_filter1d(np.log(np.maximum(columns, 0) + 0.01 * bright), _SIGMA_Z, axis=0, order=1, mode="nearest")
    steepest = step[1:-1].max(axis=0)
    peak = (step[1:-1] >= step[:-2]) & (step[1:-1] > step[2:]) & (step[1:-1] >= _CLEAR * steepest) & (step[1:-1] > 0.02)
    first = peak.argmax(axis=0) + 1
    below, here, above = (np.take_along_axis(step, (first + k)[None], axis=0)[0] for k in (-1, 0, 1))
    bend = below - 2 * here + above
    offset = np.where(bend < 0, 0.5 * (below - above) / np.where(bend < 0, bend, 1), 0)
    found: Float64 = np.where(peak.any(axis=0), first + np.clip(offset, -0.5, 0.5), np.nan)
    return found, grid_y, grid_x


def fit_curvature(
    surfaces: list[tuple[Float64, Float64, Float64]],
    places: list[tuple[int, int]],
    step: tuple[float, float] | None,
) -> Curvature | None:
    """Fit one quadratic surface to all tiles, each at a depth of its own; steps and water pockets are outliers.

    Parameters
    ----------
    surfaces : list
        Of `surface_places`.
    places : list of (int, int)
        Row and column of each tile.
    step : tuple of float, optional
        Distance of neighbouring tiles along (y, x), tiles; with it a tilt of the whole slice stays as it is.

    Returns
    -------
    Curvature or None
        None if too few places show a surface.
    """
    depth = np.concatenate([s[0].reshape(-1) for s in surfaces])
    tile = np.repeat(np.arange(len(surfaces)), [s[0].size for s in surfaces])
    terms = _terms(*(np.concatenate([s[k].reshape(-1) for s in surfaces]) for k in (1, 2)))
    good = np.isfinite(depth)
    if np.count_nonzero(good) < FEWEST_PLACES:
        return None
    depth, terms = depth[good], terms[good]
    _, tile, counts = np.unique(tile[good], return_inverse=True, return_counts=True)
    kept = np.unique(np.repeat(np.arange(len(surfaces)), [s[0].size for s in surfaces])[good])

    def spread(values: Float64) -> float:
        middles = np.array([np.median(values[tile == k]) for k in range(len(counts))])
        return 1.4826 * float(np.median(np.abs(values - middles[tile])))

    weights, bend, levels = np.ones(len(depth)), np.zeros(5), np.zeros(len(counts))
    for _ in range(_ITERATIONS):
        total = np.maximum(np.bincount(tile, weights), 1e-12)
        centred = terms - np.stack([np.bincount(tile, weights * t) / total for t in terms.T], axis=1)[tile]
        target = depth - (np.bincount(tile, weights * depth) / total)[tile]
        root = np.sqrt(weights)
        bend = np.linalg.lstsq(centred * root[:, None], target * root, rcond=1e-6)[0]
        levels = np.bincount(tile, weights * (depth - terms @ bend)) / total
        residual = depth - terms @ bend - levels[tile]
        scale = max(1.4826 * float(np.median(np.abs(residual))), _SMALLEST_SCALE)
        weights = 1 / (1 + (residual / (_OUTLIER / 2 * scale)) ** 2) ** 2
    rest = depth - terms @ bend
    before = spread(depth)
    if step is not None:
        bend = bend - _tilt(levels, [places[k] for k in kept], counts, step)
    return Curvature(bend, len(depth), spread(rest), before)


def _tilt(
    levels: Float64, places: list[tuple[int, int]], counts: npt.NDArray[np.int64], step: tuple[float, float]
) -> Float64:
    """Part of the linear terms that goes on from tile to tile: the block face's, not the lens's."""
    slope = np.zeros(5)
    index = np.array(places, float)
    axes = [k for k in (0, 1) if len(set(index[:, k])) > 1 and step[k] > 0]
    if len(levels) > len(axes) + 1:
        position = np.stack([2 * step[k] * index[:, k] for k in axes] + [np.ones(len(levels))], axis=1)
        weights = np.sqrt(counts.astype(float))
        for _ in range(20):
            found = np.linalg.lstsq(position * weights[:, None], levels * weights, rcond=1e-6)[0]
            residual = levels - position @ found
            scale = max(1.4826 * float(np.median(np.abs(residual))), _SMALLEST_SCALE)
            weights = np.sqrt(counts / (1 + (residual / scale) ** 2))
        for k, value in zip(axes, found, strict=False):
            slope[k] = value
    return slope


def raise_lines(tile: Any, lowered: npt.NDArray[np.float64], device: Any) -> Any:
    """Move every A-line up by its own fraction of samples; what comes in from below is 0, nothing wraps around.

    Parameters
    ----------
    tile : device array, shape (z, y, x)
        Intensities.
    lowered : float64 array, shape (y, x)
        Samples to move up, 0 or more.
    device : Device
        Where the tile is.

    Returns
    -------
    device array
    """
    nz = tile.shape[0]
    result = device.xp.zeros_like(tile)
    for k in range(min(nz - 1, int(np.ceil(lowered.max()))) + 1):
        share = np.clip(1 - np.abs(lowered - k), 0, None)
        if share.any():
            result[: nz - k] += tile[k:] * device.to_device(share)[None]
    inside = np.arange(nz)[:, None, None] <= nz - 1 - lowered[None]
    return result * device.to_device(inside, np.float32)
