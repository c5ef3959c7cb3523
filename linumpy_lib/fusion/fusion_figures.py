"""Figures about a fused view: agreement of the views, the seam, sharpness over depth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.fusion.fused_view import FusedView
from linumpy_lib.io.volume import Volume

Floats = npt.NDArray[np.float32]
_PLANES = 48
_SIDE = 320


def preview_planes(depth: int) -> npt.NDArray[np.int64]:
    """Return the planes that stand for a view in previews."""
    return np.unique(np.linspace(0, depth - 1, min(depth, _PLANES)).round().astype(np.int64))


def preview_views(source: FusedView, fused: Volume) -> tuple[Floats, Floats, Floats, Floats]:
    """Return first view, second view before and after its motion, and the fused view, thinned out to preview size."""
    z, y, x = source.shape
    planes = preview_planes(z)
    steps = [max(1, n // _SIDE) for n in (y, x)]
    parts: list[list[Floats]] = [[], [], [], []]
    for k in planes:
        box = (slice(int(k), int(k) + 1), slice(0, y), slice(0, x))
        one, two, gone, away = source.pair(box)
        before = np.asarray(source.readers[1](box), np.float32)
        images = np.where(gone, 0, one), before, np.where(away, 0, two), np.asarray(fused.read(box), np.float32)
        for part, image in zip(parts, images, strict=True):
            part.append(np.maximum(image[0, :: steps[0], :: steps[1]], 0).astype(np.float32))
    first, second, moved, joined = (np.stack(part) for part in parts)
    return first, second, moved, joined


def sharpness(volume: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Energy of the lateral gradient of each plane over the energy of the plane."""
    values = np.asarray(volume, np.float32)
    dy, dx = np.diff(values, axis=1), np.diff(values, axis=2)
    gradient = (dy**2).mean(axis=(1, 2), dtype=np.float64) + (dx**2).mean(axis=(1, 2), dtype=np.float64)
    return np.asarray(gradient / np.maximum((values**2).mean(axis=(1, 2), dtype=np.float64), 1e-12))


def fusion_figures(first: Floats, moved: Floats, joined: Floats) -> dict[str, float]:
    """Return correlation of the views where they meet, gain of sharpness at both ends, and the seam index.

    Notes
    -----
    The seam index is the largest step of the fused view's mean from plane to plane over the median step: a hand-over
    that shows has a large one.
    """
    met = (first > 0) & (moved > 0)
    together = float(np.corrcoef(first[met], moved[met])[0, 1]) if met.sum() > 100 else 0.0
    sharp = [sharpness(v) for v in (first, moved, joined)]
    third = max(1, len(joined) // 3)
    figures = {"views_correlation": together if np.isfinite(together) else 0.0}
    for name, part in (("low", slice(0, third)), ("high", slice(-third, None))):
        worse = min(float(sharp[0][part].mean()), float(sharp[1][part].mean()))
        figures[f"sharpness_gain_{name}"] = float(sharp[2][part].mean()) / max(worse, 1e-12)
    means = joined.mean(axis=(1, 2), dtype=np.float64)
    steps = np.abs(np.diff(means))
    figures["seam_index"] = float(steps.max() / max(float(np.median(steps)), 1e-9)) if len(steps) > 2 else 0.0
    return figures
