"""Intensity of a stack along z: match each plane to the whole, and take out slow drift or plane-to-plane jumps.

Everything follows from one histogram of tissue for each plane, gathered in one pass; a second pass maps the voxels.
Tissue is what lies above a threshold (and inside a mask, if there is one); background is left untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.intensity.bspline import Floats

Mode = Literal["percentile", "histogram"]
Doubles = npt.NDArray[np.float64]

BINS = 4096
FEWEST_TO_MATCH = 500
FEWEST_FOR_MEAN = 100
FEWEST_PLANES = 3
SLAB_BYTES = 64 * 2**20


@dataclass(frozen=True)
class PlaneHistograms:
    """Tissue histogram of each z plane.

    Attributes
    ----------
    counts : ndarray of int64, shape (nz, bins)
        Tissue voxels of each plane in equal bins.
    edges : ndarray of float64, shape (bins + 1,)
        Edges of the bins; the first is the tissue threshold.
    """

    counts: npt.NDArray[np.int64]
    edges: Doubles

    @property
    def voxels(self) -> npt.NDArray[np.int64]:
        """Tissue voxels of each plane."""
        total: npt.NDArray[np.int64] = self.counts.sum(axis=1)
        return total


def _slabs(vol: Any) -> list[tuple[int, int]]:
    step = max(1, SLAB_BYTES // (8 * int(np.prod(vol.shape[1:]))))
    return [(z, min(z + step, vol.shape[0])) for z in range(0, vol.shape[0], step)]


def highest_value(vol: Any) -> float:
    """Return the highest finite value of a volume (0 if there is none), read in slabs."""
    highest = 0.0
    for a, b in _slabs(vol):
        block = np.asarray(vol[a:b])
        finite = block[np.isfinite(block)]
        if finite.size:
            highest = max(highest, float(finite.max()))
    return highest


def plane_histograms(vol: Any, mask: Any | None, threshold: float, highest: float) -> PlaneHistograms:
    """Gather the tissue histogram of every plane.

    Parameters
    ----------
    vol, mask : array_like, shape (z, y, x)
        Volume and tissue mask (None: everything), also lazy arrays that are sliced along z.
    threshold : float
        Tissue is above this value.
    highest : float
        Highest value of the volume.
    """
    top = highest if highest > threshold else threshold + max(1.0, abs(threshold))
    edges = np.linspace(threshold, top, BINS + 1)
    counts = np.zeros((vol.shape[0], BINS), np.int64)
    scale = BINS / (edges[-1] - edges[0])
    for a, b in _slabs(vol):
        block = np.asarray(vol[a:b])
        inside = None if mask is None else np.asarray(mask[a:b]) != 0
        for z in range(a, b):
            tissue = block[z - a] > threshold
            if inside is not None:
                tissue &= inside[z - a]
            values = block[z - a][tissue]
            values = values[np.isfinite(values)]
            index = np.minimum(((values.astype(np.float64) - edges[0]) * scale).astype(np.int64), BINS - 1)
            counts[z] = np.bincount(index, minlength=BINS)
    return PlaneHistograms(counts, edges)


def _cumulative(counts: npt.NDArray[Any]) -> Doubles:
    return np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64)]) / max(float(counts.sum()), 1.0)


def _smooth(values: Doubles, weights: Doubles, sigma: float) -> Doubles:
    """Gaussian-smooth a profile; planes of weight 0 count for nothing and receive their neighbours' value."""
    from scipy import ndimage

    if sigma <= 0:
        return values
    total = ndimage.gaussian_filter1d(weights, sigma, mode="nearest")
    smooth = ndimage.gaussian_filter1d(np.where(weights > 0, values, 0) * weights, sigma, mode="nearest")
    result: Doubles = np.where(total > 1e-9, smooth / np.maximum(total, 1e-9), values)
    return result


@dataclass(frozen=True)
class PlaneCorrection:
    """What becomes of the tissue voxels of each plane: a table, or as they are, times a gain.

    Attributes
    ----------
    edges : ndarray, shape (bins + 1,)
        Where the tables have their entries; the first is the tissue threshold.
    tables : ndarray of float32, shape (nz, bins + 1), or None
        New value at each edge; above the last edge the difference stays the same.
    gains : ndarray, shape (nz,)
        Factor of each plane.
    """

    edges: Doubles
    tables: Floats | None
    gains: Doubles

    def apply(self, plane: npt.NDArray[Any], z: int, tissue: npt.NDArray[np.bool_] | None = None) -> Floats:
        """Return one plane (or a part of it) corrected, float32; `tissue` limits it to the voxels of a mask."""
        values = plane.astype(np.float32)
        inside = values > np.float32(self.edges[0])
        if tissue is not None:
            inside &= tissue
        old = values[inside]
        new = old
        if self.tables is not None:
            table, width = self.tables[z], np.float32((self.edges[-1] - self.edges[0]) / (self.edges.size - 1))
            position = (old - np.float32(self.edges[0])) / width
            index = np.clip(np.nan_to_num(position), 0, table.size - 2).astype(np.int32)
            new = table[index] + (table[index + 1] - table[index]) * np.minimum(position - index, 1)
            new += np.maximum(old - np.float32(self.edges[-1]), 0)
        values[inside] = new * np.float32(self.gains[z])
        return values


def histogram_matching(
    histograms: PlaneHistograms, strength: float = 1.0, groups: Sequence[tuple[int, int]] | None = None
) -> PlaneCorrection:
    """Map each plane's tissue histogram to that of the whole volume.

    A value v of plane k becomes ``(1 - strength) * v + strength * inverse(CDF of all)(CDF of k(v))``.

    Parameters
    ----------
    histograms : PlaneHistograms
        Histograms of the planes.
    strength : float
        0 changes nothing, 1 matches fully.
    groups : sequence of (int, int), optional
        Ranges of planes that share one mapping, such as sections; default: each plane has its own. A group with fewer
        than 500 tissue voxels is left as it is.
    """
    edges = histograms.edges
    planes = histograms.counts.shape[0]
    reference = _cumulative(histograms.counts.sum(axis=0))
    # the inverse needs rising values; flat stretches of the reference take their lowest edge
    rising = np.concatenate([[True], np.diff(reference) > 0])
    tables = np.repeat(edges[None].astype(np.float32), planes, axis=0)
    for start, stop in groups or [(z, z + 1) for z in range(planes)]:
        counts = histograms.counts[start:stop].sum(axis=0)
        if counts.sum() >= FEWEST_TO_MATCH:
            matched = np.interp(_cumulative(counts), reference[rising], edges[rising])
            tables[start:stop] = (1 - strength) * edges + strength * matched
    return PlaneCorrection(edges, tables, np.ones(planes))


def percentile_scaling(
    histograms: PlaneHistograms,
    strength: float = 1.0,
    *,
    percentile: float = 99.0,
    sigma: float = 2.0,
    limits: tuple[float, float] = (0.5, 2.0),
) -> PlaneCorrection:
    """Scale each plane so that a high percentile of its tissue follows the stack's median.

    With q the percentile of each plane, smoothed along z, a plane is multiplied by ``median(q) / q``, within `limits`.
    """
    edges, used = histograms.edges, histograms.voxels >= FEWEST_FOR_MEAN
    gains = np.ones(used.size)
    if used.any():
        q = np.array(
            [
                np.interp(percentile / 100, _cumulative(counts), edges) if enough else 0.0
                for counts, enough in zip(histograms.counts, used, strict=True)
            ]
        )
        smooth = _smooth(q, used.astype(np.float64), sigma)
        gains[used] = np.clip(np.median(smooth[used]) / smooth[used], *limits)
    return PlaneCorrection(edges, None, 1 + strength * (gains - 1))


def smooth_profile(histograms: PlaneHistograms, sigma: float, before: PlaneCorrection | None = None) -> PlaneCorrection:
    """Let the mean tissue intensity of the planes follow its own Gaussian-smoothed profile.

    Parameters
    ----------
    histograms : PlaneHistograms
        Histograms of the planes.
    sigma : float
        Width of the Gaussian, in planes; 0 changes nothing.
    before : PlaneCorrection, optional
        Correction that is applied first; the result contains it.

    Returns
    -------
    PlaneCorrection
        Planes with fewer than 100 tissue voxels keep their intensity, as do stacks of fewer than 3 such planes.
    """
    edges, counts = histograms.edges, histograms.counts
    planes = counts.shape[0]
    before = before or PlaneCorrection(edges, None, np.ones(planes))
    values = np.broadcast_to(edges, (planes, edges.size)) if before.tables is None else before.tables
    voxels = histograms.voxels
    used = voxels >= FEWEST_FOR_MEAN
    if sigma <= 0 or used.sum() < FEWEST_PLANES:
        return before
    centres = (values[:, :-1] + values[:, 1:]) / 2
    means = (counts * centres).sum(axis=1) / np.maximum(voxels, 1) * before.gains
    smooth = _smooth(means, used.astype(np.float64), sigma)
    return PlaneCorrection(edges, before.tables, before.gains * np.where(used, smooth / np.where(used, means, 1), 1))


def normalize_z_intensity(
    vol: npt.ArrayLike,
    mode: str = "histogram",
    strength: float = 1.0,
    *,
    mask: npt.ArrayLike | None = None,
    tissue_threshold: float = 0.005,
    percentile: float = 99.0,
    smooth_sigma: float = 2.0,
    scale_limits: tuple[float, float] = (0.5, 2.0),
    out: Floats | None = None,
) -> Floats:
    """Even out the intensity of a stack along z.

    Parameters
    ----------
    vol : array_like, shape (z, y, x)
        Stack of any real type.
    mode : {'histogram', 'percentile'}
        ``histogram`` matches the tissue histogram of each plane to that of the whole stack; ``percentile`` multiplies
        each plane by a smooth factor that evens out a high percentile of its tissue.
    strength : float
        0 changes nothing, 1 corrects fully.
    mask : array_like, optional
        Tissue; what is outside stays as it is.
    tissue_threshold : float
        Tissue is above this fraction of the highest value.
    percentile : float
        Percentile of mode ``percentile``.
    smooth_sigma : float
        Smoothing of the percentile along z in mode ``percentile``, in planes.
    scale_limits : tuple of float
        Smallest and largest factor in mode ``percentile``.
    out : ndarray of float32, optional
        Receives the result; may be `vol` itself.

    Returns
    -------
    ndarray of float32, shape (z, y, x)

    Raises
    ------
    InputError
        The volume has not three axes, or the mask another shape.
    ParameterError
        The mode is unknown or a number is out of range.
    """
    volume = np.asarray(vol)
    tissue = None if mask is None else np.asarray(mask) != 0
    if volume.ndim != 3 or volume.size == 0:
        raise InputError(f"volume of shape {volume.shape}: three axes (z, y, x) of at least 1 are needed")
    if tissue is not None and tissue.shape != volume.shape:
        raise InputError(f"mask of shape {tissue.shape}: it must have the volume's shape {volume.shape}")
    if mode not in get_args(Mode):
        raise ParameterError(f"parameter 'mode': {mode!r} is not allowed: use one of {', '.join(get_args(Mode))}")
    ranges = {
        "strength": (strength, 0.0, 1.0),
        "tissue_threshold": (tissue_threshold, 0.0, 1.0),
        "percentile": (percentile, 0.0, 100.0),
    }
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise ParameterError(f"parameter '{name}': {value} is not allowed: give {low:g} to {high:g}")
    highest = highest_value(volume)
    histograms = plane_histograms(volume, tissue, tissue_threshold * highest, highest)
    correction = (
        histogram_matching(histograms, strength)
        if mode == "histogram"
        else percentile_scaling(histograms, strength, percentile=percentile, sigma=smooth_sigma, limits=scale_limits)
    )
    result = np.empty(volume.shape, np.float32) if out is None else out
    for z in range(volume.shape[0]):
        result[z] = correction.apply(volume[z], z, None if tissue is None else tissue[z])
    return result
