"""Fractional shifts along y and x: one short kernel for matching and for the voxels of the slice alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

REACH = 3
"""Samples on each side that an interpolated value is made of."""


def taps(fraction: float) -> Array:
    """Weights of the samples -2..3 for a value `fraction` (0 to 1) after sample 0.

    A sinc that a Lanczos window of three samples ends, brought to the sum 1 and the centre of mass `fraction`, so that
    constant and linear images stay what they are.

    Parameters
    ----------
    fraction : float
        Position between samples 0 and 1.

    Returns
    -------
    ndarray of float64, shape (6,)

    Examples
    --------
    >>> taps(0.0).round(6).tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    """
    offset = np.arange(1 - REACH, REACH + 1) - float(fraction)
    weight: Array = np.sinc(offset) * np.sinc(offset / REACH)
    weight /= weight.sum()
    # The correction is spread like a triangle around the position: it leaves the far samples alone.
    near = np.clip(2 - np.abs(offset), 0, None)
    mean = float(near @ offset) / float(near.sum())
    lever = near * (offset - mean)
    moment = float(lever @ offset)
    if moment != 0:
        weight = weight - lever * float(weight @ offset) / moment
    return weight


def shift_images(images: Array, shift: tuple[float, float]) -> Array:
    """Sample images at positions moved by a fraction of a pixel; the result lacks `REACH` pixels at every border.

    Parameters
    ----------
    images : ndarray, shape (..., y, x)
        Images.
    shift : tuple of float
        ``out[y, x] = images[y + REACH + shift_y, x + REACH + shift_x]``; between -1 and 1.

    Returns
    -------
    ndarray, shape (..., y - 2 REACH, x - 2 REACH)
    """
    for axis, amount in zip((-2, -1), shift, strict=True):
        whole = int(np.floor(amount))
        weight = taps(amount - whole)
        length = images.shape[axis] - 2 * REACH
        total = np.zeros(1, images.dtype)
        for k, w in zip(range(1 - REACH, REACH + 1), weight, strict=True):
            start = REACH + whole + k
            if w != 0 and 0 <= start <= images.shape[axis] - length:
                part = np.take(images, range(0), axis) if length < 1 else _cut(images, axis, start, length)
                total = total + images.dtype.type(w) * part
        images = total
    return images


def with_margin(images: Array, rows: slice, columns: slice) -> Array:
    """Cut rows and columns with `REACH` pixels more on every side.

    Beyond the border the image goes on point-symmetrically, so that slopes stay what they are: a border that only
    repeats would pull displacements towards larger overlaps.

    Parameters
    ----------
    images : ndarray, shape (..., y, x)
        Images.
    rows, columns : slice
        What to cut, within the images.
    """
    result = images
    for axis, span in ((-2, rows), (-1, columns)):
        length = images.shape[axis]
        wanted = np.arange(span.start - REACH, span.stop + REACH)
        border = np.clip(wanted, 0, length - 1)
        cut = np.take(result, border, axis)
        if (border != wanted).any():
            mirrored = np.take(result, np.clip(2 * border - wanted, 0, length - 1), axis)
            cut = 2 * cut - mirrored
        result = cut
    return result


def _cut(images: Array, axis: int, start: int, length: int) -> Array:
    box = [slice(None)] * images.ndim
    box[axis] = slice(start, start + length)
    return images[tuple(box)]
