"""Depth-resolved attenuation: how much light is left at each voxel, from the light that comes back from below it.

With backscatter proportional to attenuation, I(z) = K mu(z) exp(-2 integral of mu), and the light that is left is what
will still come back (Vermeer et al. 2014): with S_n = sum of I_j over j > n, plus C for everything below the data,

    mu_n = ln(1 + I_n / (S_n + C)) / (2 step),    exp(-2 step (mu_0 + ... + mu_(n-1))) = (S_(n-1) + C) / (S_(-1) + C).

The methods differ in C, the light that comes back from below the last sample:

* ``vermeer``: none;
* ``smith``: that of a medium that goes on with the mean decay of the whole A-line (Smith et al. 2015);
* ``liu``: with the decay of its last samples (Liu et al. 2019);
* ``li``: as liu, after the noise floor is subtracted and A-lines are cut where they sink into it (Li et al. 2020).

Single A-lines are too noisy for a decay, so C is measured on the means of lateral bins. All light that comes back,
S_(-1) + C = K / (2 step), depends neither on depth nor on how much a tissue attenuates, so it is the same everywhere; a
decay over a few samples is not, since tissue changes with depth. What a bin says is therefore held within a tenth of
the tissue's median: otherwise every bin's error is multiplied into its deep samples, as a shadow of what lies above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.intensity.agarose import Materials, find_materials
from linumpy_lib.intensity.slice_columns import BinnedSlice, Floats

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

METHODS = ("vermeer", "smith", "liu", "li")
LARGEST_DEVIATION = 1.1
_FLATTEST_PER_MM = 0.02
_STEEPEST_PER_MM = 50.0
_POOLED_BINS = 3.0
_COLUMNS = 4096


@dataclass(frozen=True)
class Attenuation:
    """What is known of a slice before its A-lines are looked at one by one.

    Attributes
    ----------
    below : ndarray of float32, shape (bins along y, bins along x)
        C, the light from below the last used sample.
    last : ndarray of float32, shape (bins along y, bins along x)
        Depth index after the last sample that is used.
    compensated : ndarray of float32, shape (bins along y, bins along x)
        1 where columns are compensated, 0 where not.
    floor : float
        Subtracted before.
    skip : int
        Samples below the face that are replaced by the next ones: reflection of the face itself.
    materials : Materials
        Tissue and agarose.
    total : float
        Median over the tissue of all light that comes back, C included.
    mu_per_mm : ndarray, shape (z,)
        Median attenuation coefficient of the tissue at each depth.
    tail_mu_per_mm : float
        Median of the decay below the data.
    spread : float
        Robust standard deviation, over the tissue's bins, of the logarithm of all light that comes back as each bin
        tells it.
    """

    below: Floats
    last: Floats
    compensated: Floats
    floor: float
    skip: int
    materials: Materials
    total: float
    mu_per_mm: Doubles
    tail_mu_per_mm: float
    spread: float


def without_reflection(lines: npt.NDArray[Any], skip: int) -> npt.NDArray[Any]:
    """Replace the first `skip` samples by the mean of as many below them."""
    if skip == 0 or lines.shape[0] < skip + 1:
        return lines
    result = lines.copy()
    result[:skip] = lines[skip : 2 * skip].mean(axis=0)
    return result


def decay(lines: npt.NDArray[Any], start: Ints, stop: Ints, step_mm: float) -> tuple[Doubles, Doubles]:
    """Fit ``ln I = a - 2 mu z`` to a range of each A-line.

    Parameters
    ----------
    lines : ndarray, shape (z, n)
        A-lines.
    start, stop : ndarray of int, shape (n,)
        First sample of each range and the one after the last.
    step_mm : float
        Distance of samples.

    Returns
    -------
    mu_per_mm : ndarray, shape (n,)
        Attenuation coefficient, within 0.02 to 50 per mm.
    at_end : ndarray, shape (n,)
        Fitted intensity of the last sample of the range.
    """
    z = np.arange(lines.shape[0])[:, None]
    weight = ((z >= start) & (z < stop) & (lines > 0)).astype(np.float64)
    logs = np.log(np.where(lines > 0, lines, 1.0))
    total = np.maximum(weight.sum(axis=0), 1)
    mean_z, mean_log = (weight * z).sum(axis=0) / total, (weight * logs).sum(axis=0) / total
    spread = (weight * (z - mean_z) ** 2).sum(axis=0)
    slope = (weight * (z - mean_z) * (logs - mean_log)).sum(axis=0) / np.maximum(spread, 1e-9)
    mu = np.clip(-slope / (2 * step_mm), _FLATTEST_PER_MM, _STEEPEST_PER_MM)
    level = np.exp(mean_log - 2 * mu * step_mm * (stop - 1 - mean_z))
    return mu, np.where(weight.sum(axis=0) > 1, level, 0.0)


def coefficients(lines: npt.ArrayLike, below: npt.ArrayLike, step_mm: float) -> Doubles:
    """Attenuation coefficient of each sample.

    Parameters
    ----------
    lines : array_like, shape (z, ...)
        Intensities without noise floor.
    below : array_like, shape (...)
        Light that comes back from below the last sample (C).
    step_mm : float
        Distance of samples.

    Returns
    -------
    ndarray, shape (z, ...)
        Coefficients, 1/mm. Without light from below, that of the last lit sample is infinite and set to 0.

    Examples
    --------
    >>> i = np.exp(-2 * 3.0 * 0.01 * np.arange(50))
    >>> mu = coefficients(i, i[-1] / np.expm1(2 * 3.0 * 0.01), 0.01)
    >>> bool(np.allclose(mu, 3.0))
    True
    """
    values = np.asarray(lines, np.float64)
    left = np.flip(np.cumsum(np.flip(values, 0), axis=0), 0) - values + np.asarray(below, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        mu: Doubles = np.log1p(values / left) / (2 * step_mm)
    mu[~np.isfinite(mu)] = 0.0
    return mu


def _pooled(lines: Floats, tissue: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> Floats:
    """Average A-lines (z, n) of tissue over neighbouring bins: the inverse of a noisy decay is far too large."""
    from scipy.ndimage import gaussian_filter

    weight = tissue.reshape(shape).astype(np.float32)
    scale = 1 / np.maximum(gaussian_filter(weight, _POOLED_BINS, mode="constant"), np.float32(1e-9))
    result = np.empty_like(lines)
    for plane, out in zip(lines, result, strict=True):
        sums = gaussian_filter(plane.reshape(shape) * weight, _POOLED_BINS, mode="constant")
        out[:] = (sums * scale).reshape(-1)
    return result


def _parts(columns: int) -> list[slice]:
    """Split columns, so that intermediate results stay small."""
    return [slice(k, min(k + _COLUMNS, columns)) for k in range(0, columns, _COLUMNS)]


def _ends(lines: Floats, threshold: float) -> Ints:
    """Depth index after the last sample (smoothed over five) that reaches a threshold; 0 where none does."""
    from scipy.ndimage import uniform_filter1d

    depth = len(lines)
    stop = np.zeros(lines.shape[1], np.int64)
    for part in _parts(lines.shape[1]):
        seen = uniform_filter1d(lines[:, part], 5, axis=0, mode="nearest") >= threshold
        stop[part] = np.where(seen.any(axis=0), depth - np.argmax(seen[::-1], axis=0), 0)
    return stop


def noise_level(binned: BinnedSlice, materials: Materials) -> float:
    """Intensity that the signal sinks to outside the tissue: the lowest of the planes' medians there."""
    outside = binned.known & ~materials.tissue
    if not outside.any():
        return 0.0
    return float(np.median(binned.lines[:, outside], axis=1).min())


def measure_attenuation(
    binned: BinnedSlice,
    *,
    method: str = "li",
    mask_sigma: float = 2.0,
    tail: int = 20,
    skip: int = 3,
    snr_threshold_db: float = 6.0,
    noise: float | None = None,
) -> Attenuation:
    """Measure what comes back from below the data.

    Parameters
    ----------
    binned : BinnedSlice
        Mean A-lines; the first sample is the cut face.
    method : {'vermeer', 'smith', 'liu', 'li'}
        See the module.
    mask_sigma : float
        Smoothing of the brightness by which tissue is told from agarose, voxels.
    tail : int
        Last samples that the decay below the data is fitted to.
    skip : int
        Samples below the face that are left out.
    snr_threshold_db : float
        Method li: A-lines end where they sink below the noise level times 10^(this / 10).
    noise : float, optional
        Noise level of a slice whose floor has been subtracted; without it, method li takes the floor from outside the
        tissue.
    """
    depth = binned.shape[0]
    skip = min(skip, max(0, (depth - 2) // 3))
    step_mm = binned.spacing_um[0] / 1000
    materials = find_materials(binned, slice(skip, None), 0.0, mask_sigma)
    floor, level = 0.0, 0.0
    if method == "li":
        floor = noise_level(binned, materials) if noise is None else 0.0
        level = floor if noise is None else noise
    shape = binned.known.shape
    lines = binned.lines.reshape(depth, -1) - np.float32(floor)
    np.maximum(lines, 0, out=lines)
    lines = without_reflection(lines, skip)
    stop = np.full(lines.shape[1], depth)
    if method == "li" and level > 0:
        stop = _ends(lines, level * 10 ** (snr_threshold_db / 10))
    tissue = (materials.tissue & binned.known).reshape(-1) & (stop > skip + 2)
    below, mu_end = np.zeros(lines.shape[1]), np.zeros(lines.shape[1])
    if method != "vermeer" and tissue.any():
        first = np.full_like(stop, skip) if method == "smith" else np.maximum(skip, stop - max(2, tail))
        pooled = _pooled(lines, tissue, shape)
        for part in _parts(lines.shape[1]):
            mu_end[part], at_end = decay(pooled[:, part], first[part], stop[part], step_mm)
            below[part] = at_end / np.expm1(2 * mu_end[part] * step_mm)
        del pooled
    lines[np.arange(depth)[:, None] >= stop] = 0
    total = lines.sum(axis=0, dtype=np.float64)
    spread = 0.0
    if method != "vermeer" and tissue.any():
        typical = float(np.median((total + below)[tissue]))
        low, high = typical / LARGEST_DEVIATION, typical * LARGEST_DEVIATION
        limited = np.clip(total + below, np.maximum(low, total), np.maximum(high, total))
        told = np.log((total + below)[tissue] / typical)
        spread = 1.4826 * float(np.median(np.abs(told)))
        below = np.where(tissue, limited - total, np.maximum(typical - total, 0))
    everything = total + below
    compensated = tissue if method == "vermeer" else binned.known.reshape(-1) & (everything > 0)
    # in place: the lines are not needed any more
    for part in _parts(lines.shape[1]):
        lines[:, part] = coefficients(lines[:, part], below[part], step_mm)
    mu = np.array([np.median(plane[tissue]) for plane in lines]) if tissue.any() else np.zeros(depth)
    return Attenuation(
        below=below.reshape(shape).astype(np.float32),
        last=stop.reshape(shape).astype(np.float32),
        compensated=compensated.reshape(shape).astype(np.float32),
        floor=floor,
        skip=skip,
        materials=materials,
        total=float(np.median(everything[tissue])) if tissue.any() else 0.0,
        mu_per_mm=mu.astype(np.float64),
        tail_mu_per_mm=float(np.median(mu_end[tissue])) if tissue.any() else 0.0,
        spread=spread,
    )
