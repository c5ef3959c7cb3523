"""Where water ends and the cut face begins: the depth of each lateral bin, and a robust surface through them.

The step from water to tissue or agarose is the largest *relative* rise of a mean A-line: it multiplies the signal by
four to a hundred, structure below it by two or three. So the derivative is that of the logarithm; the place is then
refined to a fraction of a voxel on the intensity itself, whose steepest point does not depend on how dark water is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linumpy_lib.intensity.slice_columns import BinnedSlice, Bools

Doubles = npt.NDArray[np.float64]

SIGMA_Z = 2.0
"""Scale of the derivative along depth, voxels."""

SIGMA_BINS = 1.0
"""Smoothing across bins before the derivative."""

SMALLEST_RISE = 1.5
"""Intensity below the interface over that above it, at least."""

_SEARCHED = 0.5
_FURTHEST = 4.0
# Samples compared: many above, so that lines of noise in dark water are no rise, few below, where structure begins.
_ABOVE, _BELOW = 24, 6


@dataclass(frozen=True)
class Interface:
    """The cut face of a slice.

    Attributes
    ----------
    depth : ndarray, shape (bins along y, bins along x)
        Depth index of the face: samples at or below it show tissue or agarose. NaN where none was found.
    surface : ndarray, shape (bins along y, bins along x)
        Quadratic surface through the reliable depths.
    reliable : ndarray of bool
        Bins whose depth agrees with the surface.
    centre : float
        Median depth of the reliable bins; NaN if there are none.
    scatter : float
        Spread of the reliable depths about the surface (1.4826 times the median absolute deviation), voxels.
    """

    depth: Doubles
    surface: Doubles
    reliable: Bools
    centre: float
    scatter: float

    @property
    def found(self) -> bool:
        """Whether any bin shows an interface."""
        return bool(self.reliable.any())


def find_interface(binned: BinnedSlice, clip_percentile: float = 99.9) -> Interface:
    """Find the cut face in the upper half of a slice.

    Parameters
    ----------
    binned : BinnedSlice
        Mean A-lines.
    clip_percentile : float
        Intensities above this percentile are cut to it first, so that reflections do not draw the face to them.
    """
    known = binned.known
    lines = _smooth_across(binned, clip_percentile)
    depth, rise = interface_depths(lines)
    depth[~known | ~(rise >= SMALLEST_RISE)] = np.nan
    surface, reliable = _fit_surface(depth)
    if not reliable.any():
        return Interface(depth, surface, reliable, float("nan"), float("nan"))
    residual = (depth - surface)[reliable]
    scatter = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    return Interface(depth, surface, reliable, float(np.median(depth[reliable])), scatter)


def _smooth_across(binned: BinnedSlice, clip_percentile: float) -> Doubles:
    from scipy.ndimage import gaussian_filter

    lines = binned.lines.astype(np.float64)
    lit = lines[:, binned.known]
    if lit.size:
        np.minimum(lines, np.percentile(lit, clip_percentile), out=lines)
    weight = gaussian_filter(binned.filled.astype(np.float64), SIGMA_BINS, mode="nearest")
    lines *= binned.filled
    smooth: Doubles = gaussian_filter(lines, (0, SIGMA_BINS, SIGMA_BINS), mode="nearest")
    smooth /= np.maximum(weight, 1e-6)
    return smooth


def interface_depths(lines: npt.ArrayLike) -> tuple[Doubles, Doubles]:
    """Find the largest relative rise of A-lines.

    Parameters
    ----------
    lines : array_like, shape (z, ...)
        A-lines, at least 0.

    Returns
    -------
    depth : ndarray, shape (...)
        Where the rise is, as a fraction of a voxel: halfway between two samples if the step is there. The first
        samples below it are ``ceil(depth)``.
    rise : ndarray, shape (...)
        Mean of up to six samples below over that above.
    """
    from scipy.ndimage import gaussian_filter1d

    values = np.asarray(lines, np.float64)
    flat = values.reshape(len(values), -1)
    # one part in a thousand of the bright: keeps the logarithm of empty water finite, and below any real water
    floor = 1e-3 * np.maximum(np.percentile(flat, 95, axis=0), 1e-12)
    total = np.concatenate([np.zeros((1, flat.shape[1])), np.cumsum(flat, axis=0)])
    columns = np.arange(flat.shape[1])

    def mean(start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]) -> Doubles:
        start, stop = np.clip(start, 0, len(flat)), np.clip(stop, 0, len(flat))
        result: Doubles = (total[stop, columns] - total[start, columns]) / np.maximum(stop - start, 1)
        return result

    half = max(2, int(np.ceil(len(flat) * _SEARCHED)))
    candidates = np.arange(1, half)[:, None]
    above = mean(candidates - _ABOVE, candidates)
    relative = np.log(mean(candidates, candidates + _BELOW) + floor) - np.log(above + floor)
    coarse = 1 + np.argmax(relative, axis=0)
    steep = gaussian_filter1d(flat, SIGMA_Z, axis=0, order=1, mode="nearest")
    near = np.arange(len(flat))[:, None]
    steep = np.where(np.abs(near - coarse) <= _FURTHEST, steep, -np.inf)
    peak = np.argmax(steep, axis=0)
    below, above = np.clip(peak - 1, 0, len(flat) - 1), np.clip(peak + 1, 0, len(flat) - 1)
    left, middle, right = (steep[k, columns] for k in (below, peak, above))
    with np.errstate(invalid="ignore", divide="ignore"):
        bend = left - 2 * middle + right
        offset = np.where(np.isfinite(bend) & (bend < 0), 0.5 * (left - right) / bend, 0.0)
    depth = peak + np.clip(np.nan_to_num(offset), -0.5, 0.5)
    first = np.ceil(depth).astype(np.int64)
    water, tissue = mean(first - 7, first - 1), mean(first + 1, first + 7)
    rise = np.where(first > 1, tissue / np.maximum(water, floor), 0.0)
    return depth.reshape(values.shape[1:]), rise.reshape(values.shape[1:])


def _terms(shape: tuple[int, ...]) -> Doubles:
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape), indexing="ij")
    return np.stack([np.ones_like(x), y, x, y * y, x * y, x * x], axis=-1)


def _fit_surface(depth: Doubles) -> tuple[Doubles, Bools]:
    """Fit a quadratic surface by reweighted least squares (Tukey's biweight); return it and the bins that agree."""
    terms = _terms(depth.shape)
    finite = np.isfinite(depth)
    if not finite.any():
        return np.full(depth.shape, np.nan), np.zeros(depth.shape, bool)
    rows, values = terms[finite], depth[finite]
    # few bins tell a mean, more a plane, many a quadratic surface
    used = 1 if len(values) < 6 else 3 if len(values) < 24 else 6
    solution = np.zeros(6)
    solution[0] = np.median(values)
    scale = 1.0
    for _ in range(20):
        residual = values - rows @ solution
        scale = max(1.4826 * float(np.median(np.abs(residual))), 0.25)
        weight = np.clip(1 - (residual / (4.7 * scale)) ** 2, 0, None)
        new = np.zeros(6)
        new[:used] = np.linalg.lstsq(rows[:, :used] * weight[:, None], values * weight, rcond=1e-6)[0]
        if np.allclose(new, solution, atol=1e-4):
            break
        solution = new
    surface: Doubles = terms @ solution
    reliable = finite & (np.abs(np.nan_to_num(depth) - surface) <= max(3.0, 4.7 * scale))
    return surface, reliable
