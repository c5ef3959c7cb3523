"""How good the picture of a slice is, from its likeness to its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LOW_QUALITY = "low_quality"
FIRST_SLICE = "first_slice"
REASONS = (LOW_QUALITY, FIRST_SLICE)
"""Why `assess_quality` leaves slices out."""

WEIGHTS = (0.5, 0.3, 0.2)
"""Of structural similarity, edges and variance."""

_SSIM_WINDOW = 7


@dataclass(frozen=True)
class SliceQuality:
    """Scores of a slice, each 0 (bad) to 1.

    Attributes
    ----------
    ssim : float
        Structural similarity to a neighbour, mean over planes.
    edges : float
        Correlation of the edges with those of the neighbour.
    variance : float
        Likeness of the contrast: 1 if the variances are within a factor e of each other.
    """

    ssim: float
    edges: float
    variance: float

    @property
    def score(self) -> float:
        """Weighted mean of the three."""
        return sum(w * v for w, v in zip(WEIGHTS, (self.ssim, self.edges, self.variance), strict=True))


def structural_similarity(a: Array, b: Array) -> float:
    """Mean structural similarity (Wang et al., 2004) of two planes, each stretched to 0..1 before.

    Parameters
    ----------
    a, b : ndarray, shape (y, x)
        Planes of equal shape, at least 7 pixels along each side.

    Returns
    -------
    float
        0 to 1; a negative mean counts as 0. A plane without contrast is like nothing: 0.
    """
    from skimage.metrics import structural_similarity as ssim

    planes = [np.asarray(p, np.float64) for p in (a, b)]
    if min(min(p.shape) for p in planes) < _SSIM_WINDOW or any(np.ptp(p) == 0 for p in planes):
        return 0.0
    first, second = ((p - p.min()) / np.ptp(p) for p in planes)
    return max(0.0, float(ssim(first, second, win_size=_SSIM_WINDOW, data_range=1.0)))


def edge_similarity(a: Array, references: Sequence[Array]) -> float:
    """Pearson correlation of a plane's edges with those of the mean of reference planes; negative counts as 0."""
    from scipy import ndimage

    def edges(plane: Array) -> Array:
        values = np.asarray(plane, np.float64)
        strength: Array = np.hypot(*(ndimage.sobel(values, axis=k, mode="nearest") for k in (0, 1))).ravel()
        strength -= strength.mean()
        return strength

    first, second = edges(a), edges(np.mean([np.asarray(r, np.float64) for r in references], axis=0))
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return max(0.0, float(first @ second) / scale) if scale > 0 else 0.0


def variance_similarity(a: Array, references: Sequence[Array]) -> float:
    """Compare a plane's variance with the mean variance of reference planes: ``min(1, 2 / (1 + |ln ratio|))``."""
    own = float(np.var(np.asarray(a, np.float64)))
    other = float(np.mean([np.var(np.asarray(r, np.float64)) for r in references]))
    if own <= 0 or other <= 0:
        return 0.0
    return min(1.0, 2.0 / (1.0 + abs(float(np.log(own / other)))))


def slice_quality(
    planes: Sequence[Array], neighbours: Sequence[tuple[Sequence[Array], Sequence[Array]]]
) -> SliceQuality:
    """Score a slice against the neighbour that it is most like: a bad slice does not take its neighbours with it.

    Parameters
    ----------
    planes : sequence of ndarray, shape (y, x)
        Sampled planes of the slice.
    neighbours : sequence of (own, other)
        For each neighbour, the parts of the planes that meet: of the slice itself and of the neighbour, in the order of
        `planes`.

    Returns
    -------
    SliceQuality
        All 0 without neighbours or where nothing meets.
    """
    usable = [(own, other) for own, other in neighbours if len(own) and own[0].size]
    if not usable or not planes:
        return SliceQuality(0.0, 0.0, 0.0)
    found = []
    for own, other in usable:
        middle = len(own) // 2
        similar = float(np.mean([structural_similarity(a, b) for a, b in zip(own, other, strict=True)]))
        edges = edge_similarity(own[middle], [other[middle]])
        found.append(SliceQuality(similar, edges, variance_similarity(own[middle], [other[middle]])))
    return max(found, key=lambda quality: quality.score)
