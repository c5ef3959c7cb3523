"""The counting kernels; importing this module imports Numba and compiles them or fetches them from the disk cache.

They are plain functions of a module, not closures: Numba's cache would take every closure for a new one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from linumpy_lib.anisotropy.counting import (
    BLOB,
    CHUNK,
    FEATURELESS,
    FIBRE,
    ORIENTATION_GRID,
    SHEET,
    SPARE_CELL,
)
from linumpy_lib.compiled import cached_kernel, inline_kernel

INFINITE = 0x7C00
one32 = np.uint32(1)
grid, grid2 = np.int32(ORIENTATION_GRID), np.int32(ORIENTATION_GRID**2)
half_grid, top_cell = np.float32(ORIENTATION_GRID / 2), np.float32(ORIENTATION_GRID - 1)
shift_z, shift_y = np.float32(1 << 24), np.float32(1 << 12)
one, i15, i31, i1023, i1024, i10, i14, half = (np.int32(v) for v in (1, 15, 31, 1023, 1024, 10, 14, 1 << 13))


def count_values(bits: Any, mask: Any, histogram: Any) -> None:
    """Count the bit patterns of every voxel of the mask, one table for each map."""
    # three tables at a time: increments of one often meet the same entry and would wait for each other
    for c in range(0, bits.shape[0], 3):
        for i in range(mask.size):
            if mask[i]:
                histogram[c, bits[c, i]] += np.uint32(1)
                histogram[c + 1, bits[c + 1, i]] += np.uint32(1)
                histogram[c + 2, bits[c + 2, i]] += np.uint32(1)


@inline_kernel  # type: ignore[untyped-decorator]
def sort_shapes(cl: Any, cp: Any, cs: Any, mask: Any, inside: Any, sheet: Any, fibre: Any, n: int) -> Any:
    """Mark the voxels inside, sheet-like and fibre-like, and count them and the blob-like ones."""
    total = sheets = fibres = blobs = np.int32(0)
    for i in range(n):
        linear, planar, round_ = np.int32(cl[i]), np.int32(cp[i]), np.int32(cs[i])
        highest = max(linear, planar, round_)
        here = np.int32(mask[i] != 0)
        shaped = np.int32(here & np.int32(highest > 0) & np.int32(highest < INFINITE))
        is_sheet = np.int32(shaped & np.int32(linear == highest))
        is_fibre = np.int32(shaped & np.int32(linear != highest) & np.int32(planar == highest))
        inside[i] = here
        sheet[i] = is_sheet
        fibre[i] = is_fibre
        total = np.int32(total + here)
        sheets = np.int32(sheets + is_sheet)
        fibres = np.int32(fibres + is_fibre)
        blobs = np.int32(blobs + np.int32(shaped - is_sheet - is_fibre))
    return total, sheets, fibres, blobs


@inline_kernel  # type: ignore[untyped-decorator]
def to_fixed_point(bits: Any, inside: Any, result: Any, n: int) -> None:
    """Turn float16 bit patterns into integers of 1/2048, 0 outside."""
    # value * 2048 rounded, 0 outside; exponents above that of 1.0 cannot occur in unit vectors and are held there
    for i in range(n):
        word = np.int32(bits[i])
        exponent = np.int32(min(np.int32(np.int32(word >> i10) & i31), i15))
        mantissa = np.int32(np.int32(word & i1023) | np.int32(i1024 * np.int32(exponent > 0)))
        magnitude = np.int32(np.int32(np.int32(mantissa << exponent) + half) >> i14)
        sign = np.int32(one - np.int32(np.int32(word >> i14) & np.int32(2)))
        result[i] = np.int32(magnitude * np.int32(sign * np.int32(inside[i])))


@inline_kernel  # type: ignore[untyped-decorator]
def add_tensor(v: Any, weight: Any, sums: Any, n: int) -> None:
    """Add the six products of a vector's components where the weight is 1."""
    zz = yy = xx = zy = zx = yx = np.int32(0)
    for i in range(n):
        z, y, x = np.int32(v[0, i] * weight[i]), np.int32(v[1, i] * weight[i]), np.int32(v[2, i] * weight[i])
        zz = np.int32(zz + np.int32(z * z))
        yy = np.int32(yy + np.int32(y * y))
        xx = np.int32(xx + np.int32(x * x))
        zy = np.int32(zy + np.int32(z * y))
        zx = np.int32(zx + np.int32(z * x))
        yx = np.int32(yx + np.int32(y * x))
    sums[0] += zz
    sums[1] += yy
    sums[2] += xx
    sums[3] += zy
    sums[4] += zx
    sums[5] += yx


@inline_kernel  # type: ignore[untyped-decorator]
def count_cells(first: Any, last: Any, sheet: Any, fibre: Any, index: Any, cells: Any, n: int) -> None:
    """Count the cells of the orientation grid that sheet normals and fibre axes fall into."""
    # a voxel is a sheet or a fibre or neither, so it counts once: by its normal, by its axis, or in the spare cell
    for i in range(n):
        z = np.float32(np.int32(first[0, i] * sheet[i]) + np.int32(last[0, i] * fibre[i]))
        y = np.float32(np.int32(first[1, i] * sheet[i]) + np.int32(last[1, i] * fibre[i]))
        x = np.float32(np.int32(first[2, i] * sheet[i]) + np.int32(last[2, i] * fibre[i]))
        # z decides the sign, then y, then x: the lower ones can never outweigh the higher
        sign = np.float32(1.0) if z * shift_z + y * shift_y + x >= np.float32(0.0) else np.float32(-1.0)
        scale = sign * half_grid / max(abs(x) + abs(y) + abs(z), np.float32(1.0))
        row = np.int32(min((y + x) * scale + half_grid, top_cell))
        column = np.int32(min((y - x) * scale + half_grid, top_cell))
        cell = np.int32(np.int32(row * grid) + np.int32(column + np.int32(fibre[i] * grid2)))
        index[i] = np.uint16(cell) if np.int32(sheet[i] + fibre[i]) else np.uint16(SPARE_CELL)
    index[n:] = SPARE_CELL
    for i in range(0, n, 4):
        cells[0, index[i]] += one32
        cells[1, index[i + 1]] += one32
        cells[2, index[i + 2]] += one32
        cells[3, index[i + 3]] += one32


def count_directions(shapes: Any, first: Any, last: Any, mask: Any, classes: Any, tensors: Any, cells: Any) -> None:
    """Count classes, mean orientation tensors and the orientation grid, in pieces whose sums fit 32 bits."""
    inside, sheet, fibre = np.empty(CHUNK, np.int32), np.empty(CHUNK, np.int32), np.empty(CHUNK, np.int32)
    index = np.empty(CHUNK, np.uint16)
    e1, e3 = np.empty((3, CHUNK), np.int32), np.empty((3, CHUNK), np.int32)
    for start in range(0, mask.size, CHUNK):
        n = min(CHUNK, mask.size - start)
        total, sheets, fibres, blobs = sort_shapes(
            shapes[0, start : start + n],
            shapes[1, start : start + n],
            shapes[2, start : start + n],
            mask[start : start + n],
            inside,
            sheet,
            fibre,
            n,
        )
        classes[SHEET] += sheets
        classes[FIBRE] += fibres
        classes[BLOB] += blobs
        classes[FEATURELESS] += total - sheets - fibres - blobs
        if total == 0:
            continue
        for axis in range(3):
            to_fixed_point(first[axis, start : start + n], inside, e1[axis], n)
            to_fixed_point(last[axis, start : start + n], inside, e3[axis], n)
        add_tensor(e1, inside, tensors[0], n)
        add_tensor(e3, inside, tensors[2], n)
        if sheets:
            add_tensor(e1, sheet, tensors[1], n)
        if fibres:
            add_tensor(e3, fibre, tensors[3], n)
        if sheets + fibres:
            count_cells(e1, e3, sheet, fibre, index, cells, n)


WORDS = types.Array(types.uint16, 2, "C", readonly=True)
BYTES = types.Array(types.uint8, 1, "C", readonly=True)
TABLE = types.Array(types.uint32, 2, "C")
CLASSES = types.Array(types.int64, 1, "C")
SUMS = types.Array(types.int64, 2, "C")

compiled_values = cached_kernel(count_values, types.void(WORDS, BYTES, TABLE))
compiled_directions = cached_kernel(count_directions, types.void(WORDS, WORDS, WORDS, BYTES, CLASSES, SUMS, TABLE))
