"""Compiled loop that lays one turned slice over a stack. Importing this module imports Numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from linumpy_lib.compiled import lazy_kernel


def _lay(
    source: Any, lit: Any, affine: Any, planes: Any, shares: Any, gain: np.float32, out: Any, present: Any
) -> None:
    """Lay a slice over what is there already: ``out = (1 - share) out + share * slice`` where both have tissue.

    `source` (planes, y, x) float32 and `lit` (y, x) uint8, which of its pixels hold anything; `affine` (2, 3) float64
    from a pixel of `out` to one of `source`; `planes` (z) int64, the source's plane for each of out's, -1 for none;
    `shares` (z) float32; `out` (z, y, x) float32 and `present` (z, y, x) uint8 are changed.

    Values between pixels are cubic (Catmull-Rom, Keys 1981) within the range of the sixteen pixels around, linear
    beside pixels that hold nothing, and those of the nearest pixel at the very edge.
    """
    depth, height, width = out.shape
    rows, columns = lit.shape
    place = np.empty((2, width), np.int64)
    wy = np.empty((width, 4), np.float32)
    wx = np.empty((width, 4), np.float32)
    kind = np.empty(width, np.uint8)
    for y in range(height):
        some = False
        for x in range(width):
            sy = affine[0, 0] * y + affine[0, 1] * x + affine[0, 2]
            sx = affine[1, 0] * y + affine[1, 1] * x + affine[1, 2]
            iy, ix = int(np.floor(sy)), int(np.floor(sx))
            fy, fx = sy - iy, sx - ix
            if fy > 1 - 1e-9:
                iy, fy = iy + 1, 0.0
            if fx > 1 - 1e-9:
                ix, fx = ix + 1, 0.0
            y1, x1 = iy + (1 if fy > 1e-9 else 0), ix + (1 if fx > 1e-9 else 0)
            kind[x] = 0
            inside = iy >= 0 and ix >= 0 and y1 < rows and x1 < columns
            if inside and lit[iy, ix] and lit[y1, x1] and lit[iy, x1] and lit[y1, ix]:
                kind[x] = 2
                if iy >= 1 and ix >= 1 and iy + 2 < rows and ix + 2 < columns:
                    whole = True
                    for a in range(-1, 3):
                        for b in range(-1, 3):
                            whole = whole and lit[iy + a, ix + b] != 0
                    if whole:
                        kind[x] = 3
            if kind[x] == 0:
                iy, ix = iy + (1 if fy > 0.5 else 0), ix + (1 if fx > 0.5 else 0)
                fy = fx = 0.0
                if iy >= 0 and ix >= 0 and iy < rows and ix < columns and lit[iy, ix]:
                    kind[x] = 1
            place[0, x], place[1, x] = iy, ix
            some = some or kind[x] != 0
            if kind[x] == 3:
                for k in range(2):
                    t = fy if k == 0 else fx
                    w = wy[x] if k == 0 else wx[x]
                    w[0] = np.float32(((2.0 - t) * t - 1.0) * t * 0.5)
                    w[1] = np.float32(((3.0 * t - 5.0) * t * t + 2.0) * 0.5)
                    w[2] = np.float32(((4.0 - 3.0 * t) * t + 1.0) * t * 0.5)
                    w[3] = np.float32((t - 1.0) * t * t * 0.5)
            else:
                wy[x, 1], wy[x, 2] = np.float32(1 - fy), np.float32(fy)
                wx[x, 1], wx[x, 2] = np.float32(1 - fx), np.float32(fx)
        if not some:
            continue
        for z in range(depth):
            plane = planes[z]
            if plane < 0:
                continue
            share = shares[z]
            image = source[plane]
            for x in range(width):
                if kind[x] == 0:
                    continue
                iy, ix = place[0, x], place[1, x]
                value = np.float32(0)
                if kind[x] == 3:
                    low, high = image[iy, ix], image[iy, ix]
                    for a in range(4):
                        line = image[iy + a - 1]
                        p, q, r, s = line[ix - 1], line[ix], line[ix + 1], line[ix + 2]
                        value += wy[x, a] * (wx[x, 0] * p + wx[x, 1] * q + wx[x, 2] * r + wx[x, 3] * s)
                        low = min(low, p, q, r, s)
                        high = max(high, p, q, r, s)
                    value = min(max(value, low), high)
                elif kind[x] == 2:
                    for a in range(2):
                        if wy[x, a + 1] > 0:
                            line = image[iy + a]
                            part = wx[x, 1] * line[ix]
                            if wx[x, 2] > 0:
                                part += wx[x, 2] * line[ix + 1]
                            value += wy[x, a + 1] * part
                else:
                    value = image[iy, ix]
                value *= gain
                if present[z, y, x]:
                    out[z, y, x] += share * (value - out[z, y, x])
                else:
                    out[z, y, x] = value
                    present[z, y, x] = 1


lay = lazy_kernel(_lay)
