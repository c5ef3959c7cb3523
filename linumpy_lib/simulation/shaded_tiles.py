"""Tiles under a known flat and dark field, to measure how well these are found again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ShadedTiles:
    """Images and the truth about them.

    Attributes
    ----------
    images : float32 array, shape (tiles, y, x)
        flat_field * content + dark_field + noise.
    flat_field : float32 array, shape (y, x)
        Multiplicative field, mean 1.
    dark_field : float32 array, shape (y, x)
        Additive field, in the images' units.
    """

    images: Float32
    flat_field: Float32
    dark_field: Float32


def _smooth(generator: np.random.Generator, shape: tuple[int, int], sigma: float) -> npt.NDArray[np.float64]:
    """Gaussian noise with a correlation length, mean 0 and standard deviation 1, without wrap-around."""
    from scipy.ndimage import gaussian_filter

    margin = int(3 * sigma)
    noise = generator.standard_normal((shape[0] + 2 * margin, shape[1] + 2 * margin))
    field: npt.NDArray[np.float64] = gaussian_filter(noise, sigma)[
        margin : margin + shape[0], margin : margin + shape[1]
    ]
    field *= 2 * sigma * np.sqrt(np.pi)
    return field


def shaded_tiles(
    count: int = 200,
    shape: tuple[int, int] = (256, 256),
    *,
    content: Literal["cells", "tissue"] = "cells",
    dark: float = 65.0,
    noise: float = 0.02,
    seed: int = 0,
) -> ShadedTiles:
    """Make tiles with known fields.

    Parameters
    ----------
    count : int
        Tiles.
    shape : tuple of int
        Pixels (y, x) of each.
    content : {'cells', 'tissue'}
        Sparse bright cells on a background, or dense texture of two tissue classes with borders.
    dark : float
        Mean of the dark field; backgrounds are 300 to 900.
    noise : float
        Standard deviation of the noise, relative to each pixel's intensity.
    seed : int
        Seed of the random numbers.
    """
    generator = np.random.default_rng(seed)
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    flat = 1 - 0.34 * ((x - 0.15) ** 2 + 0.8 * (y + 0.2) ** 2) + 0.06 * np.sin(2.2 * x + 1) * y
    flat /= flat.mean()
    dark_field = dark * (1 + 0.25 * x * y - 0.15 * np.cos(2.5 * y))
    images = np.empty((count, *shape), np.float32)
    for k in range(count):
        level = generator.uniform(300, 900)
        scene = level * (1 + 0.04 * _smooth(generator, shape, shape[0] / 10))
        if content == "cells":
            for _ in range(generator.poisson(25)):
                centre, radius = generator.uniform(-1.05, 1.05, 2), generator.uniform(0.02, 0.09)
                distance = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
                scene += level * generator.uniform(0.3, 2.5) * np.exp(-distance / (2 * radius**2))
        else:
            border = _smooth(generator, shape, shape[0] / 6) > generator.uniform(-1, 1)
            scene *= np.where(border, 1.5, 0.8) * (1 + 0.15 * _smooth(generator, shape, 3.0))
        signal = flat * scene + dark_field
        images[k] = signal * (1 + noise * generator.standard_normal(shape))
    return ShadedTiles(images, flat.astype(np.float32), dark_field.astype(np.float32))
