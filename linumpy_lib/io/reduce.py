"""Make a coarser block from a finer one: exact means for intensities, modes or nearest voxels for labels."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence

import numpy as np

from linumpy_lib.io.lazy import Array

# Planes reduced at a time, so that the wide sums stay in the processor's cache.
_CACHE_BYTES = 1 << 20
_HALF_INFINITY, _SIGN = 0x7C00, 0x8000


def halve_mean(block: Array, factors: Sequence[int], out: Array) -> None:
    """Mean over 2 (or 1) voxels per spatial axis, written into `out`.

    Integers are summed exactly and rounded half to even: rounding half up would add 1/16 count per level (all eight
    remainders of a sum of eight are equally likely, and only the tie is one-sided). Where an extent is odd, the last
    voxel averages the voxels that exist. Floats are averaged in float32 (float64 stays); NaN counts as absent.

    Parameters
    ----------
    block : ndarray
        (..., z, y, x); the last three axes are reduced.
    factors : sequence of int
        1 or 2 per spatial axis.
    out : ndarray
        (..., ceil(z / fz), ceil(y / fy), ceil(x / fx)) of the same dtype.
    """
    fz = factors[0]
    plane = block[..., :1, :, :].nbytes
    step = max(1, _CACHE_BYTES // max(1, plane * 2 * fz))
    rows = out.shape[-3]
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        piece = block[..., start * fz : stop * fz, :, :]
        out[..., start:stop, :, :] = _mean_piece(piece, factors, block.dtype)


def _pairs(block: Array, axis: int) -> tuple[Array, Array]:
    """Even and odd voxels along `axis`; a lone last voxel is its own partner, so that it weighs what its pair would."""
    at = [slice(None)] * block.ndim
    at[axis] = slice(0, None, 2)
    even = block[tuple(at)]
    at[axis] = slice(1, None, 2)
    odd = block[tuple(at)]
    if block.shape[axis] % 2:
        at[axis] = slice(-1, None)
        odd = np.concatenate([odd, block[tuple(at)]], axis)
    return even, odd


def _sum_pairs(block: Array, axis: int, dtype: np.dtype[np.generic]) -> Array:
    even, odd = _pairs(block, axis)
    return np.add(even, odd, dtype=dtype)


def _mean_piece(piece: Array, factors: Sequence[int], dtype: np.dtype[np.generic]) -> Array:
    halved = [k - 3 for k in range(3) if factors[k] == 2]
    if dtype.kind == "f":
        return _float_mean(piece, halved, dtype)
    wide = _sum_type(dtype)
    if wide is None:
        # 64-bit integers: halving before adding keeps the sum in range; the remainder decides the rounding.
        return _wide_integer_mean(piece, halved)
    total = piece
    for axis in halved:
        total = _sum_pairs(total, axis, wide)
    bits = len(halved)
    if bits == 0:
        return total
    # (sum + half - 1 + lowest bit of the quotient) >> bits is division by 2**bits rounded half to even.
    lowest = total >> bits
    lowest &= 1
    lowest += (1 << (bits - 1)) - 1
    lowest += total
    lowest >>= bits
    return lowest


def _sum_type(dtype: np.dtype[np.generic]) -> np.dtype[np.generic] | None:
    sizes = {
        ("u", 1): np.uint16,
        ("u", 2): np.uint32,
        ("u", 4): np.uint64,
        ("i", 1): np.int16,
        ("i", 2): np.int32,
        ("i", 4): np.int64,
    }
    wide = sizes.get((dtype.kind, dtype.itemsize))
    return None if wide is None else np.dtype(wide)


def _wide_integer_mean(piece: Array, halved: Sequence[int]) -> Array:
    parts = [piece]
    for axis in halved:
        parts = [half for part in parts for half in _pairs(part, axis)]
    count = len(parts)
    quotient = sum((part // count for part in parts[1:]), parts[0] // count)
    rest = sum((part % count for part in parts[1:]), parts[0] % count)
    quotient = quotient + rest // count
    rest = rest % count
    up = (2 * rest > count) | ((2 * rest == count) & (quotient % 2 == 1))
    result: Array = quotient + up.astype(piece.dtype)
    return result


def _float_mean(piece: Array, halved: Sequence[int], dtype: np.dtype[np.generic]) -> Array:
    wide = np.dtype(np.float64 if dtype.itemsize > 4 else np.float32)
    values = piece.astype(wide, copy=False)
    total = values
    for axis in halved:
        total = _sum_pairs(total, axis, wide)
    weight: Array | float = float(2 ** len(halved))
    if np.isnan(total).any():
        known = ~np.isnan(values)
        total, weight = np.where(known, values, 0), known.astype(wide)
        for axis in halved:
            total, weight = _sum_pairs(total, axis, wide), _sum_pairs(weight, axis, wide)
        with np.errstate(invalid="ignore", divide="ignore"):
            return _narrow(total / weight, dtype)
    return _narrow(total / wide.type(weight), dtype)


def _narrow(values: Array, dtype: np.dtype[np.generic]) -> Array:
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def halve_mode(block: Array, factors: Sequence[int], out: Array) -> None:
    """Take the most frequent label over 2 (or 1) voxels per spatial axis, the smallest of equals; see `halve_mean`."""
    parts = [block]
    for axis in (k - 3 for k in range(3) if factors[k] == 2):
        parts = [half for part in parts for half in _pairs(part, axis)]
    if len(parts) == 1:
        out[...] = block
        return
    ranked = np.sort(np.stack(parts), axis=0)
    best, longest = ranked[0].copy(), np.ones(out.shape, np.uint8)
    run = np.ones(out.shape, np.uint8)
    for lower, upper in itertools.pairwise(ranked):
        run = np.where(lower == upper, run + 1, 1).astype(np.uint8)
        better = run > longest
        best[better] = upper[better]
        np.maximum(longest, run, out=longest)
    out[...] = best


def halve_sample(block: Array, factors: Sequence[int], out: Array) -> None:
    """Take the first voxel of each box of `factors` voxels: for vectors without sign, whose mean has no meaning.

    Arguments as `halve_mean`.
    """
    z, y, x = factors
    out[...] = block[..., ::z, ::y, ::x]


def source_span(start: int, stop: int, factor: float, extent: int) -> tuple[int, int]:
    """Input voxels that output voxels ``start:stop`` of size `factor` touch."""
    low = min(extent - 1, math.floor(start * factor + 1e-9))
    return low, max(low + 1, min(extent, math.ceil(stop * factor - 1e-9)))


def area_mean(
    block: Array, starts: Sequence[int], region: Sequence[slice], factors: Sequence[float], extents: Sequence[int]
) -> Array:
    """Mean over output voxels of any size, input voxels weighted by the part of them that lies inside.

    Parameters
    ----------
    block : ndarray
        (..., z, y, x) input voxels that begin at `starts` and cover `source_span` of `region`.
    starts : sequence of int
        First input voxel per spatial axis.
    region : sequence of slice
        Output voxels to make.
    factors : sequence of float
        Input voxels per output voxel.
    extents : sequence of int
        Size of the whole input: the last output voxel averages what exists.

    Returns
    -------
    ndarray
        (..., region) of the block's dtype; integers rounded half to even. NaN counts as absent.
    """
    values = block.astype(np.float64)
    missing = np.isnan(values) if block.dtype.kind == "f" else None
    if missing is not None and missing.any():
        total = _weighted(np.where(missing, 0.0, values), starts, region, factors, extents)
        weight = _weighted((~missing).astype(np.float64), starts, region, factors, extents)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(weight > 1e-12, total / weight, np.nan)
    else:
        mean = _weighted(values, starts, region, factors, extents)
    if block.dtype.kind in "ui":
        info = np.iinfo(block.dtype)
        # float64 cannot hold the largest 64-bit integers; a clip to the next float below keeps the cast defined.
        high = float(info.max) if info.bits < 64 else float(np.nextafter(float(info.max), 0))
        return np.clip(np.rint(mean), float(info.min), high).astype(block.dtype)
    return _narrow(mean, block.dtype)


def _weighted(
    values: Array, starts: Sequence[int], region: Sequence[slice], factors: Sequence[float], extents: Sequence[int]
) -> Array:
    for axis, (start, box, factor, extent) in enumerate(
        zip(starts, region, factors, extents, strict=True), values.ndim - 3
    ):
        if factor == 1:
            continue
        left = np.arange(box.start, box.stop) * factor
        right = np.minimum(left + factor, extent)
        first = np.floor(left + 1e-9).astype(int)
        total: Array | None = None
        for k in range(math.ceil(factor - 1e-9) + 1):
            position = first + k
            weight = np.clip(np.minimum(right, position + 1) - np.maximum(left, position), 0, None)
            weight = np.where(weight < 1e-9, 0.0, weight) / (right - left)
            if not weight.any():
                continue
            picked = np.take(values, np.clip(position - start, 0, values.shape[axis] - 1), axis)
            picked *= weight.reshape([-1 if k == axis else 1 for k in range(values.ndim)])
            total = picked if total is None else np.add(total, picked, out=total)
        assert total is not None
        values = total
    return values


def nearest(
    block: Array, starts: Sequence[int], region: Sequence[slice], factors: Sequence[float], extents: Sequence[int]
) -> Array:
    """Input voxel at the centre of each output voxel; arguments as `area_mean`."""
    for axis, (start, box, factor, extent) in enumerate(
        zip(starts, region, factors, extents, strict=True), block.ndim - 3
    ):
        centre = np.floor((np.arange(box.start, box.stop) + 0.5) * factor).astype(int)
        block = np.take(block, np.clip(np.minimum(centre, extent - 1) - start, 0, block.shape[axis] - 1), axis)
    return block


def _half_range(block: Array) -> tuple[float, float] | None:
    """Range of float16 values from their bit patterns, forty times faster; None if a value is not finite.

    Seen as signed integers positive values keep their order; seen as unsigned ones negative values have it reversed.
    """
    patterns = block.view(np.uint16)
    highest, lowest = int(patterns.max()), int(patterns.min())
    signed = patterns.view(np.int16)
    top, bottom = int(signed.max()), int(signed.min())
    if top >= _HALF_INFINITY or highest >= _SIGN | _HALF_INFINITY:
        return None
    ends = [highest if bottom < 0 else lowest, top if top >= 0 else bottom & 0xFFFF]
    low, high = np.array(ends, np.uint16).view(np.float16)
    return float(low), float(high)


def value_range(block: Array) -> tuple[float, float] | None:
    """Smallest and largest finite value, None if there is none."""
    if block.dtype.kind != "f":
        return float(block.min()), float(block.max())
    if block.dtype == np.float16 and block.size:
        fast = _half_range(block)
        if fast is not None:
            return fast
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = float(np.nanmin(block)), float(np.nanmax(block))
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = block[np.isfinite(block)]
        if finite.size == 0:
            return None
        low, high = float(finite.min()), float(finite.max())
    return low, high
