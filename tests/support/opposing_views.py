"""Two opposing views of a known volume, for tests and benchmarks: blur and attenuation grow with depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Floats = npt.NDArray[np.float32]
SHIFT_ZYX = (2.6, -5.2, 7.4)


@dataclass(frozen=True)
class OpposingViews:
    """A truth volume and what two cameras on opposite sides see of it (counts, camera offset included)."""

    truth: Floats
    reference: npt.NDArray[np.uint16]
    moving: npt.NDArray[np.uint16]
    shift_zyx: tuple[float, float, float]
    rotation_deg: float
    gain: float
    offset: float


def nuclei(shape: tuple[int, int, int], fill: float, seed: int) -> Floats:
    """Draw soft ellipsoids with fine texture in a dim haze, values 0 to 1; `fill` is their share of the volume."""
    rng = np.random.default_rng(seed)
    volume = np.zeros(shape, np.float32)
    mean_volume = 4 / 3 * np.pi * 5.5**3
    for _ in range(int(fill * volume.size / mean_volume)):
        radii = rng.uniform(4.0, 7.0, 3)
        centre = np.array([rng.uniform(0, n) for n in shape])
        low = np.maximum(np.floor(centre - 2 * radii), 0).astype(int)
        high = np.minimum(np.ceil(centre + 2 * radii) + 1, shape).astype(int)
        grid = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        distance = np.sqrt(sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)))
        body = rng.uniform(0.3, 1.0) / (1 + np.exp((distance - 1) * radii.mean() / 0.5))
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        volume[box] = np.maximum(volume[box], body)
    texture = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), 1.5)
    volume *= 1 + 0.12 * texture / texture.std()
    haze = ndimage.gaussian_filter(rng.standard_normal([n // 8 for n in shape], np.float32), 2.0)
    haze = ndimage.zoom(haze, [n / (n // 8) for n in shape], order=1)
    volume += 0.02 * np.clip(1 + 0.5 * haze / haze.std(), 0, 3)
    return np.clip(volume, 0, None).astype(np.float32)


def depth_blur(volume: Floats, sigmas: npt.NDArray[np.floating[Any]]) -> Floats:
    """Blur each plane with its own lateral sigma."""
    return np.stack([ndimage.gaussian_filter(plane, s) for plane, s in zip(volume, sigmas, strict=True)])


def opposing_views(
    shape: tuple[int, int, int] = (256, 256, 256),
    *,
    shift_zyx: tuple[float, float, float] = SHIFT_ZYX,
    rotation_deg: float = 0.0,
    gain: float = 0.8,
    counts: float = 2000.0,
    read_noise: float = 4.0,
    offset: float = 100.0,
    fill: float = 0.012,
    blur_to: float = 3.5,
    attenuation: float = 1.2,
    seed: int = 8,
) -> OpposingViews:
    """Simulate what two cameras see; the moving view's content lies `shift_zyx` further along than the truth's."""
    rng = np.random.default_rng(seed + 1)
    truth = nuclei(shape, fill, seed)
    depth = np.linspace(0, 1, shape[0])
    sigmas = 0.5 + (blur_to - 0.5) * depth
    near = depth_blur(truth, sigmas) * np.exp(-attenuation * depth)[:, None, None]
    far = depth_blur(truth, sigmas[::-1]) * np.exp(-attenuation * depth[::-1])[:, None, None]
    theta = np.deg2rad(rotation_deg)
    matrix = np.array([[1, 0, 0], [0, np.cos(theta), np.sin(theta)], [0, -np.sin(theta), np.cos(theta)]])
    centre = (np.array(shape) - 1) / 2
    start = centre - matrix @ centre - np.array(shift_zyx)
    far = ndimage.affine_transform(far, matrix, start, order=3, mode="nearest")
    far = np.maximum(far, 0) * gain

    def camera(light: Floats) -> npt.NDArray[np.uint16]:
        seen = rng.poisson(light * counts) + rng.normal(offset, read_noise, light.shape)
        return np.clip(np.rint(seen), 0, 65535).astype(np.uint16)

    return OpposingViews(truth, camera(near), camera(far), shift_zyx, rotation_deg, gain, offset)


def figures(volume: npt.NDArray[Any], truth: Floats, margin: int = 12) -> tuple[float, float, float]:
    """NCC, PSNR (dB) and SSIM of the interior, after the best linear fit of the volume to the truth."""
    from skimage.metrics import structural_similarity

    box = (slice(margin, -margin),) * 3
    x, t = np.asarray(volume, np.float64)[box], np.asarray(truth, np.float64)[box]
    slope, intercept = np.polyfit(x.ravel(), t.ravel(), 1)
    fit, span = slope * x + intercept, t.max() - t.min()
    ncc = float(np.corrcoef(x.ravel(), t.ravel())[0, 1])
    psnr = float(10 * np.log10(span**2 / np.mean((fit - t) ** 2)))
    ssim = float(structural_similarity(t.astype(np.float32), fit.astype(np.float32), data_range=span))
    return ncc, psnr, ssim
