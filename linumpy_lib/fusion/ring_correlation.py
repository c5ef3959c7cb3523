"""Lateral resolution by Fourier ring correlation, from one recording whose noise is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.fusion.quality_model import Noise
from linumpy_lib.fusion.transform import Box

Floats = npt.NDArray[np.float32]
THRESHOLD = 1 / 7
"""Correlation of two halves of the data below which a period counts as lost."""
_LEAST_SIDE = 24


@dataclass(frozen=True)
class RingCorrelation:
    """Correlation of two images with independent noise, ring by ring.

    Attributes
    ----------
    frequency : ndarray
        Middle of each ring [1/px].
    correlation : ndarray
        Correlation in each ring.
    """

    frequency: npt.NDArray[np.float64]
    correlation: npt.NDArray[np.float64]

    def resolution(self, threshold: float = THRESHOLD) -> float:
        """Period [px] at which the correlation first falls below the threshold; 2 if it never does, NaN if at once."""
        below = np.flatnonzero(self.correlation < threshold)
        if below.size == 0:
            return 2.0
        k = int(below[0])
        if k == 0:
            return float("nan")
        (f0, f1), (c0, c1) = self.frequency[k - 1 : k + 1], self.correlation[k - 1 : k + 1]
        return float(1 / (f0 + (f1 - f0) * (c0 - threshold) / max(c0 - c1, 1e-12)))


def ring_correlation(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> RingCorrelation:
    """Correlate two stacks of planes (z, y, x), or two planes, in rings of their lateral spectra.

    Raises
    ------
    ValueError
        If the shapes differ, or a plane is smaller than 24 pixels.
    """
    one, two = (np.asarray(v, np.float32).reshape(-1, *np.shape(v)[-2:]) for v in (first, second))
    if one.shape != two.shape or min(one.shape[1:]) < _LEAST_SIDE:
        raise ValueError(f"planes {one.shape} and {two.shape}: need one shape and {_LEAST_SIDE} pixels or more")
    from scipy import fft

    height, width = one.shape[1:]
    window = (np.hanning(height)[:, None] * np.hanning(width)[None]).astype(np.float32)
    radius = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width)[None] ** 2)
    # Rings as wide as the coarser of both axes' frequency steps, so that none is empty.
    count = min(height, width) // 2
    rings = np.minimum((radius * 2 * count + 0.5).astype(int), count).ravel()
    cross, power_one, power_two = np.zeros(count + 1), np.zeros(count + 1), np.zeros(count + 1)
    for a, b in zip(one, two, strict=True):
        f, g = (fft.rfft2((v - v.mean()) * window) for v in (a, b))
        cross += np.bincount(rings, (f.real * g.real + f.imag * g.imag).ravel(), minlength=count + 1)
        power_one += np.bincount(rings, (f.real**2 + f.imag**2).ravel(), minlength=count + 1)
        power_two += np.bincount(rings, (g.real**2 + g.imag**2).ravel(), minlength=count + 1)
    scale = np.sqrt(power_one * power_two)
    correlation = np.divide(cross, scale, out=np.zeros_like(cross), where=scale > 0)
    # The window spreads the mean over the first ring; the last one gathers the corners.
    return RingCorrelation(np.arange(1, count) / (2.0 * count), correlation[1:count])


Reader = Callable[[Box], npt.NDArray[Any]]


@dataclass
class NoiseSplit:
    """A reader of one of two halves of a view: the same specimen, half the signal to noise, independent noise.

    A voxel v has noise of variance s^2 that is known. With n drawn anew from the same distribution, v + n and v - n
    have independent noise of variance 2 s^2 (exactly for a Gaussian): they are as two exposures of half the dose.

    Attributes
    ----------
    read : callable
        Gives the voxels of a box.
    window : (slice, slice)
        Part of the planes (y, x) that gets noise; what is read beyond it stays as it is.
    noise : (float, float)
        Variance of a voxel: first + second * brightness.
    background : float
        Counts that are no light.
    sign : {1, -1}
        Which half.
    seed : int
        The view; both halves have one.
    """

    read: Reader
    window: tuple[slice, slice]
    noise: Noise
    background: float
    sign: int
    seed: int
    _planes: dict[int, Floats] = field(default_factory=dict)

    def __call__(self, box: Box) -> Floats:
        """Read a box (z, y, x); voxels of 0, which are no measurement, stay 0."""
        from scipy import ndimage

        values = np.asarray(self.read(box), np.float32)
        level = ndimage.uniform_filter(values, (0, 3, 3), mode="nearest") - np.float32(self.background)
        spread = np.sqrt(np.float32(self.noise[0]) + np.float32(self.noise[1]) * np.maximum(level, 0))
        drawn = np.zeros(values.shape, np.float32)
        into, of = zip(*(_common(s, w) for s, w in zip(box[1:], self.window, strict=True)), strict=True)
        for k in range(len(values)):
            drawn[k][into] = self._noise(box[0].start + k)[of]
        half: Floats = np.where(values == 0, np.float32(0), values + np.float32(self.sign) * spread * drawn)
        return half

    def _noise(self, plane: int) -> Floats:
        if plane not in self._planes:
            rng = np.random.default_rng([self.seed, plane])
            shape = [w.stop - w.start for w in self.window]
            self._planes[plane] = rng.standard_normal(shape, np.float32)
        return self._planes[plane]


def _common(wanted: slice, window: slice) -> tuple[slice, slice]:
    """Overlap of two spans, counted from the start of each."""
    low, high = max(wanted.start, window.start), min(wanted.stop, window.stop)
    high = max(low, high)
    return slice(low - wanted.start, high - wanted.start), slice(low - window.start, high - window.start)
