"""From B-scans, whose depth runs fastest, into the chunks of a mosaic, in one pass; importing this imports Numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from linumpy_lib.compiled import inline_kernel

_EDGE = 16
_WORD, _LONG = ir.IntType(32), ir.IntType(64)


@intrinsic
def _transpose(typing: Any, source: Any, first: Any, step: Any, target: Any, offset: Any, stride: Any) -> Any:
    """target[offset + i * stride + j] = source[first + j * step + i] for i and j below 16."""
    signature = types.void(source, types.int64, types.int64, target, types.int64, types.int64)

    def generate(context: Any, builder: Any, form: Any, arguments: Any) -> Any:
        pointers = [context.make_array(form.args[k])(context, builder, arguments[k]).data for k in (0, 3)]
        row = ir.VectorType(_WORD, _EDGE)

        def place(pointer: Any, start: Any, stride: Any, k: int) -> Any:
            index = builder.add(start, builder.mul(stride, ir.Constant(_LONG, k)))
            return builder.bitcast(builder.gep(pointer, [index]), row.as_pointer())

        rows = [builder.load(place(pointers[0], arguments[1], arguments[2], k), align=4) for k in range(_EDGE)]
        # Rows that lie half the edge apart are interleaved: once for each bit of an index.
        masks = [ir.Constant(row, [half + k // 2 + _EDGE * (k % 2) for k in range(_EDGE)]) for half in (0, _EDGE // 2)]
        for _ in range(_EDGE.bit_length() - 1):
            pairs = zip(rows[: _EDGE // 2], rows[_EDGE // 2 :], strict=True)
            rows = [builder.shuffle_vector(low, high, mask) for low, high in pairs for mask in masks]
        for k in range(_EDGE):
            builder.store(rows[k], place(pointers[1], arguments[4], arguments[5], k), align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _copy_words(typing: Any, source: Any, first: Any, count: Any, target: Any, offset: Any) -> Any:
    """target[offset : offset + count] = source[first : first + count]; the two do not overlap."""
    signature = types.void(source, types.int64, types.int64, target, types.int64)

    def generate(context: Any, builder: Any, form: Any, arguments: Any) -> Any:
        pointers = [
            builder.gep(context.make_array(form.args[k])(context, builder, arguments[k]).data, [arguments[k + 1]])
            for k in (0, 3)
        ]
        return_value = context.get_dummy_value()
        cgutils.raw_memcpy(builder, pointers[1], pointers[0], arguments[2], 4)
        return return_value

    return signature, generate


@inline_kernel
def _ordered(bits: Any) -> Any:
    # The bits of a float as a number that grows with it; NaN and infinity lie beyond all others.
    return bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))


@inline_kernel
def _turn(source: Any, first: Any, alines: Any, depths: Any, step: Any, target: Any, stride: Any) -> None:
    # target[z * stride + a] = source[first + a * step + z] for at most 16 depths
    if alines >= _EDGE and depths == _EDGE:
        # The last square overlaps the one before it rather than being cut.
        for a in range(0, alines, _EDGE):
            here = min(a, alines - _EDGE)
            _transpose(source, first + here * step, step, target, here, stride)
    else:
        for z in range(depths):
            for a in range(alines):
                target[z * stride + a] = source[first + a * step + z]


@inline_kernel
def _scatter(
    source: Any, first: Any, frames: Any, shape: Any, runs: Any, parts: Any, layout: Any, row: Any, span: Any, few: Any
) -> None:
    n_alines, nz = shape[0], shape[1]
    kx, cz, cy, cx = layout[0], layout[1], layout[2], layout[3]
    low, high = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    for f in range(frames):
        frame = first + f * n_alines * nz
        for r in range(runs.size // 3):
            image, stop, file = runs[3 * r], runs[3 * r + 1], runs[3 * r + 2]
            for j in range(image // cx, (stop + cx - 1) // cx):
                begin, end = max(image, j * cx), min(stop, (j + 1) * cx)
                count = end - begin
                start = frame + (begin - image + file) * nz
                alines = source[start : start + count * nz]
                for k in range(alines.size):  # an index known to be positive: this loop becomes vectors
                    value = _ordered(np.int32(alines[k]))
                    low = min(low, value)
                    high = max(high, value)
                for i in range((nz + cz - 1) // cz):
                    offset = ((i * kx + j) * cz * cy + row + f) * cx + begin - j * cx
                    depths = min(cz, nz - i * cz)
                    for z in range(0, depths, _EDGE):
                        # Planes lie so far apart that their rows evict each other from the innermost cache: a few
                        # depths are turned in there, and leave it as whole rows.
                        here = max(0, min(z, depths - _EDGE))
                        some = min(_EDGE, depths)
                        _turn(source, start + i * cz + here, count, some, nz, few, cx)
                        for k in range(some):
                            _copy_words(few, k * cx, count, parts, offset + (here + k) * cy * cx)
    span[0] = low
    span[1] = high


def scatter(
    source: Any,
    n_source: Any,
    first: Any,
    frames: Any,
    shape: Any,
    runs: Any,
    n_runs: Any,
    parts: Any,
    n_parts: Any,
    layout: Any,
    row: Any,
    span: Any,
    few: Any,
) -> Any:
    """Scatter B-scans into chunks.

    source: uint32, voxels; first: where the B-scans start in it; shape: A-lines, depth; runs: first and last A-line of
    the image and first A-line of the file of each run; parts: uint32, chunks (kz, kx, cz, cy, cx); layout: kx, cz, cy,
    cx; row: row of the first B-scan in its chunk; span: receives the `_ordered` bits of the extremes.
    """
    _scatter(
        carray(source, (n_source,)),
        first,
        frames,
        carray(shape, (2,)),
        carray(runs, (n_runs,)),
        carray(parts, (n_parts,)),
        carray(layout, (4,)),
        row,
        carray(span, (2,)),
        carray(few, (16 * carray(layout, (4,))[3],)),
    )
    return 0


SCATTER_TYPES = types.int64(
    *(types.CPointer(types.uint32), types.int64, types.int64, types.int64, types.CPointer(types.int64)),
    *(types.CPointer(types.int64), types.int64, types.CPointer(types.uint32), types.int64),
    *(types.CPointer(types.int64), types.int64, types.CPointer(types.int32)),
    types.CPointer(types.uint32),
)
