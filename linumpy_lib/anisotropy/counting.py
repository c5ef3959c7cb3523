"""Compiled counting of anisotropy maps, in integers throughout: the order of the voxels can never show in the result.

float16 has 65536 values, so a histogram over its bit patterns is exact. Unit vectors rounded to 1/2048 (float16's own
step below one) have products whose sums stay exact in 64 bits for 2e12 voxels.
"""

from __future__ import annotations

from typing import Any

VECTOR_ONE = 2048
CHUNK = 256  # 256 products of up to 2048 * 2048 fit 32 bits
ORIENTATION_GRID = 32
TENSOR_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
SHEET, FIBRE, BLOB, FEATURELESS = range(4)
SPARE_CELL = 2 * ORIENTATION_GRID**2


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
    from linumpy_lib.anisotropy.counting_kernels import compiled_directions, compiled_values

    return compiled_values, compiled_directions
