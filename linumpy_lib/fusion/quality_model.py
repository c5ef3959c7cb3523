"""What is known of two views' quality: noise, brightness over depth, and how blur grows with depth. Measured."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_LEAST_PLANES = 6


@dataclass(frozen=True)
class Quality:
    """Noise, brightness and blur of two registered views, as functions of the plane.

    Attributes
    ----------
    noise : pair of (float, float)
        Variance of a voxel of each view: first + second * brightness [counts^2, counts].
    log_ratio : (float, float)
        Slope per plane and intercept of the logarithm of second over first brightness.
    blur_slope : float
        Growth of a view's lateral blur [px of sigma] with each plane of depth, beyond that of its best plane.
    first_is_low : bool
        Whether the first view is the sharper one at low planes.
    planes : int
        Depth of the views.
    """

    noise: tuple[tuple[float, float], tuple[float, float]]
    log_ratio: tuple[float, float]
    blur_slope: float
    first_is_low: bool
    planes: int

    def as_json(self) -> dict[str, Any]:
        """Return the attributes as plain data."""
        return asdict(self)

    def gains(self, planes: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Factors that bring the planes of the first and second view to their common brightness."""
        half = 0.5 * (self.log_ratio[0] * np.asarray(planes, float) + self.log_ratio[1])
        return np.exp(half), np.exp(-half)

    def blur(self, plane: float) -> tuple[float, float]:
        """Sigma [px] of the first and second view's blur beyond their best planes."""
        plane = float(np.clip(plane, 0, self.planes - 1))
        low, high = self.blur_slope * plane, self.blur_slope * (self.planes - 1 - plane)
        return (low, high) if self.first_is_low else (high, low)


Noise = tuple[float, float]


def estimate_quality(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    *,
    first_is_low: bool = True,
    noise: tuple[Noise, Noise] | None = None,
) -> Quality:
    """Measure noise, brightness over depth and growth of blur.

    Parameters
    ----------
    first, second : ndarray
        Registered views (z, y, x) without their background; 0 where a view has no value.
    first_is_low : bool
        Whether the first view looks at low planes.
    noise : pair of (float, float), optional
        Noise of the views as recorded, of `estimate_noise`. Interpolation hides the noise of a view that was moved, so
        it is best measured before; by default the noisier of the two stands for both.

    Notes
    -----
    Noise is what a second difference across both lateral axes leaves, which structure hardly reaches; its variance is
    fitted as a line over brightness, through the quietest of several depths. Blur comes from the ratio of the two
    views' lateral power spectra, which the specimen drops out of: log(Pa / Pb) = 4 pi^2 f^2 (sb^2 - sa^2) + constant,
    where the excess of one sigma^2 is linear in the plane if both grow linearly with depth.
    """
    planes = first.shape[0]
    if noise is None:
        worse = max(estimate_noise(first), estimate_noise(second), key=lambda n: n[0] + n[1] * float(np.mean(first)))
        noise = (worse, worse)
    log_ratio = _log_ratio(first, second)
    quality = Quality(noise, log_ratio, 0.0, first_is_low, planes)
    slope = _blur_slope(first, second, quality)
    return Quality(noise, log_ratio, slope, first_is_low, planes)


def _chosen(count: int, wanted: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(np.int64))


def estimate_noise(view: npt.NDArray[Any]) -> Noise:
    """Return intercept and slope of the noise variance of a recorded view (z, y, x) over its brightness."""
    from scipy import ndimage

    depth_levels = []
    chosen = _chosen(view.shape[0], 32)
    for part in np.array_split(chosen, min(8, len(chosen))):
        residuals, levels = [], []
        for k in part:
            plane = np.asarray(view[k], np.float32)
            if min(plane.shape) < 3:
                continue
            second = plane[:, 2:] - 2 * plane[:, 1:-1] + plane[:, :-2]
            second = second[2:] - 2 * second[1:-1] + second[:-2]
            residuals.append(second.ravel())
            levels.append(ndimage.uniform_filter(plane, 5, mode="nearest")[1:-1, 1:-1].ravel())
        if residuals:
            depth_levels.append((np.concatenate(residuals), np.concatenate(levels)))
    if not depth_levels:
        return 1.0, 0.0
    everything = np.concatenate([level for _, level in depth_levels])
    edges = np.unique(np.percentile(everything, [0, 20, 40, 60, 75, 85, 92, 97, 99.5]))
    means, variances, weights = [], [], []
    for low, high in itertools.pairwise(edges):
        estimates = []
        for residual, level in depth_levels:
            chosen_values = (level >= low) & (level < high)
            count = int(chosen_values.sum())
            if count < 300:
                continue
            # The squared taps of [1 -2 1] x [1 -2 1] add up to 36.
            spread = 1.4826 * float(np.median(np.abs(residual[chosen_values])))
            estimates.append((spread**2 / 36, float(level[chosen_values].mean()), count))
        if estimates:
            variance, mean, count = min(estimates)
            means.append(mean)
            variances.append(variance)
            weights.append(np.sqrt(count) / max(variance, 1e-9))
    if len(means) < 2:
        return max(variances[0] if variances else 1.0, 1e-6), 0.0
    slope, intercept = np.polyfit(means, variances, 1, w=weights)
    slope = max(float(slope), 0.0)
    smallest = max(min(variances), 1e-6)
    return max(float(intercept), 0.05 * smallest), slope


def _log_ratio(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> tuple[float, float]:
    """Line through the logarithm of the ratio of brightness over the planes."""
    margin = first.shape[0] // 20
    at, ratios, weights = [], [], []
    for k in range(margin, first.shape[0] - margin):
        a, b = np.asarray(first[k], np.float32), np.asarray(second[k], np.float32)
        met = (a != 0) & (b != 0)
        if met.sum() < 50:
            continue
        mean_a, mean_b = float(a[met].mean()), float(b[met].mean())
        if mean_a > 0 and mean_b > 0:
            at.append(k)
            ratios.append(np.log(mean_b / mean_a))
            weights.append(np.sqrt(min(mean_a, mean_b)))
    if len(at) < _LEAST_PLANES:
        return 0.0, float(np.average(ratios, weights=weights)) if ratios else 0.0
    slope, intercept = np.polyfit(at, ratios, 1, w=weights)
    return float(slope), float(intercept)


def _blur_slope(first: npt.NDArray[Any], second: npt.NDArray[Any], quality: Quality) -> float:
    """Growth of sigma with each plane, from the ratio of lateral power spectra."""
    from scipy import fft

    planes, height, width = first.shape
    if planes < _LEAST_PLANES or min(height, width) < 16:
        return 0.0
    window = (np.hanning(height)[:, None] * np.hanning(width)[None, :]).astype(np.float32)
    energy = float((window.astype(np.float64) ** 2).sum())
    radius = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width)[None, :] ** 2)
    edges = np.linspace(0.02, 0.12, 11)
    rings = np.digitize(radius, edges)
    at, excess, weights = [], [], []
    # Spectra of neighbouring planes are added up, so that a ring's power is known well.
    for part in np.array_split(_chosen(planes, 96), 16):
        power = np.zeros((2, len(edges) + 1))
        noise = np.zeros(2)
        for k in part:
            for v, view in enumerate((first, second)):
                plane = np.asarray(view[k], np.float32)
                spectrum = np.abs(fft.rfft2((plane - plane.mean()) * window)) ** 2
                power[v] += np.bincount(rings.ravel(), spectrum.ravel(), minlength=len(edges) + 1)
                noise[v] += energy * (quality.noise[v][0] + quality.noise[v][1] * max(float(plane.mean()), 0.0))
        count = np.bincount(rings.ravel(), minlength=len(edges) + 1)
        x, y, w = [], [], []
        for ring in range(1, len(edges)):
            if not count[ring]:
                continue
            pure = power[:, ring] / count[ring] - noise
            if (pure > 0.3 * noise).all():
                x.append(float((radius[rings == ring] ** 2).mean()))
                y.append(float(np.log(pure[0] / pure[1])))
                w.append(float(np.sqrt(count[ring]) * min(1.0, (pure / noise).min())))
        if len(x) >= 3:
            at.append(float(np.mean(part)))
            excess.append(np.polyfit(x, y, 1, w=w)[0] / (4 * np.pi**2))
            weights.append(sum(w))
    if len(at) < 4:
        return 0.0
    # excess = sb^2 - sa^2 = s^2 ((n-1-z)^2 - z^2) = s^2 (n-1) (n-1-2z) for a first view that is sharp at low planes
    last = planes - 1
    design = last * (last - 2 * np.array(at)) * (1 if quality.first_is_low else -1)
    trust = np.array(weights)
    square = float((trust * design * np.array(excess)).sum() / max(float((trust * design * design).sum()), 1e-20))
    return float(np.sqrt(max(square, 0.0)))
