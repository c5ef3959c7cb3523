"""Symmetric and antisymmetric filters along one axis of a tile, sixteen x positions at a time.

A filter reads rows of a flat float32 buffer; ``rows[i]`` is the flat index of the row under tap i, so the same code
serves x (rows shifted by one element), y (rows of a plane) and z (planes of a ring). Taps are added pairwise from the
centre outwards with fused multiply-adds: one fixed order, hence the same bits in every variant below. Rows must be
readable up to the next multiple of 16.
"""

from __future__ import annotations

from linumpy_lib.anisotropy.cpu.simd import LANES, fma, item, load, splat, store
from linumpy_lib.compiled import inline_kernel

PAIR = 2 * LANES
GROUP = 4


@inline_kernel
def smooth_row(out, at, source, rows, taps, radius, count):
    """Filter one row with symmetric taps (`taps[radius + t]` for offset t)."""
    centre = item(rows, radius)
    for x in range(0, count, PAIR):
        a = load(source, centre + x) * item(taps, radius)
        b = load(source, centre + x + LANES) * item(taps, radius)
        for t in range(1, radius + 1):
            low = item(rows, radius - t) + x
            high = item(rows, radius + t) + x
            weight = item(taps, radius + t)
            a = fma(load(source, low) + load(source, high), weight, a)
            b = fma(load(source, low + LANES) + load(source, high + LANES), weight, b)
        store(out, at + x, a)
        store(out, at + x + LANES, b)


@inline_kernel
def smooth_four_rows(out, at, step, source, rows, taps, radius, count):
    """Filter the rows under `rows[i : 2r+1+i]`, i = 0..3, into `out` at `at + i*step`: one load per output and pair."""
    for x in range(0, count, LANES):
        low1 = load(source, item(rows, radius) + x)
        low2 = load(source, item(rows, radius + 1) + x)
        low3 = load(source, item(rows, radius + 2) + x)
        high2 = load(source, item(rows, radius + 3) + x)
        high0 = low2
        high1 = low3
        centre = item(taps, radius)
        first = low1 * centre
        second = low2 * centre
        third = low3 * centre
        fourth = high2 * centre
        # for offset t, `low[i]` is the row under tap r - t + i and `high[i]` the one under r + t + i; they shift by one
        for t in range(1, radius + 1):
            weight = item(taps, radius + t)
            low0 = load(source, item(rows, radius - t) + x)
            high3 = load(source, item(rows, radius + 3 + t) + x)
            first = fma(low0 + high0, weight, first)
            second = fma(low1 + high1, weight, second)
            third = fma(low2 + high2, weight, third)
            fourth = fma(low3 + high3, weight, fourth)
            low3 = low2
            low2 = low1
            low1 = low0
            high0 = high1
            high1 = high2
            high2 = high3
        store(out, at + x, first)
        store(out, at + step + x, second)
        store(out, at + 2 * step + x, third)
        store(out, at + 3 * step + x, fourth)


@inline_kernel
def smooth_and_derive_row(smooth, derived, at, derived_at, source, rows, even, odd, radius, count):
    """Symmetric taps into `smooth` and antisymmetric taps into `derived`, sharing the loads."""
    centre = item(rows, radius)
    for x in range(0, count, LANES):
        a = load(source, centre + x) * item(even, radius)
        d = splat(0.0)
        for t in range(1, radius + 1):
            low = load(source, item(rows, radius - t) + x)
            high = load(source, item(rows, radius + t) + x)
            a = fma(low + high, item(even, radius + t), a)
            d = fma(high - low, item(odd, radius + t), d)
        store(smooth, at + x, a)
        store(derived, derived_at + x, d)


@inline_kernel
def derive_row(out, at, source, rows, odd, radius, count):
    """Filter one row with antisymmetric taps."""
    for x in range(0, count, LANES):
        d = splat(0.0)
        for t in range(1, radius + 1):
            d = fma(
                load(source, item(rows, radius + t) + x) - load(source, item(rows, radius - t) + x),
                item(odd, radius + t),
                d,
            )
        store(out, at + x, d)
