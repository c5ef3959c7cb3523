"""First search of a registration: normalised correlation over all bounded shifts, from Fourier transforms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bounds = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

# Shifts that leave less than this share of the volume in common are not looked at.
SMALLEST_OVERLAP = 0.2


@dataclass(frozen=True)
class CoarseShift:
    """Best shift of a bounded search.

    Attributes
    ----------
    offset : ndarray
        Shift (z, y, x) of the moving content towards larger indices [voxels of the level].
    score : float
        Correlation of what overlaps, -1 to 1.
    distinctness : float
        How many standard deviations of all scores the best one lies above their median.
    scores_yx : ndarray of float32
        Best score over z for each shift along y and x, for a picture.
    """

    offset: npt.NDArray[np.float64]
    score: float
    distinctness: float
    scores_yx: Floats


def coarse_shift(reference: Floats, moving: Floats, bounds: Bounds) -> CoarseShift:
    """Find the shift of best correlation within bounds.

    Parameters
    ----------
    reference, moving : ndarray of float32
        Views (z, y, x) of one shape with their mean near zero.
    bounds : three pairs of float
        Lowest and highest shift along z, y and x [voxels].

    Notes
    -----
    Each shift is judged by the voxels that meet: sum(a b) / sqrt(sum(a a) sum(b b)), all sums over the overlap.
    """
    from scipy import fft

    shape = reference.shape
    padded = [fft.next_fast_len(2 * n - 1, real=True) for n in shape]

    def transform(values: Floats) -> Any:
        return fft.rfftn(values, padded)

    def correlate(a: Any, b: Any) -> Floats:
        # value at d: sum over r of a(r) b(r - d)
        out: Floats = fft.irfftn(a * np.conj(b), padded).astype(np.float32)
        return out

    ones = np.ones(shape, np.float32)
    f_a, f_b, f_1 = transform(reference), transform(moving), transform(ones)
    cross = correlate(f_a, f_b)
    energy_a = correlate(transform(reference**2), f_1)
    energy_b = correlate(f_1, transform(moving**2))
    count = correlate(f_1, f_1)
    floor = 1e-6 * (float((reference**2).sum()) + 1e-20), 1e-6 * (float((moving**2).sum()) + 1e-20)
    scores = cross / np.sqrt(np.maximum(energy_a, floor[0]) * np.maximum(energy_b, floor[1]))
    scores[count < SMALLEST_OVERLAP * ones.size] = np.nan
    # Index 0 is no shift; negative shifts are at the end.
    scores = np.roll(scores, [n - 1 for n in shape], axis=(0, 1, 2))[tuple(slice(0, 2 * n - 1) for n in shape)]
    finite = scores[np.isfinite(scores)]
    median = float(np.median(finite))
    spread = 1.4826 * float(np.median(np.abs(finite - median))) + 1e-9
    box, lows = [], []
    for n, (low, high) in zip(shape, bounds, strict=True):
        first = int(np.clip(np.floor(low), 1 - n, n - 1))
        last = int(np.clip(np.ceil(high), first, n - 1))
        box.append(slice(first + n - 1, last + n))
        lows.append(first)
    inside = np.where(np.isfinite(scores[tuple(box)]), scores[tuple(box)], -1.0)
    best = np.unravel_index(int(np.argmax(inside)), inside.shape)
    offset = np.array([first + float(k) for first, k in zip(lows, best, strict=True)])
    score = float(inside[best])
    return CoarseShift(offset, score, (score - median) / spread, inside.max(0).astype(np.float32))
