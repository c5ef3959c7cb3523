"""Rows of a plane in bands, one for each piece of work of the threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from linumpy_lib.threads import available_threads

Y = TypeVar("Y")
# Narrower bands cost more than they spread: the smoothing recomputes the rows around each.
_NARROWEST = 32


class Bands:
    """Runs a function over bands of rows in several threads."""

    def __init__(self, threads: int, pool: ThreadPoolExecutor | None) -> None:
        self.threads, self._pool = threads, pool

    def over(self, height: int) -> list[tuple[int, int]]:
        """Return first and last row (exclusive) of each band."""
        count = max(1, min(self.threads, height // _NARROWEST))
        edges = [round(k * height / count) for k in range(count + 1)]
        return list(itertools.pairwise(edges))

    def run(self, height: int, work: Callable[[int, int], Y]) -> list[Y]:
        """Call ``work(first_row, last_row)`` for every band."""
        bands = self.over(height)
        if self._pool is None or len(bands) == 1:
            return [work(*band) for band in bands]
        return list(self._pool.map(lambda band: work(*band), bands))

    def each(self, count: int, work: Callable[[int, int], Y]) -> list[Y]:
        """Call ``work(first, last)`` for consecutive parts of `count` things, one for each thread."""
        parts = max(1, min(self.threads, count))
        edges = [round(k * count / parts) for k in range(parts + 1)]
        spans = list(itertools.pairwise(edges))
        if self._pool is None or len(spans) == 1:
            return [work(*span) for span in spans]
        return list(self._pool.map(lambda span: work(*span), spans))


@contextmanager
def bands(threads: int | None = None) -> Iterator[Bands]:
    """Lend threads for bands; all processors of this process by default."""
    count = threads or available_threads()
    if count == 1:
        yield Bands(1, None)
        return
    with ThreadPoolExecutor(count, thread_name_prefix="rows") as pool:
        yield Bands(count, pool)


def counts_of(planes: Any) -> Any:
    """Return voxels as uint16 counts without a copy where they are that already.

    Raises
    ------
    InputError
        If a value is no whole number from 0 to 65535.
    """
    import numpy as np

    from linumpy_lib.errors import InputError

    values = np.asarray(planes)
    if values.dtype == np.uint16:
        return np.ascontiguousarray(values)
    cast = values.astype(np.uint16)
    if not np.array_equal(cast, values):
        raise InputError(
            f"voxels of type {values.dtype} are no counts of 0 to 65535; the corrections take what a camera delivers"
        )
    return np.ascontiguousarray(cast)
