"""The stack as the stage alone tells it: whole pixels, the cutting interval, nothing registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.placement import SliceFacts
from linumpy_lib.io.volume import Volume

Blending = Literal["none", "average", "max", "feather"]
Block = npt.NDArray[np.float32]
Region = tuple[slice, ...]


@dataclass(frozen=True)
class MotorStack:
    """Slices at the depths of the cutting interval, readable box by box.

    Attributes
    ----------
    volumes : mapping of int to Volume
        Slices on the common canvas, ascending.
    tops : mapping of int to int
        Plane of the stack that each slice's plane 0 becomes.
    blending : {"none", "average", "max", "feather"}
        What planes show that several slices reach: the deepest slice alone, the mean, the largest value, or a mean
        whose weights rise from the top of each slice and fall to its end.
    """

    volumes: Mapping[int, Volume]
    tops: Mapping[int, int]
    blending: Blending

    @property
    def shape(self) -> tuple[int, int, int]:
        """Extents (z, y, x)."""
        first = next(iter(self.volumes.values()))
        depth = max(self.tops[k] + volume.shape[0] for k, volume in self.volumes.items())
        return depth, first.shape[1], first.shape[2]

    def read(self, region: Region) -> Block:
        """Compute a box; voxels that are 0 count as empty."""
        size = tuple(part.stop - part.start for part in region)
        out = np.zeros(size, np.float32)
        total = np.zeros(size, np.float32)
        for k, volume in self.volumes.items():
            low = max(region[0].start, self.tops[k])
            high = min(region[0].stop, self.tops[k] + volume.shape[0])
            if low >= high:
                continue
            values = volume.read((slice(low - self.tops[k], high - self.tops[k]), *region[1:]))
            values = values.astype(np.float32, copy=False)
            inside = slice(low - region[0].start, high - region[0].start)
            part, there = out[inside], values > 0
            if self.blending == "none":
                np.copyto(part, values, where=there)
            elif self.blending == "max":
                np.maximum(part, values, out=part)
            else:
                weight = self._weights(k, low, high)[:, None, None] * there
                part += weight * values
                total[inside] += weight
        if self.blending in ("average", "feather"):
            np.divide(out, total, out=out, where=total > 0)
        return out

    def _weights(self, slice_id: int, low: int, high: int) -> npt.NDArray[np.float32]:
        if self.blending == "average":
            return np.ones(high - low, np.float32)
        own = np.arange(low, high) - self.tops[slice_id]
        depth = self.volumes[slice_id].shape[0]
        return np.minimum(own + 1, depth - own).astype(np.float32)


def motor_tops(facts: Mapping[int, SliceFacts]) -> dict[int, int]:
    """Depth of each slice, planes, from the cutting interval; ids that are missing keep their thickness."""
    first = min(facts)
    found = {}
    for k, one in facts.items():
        interval = one.frame.interval_um or 0.0
        found[k] = int(np.floor((k - first) * interval / one.spacing_um[0] + 0.5))
    return found
