"""Gaussian and median filters of the registration, plane by plane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
# A median over a larger window is taken of a plane averaged down to about this window.
_MEDIAN_WINDOW = 9


def gauss_taps(size: float, sigma: float) -> npt.NDArray[np.float64]:
    """Return weights of a Gaussian from -ceil(size / 2) to ceil(size / 2), their sum 1."""
    reach = math.ceil(size / 2)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights: npt.NDArray[np.float64] = taps / taps.sum()
    return weights


def apply_gauss_filter(
    volume: npt.NDArray[Any], kernel_size: int = 3, sigma: float = 1.0, precise: bool = True
) -> Floats:
    """Smooth the planes of a view.

    Parameters
    ----------
    volume : ndarray
        View (z, y, x) or plane (y, x), any real dtype.
    kernel_size : int
        Size of the window [px]; it reaches ceil(size / 2) to either side.
    sigma : float
        Width of the Gaussian [px].
    precise : bool
        False rounds the result to whole counts of 0 to 65535, as cameras deliver them.

    Returns
    -------
    ndarray of float32
        Same shape; the border repeats the outermost pixels.
    """
    from scipy import ndimage

    taps = gauss_taps(kernel_size, sigma)
    out = np.asarray(volume, np.float32)
    for axis in (-2, -1):
        out = ndimage.correlate1d(out, taps, axis=axis, mode="nearest")
    return out if precise else np.clip(np.floor(out + 0.5), 0, 65535).astype(np.float32)


def local_median(volume: npt.NDArray[Any], window: int) -> Floats:
    """Return the median around every pixel of each plane, over a square of `window` pixels, as float32.

    Notes
    -----
    A background changes slowly over a wide window: planes are averaged down until the window is about nine pixels,
    and the medians are interpolated back. Both axes of a plane are lateral, so the window is square.
    """
    from scipy import ndimage

    planes = np.asarray(volume, np.float32)
    planes = planes[None] if planes.ndim == 2 else planes
    factor = max(1, window // _MEDIAN_WINDOW)
    size = max(3, window // factor)
    out = np.empty_like(planes)
    height, width = planes.shape[1:]
    rows, columns = -(-height // factor), -(-width // factor)
    pad = ((0, rows * factor - height), (0, columns * factor - width))
    for plane, target in zip(planes, out, strict=True):
        if factor == 1:
            ndimage.median_filter(plane, size, output=target, mode="reflect")
            continue
        small = np.pad(plane, pad, mode="edge").reshape(rows, factor, columns, factor).mean(axis=(1, 3))
        medians = ndimage.median_filter(small, size, mode="reflect")
        at = [(np.arange(n) + 0.5) / factor - 0.5 for n in (height, width)]
        target[...] = _bilinear(medians, at[0], at[1])
    return out.reshape(np.shape(volume))


def _bilinear(values: Floats, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> Floats:
    for axis, at in ((0, rows), (1, columns)):
        at = np.clip(at, 0, values.shape[axis] - 1)  # noqa: PLW2901
        low = np.minimum(at.astype(int), max(values.shape[axis] - 2, 0))
        high = np.minimum(low + 1, values.shape[axis] - 1)
        part = (at - low).astype(np.float32)
        part = part[:, None] if axis == 0 else part[None, :]
        values = np.take(values, low, axis) * (1 - part) + np.take(values, high, axis) * part
    return values


def apply_median_filter(volume: npt.NDArray[Any], kernel_size: int = 100) -> Floats:
    """Subtract from every pixel the median around it, so that slow changes of brightness do not count.

    Parameters
    ----------
    volume : ndarray
        View (z, y, x) or plane (y, x), any real dtype.
    kernel_size : int
        Window of the median [px]; 0 returns the view as it is.

    Returns
    -------
    ndarray of float32
        The high-passed view, negative where it is darker than around.
    """
    values = np.asarray(volume, np.float32)
    return values - local_median(values, kernel_size) if kernel_size else values
