"""Streaming: read, compute and write a volume box by box, with bounded memory, threads and one progress bar."""

from __future__ import annotations

import math
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

Region = tuple[slice, ...]
X = TypeVar("X")
Y = TypeVar("Y")


def grid(shape: Sequence[int], block: Sequence[int]) -> Iterator[Region]:
    """Boxes of size `block` that tile `shape` in C order, clipped at the edges.

    Examples
    --------
    >>> list(grid((5,), (3,)))
    [(slice(0, 3, None),), (slice(3, 5, None),)]
    """
    counts = [math.ceil(n / b) for n, b in zip(shape, block, strict=True)]
    for index in np.ndindex(*counts):
        yield tuple(slice(k * b, min((k + 1) * b, n)) for k, b, n in zip(index, block, shape, strict=True))


def expand(region: Region, halo: int | Sequence[int], shape: Sequence[int]) -> tuple[Region, Region]:
    """Grow a box by a halo, clipped at the edges of the volume.

    Parameters
    ----------
    region : tuple of slice
        Box inside `shape`.
    halo : int or sequence of int
        Voxels to add on both sides, per axis.
    shape : sequence of int
        Extents of the volume.

    Returns
    -------
    outer : tuple of slice
        The grown box.
    inner : tuple of slice
        Where `region` lies inside `outer`.

    Examples
    --------
    >>> expand((slice(0, 4), slice(4, 8)), 2, (8, 9))
    ((slice(0, 6, None), slice(2, 9, None)), (slice(0, 4, None), slice(2, 6, None)))
    """
    halos = (halo,) * len(region) if isinstance(halo, int) else tuple(halo)
    outer = tuple(
        slice(max(0, box.start - h), min(n, box.stop + h)) for box, h, n in zip(region, halos, shape, strict=True)
    )
    inner = tuple(slice(box.start - o.start, box.stop - o.start) for box, o in zip(region, outer, strict=True))
    return outer, inner


def crop(result: Any, inner: Region) -> Any:
    """Cut the halo off the last axes of an array, or of every array in a tuple, list or dict."""
    if isinstance(result, dict):
        return {key: crop(value, inner) for key, value in result.items()}
    if isinstance(result, tuple | list):
        return type(result)(crop(value, inner) for value in result)
    return result if result is None else result[(..., *inner)]


def stream(
    regions: Iterable[Region],
    read: Callable[[Region], X],
    compute: Callable[[X], Y] | None = None,
    write: Callable[[Region, Y], object] | None = None,
    *,
    halo: int | Sequence[int] = 0,
    shape: Sequence[int] | None = None,
    threads: int = 1,
    queue: int = 2,
    description: str = "",
    progress: bool = True,
) -> None:
    """Run ``write(region, compute(read(region)))`` over all regions, overlapping the three.

    One thread reads ahead, `threads` threads compute, the calling thread writes in the order of `regions`. At most
    ``threads + queue`` regions are in memory. The first exception (or Ctrl-C) stops the reading and is raised as soon
    as the calls under way end.

    Parameters
    ----------
    regions : iterable of tuple of slice
        Boxes to process.
    read : callable
        ``read(box) -> x``; the box is grown by `halo`. Called from one thread.
    compute : callable, optional
        ``compute(x) -> y``, from several threads; should release the interpreter lock to profit from them. With a
        halo, the last axes of y (an array, or arrays in a tuple, list or dict) are those of the grown box; they are
        cropped.
    write : callable, optional
        ``write(region, y)``, called from the calling thread, in order.
    halo : int or sequence of int
        Voxels to read around each region, clipped at the edges.
    shape : sequence of int, optional
        Extents of the volume, needed with a halo.
    threads, queue : int
        Computing threads, and regions read ahead or waiting to be written.
    description : str
        What the progress bar says.
    progress : bool
        Show progress on stderr; False in quiet workers.

    Raises
    ------
    ValueError
        If a halo is given without a shape.
    """
    boxes = list(regions)
    halos = (
        (halo,) * len(boxes[0])
        if boxes and isinstance(halo, int)
        else tuple(halo if isinstance(halo, Sequence) else ())
    )
    if any(halos) and shape is None:
        raise ValueError("a halo needs the shape of the volume")
    stop = threading.Event()

    def fetch(region: Region) -> X:
        if stop.is_set():
            raise _Stopped
        return read(expand(region, halos, shape)[0] if any(halos) and shape is not None else region)

    def process(region: Region, fetched: Future[X]) -> Any:
        value: Any = fetched.result()
        if stop.is_set():
            raise _Stopped
        if compute is not None:
            value = compute(value)
        return crop(value, expand(region, halos, shape)[1]) if any(halos) and shape is not None else value

    with (
        Progress(len(boxes), description, shown=progress) as bar,
        ThreadPoolExecutor(1, thread_name_prefix="read") as reader,
        ThreadPoolExecutor(max(1, threads), thread_name_prefix="compute") as workers,
    ):
        waiting: deque[tuple[Region, Future[Any]]] = deque()
        try:
            for region in boxes:
                while len(waiting) >= max(1, threads) + queue:
                    _finish(waiting, write, bar)
                waiting.append((region, workers.submit(process, region, reader.submit(fetch, region))))
            while waiting:
                _finish(waiting, write, bar)
        except BaseException:
            stop.set()
            workers.shutdown(wait=False, cancel_futures=True)
            reader.shutdown(wait=False, cancel_futures=False)
            raise


class _Stopped(Exception):  # noqa: N818 - a signal between threads, never shown
    """Raised in worker threads once another one failed."""


def _finish(
    waiting: deque[tuple[Region, Future[Any]]], write: Callable[[Region, Any], object] | None, bar: Progress
) -> None:
    region, future = waiting.popleft()
    value = future.result()
    del future
    if write is not None:
        write(region, value)
    bar.advance()


class Progress:
    """One progress bar on stderr: tqdm on a terminal, a plain line every tenth in a log, nothing if not shown."""

    def __init__(self, total: int, description: str = "", *, shown: bool = True) -> None:
        self._total, self._done, self._description = total, 0, description
        self._shown = shown and total > 0
        self._bar: Any = None
        if self._shown and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=description, unit="block", file=sys.stderr, dynamic_ncols=True)

    def advance(self, count: int = 1) -> None:
        """Count `count` finished regions."""
        tenth = 10 * self._done // self._total if self._total else 0
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._shown and 10 * self._done // self._total > tenth:
            text = f"{self._description}: " if self._description else ""
            print(
                f"{text}{100 * self._done // self._total} % ({self._done} of {self._total})",
                file=sys.stderr,
                flush=True,
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
