"""Sub-pixel displacement of two overlapping images: least squares with the noise of both in mind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.stitching.correlation import overlap
from linumpy_lib.stitching.interpolation import shift_images, with_margin

Array = npt.NDArray[Any]

_ITERATIONS = 30
_RESTARTS = 5
_CONVERGED_PX = 5e-3
# Pixels of noise that a smoothed pixel shares with its neighbours: 4 pi sigma^2 of the smoothing at sigma 1.
_CORRELATED_PX = 12.6
MIN_SIDE_PX = 4
_SMOOTHING_PX = 1.0
# Standard deviation of displacements around the expected one, where the images tell nothing.
_EXPECTED_PX = 3.0


@dataclass(frozen=True)
class Refined:
    """Displacement of image b against image a.

    Attributes
    ----------
    displacement : ndarray, shape (2,)
        Position of b's first pixel in a, (y, x), pixels.
    information : ndarray, shape (2, 2)
        Inverse covariance of it, 1 / px^2: a seam along which nothing changes tells nothing about that direction.
    converged : bool
        Whether the steps ended there.
    """

    displacement: Array
    information: Array
    converged: bool = True


def refine(a: Array, b: Array, weights: Array, start: tuple[int, int], expected: Array) -> Refined | None:
    """Refine a whole-pixel displacement, beginning anew from the nearest whole pixel while the steps lead away.

    Parameters and result are those of `refine_near`.
    """
    for _ in range(_RESTARTS):
        refined = refine_near(a, b, weights, start, expected)
        if refined is None:
            return None
        nearest = (round(float(refined.displacement[0])), round(float(refined.displacement[1])))
        if refined.converged and max(abs(n - s) for n, s in zip(nearest, start, strict=True)) <= 1:
            return refined
        start = nearest
    return None


def refine_near(a: Array, b: Array, weights: Array, start: tuple[int, int], expected: Array) -> Refined | None:
    """Refine a whole-pixel displacement by Gauss-Newton steps on all shared pixels of all bands.

    Both images move by half the displacement, and the gradient is the mean of both: noise then leaves the fixed point
    where it is, and interpolation smooths both alike. They are smoothed after they were cut to what both show, so that
    their borders too are treated alike: images smoothed as whole tiles differ there, in opposite directions, and their
    overlap seems larger than it is. A smooth brightness difference of the two (a polynomial over the overlap, a factor
    on the contrast) is fitted along with the displacement, so that shading is not taken for it.

    Parameters
    ----------
    a, b : ndarray of float32, shape (bands, y, x)
        Tiles.
    weights : ndarray, shape (bands,)
        Weight of each band to begin with; the noise that is found replaces it.
    start : tuple of int
        Displacement (y, x) of b against a, right to about a pixel.
    expected : ndarray, shape (2,)
        Where b should lie. It decides along directions that the images leave open (a single edge that crosses the
        overlap), and next to nothing along the others.

    Returns
    -------
    Refined or None
        None where the overlap is too small or nothing varies.
    """
    size = (a.shape[1], a.shape[2])
    rows_a, columns_a, rows_b, columns_b = overlap(size, start)
    height, width = rows_a.stop - rows_a.start, columns_a.stop - columns_a.start
    if min(height, width) < MIN_SIDE_PX:
        return None
    if min(height, width) >= MIN_SIDE_PX + 2:
        # The outermost pixels of one image are interpolated beyond its border when it moves.
        rows_a, columns_a, rows_b, columns_b = (
            slice(s.start + 1, s.stop - 1) for s in (rows_a, columns_a, rows_b, columns_b)
        )
        height, width = height - 2, width - 2
    part_a, part_b = with_margin(a, rows_a, columns_a), with_margin(b, rows_b, columns_b)
    nuisance = _smooth_terms(height, width)
    scale = np.asarray(weights, np.float64)
    move, hessian = np.zeros(2), np.zeros((2, 2))
    for _ in range(_ITERATIONS):
        left = _smoothed(shift_images(part_a, (move[0] / 2, move[1] / 2)))
        right = _smoothed(shift_images(part_b, (-move[0] / 2, -move[1] / 2)))
        hessian, gradient, scale = _step(left, right, nuisance, scale)
        pull = _CORRELATED_PX / _EXPECTED_PX**2
        away = expected - np.asarray(start) - move
        step = np.linalg.solve(hessian + pull * np.eye(2), gradient + pull * away)
        length = float(np.hypot(*step))
        move = move + step * min(1.0, 0.7 / max(length, 1e-12))
        if np.abs(move).max() > 1.5:
            break
        if length < _CONVERGED_PX:
            return Refined(np.asarray(start) + move, hessian / _CORRELATED_PX)
    return Refined(np.asarray(start) + move, hessian / _CORRELATED_PX, converged=False)


def _smoothed(images: Array) -> Array:
    from scipy import ndimage

    result: Array = ndimage.gaussian_filter(images, (0, _SMOOTHING_PX, _SMOOTHING_PX), mode="nearest", truncate=3)
    return result


def _smooth_terms(height: int, width: int) -> Array:
    """Orthonormal smooth functions over an overlap, shape (pixels, terms): cubic along the seam, linear across."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float64)
    along = y if height >= width else x
    terms = np.stack([np.ones_like(y), y, x, y * x, along**2, along**3], axis=-1).reshape(-1, 6)
    basis: Array = np.linalg.qr(terms)[0]
    return basis


def _step(left: Array, right: Array, nuisance: Array, scale: Array) -> tuple[Array, Array, Array]:
    """Return normal matrix and right side of a Gauss-Newton step (y, x), and the inverse noise variance by band."""
    hessian, gradient = np.zeros((2, 2)), np.zeros(2)
    found = np.zeros(len(left))
    for band in range(len(left)):
        one, other = left[band].astype(np.float64), right[band].astype(np.float64)
        mean = (one + other) / 2
        slopes = np.stack([s.ravel() for s in np.gradient(mean)], axis=1)
        columns = np.column_stack([slopes, mean.ravel(), (one - other).ravel()])
        columns -= nuisance @ (nuisance.T @ columns)
        contrast = columns[:, 2]
        power = float(contrast @ contrast)
        if power > 0:
            rest = columns[:, [0, 1, 3]]
            columns[:, [0, 1, 3]] = rest - np.outer(contrast, contrast @ rest) / power
        slopes, difference = columns[:, :2], columns[:, 3]
        freedom = max(1, len(difference) - nuisance.shape[1] - 3)
        inner, outer = slopes.T @ slopes, slopes.T @ difference
        drop = outer @ np.linalg.pinv(inner) @ outer
        variance = max(float(difference @ difference - drop), 0.0) / freedom
        signal = power / max(1, len(difference))
        found[band] = 1.0 / max(variance, 1e-6 * signal, 1e-30)
        hessian += scale[band] * inner
        gradient -= scale[band] * outer
    return hessian, gradient, found
