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

    A slice is hardly turned: over tens of pixels of a row the source's pixels follow one another too. Such runs are
    what the processor computes several of at once.
    """
    depth, height, width = out.shape
    rows, columns = lit.shape
    place = np.empty((2, width), np.int64)
    wy = np.empty((4, width), np.float32)
    wx = np.empty((4, width), np.float32)
    kind = np.empty(width, np.uint8)
    stop = np.empty(width, np.int64)
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
                    w = wy if k == 0 else wx
                    w[0, x] = np.float32(((2.0 - t) * t - 1.0) * t * 0.5)
                    w[1, x] = np.float32(((3.0 * t - 5.0) * t * t + 2.0) * 0.5)
                    w[2, x] = np.float32(((4.0 - 3.0 * t) * t + 1.0) * t * 0.5)
                    w[3, x] = np.float32((t - 1.0) * t * t * 0.5)
            else:
                wy[1, x], wy[2, x] = np.float32(1 - fy), np.float32(fy)
                wx[1, x], wx[2, x] = np.float32(1 - fx), np.float32(fx)
        if not some:
            continue
        # where the run of cubic pixels that begins at x ends
        for x in range(width - 1, -1, -1):
            follows = (
                x + 1 < width
                and kind[x] == 3
                and kind[x + 1] == 3
                and place[0, x + 1] == place[0, x]
                and place[1, x + 1] == place[1, x] + 1
            )
            stop[x] = stop[x + 1] if follows else x + 1
        for z in range(depth):
            plane = planes[z]
            if plane < 0:
                continue
            share = shares[z]
            image = source[plane]
            line, seen = out[z, y], present[z, y]
            x = 0
            while x < width:
                end = stop[x]
                iy, ix = place[0, x], place[1, x]
                if kind[x] == 3:
                    count = end - x
                    first, second = image[iy - 1, ix - 1 : ix + 2 + count], image[iy, ix - 1 : ix + 2 + count]
                    third, fourth = image[iy + 1, ix - 1 : ix + 2 + count], image[iy + 2, ix - 1 : ix + 2 + count]
                    here, there = line[x:end], seen[x:end]
                    y0, y1_, y2, y3 = wy[0, x:end], wy[1, x:end], wy[2, x:end], wy[3, x:end]
                    x0, x1_, x2, x3 = wx[0, x:end], wx[1, x:end], wx[2, x:end], wx[3, x:end]
                    for k in range(count):
                        p, q, r, s = first[k], first[k + 1], first[k + 2], first[k + 3]
                        value = y0[k] * (x0[k] * p + x1_[k] * q + x2[k] * r + x3[k] * s)
                        low, high = min(p, q, r, s), max(p, q, r, s)
                        p, q, r, s = second[k], second[k + 1], second[k + 2], second[k + 3]
                        value += y1_[k] * (x0[k] * p + x1_[k] * q + x2[k] * r + x3[k] * s)
                        low, high = min(low, p, q, r, s), max(high, p, q, r, s)
                        p, q, r, s = third[k], third[k + 1], third[k + 2], third[k + 3]
                        value += y2[k] * (x0[k] * p + x1_[k] * q + x2[k] * r + x3[k] * s)
                        low, high = min(low, p, q, r, s), max(high, p, q, r, s)
                        p, q, r, s = fourth[k], fourth[k + 1], fourth[k + 2], fourth[k + 3]
                        value += y3[k] * (x0[k] * p + x1_[k] * q + x2[k] * r + x3[k] * s)
                        low, high = min(low, p, q, r, s), max(high, p, q, r, s)
                        value = min(max(value, low), high) * gain
                        old = here[k]
                        here[k] = old + share * (value - old) if there[k] else value
                        there[k] = 1
                elif kind[x] != 0:
                    value = np.float32(0)
                    if kind[x] == 2:
                        for a in range(2):
                            if wy[a + 1, x] > 0:
                                part = wx[1, x] * image[iy + a, ix]
                                if wx[2, x] > 0:
                                    part += wx[2, x] * image[iy + a, ix + 1]
                                value += wy[a + 1, x] * part
                    else:
                        value = image[iy, ix]
                    value *= gain
                    if seen[x]:
                        line[x] += share * (value - line[x])
                    else:
                        line[x] = value
                        seen[x] = 1
                x = end


lay = lazy_kernel(_lay)
