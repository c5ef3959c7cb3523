"""BaSiC (Peng et al. 2017): flat field, dark field and baselines of many tiles, on any device.

Every image is modelled as ``baseline * flat_field + dark_field``. What a tile shows beyond its baseline is a residual
that should be sparse, so that the data term is an L1 norm, reweighted; the fields are smooth, so that they are sparse as
sums of cosines. Peng's program solves this with a linearised alternating direction method; here it is solved by
iteratively reweighted least squares, whose steps are a handful of matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.device import Device, get_device
from linumpy_lib.illumination.cosines import Float64, cosine_basis

FLAT_ORDER = 24
DARK_ORDER = 8
DEFAULT_SMOOTHNESS = 0.05
FEWEST_TILES = 4

# Iterations without reweighting, and between two looks at how much tiles disagree.
_PLAIN = 8
_SHRINK_EVERY = 4
_TOLERANCE = 2e-4
# Residuals below this fraction of the baseline count alike.
_EPSILON = 0.01
# Standard errors from which on a cosine is believed, at the default smoothness.
_BELIEVED = 2.0
_SMALLEST_FLAT = 0.05
_FLAT_VARIANCE = 1e-4


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
    change : float
        Last change of the flat field.
    """

    flat: Float64
    dark: Float64
    baseline: Float64
    grid: tuple[int, int]
    iterations: int
    converged: bool
    change: float


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
        If there is no image, or shapes do not fit.

    References
    ----------
    Peng et al. (2017) A BaSiC tool for background and shading correction of optical microscopy images. Nature
    Communications 8:14836.
    """
    count, height, width = images.shape
    if count == 0:
        raise ValueError("no images to fit")
    solver = _Solver(images, groups, weights, smoothness, darkfield, darkest, device or get_device("cpu"))
    return solver.run(max_iterations)


class _Solver:
    """State of one fit; large arrays live on the device, fields and baselines in NumPy."""

    def __init__(
        self,
        images: npt.NDArray[np.float32],
        groups: npt.ArrayLike | None,
        weights: npt.NDArray[np.float32] | None,
        smoothness: float,
        darkfield: bool,
        darkest: npt.NDArray[np.float32] | None,
        device: Device,
    ) -> None:
        count, height, width = images.shape
        self.grid = (height, width)
        self.darkfield, self.device = darkfield, device
        self.believed = _BELIEVED * smoothness / DEFAULT_SMOOTHNESS
        labels = np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        self.membership = device.to_device(np.eye(int(labels.max()) + 1, dtype=np.float32)[:, labels])
        self.tiles = int(labels.max()) + 1
        flat = images.reshape(count, -1)
        start = np.array([float(np.median(row)) for row in flat])
        if weights is not None:
            valid = weights.reshape(count, -1) > 0
            start = np.array([float(np.median(r[v])) if v.any() else 0.0 for r, v in zip(flat, valid, strict=True)])
        self.unit = float(np.median(start[start > 0])) if (start > 0).any() else 1.0
        self.data = device.to_device(flat / np.float32(self.unit))
        self.weights = None if weights is None else device.to_device(weights.reshape(count, -1))
        self.baseline = np.maximum(start / self.unit, 1e-3)
        self.bound = None if darkest is None else darkest.reshape(-1).astype(np.float64) / self.unit
        orders = [(min(FLAT_ORDER, n), min(DARK_ORDER, n)) for n in self.grid]
        self.bases = [[cosine_basis(n, order[k]) for n, order in zip(self.grid, orders, strict=True)] for k in (0, 1)]
        self.flat, self.dark = np.ones(height * width), np.zeros(height * width)
        self.shrink = np.ones((orders[0][0], orders[1][0]))
        self.spread = 1.0

    def run(self, max_iterations: int) -> BasicFit:
        """Iterate until the flat field rests."""
        change, calm, iteration = np.inf, 0, 0
        for iteration in range(1, max_iterations + 1):
            previous = self.flat
            self._step(reweight=iteration > _PLAIN, measure=iteration % _SHRINK_EVERY == 0)
            change = float(np.abs(self.flat - previous).max())
            # after a look at the tiles' disagreement a calm step may be followed by a large one
            calm = calm + 1 if change < _TOLERANCE and iteration > 2 * _PLAIN else 0
            if calm > _SHRINK_EVERY:
                break
        flat = self._coefficients(self.flat, 0)
        dark = self._coefficients(self.dark, 1) * self.unit
        return BasicFit(
            flat, dark, self.baseline * self.unit, self.grid, iteration, calm > _SHRINK_EVERY, change
        )

    def _step(self, *, reweight: bool, measure: bool) -> None:
        device, xp = self.device, self.device.xp
        base, flat, dark = (device.to_device(v) for v in (self.baseline, self.flat, self.dark))
        predicted = base[:, None] * flat[None, :]
        residual = self.data - predicted
        if self.darkfield:
            residual = residual - dark[None, :]
        size = xp.abs(residual)
        relative = size / predicted
        trust = 1 / (size + _EPSILON)
        if reweight:
            trust = trust / (relative / self.spread + 1)
        if self.weights is not None:
            trust = trust * self.weights
        weighted = trust * self.data
        powers = device.to_device(np.stack([self.baseline**2, self.baseline, np.ones_like(self.baseline)]))
        # sums over the images, one for each pixel
        bb, b, one = (device.to_numpy(row).astype(np.float64) for row in powers @ trust)
        b_data, data = (device.to_numpy(row).astype(np.float64) for row in powers[1:] @ weighted)
        known = bb > 1e-4 * bb.max()
        if self.darkfield:
            self._both(bb, b, one, b_data, data, known)
        else:
            slope = np.where(known, b_data / np.where(known, bb, 1), self.flat)
            self._set_flat(slope)
        if measure:
            influence = trust * residual * base[:, None]
            self._believe(device.to_numpy(self.membership @ influence).astype(np.float64) / np.where(known, bb, np.inf))
            self.spread = self._typical(relative)
        # sums over the pixels, one for each image
        fields = device.to_device(np.stack([self.flat**2, self.flat * self.dark, self.flat], axis=1))
        ff, fd, _ = device.to_numpy(trust @ fields).astype(np.float64).T
        f_data = device.to_numpy(weighted @ fields[:, 2:])[:, 0].astype(np.float64)
        self.baseline = np.maximum((f_data - fd) / np.where(ff > 0, ff, 1), 1e-3)

    def _typical(self, relative: Any) -> float:
        """Median relative residual of every seventh pixel."""
        sample = self.device.to_numpy(relative[:, ::7])
        if self.weights is not None:
            sample = sample[self.device.to_numpy(self.weights[:, ::7]) > 0]
        return max(float(np.median(sample)), 1e-3)

    def _coefficients(self, field: Float64, kind: int) -> Float64:
        along_y, along_x = self.bases[kind]
        result: Float64 = along_y @ field.reshape(*field.shape[:-1], *self.grid) @ along_x.T
        return result

    def _field(self, coefficients: Float64, kind: int) -> Float64:
        along_y, along_x = self.bases[kind]
        result: Float64 = (along_y.T @ coefficients @ along_x).reshape(-1)
        return result

    def _set_flat(self, slope: Float64) -> None:
        scale = slope.mean()
        field = self._field(self._coefficients(slope / scale, 0) * self.shrink, 0)
        self.flat = np.maximum(field, _SMALLEST_FLAT)
        self.flat /= self.flat.mean()

    def _both(
        self, bb: Float64, b: Float64, one: Float64, b_data: Float64, data: Float64, known: npt.NDArray[np.bool_]
    ) -> None:
        """Slope and intercept of every pixel over the images' baselines."""
        determinant = bb * one - b * b
        known = known & (determinant > 1e-6 * bb * one)
        safe = np.where(known, determinant, 1)
        slope = np.where(known, (b_data * one - data * b) / safe, self.flat)
        intercept = np.where(known, (bb * data - b * b_data) / safe, self.dark)
        self._set_flat(slope)
        variance = float(self.flat.var())
        if variance > _FLAT_VARIANCE:
            # D + c F with b - c explains the data as well as D with b: take the flattest dark field
            intercept = intercept - self.flat * float(np.cov(intercept, self.flat)[0, 1]) / variance
        smooth = self._field(self._coefficients(intercept, 1), 1)
        self.dark = np.clip(smooth, 0, None if self.bound is None else self.bound)

    def _believe(self, influence: Float64) -> None:
        """Shrink each cosine by how much the tiles disagree on it."""
        scores = self._coefficients(influence, 0)
        variance = (scores**2).sum(axis=0) * self.tiles / max(1, self.tiles - 1)
        raw = self._coefficients(self.flat, 0) / np.where(self.shrink > 0, self.shrink, 1)
        evidence = np.where(self.shrink > 0, raw**2, 0) + scores.sum(axis=0) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            shrink = 1 - self.believed**2 * variance / evidence
        self.shrink = np.where(evidence > 0, np.clip(shrink, 0, 1), 0)
        self.shrink[0, 0] = 1
