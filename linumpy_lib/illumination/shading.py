"""Fields of a mosaic: fitted to its pool, the same at every depth or one for each, and undone in its tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.device import Device
from linumpy_lib.illumination.basic import FEWEST_TILES, BasicFit, fit_basic
from linumpy_lib.illumination.cosines import evaluate
from linumpy_lib.illumination.overlap_fit import fit_overlaps
from linumpy_lib.illumination.tile_pool import Float32, TilePool

SMALLEST_FLAT = 0.05
"""Where a flat field is darker than this part of its mean, nothing can be brought back."""

Backend = Literal["linum-basic", "basicpy"]

# A picture this much darker than the bright ones shows water or noise.
_DARK_FRACTION = 0.05
_BRIGHT_PERCENTILE = 90
_LARGEST_RATIO = 50.0


@dataclass(frozen=True)
class ShadingChoices:
    """How to fit: the step's parameters, without their prefix."""

    backend: Backend = "linum-basic"
    max_iterations: int = 500
    darkfield: bool = False
    darkfield_percentile: float = 10
    smoothness_flatfield: float = 0.05
    per_z_fit: bool = False


@dataclass(frozen=True)
class Shading:
    """Fields of a mosaic.

    Attributes
    ----------
    flat, dark : float64 array, shape (depths, ky, kx)
        Coefficients of cosines on `grid`.
    depths : float64 array, shape (depths,)
        Depth index (z) of each; between them fields are interpolated linearly.
    grid : tuple of int
        Pixels (y, x) of the pool.
    iterations : int
        Most iterations of a fit.
    converged : bool
        Whether every fit came to rest.
    """

    flat: npt.NDArray[np.float64]
    dark: npt.NDArray[np.float64]
    depths: npt.NDArray[np.float64]
    grid: tuple[int, int]
    iterations: int
    converged: bool

    def fields(self, shape: tuple[int, int]) -> tuple[Float32, Float32]:
        """Flat and dark fields, each float32 (depths, y, x), on a grid of pixels."""
        flat = np.maximum(evaluate(self.flat, self.grid, shape), SMALLEST_FLAT)
        return flat.astype(np.float32), evaluate(self.dark, self.grid, shape).astype(np.float32)


def usable(pool: TilePool) -> npt.NDArray[np.bool_]:
    """Pictures (tiles, depths) that are neither empty nor dark."""
    known: npt.NDArray[np.float64] = pool.weights.mean(axis=(2, 3), dtype=np.float64)
    level = pool.images.sum(axis=(2, 3)) / np.maximum(pool.weights.sum(axis=(2, 3)), 1)
    good: npt.NDArray[np.bool_] = (known > 0.5) & (level > 0)
    if not good.any():
        return good
    bright = float(np.percentile(level[good], _BRIGHT_PERCENTILE))
    bright_enough: npt.NDArray[np.bool_] = good & (level >= _DARK_FRACTION * bright)
    return bright_enough


def fit_shading(pool: TilePool, choices: ShadingChoices, device: Device | None = None) -> tuple[Shading | None, str]:
    """Fit the fields.

    Parameters
    ----------
    pool : TilePool
        Pictures of the tiles.
    choices : ShadingChoices
        How.
    device : Device, optional
        Where, by default the CPU; backend basicpy chooses for itself.

    Returns
    -------
    Shading or None
        None if there is too little to tell a field from the tissue, or the fit makes no sense.
    str
        Why, then; else empty.
    """
    return _fit_depths(pool, choices.per_z_fit, lambda chosen: (_fit(pool, chosen, choices, device), ""))


def fit_shading_to_overlaps(
    pool: TilePool, choices: ShadingChoices, overlap: tuple[float, float] | None
) -> tuple[Shading | None, str]:
    """Fit a flat field to what neighbouring tiles show twice.

    Parameters
    ----------
    pool : TilePool
        Pictures of the tiles.
    choices : ShadingChoices
        How; the backend and the dark field do not matter.
    overlap : tuple of float, optional
        Overlap (y, x), fractions of a tile.

    Returns
    -------
    Shading or None
        None if too few tiles overlap, or the fit makes no sense.
    str
        Why, then; else empty.
    """

    def fit(chosen: npt.NDArray[np.bool_]) -> tuple[BasicFit | None, str]:
        return fit_overlaps(
            pool,
            chosen,
            overlap,
            smoothness=choices.smoothness_flatfield,
            max_iterations=choices.max_iterations,
        )

    return _fit_depths(pool, choices.per_z_fit, fit)


def _fit_depths(
    pool: TilePool, per_z_fit: bool, fit: Callable[[npt.NDArray[np.bool_]], tuple[BasicFit | None, str]]
) -> tuple[Shading | None, str]:
    """Fit to the usable pictures (tiles, depths): all depths at once, or one by one."""
    good = usable(pool)
    tiles = int(good.any(axis=1).sum())
    if tiles < FEWEST_TILES:
        return None, f"{tiles} tiles show something; a flat field needs {FEWEST_TILES} at least"
    if not per_z_fit:
        found, reason = fit(good)
        reason = reason if found is None else _nonsense(found)
        return (None, reason) if found is None or reason else (_shading([found], np.zeros(1)), "")
    fits, depths = [], []
    for k, depth in enumerate(pool.depths):
        chosen = np.zeros_like(good)
        chosen[:, k] = good[:, k]
        if chosen.sum() < max(FEWEST_TILES, tiles / 4):
            continue
        found, _ = fit(chosen)
        if found is not None and not _nonsense(found):
            fits.append(found)
            depths.append(depth)
    return (_shading(fits, np.array(depths)), "") if fits else (None, "no depth has enough tiles that show something")


def _fit(pool: TilePool, chosen: npt.NDArray[np.bool_], choices: ShadingChoices, device: Device | None) -> BasicFit:
    images, weights = pool.images[chosen], pool.weights[chosen]
    whole = bool(weights.all())
    darkest = None
    if choices.darkfield:
        known = images if whole else np.where(weights > 0, images, np.nan)
        darkest = _lowest(known, choices.darkfield_percentile)
    if choices.backend == "basicpy":
        from linumpy_lib.illumination.basicpy_backend import fit_basicpy

        return fit_basicpy(
            images,
            weights,
            smoothness=choices.smoothness_flatfield,
            dark=darkest,
            max_iterations=choices.max_iterations,
        )
    return fit_basic(
        images,
        np.nonzero(chosen)[0],
        weights=None if whole else weights,
        smoothness=choices.smoothness_flatfield,
        darkfield=choices.darkfield,
        darkest=darkest,
        max_iterations=choices.max_iterations,
        device=device,
    )


def _lowest(images: Float32, percentile: float) -> Float32:
    """Percentile of each pixel over the images, where any is known, else 0; never negative."""
    known = np.isfinite(images).any(axis=0)
    lowest = np.zeros(images.shape[1:], np.float32)
    lowest[known] = np.nanpercentile(images[:, known], percentile, axis=0)
    return np.maximum(lowest, 0)


def _nonsense(fit: BasicFit) -> str:
    flat = evaluate(fit.flat, fit.grid, fit.grid)
    if not (np.isfinite(flat).all() and np.isfinite(fit.dark).all()):
        return "the fit diverged: its fields are not finite"
    low, high = float(flat.min()), float(flat.max())
    if low <= SMALLEST_FLAT or high / low > _LARGEST_RATIO:
        return f"the fit makes no sense: its flat field runs from {low:.3g} to {high:.3g}"
    return ""


def _shading(fits: list[BasicFit], depths: npt.NDArray[np.float64]) -> Shading:
    return Shading(
        np.stack([fit.flat for fit in fits]),
        np.stack([fit.dark for fit in fits]),
        depths,
        fits[0].grid,
        max(fit.iterations for fit in fits),
        all(fit.converged for fit in fits),
    )


def undo_shading(values: Any, depths: npt.ArrayLike, shading: Shading, fields: tuple[Any, Any], xp: Any) -> Any:
    """Take the fields out of pictures or of a tile; empty voxels stay empty, negative ones become 0.

    Parameters
    ----------
    values : array, shape (..., z, y, x)
        On the device of `fields`.
    depths : array_like, shape (z,)
        Depth index of each plane.
    shading : Shading
        What to undo.
    fields : tuple of two arrays, shape (depths, y, x)
        `Shading.fields` at the size of the planes.
    xp : module
        Array module.

    Returns
    -------
    array
        Corrected values, a new array.
    """
    flat, dark = fields
    result = xp.zeros_like(values)
    position = np.interp(np.asarray(depths, float), shading.depths, np.arange(len(shading.depths)))
    for z, where in enumerate(position):
        low = min(int(where), len(shading.depths) - 1)
        high, part = min(low + 1, len(shading.depths) - 1), float(where) - low
        plane_flat = flat[low] if part == 0 else flat[low] * (1 - part) + flat[high] * part
        plane_dark = dark[low] if part == 0 else dark[low] * (1 - part) + dark[high] * part
        plane = values[..., z, :, :]
        better = (plane - plane_dark) / plane_flat
        result[..., z, :, :] = xp.where((plane != 0) & (better > 0), better, result[..., z, :, :])
    return result


def corrected(pool: TilePool, shading: Shading) -> TilePool:
    """Return the pool as it looks without the fields."""
    fields = shading.fields((pool.images.shape[2], pool.images.shape[3]))
    return replace(pool, images=undo_shading(pool.images, pool.depths, shading, fields, np))
