"""Which columns of a slice show agarose and which tissue, from their brightness below the cut face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linumpy_lib.intensity.slice_columns import BinnedSlice, Bools, Floats

SMALLEST_CONTRAST = 1.8
"""Tissue over agarose, medians of their brightness: less is one material."""

_BINS = 256
_TRIM = 3.0


@dataclass(frozen=True)
class Materials:
    """Bins of agarose and of tissue.

    Attributes
    ----------
    agarose, tissue : ndarray of bool, shape (bins along y, bins along x)
        Disjoint; bins of unusual brightness belong to neither. Both empty where nothing is known.
    brightness : ndarray of float32, shape (bins along y, bins along x)
        Mean intensity over the depths that were looked at.
    threshold : float
        Brightness that separates the two.
    two : bool
        Whether there are two materials; if not, all columns count as tissue.
    """

    agarose: Bools
    tissue: Bools
    brightness: Floats
    threshold: float
    two: bool

    def coverage(self, known: Bools) -> float:
        """Fraction of the known bins that is agarose."""
        return float(self.agarose.sum() / max(1, known.sum()))


def find_materials(binned: BinnedSlice, planes: slice, floor: float = 0.0, sigma_px: float = 0.0) -> Materials:
    """Separate agarose from tissue (Otsu's threshold on the logarithm of the brightness).

    Parameters
    ----------
    binned : BinnedSlice
        Mean A-lines.
    planes : slice
        Depths below the cut face.
    floor : float
        Intensity without light.
    sigma_px : float
        Smoothing of the brightness across the slice before it is compared, in voxels.
    """
    from scipy.ndimage import binary_erosion, gaussian_filter

    from linumpy_lib.intensity.tissue_mask import otsu_threshold

    known = binned.known
    brightness = np.maximum(binned.lines[planes].mean(axis=0) - np.float32(floor), 0)
    if sigma_px > 0:
        sigma = sigma_px / binned.width
        weight = gaussian_filter(binned.filled, sigma, mode="nearest")
        brightness = gaussian_filter(brightness * binned.filled, sigma, mode="nearest") / np.maximum(weight, 1e-6)
    lit = known & (brightness > 0)
    none = np.zeros_like(known)
    if lit.sum() < 2:
        return Materials(none, lit, brightness, 0.0, False)
    logs = np.log(brightness[lit])
    low, high = np.percentile(logs, (0.5, 99.5))
    if not high > low:
        return Materials(none, lit, brightness, 0.0, False)
    counts, _ = np.histogram(np.clip(logs, low, high), _BINS, (low, high))
    split = otsu_threshold(counts, low, high)
    dim, bright = logs[logs <= split], logs[logs > split]
    contrast = float(np.exp(np.median(bright) - np.median(dim))) if dim.size and bright.size else 1.0
    if contrast < SMALLEST_CONTRAST:
        return Materials(none, lit, brightness, 0.0, False)
    threshold = float(np.exp(split))
    agarose = lit & (brightness <= threshold)
    middle = float(np.median(dim))
    spread = max(1.4826 * float(np.median(np.abs(dim - middle))), 0.02)
    typical = np.zeros_like(known)
    typical[lit] = np.abs(logs - middle) <= _TRIM * spread
    trimmed = agarose & typical
    # away from the edge of the tissue, where bins hold both; not where that would leave nothing
    inner = trimmed & binary_erosion(~(lit & ~agarose), border_value=1)
    return Materials(inner if inner.any() else trimmed, lit & ~agarose, brightness, threshold, True)
