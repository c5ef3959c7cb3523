"""Compiled counting of anisotropy maps, in integers throughout: the order of the voxels can never show in the result.

float16 has 65536 values, so a histogram over its bit patterns is exact. Unit vectors rounded to 1/2048 (float16's own
step below one) have products whose sums stay exact in 64 bits for 2e12 voxels.
"""

from __future__ import annotations

from functools import cache
from typing import Any

VECTOR_ONE = 2048
_CHUNK = 256  # 256 products of up to 2048 * 2048 fit 32 bits
ORIENTATION_GRID = 32
TENSOR_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
SHEET, FIBRE, BLOB, FEATURELESS = range(4)
SPARE_CELL = 2 * ORIENTATION_GRID**2
_INFINITE = 0x7C00


def orientation_cell(z: float, y: float, x: float) -> tuple[int, int]:
    """Cell of the octahedral grid that a direction and its opposite fall into (the compiled code's rule, for tests).

    The hemisphere z >= 0 is projected onto the octahedron |z|+|y|+|x| = 1; seen along z that is a diamond, which is
    turned into the square of the grid.
    """
    if z < 0 or (z == 0 and (y < 0 or (y == 0 and x < 0))):
        z, y, x = -z, -y, -x
    total = abs(x) + abs(y) + z
    return _cell_of((y + x) / total), _cell_of((y - x) / total)


def _cell_of(coordinate: float) -> int:
    return min(int((coordinate + 1.0) * (ORIENTATION_GRID / 2)), ORIENTATION_GRID - 1)


@cache
def count_kernels() -> tuple[Any, Any]:
    """Compile (or fetch from the disk cache) the two kernels.

    Returns
    -------
    count_values : callable
        ``(bits (c, n) uint16, mask (n,) uint8, histogram (c, 65536) uint32)``, c a multiple of three
    count_directions : callable
        ``(shapes (3, n) uint16, first (3, n) uint16, last (3, n) uint16, mask (n,) uint8, classes (4,) int64,
        tensors (4, 6) int64, cells (4, SPARE_CELL + 1) uint32)``: the tensors are of the first vector everywhere and in
        sheets, of the last vector everywhere and in fibres; the four rows of cells are to be added up
    """
    import numpy as np
    from numba import types

    from linumpy_lib.anisotropy.cpu.jit import cached_kernel, inline_kernel

    one32 = np.uint32(1)
    grid, grid2 = np.int32(ORIENTATION_GRID), np.int32(ORIENTATION_GRID**2)
    half_grid, top_cell = np.float32(ORIENTATION_GRID / 2), np.float32(ORIENTATION_GRID - 1)
    shift_z, shift_y = np.float32(1 << 24), np.float32(1 << 12)
    one, i15, i31, i1023, i1024, i10, i14, half = (np.int32(v) for v in (1, 15, 31, 1023, 1024, 10, 14, 1 << 13))

    def count_values(bits: Any, mask: Any, histogram: Any) -> None:
        # three tables at a time: increments of one often meet the same entry and would wait for each other
        for c in range(0, bits.shape[0], 3):
            for i in range(mask.size):
                if mask[i]:
                    histogram[c, bits[c, i]] += np.uint32(1)
                    histogram[c + 1, bits[c + 1, i]] += np.uint32(1)
                    histogram[c + 2, bits[c + 2, i]] += np.uint32(1)

    @inline_kernel  # type: ignore[untyped-decorator]
    def sort_shapes(cl: Any, cp: Any, cs: Any, mask: Any, inside: Any, sheet: Any, fibre: Any, n: int) -> Any:
        total = sheets = fibres = blobs = np.int32(0)
        for i in range(n):
            linear, planar, round_ = np.int32(cl[i]), np.int32(cp[i]), np.int32(cs[i])
            highest = max(linear, planar, round_)
            here = np.int32(mask[i] != 0)
            shaped = np.int32(here & np.int32(highest > 0) & np.int32(highest < _INFINITE))
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
        inside, sheet, fibre = np.empty(_CHUNK, np.int32), np.empty(_CHUNK, np.int32), np.empty(_CHUNK, np.int32)
        index = np.empty(_CHUNK, np.uint16)
        e1, e3 = np.empty((3, _CHUNK), np.int32), np.empty((3, _CHUNK), np.int32)
        for start in range(0, mask.size, _CHUNK):
            n = min(_CHUNK, mask.size - start)
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

    words, bytes_ = types.Array(types.uint16, 2, "C", readonly=True), types.Array(types.uint8, 1, "C", readonly=True)
    table, sums = types.Array(types.uint32, 2, "C"), types.Array(types.int64, 2, "C")
    return (
        cached_kernel(count_values, types.void(words, bytes_, table)),
        cached_kernel(
            count_directions, types.void(words, words, words, bytes_, types.Array(types.int64, 1, "C"), sums, table)
        ),
    )
