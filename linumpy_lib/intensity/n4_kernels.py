"""Compiled inner loops of N4 on the CPU; every loop works on a range of z planes and releases the GIL.

Each is always called with arrays of the same types and layout, as `linumpy_lib.compiled.lazy_kernel` asks. Sums are
kept for each plane and added in a fixed order by the caller, so that results do not depend on threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

from linumpy_lib.compiled import lazy_kernel

# reassociation lets loops use vector registers; what is fitted is finite, which 'nnan' relies on
_FAST = {"reassoc", "contract", "nsz", "nnan", "arcp"}
_HUGE = np.float32(3e38)
_LOG2E = np.float32(math.log2(math.e))
_C1 = np.float32(math.log(2))
_C2 = np.float32(math.log(2) ** 2 / 2)
_C3 = np.float32(math.log(2) ** 3 / 6)
_C4 = np.float32(math.log(2) ** 4 / 24)
_C5 = np.float32(math.log(2) ** 5 / 120)
_C6 = np.float32(math.log(2) ** 6 / 720)
_ONE = np.float32(1)
_HALF = np.float32(0.5)


F = TypeVar("F", bound=Callable[..., Any])


def _kernel(function: F) -> F:
    return lazy_kernel(function, fastmath=_FAST)


def _kernel_for_any_value(function: F) -> F:
    """Compile a kernel that meets NaN and infinity in volumes."""
    return lazy_kernel(function, fastmath=_FAST - {"nnan"})


def _inlined(function: F) -> F:
    compiled: F = numba.njit(nogil=True, fastmath=_FAST, inline="always")(function)
    return compiled


@_inlined
def _exp(value: Any) -> Any:
    """Exponential in float32 (2e-7 relative), written so that a loop over it uses vector registers."""
    t = min(max(value * _LOG2E, np.float32(-126)), np.float32(127))
    k = np.floor(t + _HALF)
    f = t - k
    mantissa = _ONE + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))
    return mantissa * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@_inlined
def _track(values: Any, inside: Any, low: Any, high: Any) -> None:
    """Lower `low` and raise `high`, one element per column: element-wise, the loop uses vector registers."""
    for x in range(values.size):
        away = _HUGE * (_ONE - np.float32(inside[x]))
        a, b = values[x] + away, values[x] - away
        low[x] = a if a < low[x] else low[x]
        high[x] = b if b > high[x] else high[x]


@_kernel
def extremes(v: Any, m: Any, rows: Any, z0: int, z1: int, out: Any) -> None:
    """Lowest and highest masked value of each plane, into `out` (nz, 2)."""
    low = np.empty(v.shape[2], np.float32)
    high = np.empty(v.shape[2], np.float32)
    for z in range(z0, z1):
        low[:] = _HUGE
        high[:] = -_HUGE
        for y in range(v.shape[1]):
            if rows[z, y]:
                _track(v[z, y], m[z, y], low, high)
        out[z, 0] = low.min()
        out[z, 1] = high.max()


@_kernel
def histogram(v: Any, m: Any, rows: Any, lowest: Any, inverse: Any, z0: int, z1: int, out: Any) -> None:
    """Histogram of the masked values of each plane, shared linearly between two bins, added to `out` (nz, bins)."""
    bins = out.shape[1]
    counts: Any = np.zeros(bins + 1, np.int64)
    shares: Any = np.zeros(bins + 1, np.float64)
    for z in range(z0, z1):
        counts[:] = 0
        shares[:] = 0
        for y in range(v.shape[1]):
            if rows[z, y]:
                values, inside = v[z, y], m[z, y]
                for x in range(values.size):
                    if inside[x]:
                        c = (values[x] - lowest) * inverse
                        i: Any = np.uint64(np.int64(c))
                        counts[i] += 1
                        shares[i] += c - np.float32(i)
        for i in range(bins):
            out[z, i] += counts[i] - shares[i]
        for i in range(bins - 1):
            out[z, i + 1] += shares[i]
        out[z, bins - 1] += counts[bins] + shares[bins - 1]


@_kernel
def residual(
    v: Any, m: Any, rows: Any, lowest: Any, inverse: Any, start: Any, rise: Any, iy: Any, wy: Any, ix: Any, wx: Any,
    runs: Any, z0: int, z1: int, out: Any,
) -> None:  # fmt: skip
    """Contract (v - expected) over the masked voxels of each plane with `wy` and `wx`, into `out` (nz, Ky, Kx).

    Between bins i and i + 1 the expected value is ``start[i] + rise[i] * position``; both tables reach one bin beyond.
    """
    nx = v.shape[2]
    r = np.zeros(nx, np.float32)
    row = np.zeros(out.shape[2], np.float32)
    for z in range(z0, z1):
        out[z] = 0
        for y in range(v.shape[1]):
            if not rows[z, y]:
                continue
            values, inside = v[z, y], m[z, y]
            for x in range(nx):
                if inside[x]:
                    c = (values[x] - lowest) * inverse
                    i: Any = np.uint64(np.int64(c))
                    r[x] = values[x] - (start[i] + rise[i] * c)
                else:
                    r[x] = 0
            row[:] = 0
            for s in range(runs.size - 1):
                # slices, so that the compiler knows their start and vectorises
                a, b = runs[s], runs[s + 1]
                part, w0, w1, w2, w3 = r[a:b], wx[0, a:b], wx[1, a:b], wx[2, a:b], wx[3, a:b]
                a0 = a1 = a2 = a3 = np.float32(0)
                for x in range(part.size):
                    a0 += part[x] * w0[x]
                    a1 += part[x] * w1[x]
                    a2 += part[x] * w2[x]
                    a3 += part[x] * w3[x]
                j = ix[a]
                row[j] += a0
                row[j + 1] += a1
                row[j + 2] += a2
                row[j + 3] += a3
            for k in range(4):
                weight = wy[k, y]
                target = out[z, iy[y] + k]
                for x in range(row.size):
                    target[x] += weight * row[x]


@_kernel
def gather_z(planes: Any, iz: Any, wz: Any, y0: int, y1: int, out: Any) -> None:
    """Contract planes (nz, Ky, Kx) along z with `wz` into `out` (Kz, Ky, Kx), for rows y0 to y1."""
    out[:, y0:y1] = 0
    for y in range(y0, y1):
        for z in range(planes.shape[0]):
            source = planes[z, y]
            for k in range(4):
                weight = wz[k, z]
                target = out[iz[z] + k, y]
                for x in range(source.size):
                    target[x] += weight * source[x]


@_inlined
def _mix(source: Any, j: Any, w: Any, n: Any, out: Any) -> None:
    """Add four consecutive rows of `source`, starting at `j`, with the weights of position `n`."""
    w0, w1, w2, w3 = w[0, n], w[1, n], w[2, n], w[3, n]
    a, b, c, d = source[j], source[j + 1], source[j + 2], source[j + 3]
    for x in range(out.size):
        out[x] = (w0 * a[x] + w1 * b[x]) + (w2 * c[x] + w3 * d[x])


@_inlined
def _expand(row: Any, ix: Any, wx: Any, runs: Any, out: Any) -> None:
    """Evaluate a row of control points at every x."""
    for s in range(runs.size - 1):
        a, b = runs[s], runs[s + 1]
        part, w0, w1, w2, w3 = out[a:b], wx[0, a:b], wx[1, a:b], wx[2, a:b], wx[3, a:b]
        i = ix[a]
        c0, c1, c2, c3 = row[i], row[i + 1], row[i + 2], row[i + 3]
        for x in range(part.size):
            part[x] = (c0 * w0[x] + c1 * w1[x]) + (c2 * w2[x] + c3 * w3[x])


@_kernel
def update(
    v: Any, m: Any, rows: Any, lattice: Any, iz: Any, wz: Any, iy: Any, wy: Any, ix: Any, wx: Any,
    runs: Any, z0: int, z1: int, sums: Any, bounds: Any,
) -> None:  # fmt: skip
    """Subtract the field of a lattice (Kz, Ky, Kx) from `v`.

    For each plane `sums` (nz, 2) receives the sums of expm1(-field) and of its square over the mask, and `bounds`
    (nz, 2) the lowest and highest masked value that results.
    """
    nx = v.shape[2]
    flat = lattice.reshape(lattice.shape[0], lattice.shape[1] * lattice.shape[2])
    plane = np.empty(flat.shape[1], np.float32)
    grid = plane.reshape(lattice.shape[1], lattice.shape[2])
    row = np.empty(lattice.shape[2], np.float32)
    d = np.empty(nx, np.float32)
    low = np.empty(nx, np.float32)
    high = np.empty(nx, np.float32)
    for z in range(z0, z1):
        total: Any = 0.0
        square: Any = 0.0
        low[:] = _HUGE
        high[:] = -_HUGE
        fresh = True
        for y in range(v.shape[1]):
            if not rows[z, y]:
                continue
            if fresh:
                _mix(flat, iz[z], wz, z, plane)
                fresh = False
            _mix(grid, iy[y], wy, y, row)
            _expand(row, ix, wx, runs, d)
            values, inside = v[z, y], m[z, y]
            for x in range(nx):
                values[x] -= d[x]
            part = part2 = np.float32(0)
            for x in range(nx):
                g = np.float32(inside[x]) * (_exp(-d[x]) - _ONE)
                part += g
                part2 += g * g
            _track(values, inside, low, high)
            total += part
            square += part2
        sums[z, 0] = total
        sums[z, 1] = square
        bounds[z, 0] = low.min()
        bounds[z, 1] = high.max()


@_kernel_for_any_value
def divide(
    volume: Any, lattice: Any, iz: Any, wz: Any, iy: Any, wy: Any, ix: Any, wx: Any, runs: Any, ceiling: Any,
    strength: Any, z0: int, z1: int, out: Any, in_place: bool, bias: Any, keep_bias: bool,
) -> None:  # fmt: skip
    """Divide planes by exp(field), gain at most `ceiling`, mixed by `strength`; keep exp(field) too if asked."""
    nx = out.shape[2]
    flat = lattice.reshape(lattice.shape[0], lattice.shape[1] * lattice.shape[2])
    plane = np.empty(flat.shape[1], np.float32)
    grid = plane.reshape(lattice.shape[1], lattice.shape[2])
    row = np.empty(lattice.shape[2], np.float32)
    d = np.empty(nx, np.float32)
    g = np.empty(nx, np.float32)
    for z in range(z0, z1):
        _mix(flat, iz[z], wz, z, plane)
        for y in range(out.shape[1]):
            _mix(grid, iy[y], wy, y, row)
            _expand(row, ix, wx, runs, d)
            source, target = volume[z, y], out[z, y]
            if in_place:
                # reading and writing one array through two names would keep the loop from vector registers
                for x in range(nx):
                    gain = _exp(-d[x])
                    gain = gain if gain < ceiling else ceiling
                    g[x] = _ONE + strength * (gain - _ONE)
                for x in range(nx):
                    target[x] *= g[x]
            else:
                for x in range(nx):
                    gain = _exp(-d[x])
                    gain = gain if gain < ceiling else ceiling
                    target[x] = np.float32(source[x]) * (_ONE + strength * (gain - _ONE))
            if keep_bias:
                target = bias[z, y]
                for x in range(nx):
                    target[x] = _exp(d[x])


@_kernel
def log_field(
    lattice: Any, iz: Any, wz: Any, iy: Any, wy: Any, ix: Any, wx: Any, runs: Any, z0: int, z1: int, out: Any,
) -> None:  # fmt: skip
    """Write the field of a lattice, plane by plane."""
    flat = lattice.reshape(lattice.shape[0], lattice.shape[1] * lattice.shape[2])
    plane = np.empty(flat.shape[1], np.float32)
    grid = plane.reshape(lattice.shape[1], lattice.shape[2])
    row = np.empty(lattice.shape[2], np.float32)
    for z in range(z0, z1):
        _mix(flat, iz[z], wz, z, plane)
        for y in range(out.shape[1]):
            _mix(grid, iy[y], wy, y, row)
            _expand(row, ix, wx, runs, out[z, y])
