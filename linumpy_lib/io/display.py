"""How viewers show a store: value ranges and display windows, gathered while the volume streams by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from linumpy_lib.io.layout import LevelPlan
from linumpy_lib.io.lazy import Array
from linumpy_lib.io.metadata import exact
from linumpy_lib.io.reduce import value_range

_COLOURS = ("FF0000", "00FF00", "0000FF", "FF00FF", "00FFFF", "FFFF00", "FF8000", "FFFFFF")
# Voxels per axis of the coarsest level that the window is computed from.
_SAMPLES = 96
Range = tuple[float, float] | None


def display_steps(plan: LevelPlan) -> tuple[int, ...]:
    """Voxels from one sample to the next along (z, y, x)."""
    return tuple(math.ceil(n / _SAMPLES) for n in plan.shape)


def sampled(plan: LevelPlan, region: Sequence[slice], block: Array) -> Array:
    """Copy the voxels of a block that lie on the display's grid."""
    box: list[Any] = [
        slice(-span.start % step, None, step) for span, step in zip(region, display_steps(plan), strict=True)
    ]
    voxels: Array = block[(..., *box)].copy()
    return voxels


class Display:
    """Range of every channel over level 0, and a few voxels of the coarsest level for percentiles.

    Parameters
    ----------
    axes : str
        Axes of the blocks.
    names : sequence of str
        Name per channel.
    kind : {"intensity", "labels", "directions", "mask"}
        Percentiles are taken of intensities only.
    """

    def __init__(self, axes: str, names: Sequence[str], kind: str) -> None:
        self._axis = axes.index("c") if "c" in axes else None
        self._names, self._kind = tuple(names), kind
        self.ranges: list[Range] = [None] * len(self._names)
        self._samples: dict[tuple[int, ...], Array] = {}

    def widen(self, block: Array) -> None:
        """Count the values of a block of level 0."""
        self.join(
            [
                value_range(block if self._axis is None else np.moveaxis(block, self._axis, 0)[k])
                for k in self._channels()
            ]
        )

    def join(self, ranges: Sequence[Sequence[float] | None]) -> None:
        """Count the ranges that another task found."""
        for k, span in enumerate(ranges):
            old = self.ranges[k]
            if span is not None:
                self.ranges[k] = (span[0], span[1]) if old is None else (min(old[0], span[0]), max(old[1], span[1]))

    def sample(self, plan: LevelPlan, index: tuple[int, ...], block: Array) -> None:
        """Keep voxels of shard `index` of the coarsest level, on a grid that does not depend on the shards."""
        self.keep(index, sampled(plan, plan.region(index), block))

    def keep(self, key: tuple[int, ...], voxels: Array) -> None:
        """Keep voxels that `sampled` chose."""
        self._samples[key] = voxels

    def document(self) -> dict[str, Any]:
        """OMERO settings: full range and, for intensities, the 1st to 99.9th percentile of the coarsest level."""
        channels = []
        for k, label in enumerate(self._names):
            low, high = self.ranges[k] or (0.0, 1.0)
            start, end = low, high
            values = self._values(k)
            if self._kind == "intensity" and values.size:
                start, end = (float(v) for v in np.percentile(values, [1, 99.9]))
            if not start < end:
                start, end = (low, high) if low < high else (low, low + 1)
            window = {"min": low, "max": max(high, end), "start": exact(start), "end": exact(end)}
            colour = "FFFFFF" if len(self._names) == 1 else _COLOURS[k % len(_COLOURS)]
            channels.append({"label": label, "color": colour, "window": window, "active": True})
        return {"channels": channels}

    def _channels(self) -> range:
        return range(len(self._names))

    def _values(self, channel: int) -> Array:
        blocks = [self._samples[index] for index in sorted(self._samples)]
        flat = [(b if self._axis is None else b.take(channel, self._axis)).ravel() for b in blocks]
        joined = np.concatenate(flat).astype(np.float64)
        return joined[np.isfinite(joined)]
