"""Two stitched slices side by side: their pictures, and both on one canvas."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib import blocks
from linumpy_lib.io import Volume
from linumpy_lib.io.slice_frame import slice_frame
from linumpy_lib.stitching.canvas import Canvas

Array = npt.NDArray[Any]

_BLOCK = (64, 512, 512)


def mean_and_cover(
    volume: Volume, canvas: Canvas | None, *, threads: int = 1, progress: bool = True
) -> tuple[Array, Array]:
    """Mean over depth (float64) and whether a tile covers a pixel (or it holds anything), shape (y, x) both."""
    total = np.zeros(volume.shape[1:], np.float64)
    covered = np.zeros(volume.shape[1:], bool)

    def add(region: tuple[slice, ...], block: Array) -> None:
        total[region[1:]] += block.sum(axis=0, dtype=np.float64)
        if canvas is None:
            covered[region[1:]] |= (block != 0).any(axis=0)

    blocks.stream(
        blocks.grid(volume.shape, _BLOCK),
        volume.read,
        None,
        add,
        threads=threads,
        queue=1,
        description=f"read {volume.name}",
        progress=progress,
    )
    if canvas is not None:
        covered = canvas.count() > 0
    return total / volume.shape[0], covered


def placed_alike(one: Volume, other: Volume, picture: Array, second: Array) -> tuple[Array, Array]:
    """Lay two pictures, NaN where they are empty, on one canvas by the frames of their slices, to whole pixels."""
    spacing = one.require_spacing()
    corners = np.array(
        [
            [round(o / s) for o, s in zip(slice_frame(volume).origin_um[1:], spacing[1:], strict=True)]
            for volume in (one, other)
        ]
    )
    corners -= corners.min(axis=0)
    shape = np.max([corner + image.shape for corner, image in zip(corners, (picture, second), strict=True)], axis=0)
    results = []
    for (y, x), image in zip(corners, (picture, second), strict=True):
        canvas = np.full(tuple(shape), np.nan)
        canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
        results.append(canvas)
    return results[0], results[1]
