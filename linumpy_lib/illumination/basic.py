"""BaSiC (Peng et al. 2017): flat field, dark field and baselines of many tiles, on any device.

Every image is ``flat_field * content + dark_field``, with few edges in its content and fields that are smooth, so that
these are sparse as sums of cosines. Peng's program compares every pixel with the one baseline of its image; what tissue
there is in an image then looks like shading. Here neighbouring pixels are compared, whose difference is

    dI = (I - D) dF / F + dD + residual,

and whose content differs at edges only: the L1 norm of these residuals, relative to I - D, is minimised by iteratively
reweighted least squares. That baselines drop out makes a step a handful of sums over the images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.device import Device, get_device
from linumpy_lib.device_memory import or_on_cpu
from linumpy_lib.illumination.cosines import Float64, coefficients_of, cosine_basis

FLAT_ORDER = 24
DARK_ORDER = 4
DEFAULT_SMOOTHNESS = 0.05
FEWEST_TILES = 4

# Largest relative change of the flat field, in one iteration, of a fit that has come to rest.
_TOLERANCE = 3e-4
# Iterations with the plain L1 norm, which has one minimum, before large residuals lose their say.
_PLAIN = 6
# Residuals below this fraction of the signal count alike.
_EPSILON = 0.01
# Noise of dark pixels, fraction of the median intensity: below it, differences relative to the signal mean little.
_DARK_NOISE = 0.1
# What is brighter than this many times the level of bright images (a glaring speck) has no more say.
_GLARING = 2.0
_BRIGHT_PERCENTILE = 90
# Standard errors from which on a cosine is believed, at the default smoothness.
_BELIEVED = 2.0
# Penalty on a dark field that is not the same everywhere, fraction of the mean information on its cosines.
_UNEVEN_DARK = 0.01
_SMALLEST_FLAT = 0.05
_SMALLEST_BASELINE = 1e-3
# Every so many pixels are looked at for typical values.
_SAMPLE = 7
# Tiles whose say on the cosines is looked at together.
_TILES = 128
# The pixels after and before a border between two, by axis.
_PAIRS = (
    ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
    ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
)


def _difference(array: Any, axis: int) -> Any:
    after, before = _PAIRS[axis]
    return array[(..., *after)] - array[(..., *before)]


def _middle(array: Any, axis: int) -> Any:
    after, before = _PAIRS[axis]
    return (array[(..., *after)] + array[(..., *before)]) * 0.5


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
    """State of one fit; images live on the device, fields in NumPy."""

    def __init__(
        self,
        images: npt.NDArray[np.float32],
        groups: npt.ArrayLike | None,
        weights: npt.NDArray[np.float32] | None,
        darkfield: bool,
        darkest: npt.NDArray[np.float32] | None,
        device: Device,
    ) -> None:
        count, *grid = images.shape
        self.grid, self.darkfield, self.device = (grid[0], grid[1]), darkfield, device
        self.labels = np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        self.tiles = int(self.labels.max()) + 1
        self.images, self.valid = images, None if weights is None else weights > 0
        levels = self._levels(images)
        lit = levels[levels > 0] if (levels > 0).any() else np.ones(1)
        self.unit = float(np.median(lit))
        self.bright = _GLARING * float(np.percentile(lit, _BRIGHT_PERCENTILE)) / self.unit
        self.data = device.to_device(images / np.float32(self.unit))
        known = None if self.valid is None else device.to_device(self.valid)
        self.known = [None if known is None else known[(..., *a)] * known[(..., *b)] for a, b in _PAIRS]
        self.bound = None if darkest is None else darkest.astype(np.float64) / self.unit
        self.bases = [cosine_basis(n, min(FLAT_ORDER, n)) for n in self.grid]
        self.dark_bases = [cosine_basis(n, min(DARK_ORDER, n)) for n in self.grid]
        steps = [2 * np.sin(np.pi * np.arange(len(basis)) / (2 * basis.shape[1])) for basis in self.bases]
        self.laplacian = steps[0][:, None] ** 2 + steps[1] ** 2
        self.laplacian[0, 0] = np.inf
        self.log_flat, self.flat, self.dark = np.zeros(self.grid), np.ones(self.grid), np.zeros(self.grid)
        self.shrink = np.ones(self.laplacian.shape)
        self.spread = np.inf

    def run(self, max_iterations: int, believed: float) -> BasicFit:
        """Fit freely, judge the cosines by how much the tiles disagree, fit again with those that are believed."""
        used, converged = self._settle(max_iterations, believed)
        if believed > 0:
            self._believe(believed)
            more, converged_again = self._settle(max(1, max_iterations - used), believed)
            used, converged = used + more, converged and converged_again
        self.flat = np.maximum(self.flat, _SMALLEST_FLAT)
        self.flat /= self.flat.mean()
        baseline = self._levels((self.images - self.unit * self.dark) / self.flat)
        return BasicFit(
            coefficients_of(self.flat, self.bases),
            coefficients_of(self.dark, self.dark_bases) * self.unit,
            np.maximum(baseline, _SMALLEST_BASELINE * self.unit),
            self.grid,
            used,
            converged,
        )

    def _levels(self, images: npt.NDArray[Any]) -> Float64:
        """Median of each image's valid pixels, or of a sample of them."""
        pixels = images.reshape(len(images), -1)
        if self.valid is None:
            sample: Float64 = np.median(pixels[:, ::_SAMPLE], axis=1).astype(np.float64)
            return sample
        valid = self.valid.reshape(len(images), -1)
        return np.array([float(np.median(p[v])) if v.any() else 0.0 for p, v in zip(pixels, valid, strict=True)])

    def _settle(self, most: int, believed: float) -> tuple[int, bool]:
        """Iterate until the flat field rests; return the iterations and whether it does."""
        for iteration in range(1, most + 1):
            previous = self.flat
            sums, residuals = [], []
            for trust, signal, residual, size, relative in self._compared():
                sums.append(self._sums(trust, signal, residual, size))
                residuals.append(relative)
            self._fit_flat(sums)
            if self.darkfield:
                self._fit_dark(sums, believed)
            if iteration == _PLAIN and not np.isfinite(self.spread):
                # fixed from here on: a scale that follows the fit would keep it from coming to rest
                self.spread = max(float(np.median(np.concatenate(residuals))), _EPSILON)
            if float(np.abs(self.flat - previous).max()) < _TOLERANCE and np.isfinite(self.spread):
                return iteration, True
        return most, False

    def _compared(self) -> Iterator[tuple[Any, Any, Any, Any, npt.NDArray[Any]]]:
        """Compare neighbours along each axis: trust, signal, residual, its scale, sample of relative residuals."""
        to_device = self.device.to_device
        for axis in (0, 1):
            slope = to_device(_difference(self.flat, axis) / _middle(self.flat, axis))[None]
            signal = _middle(self.data, axis)
            residual = _difference(self.data, axis)
            if self.darkfield:
                signal -= to_device(_middle(self.dark, axis))[None]
                residual -= to_device(_difference(self.dark, axis))[None]
            residual -= signal * slope
            size = self.device.xp.clip(signal, 0, None)
            size += _DARK_NOISE
            relative = self.device.xp.abs(residual)
            relative /= size
            doubt = relative + _EPSILON
            if np.isfinite(self.spread):
                doubt *= relative * (1 / self.spread) + 1
            doubt *= size * size * (1 / self.bright**2) + 1
            known = self.known[axis]
            trust = (1 if known is None else known) / doubt
            yield trust, signal, residual, size, self._sample(axis, relative)

    def _sample(self, axis: int, relative: Any) -> npt.NDArray[Any]:
        if np.isfinite(self.spread):
            return np.zeros(0)
        known = self.known[axis]
        sample = self.device.to_numpy(relative[:, ::_SAMPLE, ::2])
        return sample.reshape(-1) if known is None else sample[self.device.to_numpy(known[:, ::_SAMPLE, ::2]) > 0]

    def _sums(self, trust: Any, signal: Any, residual: Any, size: Any) -> list[Float64]:
        """Sum over the images: what slopes follow from, and with a dark field what intercepts follow from."""
        weighted = trust * signal
        found = [(weighted * signal).sum(0), (weighted * residual).sum(0)]
        if self.darkfield:
            # the dark field shows where there is little light: as many dark pixels as bright ones have a say
            trust = trust / (size * size)
            weighted = trust * signal
            found += [trust.sum(0), weighted.sum(0), (weighted * signal).sum(0), (trust * residual).sum(0)]
            found.append((weighted * residual).sum(0))
        return [self.device.to_numpy(each).astype(np.float64) for each in found]

    def _fit_dark(self, sums: list[list[Float64]], believed: float) -> None:
        """Move the dark field by what the residuals show where there is no signal."""
        along_y, along_x = self.dark_bases
        atoms = (along_y[:, None, :, None] * along_x[None, :, None, :]).reshape(-1, *self.grid)
        rows, intercepts, evidence = [], [], []
        for axis, (_, _, one, s, ss, r, sr) in enumerate(sums):
            slope = _difference(self.flat, axis) / _middle(self.flat, axis)
            determinant = ss * one - s * s
            known = determinant > 1e-6 * ss * one
            safe = np.where(known, determinant, 1)
            now = _difference(self.dark, axis) - _middle(self.dark, axis) * slope
            intercepts.append((np.where(known, (ss * r - s * sr) / safe, 0) + now).reshape(-1))
            evidence.append(np.where(known, determinant / np.where(known, ss, 1), 0).reshape(-1))
            rows.append((_difference(atoms, axis) - _middle(atoms, axis) * slope).reshape(len(atoms), -1))
        row, intercept, weight = np.concatenate(rows, axis=1), np.concatenate(intercepts), np.concatenate(evidence)
        normal = (row * weight) @ row.T
        total = float(weight.sum())
        if total == 0:
            return
        penalty = np.full(len(atoms), _UNEVEN_DARK * float(np.trace(normal)) + 1e-9 * total)
        penalty[0] = 1e-9 * total
        inverse = np.linalg.inv(normal + np.diag(penalty))
        found = inverse @ ((row * weight) @ intercept)
        # what chance gives: planes of one tile are no independent evidence
        error = float(np.sum(weight * (intercept - found @ row) ** 2)) / weight.size * len(self.labels) / self.tiles
        with np.errstate(divide="ignore", invalid="ignore"):
            trusted = np.clip(1 - believed**2 * error * np.diag(inverse) / found**2, 0, 1)
        dark = np.tensordot(np.where(found != 0, found * trusted, 0), atoms, 1)
        self.dark = np.clip(dark, 0, None if self.bound is None else self.bound)

    def _fit_flat(self, sums: list[list[Float64]]) -> None:
        """Fit slopes to every pair of pixels, and the smooth field to the slopes."""
        moved = []
        for ss, sr, *_ in sums:
            known = ss > 1e-4 * ss.max(initial=0)
            moved.append(np.where(known, sr / np.where(known, ss, 1), 0))
        coefficients = coefficients_of(self.log_flat, self.bases) + self._joined(moved[0], moved[1])
        along_y, along_x = self.bases
        self.log_flat = np.clip(along_y.T @ (coefficients * self.shrink) @ along_x, *np.log([_SMALLEST_FLAT**2, 1e3]))
        flat = np.exp(self.log_flat)
        self.flat = flat / flat.mean()

    def _joined(self, along_y: Float64, along_x: Float64) -> Float64:
        """Find coefficients (..., ky, kx) of the field whose differences come nearest to those along y and x."""
        field = np.zeros((*along_y.shape[:-2], *self.grid))
        for axis, differences in enumerate((along_y, along_x)):
            after, before = _PAIRS[axis]
            field[(..., *after)] += differences
            field[(..., *before)] -= differences
        joined: Float64 = coefficients_of(field, self.bases) / self.laplacian
        return joined

    def _believe(self, believed: float) -> None:
        """Shrink each cosine by how much the tiles disagree on it."""
        influence = []
        for trust, signal, residual, _size, _ in self._compared():
            weighted = trust * signal
            total = self.device.to_numpy((weighted * signal).sum(0)).astype(np.float64)
            known = total > 1e-4 * total.max(initial=0)
            influence.append((weighted * residual, np.where(known, 1 / np.where(known, total, 1), 0)))
        squares = np.zeros(self.laplacian.shape)
        for first in range(0, self.tiles, _TILES):
            members = np.arange(first, min(first + _TILES, self.tiles))
            mine = np.nonzero((self.labels >= first) & (self.labels < first + _TILES))[0]
            sums = []
            for pairs, scale in influence:
                part = np.zeros((len(members), *scale.shape))
                np.add.at(
                    part,
                    self.labels[mine] - first,
                    self.device.to_numpy(pairs[mine.min() : mine.max() + 1])[mine - mine.min()],
                )
                sums.append(part * scale)
            squares += (self._joined(*sums) ** 2).sum(axis=0)
        variance = squares * self.tiles / max(1, self.tiles - 1)
        values = coefficients_of(self.log_flat, self.bases) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            shrink = 1 - believed**2 * variance / values
        self.shrink = np.where(values > 0, np.clip(shrink, 0, 1), 0)
