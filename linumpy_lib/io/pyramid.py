"""Coarser levels while the finest one streams by, or afterwards from what is stored; constant memory either way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from linumpy_lib.io.layout import LevelPlan, children
from linumpy_lib.io.lazy import Array, Region, Source
from linumpy_lib.io.reduce import area_mean, halve_mean, halve_mode, halve_sample, nearest, source_span

Emit = Callable[[int, tuple[int, ...], Array], None]
# Input voxels read at once when a level is made from a stored one.
_READ_VOXELS = 1 << 23


def halving_chain(plans: Sequence[LevelPlan]) -> int:
    """Count the leading levels that each halve (or keep) the axes of the one before."""
    count = 1
    while (
        count < len(plans)
        and plans[count].source == count - 1
        and all(factor in (1.0, 2.0) for factor in plans[count].factors)
    ):
        count += 1
    return count


class HalvingPyramid:
    """Takes whole shards of level 0 and emits coarser shards as soon as their children are there.

    In `layout.depth_first` order one open shard per level suffices; in any other order the result is the same.

    Parameters
    ----------
    plans : sequence of LevelPlan
        Levels of a halving chain.
    kind : {"intensity", "labels", "directions", "mask"}
        Mean, mode or first voxel.
    emit : callable
        ``emit(level, shard_index, block)``, called once per coarser shard.
    pool : Executor
        Threads for the reduction.
    """

    def __init__(self, plans: Sequence[LevelPlan], kind: str, emit: Emit, pool: Executor) -> None:
        self._plans, self._emit, self._pool = plans, emit, pool
        self._reduce = {
            "intensity": halve_mean,
            "labels": halve_mode,
            "directions": halve_sample,
            "mask": halve_sample,
        }[kind]
        self._open: list[dict[tuple[int, ...], Array]] = [{} for _ in plans]
        self._left: list[dict[tuple[int, ...], int]] = [{} for _ in plans]

    def add(self, level: int, index: tuple[int, ...], block: Array) -> None:
        """Take shard `index` of `level`."""
        above = level + 1
        if above == len(self._plans):
            return
        plan, finer = self._plans[above], self._plans[level]
        factors = [int(f) for f in plan.factors]
        parent = tuple(k * s // f // p for k, s, f, p in zip(index, finer.shards, factors, plan.shards, strict=True))
        region = plan.region(parent)
        if parent not in self._open[above]:
            shape = block.shape[:-3] + tuple(box.stop - box.start for box in region)
            self._open[above][parent] = np.empty(shape, block.dtype)
            self._left[above][parent] = sum(1 for _ in children(plan, finer, parent))
        target = self._open[above][parent]
        start = [k * s // f - box.start for k, s, f, box in zip(index, finer.shards, factors, region, strict=True)]
        stop = [a + math.ceil(n / f) for a, n, f in zip(start, block.shape[-3:], factors, strict=True)]
        inside: tuple[Any, ...] = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        out = target[(..., *inside)]
        self._spread(block, factors, out)
        self._left[above][parent] -= 1
        if self._left[above][parent] == 0:
            del self._open[above][parent], self._left[above][parent]
            self._emit(above, parent, target)
            self.add(above, parent, target)

    def _spread(self, block: Array, factors: list[int], out: Array) -> None:
        """Reduce in pieces of whole output rows, one task each; every output voxel comes from one task."""
        rows = out.shape[-3]
        step = max(1, math.ceil(rows / 8))
        tasks = []
        for low in range(0, rows, step):
            high = min(rows, low + step)
            piece = block[..., low * factors[0] : high * factors[0], :, :]
            tasks.append(self._pool.submit(self._reduce, piece, factors, out[..., low:high, :, :]))
        for task in tasks:
            task.result()


def stored_level(
    source: Source,
    plan: LevelPlan,
    extents: Sequence[int],
    kind: str,
    emit: Callable[[tuple[int, ...], Array], None],
    pool: Executor,
) -> None:
    """Make one level from a stored finer one, shard by shard.

    Parameters
    ----------
    source : Source
        The finer level, axes (..., z, y, x).
    plan : LevelPlan
        Level to make; its factors need not be whole.
    extents : sequence of int
        Shape (z, y, x) of the finer level.
    kind : {"intensity", "labels", "directions", "mask"}
        Area-weighted mean for intensities, else nearest.
    emit : callable
        ``emit(shard_index, block)``.
    pool : Executor
        Threads for the reduction.
    """
    lead = source.shape[:-3]
    make = area_mean if kind == "intensity" else nearest
    for index in itertools.product(*(range(n) for n in plan.grid)):
        region = plan.region(index)
        block = np.empty(lead + tuple(box.stop - box.start for box in region), source.dtype)

        def fill(piece: Region, region: Region = region, block: Array = block) -> None:
            spans = [source_span(b.start, b.stop, f, n) for b, f, n in zip(piece, plan.factors, extents, strict=True)]
            box = tuple(slice(0, n) for n in lead) + tuple(slice(*span) for span in spans)
            values = make(source.read(box), [span[0] for span in spans], piece, plan.factors, extents)
            inside: tuple[Any, ...] = tuple(
                slice(b.start - r.start, b.stop - r.start) for b, r in zip(piece, region, strict=True)
            )
            block[(..., *inside)] = values

        for task in [pool.submit(fill, piece) for piece in _pieces(plan, region, math.prod(lead))]:
            task.result()
        emit(index, block)


def _pieces(plan: LevelPlan, region: Region, channels: int) -> list[Region]:
    """Chunk-aligned pieces of `region` whose input stays small."""
    steps = list(plan.chunks)
    volume = channels * math.prod(plan.factors)
    while math.prod(steps) * volume > _READ_VOXELS and max(steps) > 1:
        largest = steps.index(max(steps))
        steps[largest] = max(1, steps[largest] // 2)
    axes = [
        [slice(start, min(start + step, box.stop)) for start in range(box.start, box.stop, step)]
        for box, step in zip(region, steps, strict=True)
    ]
    return list(itertools.product(*axes))
