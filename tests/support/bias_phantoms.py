"""Volumes of tissue classes under a known smooth bias field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class BiasPhantom:
    volume: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    bias: npt.NDArray[np.float32]

    def spread(self, bias: npt.NDArray[np.floating] | None = None) -> float:
        """Coefficient of variation of the true bias over the mask, after division by an estimate."""
        left = self.bias[self.mask] / (1 if bias is None else bias[self.mask])
        return float(left.std() / left.mean())


def bias_phantom(
    shape: tuple[int, int, int],
    seed: int = 0,
    *,
    noise: float = 0.05,
    amplitude: float = 0.3,
    waves: tuple[float, float, float] = (1.0, 1.5, 1.2),
    margin: float = 0.95,
) -> BiasPhantom:
    """Three classes in balls spread at random through an ellipsoid, so that tissue itself has no slow trend."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij")
    tissue = np.full(shape, 1.0, np.float32)
    for _ in range(60):
        centre, radius = rng.uniform(-1, 1, 3), rng.uniform(0.1, 0.3)
        ball = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius**2
        tissue[ball] = rng.choice([0.5, 1.8])
    phase = rng.uniform(-1, 1, 3)
    log_bias = amplitude * (
        np.sin(waves[0] * z + phase[0]) + np.sin(waves[1] * y + phase[1]) * np.cos(waves[2] * x + phase[2])
    )
    bias = np.exp(log_bias - log_bias.mean()).astype(np.float32)
    mask = z * z + y * y + x * x < margin**2
    grain = np.maximum(1 + noise * rng.standard_normal(shape), 0.05)
    return BiasPhantom((1000 * tissue * bias * grain).astype(np.float32), mask, bias)
