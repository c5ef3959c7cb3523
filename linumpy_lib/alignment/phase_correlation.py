"""How far one picture lies from another: phase correlation, judged by the pixels that meet, finer than a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Offset = tuple[float, float]

_PEAKS = 12
# Share of the smaller picture that has to overlap: less can agree by chance.
_MIN_OVERLAP = 0.2
# Frequencies (cycles per pixel) beyond which speckle outweighs tissue: their phases are damped.
_CUTOFF = 0.2
_SMOOTHING_PX = 1.0
_FINE_STEPS = 12
_CONVERGED_PX = 1e-3


@dataclass(frozen=True)
class ShiftFit:
    """Where a moving picture lies.

    Attributes
    ----------
    offset : tuple of float
        Position (y, x) of the moving picture's first pixel in the fixed picture's pixels: moving pixel q shows what
        fixed pixel ``q + offset`` shows.
    correlation : float
        Pearson correlation of the smoothed pixels that meet there; 0 if too few meet.
    overlap : float
        Share of the smaller picture that meets the other one.
    """

    offset: Offset
    correlation: float
    overlap: float


def pearson(a: Array, b: Array) -> float:
    """Pearson correlation of two arrays of equal shape; 0 where one of them is constant.

    Examples
    --------
    >>> pearson(np.array([1.0, 2.0, 4.0]), np.array([2.0, 4.0, 8.0]))
    1.0
    """
    a = np.asarray(a, np.float64).ravel()
    b = np.asarray(b, np.float64).ravel()
    if a.size < 2:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    return max(-1.0, min(1.0, float(a @ b) / scale)) if scale > 0 else 0.0


def smoothed(picture: Array, sigma: float = _SMOOTHING_PX) -> Array:
    """Return the picture as float32, smoothed by a Gaussian."""
    from scipy import ndimage

    result: Array = ndimage.gaussian_filter(np.asarray(picture, np.float32), sigma, mode="nearest")
    return result


def _meeting(fixed: Array, moving: Array, offset: tuple[int, int]) -> tuple[Array, Array]:
    """Parts of both pictures that meet when the moving one lies at a whole offset."""
    parts: list[tuple[slice, slice]] = []
    for n_fixed, n_moving, o in zip(fixed.shape, moving.shape, offset, strict=True):
        low, high = max(0, o), min(n_fixed, n_moving + o)
        parts.append((slice(low, max(low, high)), slice(low - o, max(low, high) - o)))
    return fixed[parts[0][0], parts[1][0]], moving[parts[0][1], parts[1][1]]


def _resampled(moving: Array, shape: tuple[int, int], offset: Offset) -> tuple[tuple[slice, slice], Array]:
    """Box of the fixed picture that the moving one covers, and the moving picture's values there, linearly."""
    from scipy import ndimage

    whole = [math.floor(o) for o in offset]
    box = tuple(
        slice(max(0, w + 1), max(0, w + 1, min(n, m + w))) for n, m, w in zip(shape, moving.shape, whole, strict=True)
    )
    size = [b.stop - b.start for b in box]
    if min(size) == 0:
        return (box[0], box[1]), np.empty(size, np.float32)
    # one pixel more on the low side, which the fractional shift needs
    region = tuple(slice(b.start - w - 1, b.stop - w) for b, w in zip(box, whole, strict=True))
    part = moving[region]
    fraction = [o - w for o, w in zip(offset, whole, strict=True)]
    shifted = ndimage.shift(part, fraction, order=3, mode="nearest", prefilter=True) if any(fraction) else part
    return (box[0], box[1]), shifted[1:, 1:]


def correlation_at(fixed: Array, moving: Array, offset: Offset) -> ShiftFit:
    """Correlate two pictures with the moving one at `offset`.

    Parameters
    ----------
    fixed, moving : ndarray, shape (y, x)
        The pictures, of any sizes; smooth them before.
    offset : tuple of float
        Position (y, x) of the moving picture's first pixel in the fixed picture.

    Returns
    -------
    ShiftFit
    """
    box, values = _resampled(moving, (fixed.shape[0], fixed.shape[1]), offset)
    overlap = values.size / max(1, min(fixed.size, moving.size))
    if overlap < _MIN_OVERLAP:
        return ShiftFit(offset, 0.0, overlap)
    return ShiftFit(offset, pearson(fixed[box], values), overlap)


def _taper(shape: tuple[int, ...]) -> Array:
    """Window that lets a picture's border fade out over an eighth of its sides."""
    sides = []
    for n in shape:
        width = max(1, n // 8)
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(width) + 0.5) / width)
        side = np.ones(n)
        side[:width] *= ramp
        side[n - width :] *= ramp[::-1]
        sides.append(side)
    window: Array = np.outer(sides[0], sides[1]).astype(np.float32)
    return window


def correlation_map(fixed: Array, moving: Array) -> Array:
    """Phase correlation, without wrap-around.

    Parameters
    ----------
    fixed, moving : ndarray, shape (y, x)

    Returns
    -------
    ndarray of float32
        High at (oy, ox), counted from the end where negative, if moving lies at that offset.
    """
    from scipy import fft

    size = tuple(fft.next_fast_len(a + b, real=True) for a, b in zip(fixed.shape, moving.shape, strict=True))
    spectra = []
    for picture in (fixed, moving):
        values = np.asarray(picture, np.float32)
        spectra.append(fft.rfft2((values - values.mean()) * _taper(values.shape), size))
    cross = spectra[0] * np.conj(spectra[1])
    magnitude = np.abs(cross)
    # half-whitened: pure phases would give empty frequencies the weight of tissue
    cross /= np.sqrt(magnitude) * np.sqrt(magnitude.mean()) + 1e-12
    fy, fx = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None, :]
    cross *= np.exp(-(fy**2 + fx**2) / (2 * _CUTOFF**2)).astype(np.float32)
    result: Array = fft.irfft2(cross, size).astype(np.float32)
    return result


def _candidates(fixed: Array, moving: Array, limit_px: float, around: Offset) -> list[tuple[int, int]]:
    from scipy import ndimage

    surface = correlation_map(fixed, moving)
    rows = np.arange(surface.shape[0])
    columns = np.arange(surface.shape[1])
    # an offset is possible from -moving size to +fixed size; beyond that the index counts from the end
    rows = np.where(rows < fixed.shape[0], rows, rows - surface.shape[0])
    columns = np.where(columns < fixed.shape[1], columns, columns - surface.shape[1])
    allowed = (np.abs(rows - around[0]) <= limit_px)[:, None] & (np.abs(columns - around[1]) <= limit_px)[None, :]
    peaks = (surface == ndimage.maximum_filter(surface, 5, mode="wrap")) & allowed
    where = np.flatnonzero(peaks)
    best = where[np.argsort(-surface.ravel()[where], kind="stable")[:_PEAKS]]
    return [(int(rows[k // surface.shape[1]]), int(columns[k % surface.shape[1]])) for k in best]


def find_shift(
    fixed: Array, moving: Array, *, starts: tuple[Offset, ...] = (), limit_px: float = math.inf, around: Offset = (0, 0)
) -> ShiftFit:
    """Find where a moving picture lies in a fixed one.

    The highest peaks of the phase correlation and the given starts compete by the Pearson correlation of the pixels
    that meet; the winner is refined to fractions of a pixel by least squares (Lucas and Kanade, 1981) and kept only if
    that raises the correlation. So the answer never fits worse than a start.

    Parameters
    ----------
    fixed, moving : ndarray, shape (y, x)
        Pictures of any sizes.
    starts : tuple of (float, float)
        Offsets (y, x) to try too.
    limit_px : float
        Largest distance from `around`, along each axis, that the phase correlation may suggest.
    around : tuple of float
        Offset (y, x) where it is expected.

    Returns
    -------
    ShiftFit

    Examples
    --------
    >>> picture = smoothed(np.random.default_rng(0).random((60, 70)), 2)
    >>> find_shift(picture[:50, :50], picture[5:55, 8:58]).offset  # doctest: +SKIP
    (5.0, 8.0)
    """
    fixed, moving = smoothed(fixed), smoothed(moving)
    if min(*fixed.shape, *moving.shape) < 4 or np.ptp(fixed) == 0 or np.ptp(moving) == 0:
        return ShiftFit(starts[0] if starts else (0.0, 0.0), 0.0, 0.0)
    fits = []
    for y, x in _candidates(fixed, moving, limit_px, around):
        a, b = _meeting(fixed, moving, (y, x))
        overlap = a.size / min(fixed.size, moving.size)
        fits.append(ShiftFit((float(y), float(x)), pearson(a, b) if overlap >= _MIN_OVERLAP else 0.0, overlap))
    fits += [correlation_at(fixed, moving, start) for start in starts]
    best = max(fits, key=lambda fit: fit.correlation, default=ShiftFit((0.0, 0.0), 0.0, 0.0))
    return best if best.correlation <= 0 else refine_shift(fixed, moving, best)


def refine_shift(fixed: Array, moving: Array, start: ShiftFit) -> ShiftFit:
    """Refine an offset to fractions of a pixel; the result never correlates less than the start.

    Parameters
    ----------
    fixed, moving : ndarray, shape (y, x)
        Smoothed pictures.
    start : ShiftFit
        Where to begin, right to a few pixels.

    Returns
    -------
    ShiftFit
    """
    offset, best = start.offset, start
    for _ in range(_FINE_STEPS):
        box, values = _resampled(moving, (fixed.shape[0], fixed.shape[1]), offset)
        if min(values.shape) < 4:
            break
        target = fixed[box].astype(np.float64)
        values = values.astype(np.float64)
        # gradients of the mean of both pictures: the noise of one alone would bias the step towards zero
        gain = pearson(target, values) * (target.std() or 1.0) / (values.std() or 1.0)
        gy, gx = np.gradient(0.5 * (target + gain * values))
        a = np.stack([gy.ravel(), gx.ravel(), values.ravel(), np.ones(values.size)], axis=1)
        # target(p) is values(p + step): the moving picture has to lie `step` lower than it does
        solution = np.linalg.lstsq(a.T @ a, a.T @ target.ravel(), rcond=None)[0]
        step = np.clip(solution[:2], -1.0, 1.0)
        offset = (float(offset[0] - step[0]), float(offset[1] - step[1]))
        fit = correlation_at(fixed, moving, offset)
        if fit.correlation > best.correlation:
            best = fit
        if float(np.abs(step).max()) < _CONVERGED_PX:
            break
    return best
