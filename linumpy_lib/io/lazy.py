"""Arrays that are read piece by piece: what `Volume.array` is made of."""

from __future__ import annotations

import math
import mmap
import operator
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Region = tuple[slice, ...]


class Source(Protocol):
    """Something that returns boxes of an n-dimensional array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type in native byte order."""

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Box that is cheap to read, or None where any box is."""

    def read(self, region: Region) -> Array:
        """Box `region` (one slice with step 1 per axis, inside the array) as a new or read-only array."""


class ArraySource:
    """A NumPy array or memory map as a source."""

    def __init__(self, array: Array) -> None:
        self._array = array
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = array.dtype.newbyteorder("=")
        self.chunks: tuple[int, ...] | None = None
        owner: Any = array.base if isinstance(array, np.memmap) and hasattr(mmap, "MADV_DONTNEED") else None
        # Only where the file is read and never written: giving pages back must not lose anything.
        self._map: mmap.mmap | None = owner if isinstance(owner, mmap.mmap) and not array.flags.writeable else None

    def read(self, region: Region) -> Array:
        """Return a copy of the box in native byte order, so that no caller edits the file or keeps it mapped."""
        values = np.array(self._array[region], dtype=self.dtype, order="C", copy=True)
        if self._map is not None:
            # Pages of the file that were touched count as this process's memory until they are given back.
            self._map.madvise(mmap.MADV_DONTNEED)
        return values


class TransposedSource:
    """`inner` with its axes in another order."""

    def __init__(self, inner: Source, order: Sequence[int]) -> None:
        self._inner, self._order = inner, tuple(order)
        self.shape: tuple[int, ...] = tuple(inner.shape[k] for k in self._order)
        self.dtype: np.dtype[Any] = inner.dtype
        chunks = inner.chunks
        self.chunks: tuple[int, ...] | None = None if chunks is None else tuple(chunks[k] for k in self._order)

    def read(self, region: Region) -> Array:
        """Box in the new order."""
        box = [slice(0)] * len(region)
        for position, axis in enumerate(self._order):
            box[axis] = region[position]
        return np.ascontiguousarray(self._inner.read(tuple(box)).transpose(self._order))


class PickedSource:
    """`inner` at one fixed index of one axis."""

    def __init__(self, inner: Source, axis: int, index: int) -> None:
        self._inner, self._axis, self._index = inner, axis, index
        self.shape: tuple[int, ...] = inner.shape[:axis] + inner.shape[axis + 1 :]
        self.dtype: np.dtype[Any] = inner.dtype
        chunks = inner.chunks
        self.chunks: tuple[int, ...] | None = None if chunks is None else chunks[:axis] + chunks[axis + 1 :]

    def read(self, region: Region) -> Array:
        """Box without the fixed axis."""
        full = (*region[: self._axis], slice(self._index, self._index + 1), *region[self._axis :])
        return self._inner.read(full).squeeze(self._axis)


class LazyArray:
    """Array that reads on indexing; integers, slices with steps, and one ellipsis work as in NumPy.

    ``np.asarray(lazy)`` reads everything.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents."""
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type in native byte order."""
        return self.source.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.source.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.source.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array in memory."""
        return self.size * self.dtype.itemsize

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Box that is cheap to read, or None where any box is."""
        return self.source.chunks

    def __len__(self) -> int:
        return self.source.shape[0]

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self.dtype})"

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("a lazy array cannot be viewed without reading it")
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Array:
        starts, after = box_of(key, self.shape)
        if any(span.start >= span.stop for span in starts):
            return np.empty([len(range(span.start, span.stop)) for span in starts], self.dtype)[after]
        return self.source.read(starts)[after]


def box_of(key: Any, shape: tuple[int, ...]) -> tuple[Region, tuple[slice | int, ...]]:
    """Split a NumPy-like index into the box to read and the index to apply to that box.

    Raises
    ------
    IndexError
        For anything else than integers, slices and one ellipsis, and for integers out of range.
    """
    parts: list[Any] = list(key) if isinstance(key, tuple) else [key]
    holes = [k for k, part in enumerate(parts) if isinstance(part, EllipsisType)]
    if len(holes) > 1:
        raise IndexError("an index can hold one ellipsis only")
    if not holes:
        holes = [len(parts)]
        parts.append(Ellipsis)
    missing = len(shape) - (len(parts) - 1)
    if missing < 0:
        raise IndexError(f"{len(parts) - 1} indices for an array of {len(shape)} axes")
    parts[holes[0] : holes[0] + 1] = [slice(None)] * missing
    box: list[slice] = []
    after: list[slice | int] = []
    for axis, (part, extent) in enumerate(zip(parts, shape, strict=True)):
        if isinstance(part, slice):
            steps = range(*part.indices(extent))
            low, high = (min(steps[0], steps[-1]), max(steps[0], steps[-1]) + 1) if steps else (0, 0)
            box.append(slice(low, high))
            after.append(slice(None, None, steps.step))
            continue
        try:
            index = operator.index(part)
        except TypeError:
            raise IndexError(f"lazy arrays take integers, slices and '...', not {type(part).__name__}") from None
        if not -extent <= index < extent:
            raise IndexError(f"index {index} is out of bounds for axis {axis} with {extent} elements")
        index %= extent
        box.append(slice(index, index + 1))
        after.append(0)
    return tuple(box), tuple(after)
