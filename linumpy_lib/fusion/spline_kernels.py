"""Compiled sampling of a cubic spline at scattered places; importing this module imports Numba.

Each kernel is always called with arrays of the same types and layout, as `linumpy_lib.compiled.lazy_kernel` asks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from linumpy_lib.compiled import inline_kernel, lazy_kernel

_TAPS = 5
"""Coefficients along an axis that a place and those half a voxel before and after it stand on."""


def _add_weights(weights: Any, place: float, base: Any, factor: float) -> None:
    # Weights of the four coefficients around a place, added to those that begin at `base`.
    below = np.floor(place)
    t = place - below
    first = np.int64(below) - 1 - base
    rest = 1.0 - t
    weights[first] += factor * rest * rest * rest / 6.0
    weights[first + 1] += factor * (4.0 + 3.0 * t * t * (t - 2.0)) / 6.0
    weights[first + 2] += factor * (4.0 + 3.0 * rest * rest * (rest - 2.0)) / 6.0
    weights[first + 3] += factor * t * t * t / 6.0


def _mirrored(index: Any, extent: Any) -> Any:
    # The voxels of the border are not repeated.
    if extent == 1:
        return np.int64(0)
    while index < 0 or index >= extent:
        index = -index if index < 0 else 2 * extent - 2 - index
    return index


add_weights = inline_kernel(_add_weights)
mirrored = inline_kernel(_mirrored)


def _sample_spline(spline: Any, places: Any, values: Any, slopes: Any) -> None:
    at = np.empty((3, _TAPS), np.int64)
    level = np.empty((3, _TAPS), np.float64)
    slope = np.empty((3, _TAPS), np.float64)
    sloped = slopes.shape[1] > 0
    for n in range(places.shape[1]):
        level[:] = 0.0
        slope[:] = 0.0
        for axis in range(3):
            place = places[axis, n]
            base = np.int64(np.floor(place - 0.5)) - 1
            add_weights(level[axis], place, base, 1.0)
            add_weights(slope[axis], place + 0.5, base, 1.0)
            add_weights(slope[axis], place - 0.5, base, -1.0)
            for k in range(_TAPS):
                at[axis, k] = mirrored(base + k, spline.shape[axis])
        value, along_z, along_y, along_x = 0.0, 0.0, 0.0, 0.0
        for i in range(_TAPS):
            plane, plane_y, plane_x = 0.0, 0.0, 0.0
            for j in range(_TAPS):
                row, row_x = 0.0, 0.0
                for k in range(_TAPS):
                    coefficient = np.float64(spline[at[0, i], at[1, j], at[2, k]])
                    row += level[2, k] * coefficient
                    row_x += slope[2, k] * coefficient
                plane += level[1, j] * row
                plane_y += slope[1, j] * row
                plane_x += level[1, j] * row_x
            value += level[0, i] * plane
            along_z += slope[0, i] * plane
            along_y += level[0, i] * plane_y
            along_x += level[0, i] * plane_x
        values[n] = value
        if sloped:
            slopes[0, n] = along_z
            slopes[1, n] = along_y
            slopes[2, n] = along_x


sample_spline = lazy_kernel(_sample_spline)
