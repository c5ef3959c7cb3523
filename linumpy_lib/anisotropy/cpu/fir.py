"""Symmetric and antisymmetric filters along one axis of a tile, sixteen x positions at a time.

A filter reads rows of a flat float32 buffer; ``rows[i]`` is the flat index of the row under tap i, so the same code
serves x (rows shifted by one element), y (rows of a plane) and z (planes of a ring). Taps are added pairwise from the
centre outwards with fused multiply-adds: one fixed order, hence the same bits in every variant below. Rows must be
readable up to the next multiple of 16.
"""

from __future__ import annotations

from linumpy_lib.anisotropy.cpu.jit import inline_kernel
from linumpy_lib.anisotropy.cpu.simd import LANES, fma, load, splat, store

PAIR = 2 * LANES


@inline_kernel
def smooth_row(out, at, source, rows, taps, radius, count):
    """Filter one row with symmetric taps (`taps[radius + t]` for offset t)."""
    centre = rows[radius]
    for x in range(0, count, PAIR):
        a = load(source, centre + x) * taps[radius]
        b = load(source, centre + x + LANES) * taps[radius]
        for t in range(1, radius + 1):
            low = rows[radius - t] + x
            high = rows[radius + t] + x
            weight = taps[radius + t]
            a = fma(load(source, low) + load(source, high), weight, a)
            b = fma(load(source, low + LANES) + load(source, high + LANES), weight, b)
        store(out, at + x, a)
        store(out, at + x + LANES, b)


@inline_kernel
def smooth_two_rows(out, at, at_next, source, rows, taps, radius, count):
    """Filter the rows under `rows[0:2r+1]` and `rows[1:2r+2]` in one go: they share all but two loads."""
    centre = rows[radius]
    following = rows[radius + 1]
    for x in range(0, count, PAIR):
        low_a = load(source, centre + x)
        low_b = load(source, centre + x + LANES)
        high_a = load(source, following + x)
        high_b = load(source, following + x + LANES)
        first_a = low_a * taps[radius]
        first_b = low_b * taps[radius]
        second_a = high_a * taps[radius]
        second_b = high_b * taps[radius]
        for t in range(1, radius + 1):
            low = rows[radius - t] + x
            high = rows[radius + t + 1] + x
            weight = taps[radius + t]
            next_low_a = load(source, low)
            next_low_b = load(source, low + LANES)
            next_high_a = load(source, high)
            next_high_b = load(source, high + LANES)
            first_a = fma(next_low_a + high_a, weight, first_a)
            first_b = fma(next_low_b + high_b, weight, first_b)
            second_a = fma(low_a + next_high_a, weight, second_a)
            second_b = fma(low_b + next_high_b, weight, second_b)
            low_a = next_low_a
            low_b = next_low_b
            high_a = next_high_a
            high_b = next_high_b
        store(out, at + x, first_a)
        store(out, at + x + LANES, first_b)
        store(out, at_next + x, second_a)
        store(out, at_next + x + LANES, second_b)


@inline_kernel
def smooth_and_derive_row(smooth, derived, at, derived_at, source, rows, even, odd, radius, count):
    """Symmetric taps into `smooth` and antisymmetric taps into `derived`, sharing the loads."""
    centre = rows[radius]
    for x in range(0, count, LANES):
        a = load(source, centre + x) * even[radius]
        d = splat(0.0)
        for t in range(1, radius + 1):
            low = load(source, rows[radius - t] + x)
            high = load(source, rows[radius + t] + x)
            a = fma(low + high, even[radius + t], a)
            d = fma(high - low, odd[radius + t], d)
        store(smooth, at + x, a)
        store(derived, derived_at + x, d)


@inline_kernel
def derive_row(out, at, source, rows, odd, radius, count):
    """Filter one row with antisymmetric taps."""
    for x in range(0, count, LANES):
        d = splat(0.0)
        for t in range(1, radius + 1):
            d = fma(load(source, rows[radius + t] + x) - load(source, rows[radius - t] + x), odd[radius + t], d)
        store(out, at + x, d)
