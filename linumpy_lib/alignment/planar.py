"""Two images of the same plane: how alike they are under a rigid motion, and motions to start from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.rigid import Rigid

Image = npt.NDArray[np.float32]
Box = tuple[slice, slice]

FEWEST_PIXELS = 64
"""Overlaps of fewer pixels than this tell nothing."""

_FLAT = 1e-12
_RAGGED = 0.03
_UPSAMPLING = 10
_DETAIL_PX = 4.0
_BRIGHTEST_DETAIL = np.float32(3)


def correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Pearson correlation of two equally shaped arrays; 0 where one of them is flat or too small.

    Examples
    --------
    >>> ramp = np.arange(100, dtype=np.float32)
    >>> round(correlation(ramp, 5 - 2 * ramp), 6)
    -1.0
    """
    if a.size < FEWEST_PIXELS:
        return 0.0
    x = a - a.mean(dtype=np.float64)
    y = b - b.mean(dtype=np.float64)
    spread = float(np.sqrt(np.sum(x * x, dtype=np.float64) * np.sum(y * y, dtype=np.float64)))
    return float(np.sum(x * y, dtype=np.float64)) / spread if spread > _FLAT * a.size else 0.0


def content_box(image: Image) -> Box:
    """Box of the pixels above 0, without the jagged rim that turned and shifted tiles leave; all if there are none.

    Rows and columns at the border that are 0 in more than 3 % of their pixels are cut off, unless that goes on for more
    than a tenth of the side: then the zeros are background rather than a rim.

    Examples
    --------
    >>> image = np.zeros((40, 50), np.float32)
    >>> image[5:30, 10:45] = 1
    >>> image[28:30, 20:45] = 0
    >>> content_box(image)
    (slice(5, 28, None), slice(10, 45, None))
    """
    rows, columns = np.flatnonzero((image > 0).any(axis=1)), np.flatnonzero((image > 0).any(axis=0))
    if not len(rows):
        return slice(0, image.shape[0]), slice(0, image.shape[1])
    spans = [[int(rows[0]), int(rows[-1]) + 1], [int(columns[0]), int(columns[-1]) + 1]]
    full = [tuple(span) for span in spans]
    for _ in range(2):  # a column's share of zeros depends on the rows that are left, and the other way round
        for axis in (0, 1):
            other = spans[1 - axis]
            part = image[:, other[0] : other[1]] if axis == 0 else image[other[0] : other[1]].T
            low, high = full[axis]
            most = max(1, (high - low) // 10)
            ragged = (part[low:high] > 0).mean(axis=1) < 1 - _RAGGED
            for side, line in ((0, ragged), (1, ragged[::-1])):
                cut = int(np.argmin(line)) if not line.all() else len(line)
                if cut <= most:
                    spans[axis][side] = low + cut if side == 0 else high - cut
    return slice(*spans[0]), slice(*spans[1])


def smooth_inside(image: Image, inside: npt.NDArray[np.bool_], sigma: float) -> Image:
    """Smooth with a Gaussian what lies inside a mask, as if nothing were outside; 0 there."""
    from scipy import ndimage

    held = np.where(inside, image, np.float32(0))
    smooth = ndimage.gaussian_filter(held, sigma)
    if not inside.all():
        weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
        smooth = np.where(inside, smooth / np.maximum(weight, np.float32(1e-6)), np.float32(0))
    result: Image = smooth
    return result


def even_details(image: Image) -> Image:
    """Keep what is smaller than a few pixels, in standard deviations, three at most; 0 where the image is 0.

    The deep planes of a slice lie in the shadow of the tissue above them, the shallow planes of the next one do not:
    that changes brightness over tens of pixels, and is no detail. A vessel counts no more than the texture beside it.
    """
    inside = image != 0
    found = np.where(inside, image - smooth_inside(image, inside, _DETAIL_PX), np.float32(0))
    spread = float(found[inside].std()) if inside.any() else 0.0
    result: Image = np.clip(found / np.float32(max(spread, _FLAT)), -_BRIGHTEST_DETAIL, _BRIGHTEST_DETAIL)
    return result


def shared_box(fixed: Box, moving: Box, motion: Rigid) -> Box:
    """Box of the fixed image whose pixels the motion takes into the moving image's box.

    Returns
    -------
    tuple of slice
        Possibly empty; rotations cost a rim of ``side * sin(angle)`` pixels.
    """
    rim = [math.ceil(abs(math.sin(motion.angle_rad)) * (part.stop - part.start) / 2) for part in reversed(moving)]
    spans = []
    for part, other, shift, edge in zip(fixed, moving, motion.shift, rim, strict=True):
        low = max(part.start, math.ceil(other.start - shift) + edge)
        high = min(part.stop, math.floor(other.stop - 1 - shift) + 1 - edge)
        spans.append(slice(low, max(low, high)))
    return spans[0], spans[1]


def resample(image: Image, motion: Rigid, box: Box) -> Image:
    """Sample the moving image, linearly, where the motion takes the pixels of a box of the fixed image."""
    from scipy import ndimage

    matrix, offset = motion.affine()
    start = np.array([box[0].start, box[1].start], dtype=np.float64)
    shape = tuple(part.stop - part.start for part in box)
    if min(shape) <= 0:
        return np.zeros((0, 0), np.float32)
    result: Image = ndimage.affine_transform(
        image, matrix, offset + matrix @ start, output_shape=shape, order=1, mode="nearest"
    )
    return result


def score(fixed: Image, moving: Image, motion: Rigid, boxes: tuple[Box, Box]) -> float:
    """Correlation of two images under a motion, where both show the sample.

    Parameters
    ----------
    fixed, moving : ndarray
        Images (y, x) of the same depth.
    motion : Rigid
        From fixed to moving pixels.
    boxes : (box, box)
        Where the fixed and the moving slice have content.
    """
    box = shared_box(*boxes, motion)
    return correlation(fixed[box], resample(moving, motion, box))


@dataclass(frozen=True)
class Bounds:
    """Largest translation (pixels) and rotation (radians) that a registration may find, from `origin`."""

    translation: float
    angle_rad: float
    origin: Rigid

    def hold(self, motion: Rigid) -> bool:
        """Whether a motion lies within."""
        return (
            math.dist(motion.shift, self.origin.shift) <= self.translation + 1e-9
            and abs(motion.angle_rad - self.origin.angle_rad) <= self.angle_rad + 1e-9
        )


def starts(fixed: Image, moving: Image, boxes: tuple[Box, Box], origin: Rigid, method: str) -> dict[str, Rigid]:
    """Motions to start from.

    Parameters
    ----------
    fixed, moving : ndarray
        Averages of the matched planes.
    boxes : (box, box)
        Their content.
    origin : Rigid
        What the positions on the canvas tell; always among the starts.
    method : {"none", "gradient", "com", "both"}
        Phase correlation of edges, centres of mass, both, or nothing but the origin and the identity.

    Returns
    -------
    dict of str to Rigid
        By the name of what proposed it.
    """
    found = {"canvas": origin, "identity": Rigid(centre=origin.centre)}
    box = shared_box(*boxes, origin)
    if min(part.stop - part.start for part in box) < 8:
        return found
    a, b = fixed[box], resample(moving, origin, box)
    if method in ("gradient", "both"):
        found["gradient"] = _moved(origin, _edge_shift(a, b))
    if method in ("com", "both"):
        found["com"] = _moved(origin, _mass_shift(a, b))
    return found


def _moved(origin: Rigid, shift: tuple[float, float]) -> Rigid:
    return origin.after(Rigid(0.0, shift, origin.centre))


def _edge_shift(a: Image, b: Image) -> tuple[float, float]:
    """Shift (y, x) that has to be added to a pixel of `a` to find its content in `b`, from their edges."""
    from scipy import ndimage

    taper = np.multiply.outer(np.hanning(a.shape[0] + 2)[1:-1], np.hanning(a.shape[1] + 2)[1:-1])
    edges = []
    for image in (a, b):
        smooth = ndimage.gaussian_filter(image, 1.5)
        edges.append(np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)))
    spectra = [np.fft.rfft2((image - image.mean()) * taper) for image in edges]
    cross = np.conj(spectra[0]) * spectra[1]
    # the square root keeps strong, coherent frequencies above those that hold noise alone
    surface = np.fft.irfft2(cross / np.sqrt(np.abs(cross) + _FLAT), s=a.shape)
    surface = ndimage.gaussian_filter(surface, 1, mode="wrap")
    peak = np.unravel_index(int(np.argmax(surface)), surface.shape)
    shift = []
    for axis, (at, size) in enumerate(zip(peak, a.shape, strict=True)):
        line = np.take(surface, [(at - 1) % size, at, (at + 1) % size], axis=axis)
        line = line[:, peak[1]] if axis == 0 else line[peak[0], :]
        shift.append((at if at <= size // 2 else at - size) + parabola_peak(*(float(v) for v in line)))
    return shift[0], shift[1]


def parabola_peak(left: float, middle: float, right: float) -> float:
    """Place of a parabola's highest point, between -0.5 and 0.5 of the middle sample.

    Examples
    --------
    >>> parabola_peak(0.0, 1.0, 0.0)
    0.0
    """
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) + 0.0


def _mass_shift(a: Image, b: Image) -> tuple[float, float]:
    centres = []
    for image in (a, b):
        weight = image - np.percentile(image, 10)
        weight = np.clip(weight, 0, np.percentile(weight, 95))
        total = float(weight.sum(dtype=np.float64))
        rows, columns = (weight.sum(axis=k, dtype=np.float64) for k in (1, 0))
        centres.append(
            (float(rows @ np.arange(len(rows))) / total, float(columns @ np.arange(len(columns))) / total)
            if total > 0
            else ((image.shape[0] - 1) / 2, (image.shape[1] - 1) / 2)
        )
    return centres[1][0] - centres[0][0], centres[1][1] - centres[0][1]
