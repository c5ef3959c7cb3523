"""How good a fused view is, against the two it is made of: resolution over depth by Fourier ring correlation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.fusion.fused_view import FusedView
from linumpy_lib.fusion.quality_model import Noise, estimate_noise
from linumpy_lib.fusion.ring_correlation import NoiseSplit, ring_correlation

Floats = npt.NDArray[np.float32]
DEPTHS = ("low", "middle", "high")
_PLANES = 4
_SIDE = 128
# Pixels around the window that a shifted view and the spline's margin reach into.
_AROUND = 64


@dataclass(frozen=True)
class DepthResolution:
    """Lateral resolution of both views and of the fused one around a plane, in micrometres; NaN where nothing is."""

    plane: int
    first: float
    second: float
    fused: float


def resolution_over_depth(source: FusedView, pixel_um: float) -> list[DepthResolution]:
    """Measure the lateral resolution at three depths, in the middle of the field of view.

    Parameters
    ----------
    source : FusedView
        The fused view; it is computed twice for a few planes, from two halves of the data.
    pixel_um : float
        Lateral pixel size.

    Returns
    -------
    list of DepthResolution
        At a sixth, the middle, and five sixths of the depth; empty for views too small for it.
    """
    depth, height, width = source.shape
    side = min(_SIDE, height, width)
    if side < 48 or depth < 2 * _PLANES:
        return []
    inner = [slice((n - side) // 2, (n - side) // 2 + side) for n in (height, width)]
    window = tuple(
        slice(max(0, s.start - _AROUND), min(n, s.stop + _AROUND)) for s, n in zip(inner, (height, width), strict=True)
    )
    found = []
    for middle in (depth // 6, depth // 2, depth - 1 - depth // 6):
        first = int(np.clip(middle - _PLANES // 2, 0, depth - _PLANES))
        box = (slice(first, first + _PLANES), inner[0], inner[1])
        halves = []
        for sign in (1, -1):
            readers = [
                NoiseSplit(reader, (window[0], window[1]), _noise(reader, box, level), level, sign, seed)
                for seed, (reader, level) in enumerate(zip(source.readers, source.backgrounds, strict=True))
            ]
            views = [np.asarray(r(box)) - np.float32(b) for r, b in zip(readers, source.backgrounds, strict=True)]
            halves.append((*views, source.with_readers(readers[0], readers[1]).joined(box)))
        one, two, fused = (ring_correlation(a, b).resolution() * pixel_um for a, b in zip(*halves, strict=True))
        found.append(DepthResolution(middle, one, two, fused))
    return found


def _noise(reader: Callable[[Any], npt.NDArray[Any]], box: tuple[slice, slice, slice], level: float) -> Noise:
    values = np.asarray(reader(box), np.float32)
    return estimate_noise(np.where(values > 0, values - np.float32(level), 0))
