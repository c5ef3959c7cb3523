"""BaSiC (Peng et al. 2017): flat field, dark field and baselines of many tiles, on any device.

Every image is modelled as ``baseline * flat_field + dark_field``. What a tile shows beyond that is a residual that
should be sparse, so that the data term is a reweighted L1 norm; the fields are smooth, so that they are sparse as sums
of cosines. Peng's program solves this with a linearised alternating direction method; here it is solved by iteratively
reweighted least squares, whose steps are a handful of matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.device import Device, get_device
from linumpy_lib.device_memory import or_on_cpu
from linumpy_lib.illumination.cosines import Float64, cosine_basis

FLAT_ORDER = 24
DARK_ORDER = 4
DEFAULT_SMOOTHNESS = 0.05
FEWEST_TILES = 4

# Largest relative change of the flat field, in one iteration, of a fit that has come to rest.
_TOLERANCE = 3e-4
# Iterations with the plain L1 norm, which has one minimum, before large residuals lose their say.
_PLAIN = 6
# Residuals below this fraction of the baseline count alike.
_EPSILON = 0.01
# Standard errors from which on a cosine is believed, at the default smoothness.
_BELIEVED = 2.0
_SMALLEST_FLAT = 0.05
_SMALLEST_BASELINE = 1e-3
# Variance of the flat field above which it can be told from the dark field.
_FLAT_VARIANCE = 1e-4
# Every so many pixels are looked at for the typical residual.
_SAMPLE = 7


@dataclass(frozen=True)
class BasicFit:
    """Fields found in a pool of images.

    Attributes
    ----------
    flat : float64 array, shape (ky, kx)
        Coefficients of the flat field's cosines on the pool's grid; its mean is 1.
    dark : float64 array, shape (ky, kx)
        Coefficients of the dark field's, in the images' units; all 0 without dark field.
    baseline : float64 array, shape (images,)
        Brightness of each image.
    grid : tuple of int
        Pixels (y, x) of the pool.
    iterations : int
        Steps taken.
    converged : bool
        Whether the flat field had come to rest.
    """

    flat: Float64
    dark: Float64
    baseline: Float64
    grid: tuple[int, int]
    iterations: int
    converged: bool


def fit_basic(
    images: npt.NDArray[np.float32],
    groups: npt.ArrayLike | None = None,
    *,
    weights: npt.NDArray[np.float32] | None = None,
    smoothness: float = DEFAULT_SMOOTHNESS,
    darkfield: bool = False,
    darkest: npt.NDArray[np.float32] | None = None,
    max_iterations: int = 500,
    device: Device | None = None,
) -> BasicFit:
    """Fit flat field, dark field and baselines.

    Parameters
    ----------
    images : float32 array, shape (images, y, x)
        Pool, finite.
    groups : array_like of int, optional
        Tile that each image comes from; planes of one tile show the same tissue, so that they do not count as
        independent evidence. By default every image is a tile of its own.
    weights : float32 array, shape (images, y, x), optional
        0 where a pixel says nothing (empty, saturated, not finite), else 1.
    smoothness : float
        How much evidence a cosine needs; 0 takes every one, twice the default asks for twice the standard errors.
    darkfield : bool
        Fit an additive field too.
    darkest : float32 array, shape (y, x), optional
        Upper bound of the dark field.
    max_iterations : int
        Steps at most.
    device : Device, optional
        Where to compute, by default the CPU.

    Returns
    -------
    BasicFit

    Raises
    ------
    ValueError
        If there is no image.

    References
    ----------
    Peng et al. (2017) A BaSiC tool for background and shading correction of optical microscopy images. Nature
    Communications 8:14836.
    """
    if images.shape[0] == 0:
        raise ValueError("no images to fit")

    def fit(where: Device) -> BasicFit:
        solver = _Solver(images, groups, weights, darkfield, darkest, where)
        return solver.run(max_iterations, _BELIEVED * smoothness / DEFAULT_SMOOTHNESS)

    return or_on_cpu(device or get_device("cpu"), fit)


class _Solver:
    """State of one fit; large arrays live on the device, fields and baselines in NumPy."""

    def __init__(
        self,
        images: npt.NDArray[np.float32],
        groups: npt.ArrayLike | None,
        weights: npt.NDArray[np.float32] | None,
        darkfield: bool,
        darkest: npt.NDArray[np.float32] | None,
        device: Device,
    ) -> None:
        count, height, width = images.shape
        self.grid, self.darkfield, self.device = (height, width), darkfield, device
        labels = np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        self.tiles = int(labels.max()) + 1
        self.labels = labels
        pixels = images.reshape(count, -1)
        if weights is None:
            start = np.median(pixels[:, ::_SAMPLE], axis=1).astype(np.float64)
        else:
            valid = weights.reshape(count, -1) > 0
            start = np.array([float(np.median(p[v])) if v.any() else 0.0 for p, v in zip(pixels, valid, strict=True)])
        self.unit = float(np.median(start[start > 0])) if (start > 0).any() else 1.0
        self.data = device.to_device(pixels / np.float32(self.unit))
        self.weights = None if weights is None else device.to_device(weights.reshape(count, -1))
        self.baseline = np.maximum(start / self.unit, _SMALLEST_BASELINE)
        self.bound = None if darkest is None else darkest.reshape(-1).astype(np.float64) / self.unit
        self.bases = [[cosine_basis(n, min(order, n)) for n in self.grid] for order in (FLAT_ORDER, DARK_ORDER)]
        self.flat, self.dark = np.ones(height * width), np.zeros(height * width)
        self.shrink = np.ones((min(FLAT_ORDER, height), min(FLAT_ORDER, width)))
        self.shrink_dark = np.ones((min(DARK_ORDER, height), min(DARK_ORDER, width)))
        self.spread = np.inf

    def run(self, max_iterations: int, believed: float) -> BasicFit:
        """Fit freely, judge the cosines by how much the tiles disagree, fit again with those that are believed."""
        used, converged = self._settle(max_iterations)
        if believed > 0:
            self._believe(believed)
            more, converged_again = self._settle(max(1, max_iterations - used))
            used, converged = used + more, converged and converged_again
        flat = self._coefficients(self.flat, 0)
        return BasicFit(
            flat,
            self._coefficients(self.dark, 1) * self.unit,
            self.baseline * self.unit,
            self.grid,
            used,
            converged,
        )

    def _settle(self, most: int) -> tuple[int, bool]:
        """Iterate until the flat field rests; return the iterations and whether it does."""
        for iteration in range(1, most + 1):
            previous = self.flat
            trust, residual = self._trust()
            if iteration == _PLAIN and not np.isfinite(self.spread):
                # fixed from here on: a scale that follows the fit would keep it from coming to rest
                self.spread = self._typical(residual)
            weighted = trust * self.data
            self._fit_fields(trust, weighted)
            self._fit_baselines(trust, weighted)
            change = float(np.abs(self.flat - previous).max())
            if change < _TOLERANCE and np.isfinite(self.spread):
                return iteration, True
        return most, False

    def _trust(self) -> tuple[Any, Any]:
        """Weights of iteratively reweighted least squares, and residuals relative to the prediction."""
        base = self.device.to_device(self.baseline)[:, None]
        predicted = base * self.device.to_device(self.flat)[None, :]
        residual = self.data - predicted
        if self.darkfield:
            residual -= self.device.to_device(self.dark)[None, :]
        relative = self.device.xp.abs(residual)
        relative /= predicted
        # in place where possible: this is where the time goes
        trust = relative + _EPSILON
        trust *= base
        if np.isfinite(self.spread):
            trust *= relative * (1 / self.spread) + 1
        trust = (1 if self.weights is None else self.weights) / trust
        return trust, relative

    def _typical(self, relative: Any) -> float:
        sample = self.device.to_numpy(relative[:, ::_SAMPLE])
        if self.weights is not None:
            sample = sample[self.device.to_numpy(self.weights[:, ::_SAMPLE]) > 0]
        return max(float(np.median(sample)), _EPSILON) if sample.size else _EPSILON

    def _fit_fields(self, trust: Any, weighted: Any) -> None:
        """Fit slope, and intercept, of every pixel over the images' baselines."""
        powers = self.device.to_device(np.stack([self.baseline**2, self.baseline, np.ones_like(self.baseline)]))
        bb, b, one = self._down(powers @ trust)
        b_data, data = self._down(powers[1:] @ weighted)
        known = bb > 1e-4 * bb.max()
        if not self.darkfield:
            self._set_flat(np.where(known, (b_data - self.dark * b) / np.where(known, bb, 1), self.flat))
            return
        determinant = bb * one - b * b
        known &= determinant > 1e-6 * bb * one
        safe = np.where(known, determinant, 1)
        intercept = np.where(known, (bb * data - b * b_data) / safe, self.dark)
        self._set_dark(intercept, np.where(known, determinant / np.where(known, bb, 1), 0))
        self._set_flat(np.where(known, (b_data - self.dark * b) / np.where(known, bb, 1), self.flat))

    def _fit_baselines(self, trust: Any, weighted: Any) -> None:
        fields = self.device.to_device(np.stack([self.flat**2, self.flat * self.dark, self.flat], axis=1))
        ff, fd, _ = self._down(trust @ fields).T
        f_data = self._down(weighted @ fields[:, 2:])[:, 0]
        self.baseline = np.maximum((f_data - fd) / np.where(ff > 0, ff, 1), _SMALLEST_BASELINE)

    def _down(self, array: Any) -> Float64:
        result: Float64 = self.device.to_numpy(array).astype(np.float64)
        return result

    def _coefficients(self, field: Float64, kind: int) -> Float64:
        along_y, along_x = self.bases[kind]
        result: Float64 = along_y @ field.reshape(*field.shape[:-1], *self.grid) @ along_x.T
        return result

    def _field(self, coefficients: Float64, kind: int) -> Float64:
        along_y, along_x = self.bases[kind]
        result: Float64 = (along_y.T @ coefficients @ along_x).reshape(-1)
        return result

    def _set_flat(self, slope: Float64) -> None:
        field = self._field(self._coefficients(slope / slope.mean(), 0) * self.shrink, 0)
        field = np.maximum(field, _SMALLEST_FLAT)
        self.flat = field / field.mean()

    def _set_dark(self, intercept: Float64, evidence: Float64) -> None:
        dark = self._field(self._coefficients(self._smooth_dark(intercept, evidence), 1) * self.shrink_dark, 1)
        self.dark = np.clip(dark, 0, None if self.bound is None else self.bound)

    def _smooth_dark(self, intercepts: Float64, evidence: Float64) -> Float64:
        """Fit few cosines to intercepts (..., pixels), weighted by what each pixel knows about its own."""
        along_y, along_x = self.bases[1]
        atoms = (along_y[:, None, :, None] * along_x[None, :, None, :]).reshape(-1, intercepts.shape[-1])
        weighted = atoms * evidence
        dark: Float64 = np.linalg.lstsq(weighted @ atoms.T, weighted @ intercepts.T, rcond=1e-8)[0].T @ atoms
        variance = float(self.flat.var())
        if variance > _FLAT_VARIANCE:
            # D + c F with b - c explains the data as well as D with b: take the flattest dark field
            centred = self.flat - self.flat.mean()
            dark = dark - np.multiply.outer(dark @ centred / (variance * len(centred)), self.flat)
        return dark

    def _believe(self, believed: float) -> None:
        """Shrink each cosine by how much the tiles disagree on it."""
        trust, _ = self._trust()
        base = self.device.to_device(self.baseline)[:, None]
        residual = self.data - base * self.device.to_device(self.flat)[None, :]
        if self.darkfield:
            residual = residual - self.device.to_device(self.dark)[None, :]
        membership = np.zeros((self.tiles, len(self.labels)), np.float32)
        membership[self.labels, np.arange(len(self.labels))] = 1
        tiles = self.device.to_device(membership)
        powers = self.device.to_device(np.stack([self.baseline**2, self.baseline, np.ones_like(self.baseline)]))
        bb, b, one = self._down(powers @ trust)
        along, level = self._down(tiles @ (trust * residual * base)), self._down(tiles @ (trust * residual))
        safe = np.where(bb > 0, bb, np.inf)
        self.shrink = self._shrinkage(self._coefficients(along / safe, 0), self._coefficients(self.flat, 0), believed)
        self.shrink[0, 0] = 1
        if self.darkfield:
            determinant = bb * one - b * b
            known = determinant > 1e-6 * bb * one
            influence = np.where(known, (bb * level - b * along) / np.where(known, determinant, 1), 0)
            smooth = self._smooth_dark(influence, np.where(known, determinant / safe, 0))
            self.shrink_dark = self._shrinkage(
                self._coefficients(smooth, 1), self._coefficients(self.dark, 1), believed
            )

    def _shrinkage(self, scores: Float64, values: Float64, believed: float) -> Float64:
        """Tell how much of coefficients (ky, kx) to believe, given the influence (tiles, ky, kx) of each tile."""
        variance = (scores**2).sum(axis=0) * self.tiles / max(1, self.tiles - 1)
        squared = values**2
        with np.errstate(divide="ignore", invalid="ignore"):
            shrink = 1 - believed**2 * variance / squared
        result: Float64 = np.where(squared > 0, np.clip(shrink, 0, 1), 0)
        return result
