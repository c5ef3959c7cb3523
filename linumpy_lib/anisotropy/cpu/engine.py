"""Runs the fused kernel over the tiles of a block, with threads."""

from __future__ import annotations

import math
import queue
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from linumpy_lib.anisotropy.block import AnisotropyBlock
    from linumpy_lib.anisotropy.plan import AnisotropyPlan

NATIVE = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
NORMALIZATIONS = {"lambda1": 0, "trace": 1, "seed": 2}
# measured optimum: long rows, and a ring of smoothed planes that fits the last-level cache
TILE_ROWS, TILE_COLUMNS = 32, 256


@cache
def _kernel(input_type: str, half: bool) -> Any:
    """Compile (or fetch from the disk cache) the kernel of one input and one output type."""
    from linumpy_lib.anisotropy.cpu.tile import compile_tile

    return compile_tile(input_type, half)


def _cuts(size: int, largest: int, least: int, step: int) -> list[tuple[int, int]]:
    """Split an axis into equal parts in multiples of `step`, none above `largest`, `least` of them or more."""
    parts = max(math.ceil(size / largest), min(least, math.ceil(size / step)))
    width = math.ceil(size / parts / step) * step
    return [(a, min(a + width, size)) for a in range(0, size, width)]


def _as_native(block: npt.NDArray[Any], exponent: int) -> tuple[npt.NDArray[Any], float, float]:
    """Return the block in a type the kernel reads, the factor still to apply, and the factor applied already."""
    if block.dtype.newbyteorder("=") in NATIVE:
        return np.ascontiguousarray(block, dtype=block.dtype.newbyteorder("=")), 2.0**exponent, 1.0
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is counted and masked
        scaled = np.asarray(block, np.float64) * 2.0**exponent if exponent else block
        return np.ascontiguousarray(scaled, dtype=np.float32), 1.0, 2.0**exponent


def compute_on_cpu(
    block: npt.NDArray[Any],
    start: tuple[int, int, int],
    plan: AnisotropyPlan,
    mask: npt.NDArray[Any] | None,
    out: AnisotropyBlock,
    threads: int,
) -> int:
    """Fill `out` and return the number of non-finite voxels in the output region."""
    from linumpy_lib.anisotropy.cpu.tile import ring_size

    array, scale, applied = _as_native(block, plan.scale_exponent)
    kernel = _kernel(array.dtype.name, plan.dtype == "float16")
    chosen = np.zeros((0, 0, 0), np.uint8) if mask is None else np.ascontiguousarray(mask != 0).view(np.uint8)
    threshold = np.float32(-np.inf if plan.mask_threshold is None else plan.mask_threshold * applied)
    filters = plan.taps
    taps = tuple(t.astype(np.float32) for axis in filters for t in (axis.even, axis.odd)) + tuple(
        axis.window.astype(np.float32) for axis in filters
    )
    radii = tuple(len(axis.even) // 2 for axis in filters) + tuple(len(axis.window) // 2 for axis in filters)
    stored = np.uint16 if plan.dtype == "float16" else np.float32

    def bits(values: npt.NDArray[Any] | None, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return np.zeros((0, 0, 0, 0), dtype) if values is None else values.view(dtype)

    results = (
        bits(out.measures, stored),
        bits(out.principal_dir, stored),
        bits(out.fibre_dir, stored),
        bits(out.eigenvalues, np.float32),
        out.mask,
    )
    _, height, width = out.mask.shape
    columns = _cuts(width, TILE_COLUMNS, 1, 32)
    rows = _cuts(height, TILE_ROWS, math.ceil(threads / len(columns)), 4)
    unscale = np.float32(plan.eigenvalue_factor)

    windows = [(y0, y1, x0, x1) for y0, y1 in rows for x0, x1 in columns]
    count = max(1, min(threads, len(windows)))
    # one ring per thread, made by NumPy: it asks for huge pages
    length = ring_size(radii[3], rows[0][1], columns[0][1])
    rings: queue.SimpleQueue[npt.NDArray[np.float32]] = queue.SimpleQueue()
    for _ in range(count):
        rings.put(np.empty(length, np.float32))

    def run(window: tuple[int, int, int, int]) -> int:
        counts = np.zeros(1, np.int64)
        ring = rings.get()
        try:
            kernel(
                array, chosen, start, window, taps, radii, np.float32(scale), unscale, threshold,
                NORMALIZATIONS[plan.normalization], *results, counts, ring,
            )  # fmt: skip
        finally:
            rings.put(ring)
        return int(counts[0])

    if count == 1:
        return sum(map(run, windows))
    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(run, windows))
