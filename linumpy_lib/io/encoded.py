"""Shards of chunks that are encoded by whoever makes the voxels: no shard is in memory, and no thread waits for one.

`VolumeWriter.write_encoded` takes the boxes. The order of a shard's chunks is that of the boxes, whatever the threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linumpy_lib.io.blosc_frame import encode_frame, frame_capacity
from linumpy_lib.io.display import display_steps, sampled
from linumpy_lib.io.layout import LevelPlan
from linumpy_lib.io.lazy import Array, Region
from linumpy_lib.io.reduce import value_range
from linumpy_lib.io.shards import chunk_boxes, encode_chunk, padded, with_checksum

_CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class EncodedBox:
    """Whole chunks of a box of voxels.

    Attributes
    ----------
    box : tuple of slice
        Place (z, y, x) in the volume.
    chunks : tuple of (int, bytes or memoryview, bytes)
        Number in the shard, data and checksum of each chunk.
    span : (float, float) or None
        Lowest and highest finite value.
    samples : ndarray
        Voxels for the display's window.
    n_bytes : int
        Bytes before encoding.
    """

    box: Region
    chunks: tuple[tuple[int, bytes | memoryview, bytes], ...]
    span: tuple[float, float] | None
    samples: Array
    n_bytes: int


def chunk_parts(plan: LevelPlan, box: Region) -> Array:
    """Make room for the chunks of a box, each contiguous: zeros of shape (kz, ky, kx, cz, cy, cx) for float32 voxels.

    Parameters
    ----------
    plan : LevelPlan
        Layout of the level.
    box : tuple of slice
        Place (z, y, x) of the voxels.
    """
    counts = tuple(math.ceil((b.stop - b.start) / c) for b, c in zip(box, plan.chunks, strict=True))
    return np.zeros((*counts, *plan.chunks), np.float32)


def encode_parts(
    plan: LevelPlan, codec: str, box: Region, parts: Array, span: tuple[float, float] | None
) -> EncodedBox:
    """Encode chunks in the calling thread, which must not be the main one (Blosc would start threads of its own there).

    Parameters
    ----------
    plan : LevelPlan
        Layout of the level.
    codec : str
        One of `shards.CODECS`.
    box : tuple of slice
        Place (z, y, x) of the voxels: whole chunks of one shard, clipped at the volume's edge.
    parts : ndarray, shape (kz, ky, kx, cz, cy, cx)
        Chunks, zero beyond the volume's edge.
    span : (float, float) or None
        Lowest and highest value.

    Raises
    ------
    ValueError
        If the box does not hold whole chunks, or the parts are not those of the box.
    """
    chunks = [
        (number, *encode_chunk(part, codec))
        for number, part in zip(_numbers_of(plan, box, parts), parts.reshape(-1, *plan.chunks), strict=True)
    ]
    return EncodedBox(box, tuple(chunks), span, _sampled_parts(plan, box, parts), _n_bytes(box, parts.itemsize))


def frames_room(plan: LevelPlan, box: Region) -> Array:
    """Make room for what `encode_frames` writes of a box; its pages are taken when they are first used."""
    count = math.prod(math.ceil((b.stop - b.start) / c) for b, c in zip(box, plan.chunks, strict=True))
    return np.empty(count * (frame_capacity(math.prod(plan.chunks)) + _CHECKSUM_BYTES), np.uint8)


def encode_frames(
    plan: LevelPlan, box: Region, parts: Array, span: tuple[float, float] | None, room: Array
) -> EncodedBox:
    """Encode chunks of 4-byte numbers as ``lz4-bitshuffle``, without Blosc and in half of its time; in any thread.

    Parameters
    ----------
    plan, box, parts, span
        See `encode_parts`. Where a chunk does not get smaller, its frame holds the bytes as they are.
    room : ndarray of uint8
        From `frames_room`. Holds the result, which is valid until it is used again.

    Raises
    ------
    ValueError
        If the box does not hold whole chunks, or the parts are not those of the box.
    """
    chunks = []
    end = 0
    for number, part in zip(_numbers_of(plan, box, parts), parts.reshape(-1, *plan.chunks), strict=True):
        start, end = end, end + encode_frame(part, room[end:])
        checksum = np.frombuffer(with_checksum(room[start:end])[1], np.uint8)
        room[end : end + checksum.size] = checksum
        end += checksum.size
        # Its checksum follows the frame already: one piece to write.
        chunks.append((number, room[start:end].data, b""))
    return EncodedBox(box, tuple(chunks), span, _sampled_parts(plan, box, parts), _n_bytes(box, parts.itemsize))


def encode_box(plan: LevelPlan, codec: str, box: Region, block: Array) -> EncodedBox:
    """Encode a box in the calling thread, which must not be the main one (Blosc would start threads of its own there).

    Parameters
    ----------
    plan, codec, box
        See `encode_parts`.
    block : ndarray
        Voxels (z, y, x) of the store's type.

    Raises
    ------
    ValueError
        If the block does not fit the box, or the box not the chunks.
    """
    if block.shape != tuple(b.stop - b.start for b in box):
        raise ValueError(f"block of shape {block.shape} for {box}")
    counts, start = _places_of(plan, box)
    chunks = tuple(
        (number, *encode_chunk(padded(part, plan.chunks), codec))
        for number, part in chunk_boxes(block, plan.chunks, counts, start)
    )
    return EncodedBox(box, chunks, value_range(block), sampled(plan, box, block), block.nbytes)


def _numbers_of(plan: LevelPlan, box: Region, parts: Array) -> list[int]:
    """Places in the shard of the chunks of a box, in their order."""
    counts, start = _places_of(plan, box)
    used = tuple(math.ceil((b.stop - b.start) / c) for b, c in zip(box, plan.chunks, strict=True))
    if parts.shape != (*used, *plan.chunks):
        raise ValueError(f"chunks of shape {parts.shape} for {box}")
    return [
        int(np.ravel_multi_index(tuple(s + k for s, k in zip(start, index, strict=True)), counts))
        for index in np.ndindex(*used)
    ]


def _n_bytes(box: Region, itemsize: int) -> int:
    extents = [int(b.stop - b.start) for b in box]
    return math.prod(extents) * itemsize


def _places_of(plan: LevelPlan, box: Region) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Chunks per axis of a shard, and the first chunk of a box in its shard."""
    first = tuple(b.start % s for b, s in zip(box, plan.shards, strict=True))
    ends = tuple(b.stop % c and b.stop < n for b, c, n in zip(box, plan.chunks, plan.shape, strict=True))
    if any(f % c for f, c in zip(first, plan.chunks, strict=True)) or any(ends):
        raise ValueError(f"{box} does not hold whole chunks of {plan.chunks}")
    counts = tuple(s // c for s, c in zip(plan.shards, plan.chunks, strict=True))
    return counts, tuple(f // c for f, c in zip(first, plan.chunks, strict=True))


def _sampled_parts(plan: LevelPlan, box: Region, parts: Array) -> Array:
    grids = [
        np.arange(b.start + (-b.start % step), b.stop, step) - b.start
        for b, step in zip(box, display_steps(plan), strict=True)
    ]
    mesh = np.ix_(*grids)
    voxels: Array = parts[
        tuple(m // c for m, c in zip(mesh, plan.chunks, strict=True))
        + tuple(m % c for m, c in zip(mesh, plan.chunks, strict=True))
    ]
    return voxels


def write_encoded_shard(path: Path, boxes: Iterable[EncodedBox], plan: LevelPlan) -> int:
    """Write a shard file, its chunks in the order they come.

    Parameters
    ----------
    path : Path
        Shard file, its folder is made.
    boxes : iterable of EncodedBox
        Chunks of the shard.
    plan : LevelPlan
        Layout of the level.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    index = np.full((math.prod(plan.shards) // math.prod(plan.chunks), 2), np.iinfo(np.uint64).max, dtype="<u8")
    offset = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        for box in boxes:
            for number, data, checksum in box.chunks:
                handle.write(data)
                handle.write(checksum)
                index[number] = offset, len(data) + len(checksum)
                offset += len(data) + len(checksum)
        handle.writelines(with_checksum(index.tobytes()))
    return offset + index.nbytes + 4
