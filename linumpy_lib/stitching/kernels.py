"""Compiled loops of stitching. Importing this module imports Numba.

Each is always called with arrays of the same types and layout, as `linumpy_lib.compiled.lazy_kernel` asks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from linumpy_lib.compiled import lazy_kernel

_FAST = {"reassoc", "contract", "nsz", "arcp"}


def _sweep(value: Any, kind: Any, omega: float) -> float:
    """One red-black sweep; largest difference of a value from the mean of its neighbours before it was changed."""
    height, width = value.shape
    worst = 0.0
    for colour in range(2):
        for y in range(height):
            for x in range((y + colour) % 2, width, 2):
                if kind[y, x] != 2:
                    continue
                total, number = 0.0, 0
                if y > 0 and kind[y - 1, x] != 0:
                    total += value[y - 1, x]
                    number += 1
                if y + 1 < height and kind[y + 1, x] != 0:
                    total += value[y + 1, x]
                    number += 1
                if x > 0 and kind[y, x - 1] != 0:
                    total += value[y, x - 1]
                    number += 1
                if x + 1 < width and kind[y, x + 1] != 0:
                    total += value[y, x + 1]
                    number += 1
                if number == 0:
                    continue
                step = total / number - value[y, x]
                worst = max(worst, abs(step))
                value[y, x] += omega * step
    return worst


def _add_tile(source: Any, taps_y: Any, taps_x: Any, weight: Any, total: Any) -> None:
    """Add a weighted, interpolated part of a tile to a block.

    `source` (z, y + 5, x + 5), six taps along y and along x, `weight` (y, x), `total` (z, y, x): all float32.
    """
    depth, height, width = total.shape
    row = np.empty(width + 5, np.float32)
    a0, a1, a2, a3, a4, a5 = taps_y[0], taps_y[1], taps_y[2], taps_y[3], taps_y[4], taps_y[5]
    b0, b1, b2, b3, b4, b5 = taps_x[0], taps_x[1], taps_x[2], taps_x[3], taps_x[4], taps_x[5]
    for z in range(depth):
        for y in range(height):
            s0, s1, s2 = source[z, y], source[z, y + 1], source[z, y + 2]
            s3, s4, s5 = source[z, y + 3], source[z, y + 4], source[z, y + 5]
            for x in range(width + 5):
                row[x] = a0 * s0[x] + a1 * s1[x] + a2 * s2[x] + a3 * s3[x] + a4 * s4[x] + a5 * s5[x]
            for x in range(width):
                value = b0 * row[x] + b1 * row[x + 1] + b2 * row[x + 2]
                value += b3 * row[x + 3] + b4 * row[x + 4] + b5 * row[x + 5]
                total[z, y, x] += weight[y, x] * value


sweep = lazy_kernel(_sweep)
add_tile = lazy_kernel(_add_tile, fastmath=_FAST)
