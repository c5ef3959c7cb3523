"""Geometry of a store before a voxel is written: pyramid levels, chunks, shards, and the order to write them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from linumpy_lib.errors import ParameterError
from linumpy_lib.io.lazy import Region

TARGETS_UM = (10.0, 25.0, 50.0, 100.0)
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class LevelPlan:
    """One resolution: spatial shape, spacing, storage boxes, and how it follows from level `source`.

    ``factors`` are input voxels of level ``source`` per output voxel, one per spatial axis.
    """

    shape: tuple[int, ...]
    spacing_um: tuple[float, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    source: int = 0
    factors: tuple[float, ...] = (1.0, 1.0, 1.0)

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of shards per axis."""
        return tuple(math.ceil(n / s) for n, s in zip(self.shape, self.shards, strict=True))

    def region(self, index: Sequence[int]) -> Region:
        """Box of shard `index`, clipped at the edge of the volume."""
        return tuple(slice(k * s, min((k + 1) * s, n)) for k, s, n in zip(index, self.shards, self.shape, strict=True))


def triple(value: int | Sequence[int], name: str) -> tuple[int, ...]:
    """One positive integer per spatial axis from a number or three."""
    values = (value,) * 3 if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) != 3 or min(values) < 1:
        raise ParameterError(f"{name} = {value!r}: give one positive number or three (z, y, x)")
    return values


def plan_levels(
    shape: Sequence[int],
    spacing_um: Sequence[float],
    pyramid: str | Sequence[float],
    levels: int | None,
    chunks: int | Sequence[int],
    shards: int | Sequence[int],
) -> tuple[LevelPlan, ...]:
    """Plan all resolutions of a volume.

    Parameters
    ----------
    shape : sequence of int
        Extents (z, y, x) of level 0.
    spacing_um : sequence of float
        Voxel size (z, y, x), micrometres.
    pyramid : {"powers", "um"} or sequence of float
        ``"powers"`` halves axes level by level. An axis is halved only while its spacing is below twice the finest one,
        so that anisotropic voxels become isotropic first and thick slices stay as they are; axes of one voxel stay.
        ``"um"`` makes levels of 10, 25, 50 and 100 um, a sequence those given; targets that are not coarser than the
        finest axis are left out, and an axis that is coarser than the target keeps its spacing.
    levels : int, optional
        Number of resolutions including the first. By default halving goes on until the longest axis fits one chunk.
    chunks, shards : int or sequence of int
        Storage boxes (z, y, x); shards are multiples of chunks. Both shrink to fit small levels.

    Returns
    -------
    tuple of LevelPlan

    Raises
    ------
    ParameterError
        If chunks, shards, levels or targets make no sense.
    """
    chunk, shard = triple(chunks, "chunks"), triple(shards, "shards")
    if any(s % c for s, c in zip(shard, chunk, strict=True)):
        raise ParameterError(f"shards = {shard}: must be multiples of the chunks {chunk}")
    if levels is not None and levels < 1:
        raise ParameterError(f"levels = {levels}: a store has at least one level")
    base = _level(tuple(shape), tuple(spacing_um), chunk, shard)
    plans = [base]
    if pyramid == "powers":
        while levels is None or len(plans) < levels:
            last = plans[-1]
            if levels is None and all(n <= c for n, c in zip(last.shape, chunk, strict=True)):
                break
            finest = min(s for s, n in zip(last.spacing_um, last.shape, strict=True) if n > 1 or max(last.shape) == 1)
            halved = [
                n > 1 and s < 2 * finest * (1 - _TOLERANCE) for n, s in zip(last.shape, last.spacing_um, strict=True)
            ]
            if not any(halved):
                break
            factors = tuple(2.0 if half else 1.0 for half in halved)
            for f, n, s in zip(factors, last.grid, last.shards, strict=True):
                if f == 2 and n > 1 and s % 2:
                    raise ParameterError(f"shards = {shard}: an axis that is halved needs an even shard")
            plans.append(
                _level(
                    tuple(math.ceil(n / f) for n, f in zip(last.shape, factors, strict=True)),
                    tuple(s * f for s, f in zip(last.spacing_um, factors, strict=True)),
                    chunk,
                    shard,
                    len(plans) - 1,
                    factors,
                )
            )
        return tuple(plans)
    if isinstance(pyramid, str) and pyramid != "um":
        raise ParameterError(f"pyramid = {pyramid!r}: choose 'powers', 'um' or a list of spacings in um")
    targets = TARGETS_UM if isinstance(pyramid, str) else tuple(float(t) for t in pyramid)
    if not all(math.isfinite(t) and t > 0 for t in targets):
        raise ParameterError(f"pyramid = {pyramid!r}: spacings must be positive numbers of um")
    for target in sorted(set(targets)):
        if levels is not None and len(plans) >= levels:
            break
        spacing = tuple(max(s, target) if n > 1 else s for s, n in zip(base.spacing_um, base.shape, strict=True))
        if all(s <= p * (1 + _TOLERANCE) for s, p in zip(spacing, plans[-1].spacing_um, strict=True)):
            continue
        source = _integer_source(plans, spacing)
        factors = tuple(_whole(s / p) for s, p in zip(spacing, plans[source].spacing_um, strict=True))
        out = tuple(
            math.ceil(n * p / s - _TOLERANCE) for n, p, s in zip(base.shape, base.spacing_um, spacing, strict=True)
        )
        plans.append(_level(tuple(max(1, n) for n in out), spacing, chunk, shard, source, factors))
    return tuple(plans)


def _whole(ratio: float) -> float:
    nearest = float(round(ratio))
    return nearest if abs(ratio - nearest) < _TOLERANCE * ratio else ratio


def _integer_source(plans: Sequence[LevelPlan], spacing: Sequence[float]) -> int:
    """Coarsest level that divides `spacing` exactly, so that no voxel is split twice; level 0 if there is none."""
    for index in range(len(plans) - 1, 0, -1):
        ratios = [_whole(s / p) for s, p in zip(spacing, plans[index].spacing_um, strict=True)]
        if all(ratio.is_integer() for ratio in ratios):
            return index
    return 0


def _level(
    shape: tuple[int, ...],
    spacing_um: tuple[float, ...],
    chunk: tuple[int, ...],
    shard: tuple[int, ...],
    source: int = 0,
    factors: tuple[float, ...] = (1.0, 1.0, 1.0),
) -> LevelPlan:
    chunks = tuple(min(c, n) for c, n in zip(chunk, shape, strict=True))
    shards = tuple(min(s, math.ceil(n / c) * c) for s, n, c in zip(shard, shape, chunks, strict=True))
    return LevelPlan(shape, spacing_um, chunks, shards, source, factors)


def depth_first(plans: Sequence[LevelPlan], rows: range | None = None) -> Iterator[tuple[int, ...]]:
    """Shard indices of level 0, all children of a coarser shard before the next one.

    In this order one unfinished shard per level is enough to build a pyramid of halved axes.

    Parameters
    ----------
    plans : sequence of LevelPlan
        Chain of levels, finest first.
    rows : range, optional
        Restrict the z index of the shards.
    """
    chain = [plans[0]]
    for plan in plans[1:]:
        if plan.source != len(chain) - 1 or any(f not in (1.0, 2.0) for f in plan.factors):
            break
        chain.append(plan)

    def descend(depth: int, index: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if depth == 0:
            if rows is None or index[0] in rows:
                yield index
            return
        for child in children(chain[depth], chain[depth - 1], index):
            yield from descend(depth - 1, child)

    top = len(chain) - 1
    for index in itertools.product(*(range(n) for n in chain[top].grid)):
        yield from descend(top, index)


def children(plan: LevelPlan, finer: LevelPlan, index: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Shards of `finer` that shard `index` of the halved level `plan` is made of."""
    ranges = []
    for k, f, s, fine, count in zip(index, plan.factors, plan.shards, finer.shards, finer.grid, strict=True):
        start = k * s * int(f) // fine
        ranges.append(range(start, min(max(start + 1, math.ceil((k + 1) * s * int(f) / fine)), count)))
    return itertools.product(*ranges)


def slab_rows(slab: tuple[int, int], plan: LevelPlan) -> range:
    """Z indices of the shards that planes ``slab[0]`` to ``slab[1]`` fill.

    Raises
    ------
    ParameterError
        If the slab is not made of whole shards.
    """
    start, stop = slab
    depth, step = plan.shape[0], plan.shards[0]
    if not 0 <= start < stop <= depth or start % step or (stop % step and stop != depth):
        raise ParameterError(f"slab = {slab}: must begin and end at multiples of {step} planes within 0 to {depth}")
    return range(start // step, math.ceil(stop / step))
