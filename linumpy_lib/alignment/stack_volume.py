"""The stacked volume: slices with their poses, depths and gains, read box by box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.rigid import Rigid
from linumpy_lib.io import Volume

Floats = npt.NDArray[np.float64]
Block = npt.NDArray[np.float32]
Region = tuple[slice, ...]

_RIM = 3


@dataclass(frozen=True)
class PlacedSlice:
    """A slice in the stack.

    Attributes
    ----------
    slice_id : int
        Its id.
    volume : Volume
        Voxels (z, y, x); pixels that are 0 at every depth hold nothing.
    top : int
        Plane of the stack that its plane 0 becomes.
    pose : Rigid
        From a pixel (y, x) of the canvas to one of the slice.
    gain : float
        What its intensities are multiplied by.
    ramp : (int, int)
        Planes of the stack from which it replaces what lies above it, and from which it is alone; equal for a slice
        that takes over at once.
    slide : int
        Planes by which its deepest plane is taken from elsewhere, so that it shows what the next slice shows there;
        grows from 0 at the next slice's ramp to its end.
    next_ramp : (int, int) or None
        The next slice's ramp.
    """

    slice_id: int
    volume: Volume
    top: int
    pose: Rigid
    gain: float = 1.0
    ramp: tuple[int, int] = (0, 0)
    slide: int = 0
    next_ramp: tuple[int, int] | None = None

    @property
    def bottom(self) -> int:
        """Plane of the stack below its last one."""
        return self.top + self.volume.shape[0]

    def share(self, z: int) -> float:
        """Weight at a plane of the stack, where a slice above it has tissue too: 0 to 1 along a Hann ramp."""
        start, stop = self.ramp
        if z < start:
            return 0.0
        return 1.0 if z >= stop else 0.5 * (1 - math.cos(math.pi * (z - start + 0.5) / (stop - start)))

    def plane(self, z: int) -> int:
        """Plane of the slice that a plane of the stack shows, -1 where it does not reach."""
        own = z - self.top
        if self.slide and self.next_ramp is not None:
            start, stop = self.next_ramp
            own += round(self.slide * min(1.0, max(0.0, (z - start + 0.5) / max(1, stop - start))))
        return own if 0 <= own < self.volume.shape[0] and z < self.bottom else -1


@dataclass(frozen=True)
class StackedVolume:
    """All slices of a stack, readable box by box as an array (z, y, x) of float32.

    Attributes
    ----------
    slices : tuple of PlacedSlice
        From the top down.
    shape : (int, int, int)
        Extents.
    corner : (int, int)
        Pixel (y, x) of the canvas that the first pixel of the volume shows.
    """

    slices: tuple[PlacedSlice, ...]
    shape: tuple[int, int, int]
    corner: tuple[int, int]

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""
        return np.dtype(np.float32)

    def read(self, region: Region) -> Block:
        """Compute a box; slices from the top down, each laid over those above it."""
        from linumpy_lib.alignment.stack_kernel import lay

        size = tuple(part.stop - part.start for part in region)
        out = np.zeros(size, np.float32)
        present = np.zeros(size, np.uint8)
        planes_z = range(region[0].start, region[0].stop)
        for one in self.slices:
            if one.top >= region[0].stop or one.bottom <= region[0].start:
                continue
            planes = np.array([one.plane(z) for z in planes_z], np.int64)
            box = self._source_box(one, region)
            if box is None or not (planes >= 0).any():
                continue
            # every plane: what holds nothing is told by all of them, whatever box is asked for
            source = one.volume.read((slice(0, one.volume.shape[0]), *box)).astype(np.float32, copy=False)
            lit = (source != 0).any(axis=0).astype(np.uint8)
            shares = np.array([one.share(z) for z in planes_z], np.float32)
            lay(
                np.ascontiguousarray(source),
                lit,
                self._affine(one, region, box),
                planes,
                shares,
                np.float32(one.gain),
                out,
                present,
            )
        return out

    def _affine(self, one: PlacedSlice, region: Region, box: tuple[slice, slice] | None) -> Floats:
        """Affine (2, 3) from a pixel of a box of the volume to one of a box of the slice."""
        matrix, offset = one.pose.affine()
        start = np.array([region[1].start + self.corner[0], region[2].start + self.corner[1]], np.float64)
        origin = np.zeros(2) if box is None else np.array([box[0].start, box[1].start], np.float64)
        return np.column_stack([matrix, matrix @ start + offset - origin])

    def _source_box(self, one: PlacedSlice, region: Region) -> tuple[slice, slice] | None:
        affine = self._affine(one, region, None)
        height, width = (part.stop - part.start for part in region[1:])
        corners = np.array([(y, x, 1.0) for y in (0, height - 1) for x in (0, width - 1)])
        there = corners @ affine.T
        spans = []
        for axis, n in enumerate(one.volume.shape[1:]):
            low = max(0, math.floor(there[:, axis].min()) - _RIM)
            high = min(n, math.ceil(there[:, axis].max()) + 1 + _RIM)
            if low >= high:
                return None
            spans.append(slice(low, high))
        return spans[0], spans[1]


def extent(poses: Sequence[Rigid], shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Corner (y, x) and size (y, x) of the box of the canvas that holds every slice under its pose.

    Parameters
    ----------
    poses : sequence of Rigid
        From the canvas to each slice.
    shape : (int, int)
        Pixels (y, x) of a slice.
    """
    corners = np.array([(y, x) for y in (0, shape[0] - 1) for x in (0, shape[1] - 1)], np.float64)
    there: Any = np.concatenate([pose.inverse_apply(corners) for pose in poses])
    low = np.floor(there.min(axis=0) + 1e-6).astype(int)
    high = np.ceil(there.max(axis=0) - 1e-6).astype(int) + 1
    return (int(low[0]), int(low[1])), (int(high[0] - low[0]), int(high[1] - low[1]))
