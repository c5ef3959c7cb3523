"""Blosc frames (LZ4, bit shuffle) of 4-byte numbers, compiled; importing this module imports Numba.

Blosc itself shuffles bits with the SSE2 instructions that every processor has, and returns copies. Here the shuffle is
written for vectors of any width, and everything goes straight to its place: half of the time. What is written is the
format of Blosc 1 (a header, the places of the blocks, and for each block four streams, one for each byte of the
numbers: 4 bytes with its length, then LZ4 data or, where that saves nothing, the bytes as they are), which c-blosc
reads. The bytes depend on nothing but the numbers.

Sources: the layout of frames is described in c-blosc's README_CHUNK_FORMAT, that of LZ4 blocks in lz4_Block_format.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from linumpy_lib.compiled import inline_kernel
from linumpy_lib.io.blosc_frame import BLOCK, HASH_BITS, HEADER, SCRATCH_BYTES

_GROUP = 64
_HASH_ENTRIES, _SCRATCH = 1 << HASH_BITS, SCRATCH_BYTES
_LAST_LITERALS, _MATCH_LIMIT, _MIN_MATCH = 5, 12, 4
_MAX_DISTANCE = 65535
# Searches without success until the step between them grows, as a shift; blocks of noise are passed over quickly.
_SKIP = 3
_BYTE, _WORD, _LONG = ir.IntType(8), ir.IntType(32), ir.IntType(64)


@intrinsic
def _bit_planes(typing: Any, words: Any, first: Any, target: Any, offset: Any, stride: Any) -> Any:
    """Store 32 times 64 bits: bit r of the numbers words[first : first + 64] to target[offset + r * stride]."""
    signature = types.void(words, types.int64, target, types.int64, types.int64)

    def generate(context: Any, builder: Any, form: Any, arguments: Any) -> Any:
        pointers = [context.make_array(form.args[k])(context, builder, arguments[k]).data for k in (0, 2)]
        many_words, many_bytes = ir.VectorType(_WORD, _GROUP), ir.VectorType(_BYTE, _GROUP)
        source = builder.bitcast(builder.gep(pointers[0], [arguments[1]]), many_words.as_pointer())
        numbers = builder.load(source, align=4)
        for byte in range(4):
            shifted = builder.lshr(numbers, ir.Constant(many_words, [8 * byte] * _GROUP))
            values = builder.trunc(shifted, many_bytes)
            for bit in range(8):
                chosen = builder.and_(values, ir.Constant(many_bytes, [1 << bit] * _GROUP))
                present = builder.icmp_unsigned("!=", chosen, ir.Constant(many_bytes, [0] * _GROUP))
                place = builder.add(arguments[3], builder.mul(arguments[4], ir.Constant(_LONG, 8 * byte + bit)))
                pointer = builder.bitcast(builder.gep(pointers[1], [place]), _LONG.as_pointer())
                builder.store(builder.bitcast(present, _LONG), pointer, align=1)
        return context.get_dummy_value()

    return signature, generate


def _loader(kind: Any, result: Any) -> Any:
    def load(typing: Any, data: Any, offset: Any) -> Any:
        def generate(context: Any, builder: Any, form: Any, arguments: Any) -> Any:
            base = context.make_array(form.args[0])(context, builder, arguments[0]).data
            place = builder.bitcast(builder.gep(base, [arguments[1]]), kind.as_pointer())
            return builder.load(place, align=1)

        return result(data, types.int64), generate

    return intrinsic(load)


@intrinsic
def _copy(typing: Any, source: Any, first: Any, count: Any, target: Any, offset: Any) -> Any:
    """Copy bytes source[first : first + count] to target[offset:]; the two do not overlap."""
    signature = types.void(source, types.int64, types.int64, target, types.int64)

    def generate(context: Any, builder: Any, form: Any, arguments: Any) -> Any:
        pointers = [
            builder.bitcast(context.make_array(form.args[k])(context, builder, arguments[k]).data, _BYTE.as_pointer())
            for k in (0, 3)
        ]
        places = [builder.gep(pointer, [arguments[k]]) for pointer, k in zip(pointers, (1, 4), strict=True)]
        cgutils.raw_memcpy(builder, places[1], places[0], arguments[2], 1)
        return context.get_dummy_value()

    return signature, generate


_load32 = _loader(_WORD, types.uint32)
_load64 = _loader(_LONG, types.uint64)


@inline_kernel
def _slot(value: Any) -> Any:
    return np.int64(np.uint32(value * np.uint32(2654435761)) >> np.uint32(32 - HASH_BITS))


@inline_kernel
def _put_length(out: Any, at: Any, length: Any) -> Any:
    while length >= 255:
        out[at] = 255
        at += 1
        length -= 255
    out[at] = length
    return at + 1


@inline_kernel
def _put_literals(data: Any, anchor: Any, stop: Any, out: Any, at: Any) -> Any:
    # Token (its match length is added later) and literals.
    count = stop - anchor
    token = at
    at += 1
    if count >= 15:
        out[token] = 15 << 4
        at = _put_length(out, at, count - 15)
    else:
        out[token] = count << 4
    _copy(data, anchor, count, out, at)
    return at + count


def _lz4(data: Any, start: Any, stop: Any, base: Any, table: Any, out: Any, at: Any) -> Any:
    # LZ4 block of data[start:stop] to out[at:]; returns where it ends, as if
    # the bytes had been copied if it saves nothing. The table holds places plus `base`, which only
    # grows, so that what other streams left there is known to be old.
    begin = at
    anchor = start
    limit = stop - _MATCH_LIMIT
    place = start
    tries = 0
    while place < limit:
        value = _load32(data, place)
        slot = _slot(value)
        found = np.int64(table[slot]) - base
        table[slot] = place + base
        if found < start or place - found > _MAX_DISTANCE or _load32(data, found) != value:
            tries += 1
            place += 1 + (tries >> _SKIP)
            continue
        tries = 0
        while place > anchor and found > start and data[place - 1] == data[found - 1]:
            place -= 1
            found -= 1
        token = at
        at = _put_literals(data, anchor, place, out, at)
        out[at] = (place - found) & 255
        out[at + 1] = (place - found) >> 8
        at += 2
        length = np.int64(_MIN_MATCH)
        end = stop - _LAST_LITERALS
        while place + length + 8 <= end and _load64(data, place + length) == _load64(data, found + length):
            length += 8
        while place + length < end and data[place + length] == data[found + length]:
            length += 1
        place += length
        anchor = place
        length -= _MIN_MATCH
        if length >= 15:
            out[token] |= 15
            at = _put_length(out, at, length - 15)
        else:
            out[token] |= length
    if at - begin + stop - anchor >= stop - start:
        return begin + stop - start
    return _put_literals(data, anchor, stop, out, at)


_lz4 = inline_kernel(_lz4)


@inline_kernel
def _put_word(out: Any, at: Any, value: Any) -> None:
    for k in range(4):
        out[at + k] = (value >> (8 * k)) & 255


def _encode(words: Any, out: Any, table: Any, scratch: Any) -> Any:
    size = words.size
    block = min(size, BLOCK)
    blocks = (size + block - 1) // block
    n_bytes = 4 * size
    out[0] = 2
    out[1] = 1
    out[2] = (1 << 5) | 4
    out[3] = 4
    _put_word(out, 4, n_bytes)
    _put_word(out, 8, 4 * block)
    table[:] = -1
    at = np.int64(HEADER + 4 * blocks)
    full = n_bytes + HEADER
    base = np.int64(0)
    spare = 4 * block
    for b in range(blocks):
        first = b * block
        count = min(block, size - first)
        _put_word(out, HEADER + 4 * b, at)
        if count % 8:
            # Blosc leaves such a block as it is.
            _copy(words, 4 * first, 4 * count, scratch, 0)
        else:
            stride = count // 8
            whole = count // _GROUP * _GROUP
            for k in range(0, whole, _GROUP):
                _bit_planes(words, first + k, scratch, k // 8, stride)
            for k in range(whole, count, 8):
                for r in range(32):
                    bits = np.int64(0)
                    for j in range(8):
                        bits |= np.int64((words[first + k + j] >> np.uint32(r)) & np.uint32(1)) << j
                    scratch[r * stride + k // 8] = bits
        # A last block that is shorter than the others is one stream, and so is one of less than 128 numbers.
        streams = 4 if count == block and block >= 128 else 1
        length = 4 * count // streams
        for s in range(streams):
            end = _lz4(scratch, s * length, (s + 1) * length, base, table, scratch, spare)
            packed = end - spare
            origin = spare
            if packed >= length:
                packed = length
                origin = s * length
            if at + 4 + packed > full:
                break
            _put_word(out, at, packed)
            at += 4
            _copy(scratch, origin, packed, out, at)
            at += packed
        else:
            base += 4 * block
            continue
        # Nothing is saved: the numbers as they are.
        out[2] |= 2
        _copy(words, 0, n_bytes, out, HEADER)
        at = full
        break
    _put_word(out, 12, at)
    return at


_encode = inline_kernel(_encode)


def encode(words: Any, size: Any, out: Any, length: Any, table: Any, scratch: Any) -> Any:
    """Write the frame of some numbers.

    words: uint32[size]; out: uint8[length]; table: int32; scratch: uint8, all as `blosc_frame` makes them.
    Returns the bytes of the frame.
    """
    return _encode(
        carray(words, (size,)), carray(out, (length,)), carray(table, (_HASH_ENTRIES,)), carray(scratch, (_SCRATCH,))
    )


ENCODE_TYPES = types.int64(
    *(types.CPointer(types.uint32), types.int64, types.CPointer(types.uint8), types.int64),
    *(types.CPointer(types.int32), types.CPointer(types.uint8)),
)
