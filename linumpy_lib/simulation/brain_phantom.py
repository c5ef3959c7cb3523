"""A procedural brain-like volume that is evaluated where it is needed, so that its size costs no memory.

Cortex with layers, white matter, bright tracts, deep nuclei, a ventricle and vessels, with texture at two scales.
Nothing in it is symmetric: swapping or flipping axes, or moving by one voxel, changes it visibly. Values are
reflectivities, 0 to 1.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

BLOCK = 64
_BLOCKS_KEPT = 96  # 100 MB
_MARGIN = 0.12

# centre (z, y, x), half axes (z, y, x), reflectivity; z, y, x in -1..1 of the volume
_NUCLEI = (
    ((-0.35, -0.10, -0.27), (0.75, 0.17, 0.14), 0.78),
    ((0.25, 0.16, 0.20), (0.90, 0.13, 0.21), 0.62),
    ((0.55, -0.22, 0.34), (0.60, 0.10, 0.09), 0.92),
)
_VENTRICLE = ((-0.1, 0.24, -0.20), (1.2, 0.08, 0.20), 0.02)


def _ramp(value: Array, edge: float, width: float) -> Array:
    """0 below an edge, 1 above, linear across `width`."""
    result: Array = np.clip((value - np.float32(edge)) / np.float32(width) + np.float32(0.5), 0, 1)
    return result


def _mix(base: Array, value: float | Array, weight: Array) -> Array:
    return base + (np.asarray(value, dtype=np.float32) - base) * weight


def _lattice_noise(indices: tuple[Array, Array, Array], cell: float, seed: int) -> Array:
    """Smooth noise of -1..1 whose value depends on the position alone, not on the block that asks for it."""
    lattice = [np.floor(axis / np.float32(cell)).astype(np.int64) for axis in indices]
    low = [int(axis[0]) for axis in lattice]
    grids = [np.arange(axis[0], axis[-1] + 2, dtype=np.uint64) for axis in lattice]
    mixed = (
        grids[0][:, None, None] * np.uint64(0x9E3779B97F4A7C15)
        ^ grids[1][None, :, None] * np.uint64(0xC2B2AE3D27D4EB4F)
        ^ grids[2][None, None, :] * np.uint64(0x165667B19E3779F9)
    ) + np.uint64(seed * 0x27D4EB2F + 1)
    # finaliser of splitmix64: neighbouring integers get unrelated values
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    values = ((mixed >> np.uint64(40)).astype(np.float32) / np.float32(2**23)) - np.float32(1)
    for axis in range(3):
        at = lattice[axis] - low[axis]
        part = (indices[axis] / np.float32(cell) - lattice[axis]).astype(np.float32)
        part = part * part * (np.float32(3) - np.float32(2) * part)
        part = part.reshape([-1 if k == axis else 1 for k in range(3)])
        near, far = np.take(values, at, axis=axis), np.take(values, at + 1, axis=axis)
        values = near + (far - near) * part
    result: Array = values
    return result


@dataclass
class BrainPhantom:
    """The phantom as a readable array.

    Parameters
    ----------
    extent_um : tuple of float
        Size (z, y, x) of the region that the acquisition covers; the volume is a little larger laterally.
    voxel_um : float
        Voxel size, the same along all axes.
    seed : int
        Seed of its texture and vessels.
    """

    extent_um: tuple[float, float, float]
    voxel_um: float
    seed: int = 0
    shape: tuple[int, int, int] = field(init=False)
    _vessels: npt.NDArray[np.float64] = field(init=False, repr=False)
    _blocks: OrderedDict[tuple[int, int, int], Array] = field(default_factory=OrderedDict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        depth, height, width = self.extent_um
        grown = (depth, height * (1 + _MARGIN), width * (1 + _MARGIN))
        z, y, x = (max(2, round(length / self.voxel_um) + 1) for length in grown)
        self.shape = (z, y, x)
        generator = np.random.default_rng([self.seed, 77])
        # y and x where a vessel crosses the middle plane, its slopes, waviness, and radius
        self._vessels = np.column_stack(
            [
                generator.uniform(-0.65, 0.65, (24, 2)),
                generator.uniform(-0.5, 0.5, (24, 2)),
                generator.uniform(0.01, 0.05, 24),
                generator.uniform(2, 6, 24),
                generator.uniform(0.008, 0.022, 24),
            ]
        )

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Data type of what is read."""
        return np.dtype(np.float32)

    @property
    def spacing_um(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x)."""
        return (self.voxel_um, self.voxel_um, self.voxel_um)

    @property
    def chunks(self) -> tuple[int, int, int]:
        """Box that is evaluated at once."""
        return (BLOCK, BLOCK, BLOCK)

    def __getitem__(self, region: tuple[slice, ...]) -> Array:
        """Read a box given by three slices with start and stop."""
        return self.read(region)

    def read(self, region: tuple[slice, ...]) -> Array:
        """Read a box given by three slices with start and stop."""
        low = [part.start or 0 for part in region]
        high = [
            min(length, length if part.stop is None else part.stop)
            for part, length in zip(region, self.shape, strict=True)
        ]
        out = np.empty([max(0, b - a) for a, b in zip(low, high, strict=True)], dtype=np.float32)
        for place in np.ndindex(*(-(-b // BLOCK) - a // BLOCK for a, b in zip(low, high, strict=True))):
            key = tuple(a // BLOCK + step for a, step in zip(low, place, strict=True))
            block = self._block((key[0], key[1], key[2]))
            inside, target = [], []
            for a, b, index in zip(low, high, key, strict=True):
                first, last = max(a, index * BLOCK), min(b, (index + 1) * BLOCK)
                inside.append(slice(first - index * BLOCK, last - index * BLOCK))
                target.append(slice(first - a, last - a))
            out[tuple(target)] = block[tuple(inside)]
        return out

    def _block(self, key: tuple[int, int, int]) -> Array:
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
        start = [index * BLOCK for index in key]
        stop = [min(begin + BLOCK, length) for begin, length in zip(start, self.shape, strict=True)]
        block = self._evaluate([np.arange(a, b, dtype=np.float32) for a, b in zip(start, stop, strict=True)])
        with self._lock:
            self._blocks[key] = block
            while len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return block

    def _evaluate(self, indices: list[Array]) -> Array:
        scaled = [
            (2 * axis / np.float32(length - 1) - 1).astype(np.float32)
            for axis, length in zip(indices, self.shape, strict=True)
        ]
        z, y, x = scaled[0][:, None, None], scaled[1][None, :, None], scaled[2][None, None, :]
        # an egg whose section shrinks and wanders with depth, with folds and a fissure off the middle
        size = np.float32(0.80) - np.float32(0.10) * z - np.float32(0.08) * z * z
        across = (x - np.float32(0.05) * z + np.float32(0.03)) / size
        along = (y + np.float32(0.07) * z - np.float32(0.02)) / (size * (np.float32(0.92) + np.float32(0.12) * across))
        angle = np.arctan2(along, across)
        folds = np.float32(0.020) * np.sin(7 * angle + 2 * z + 1) + np.float32(0.012) * np.sin(13 * angle - 3 * z)
        fissure = np.float32(0.16) * np.exp(-(((across + np.float32(0.12)) / np.float32(0.05)) ** 2)) * (along < 0)
        inside = (1 - np.sqrt(across**2 + along**2) - folds - fissure * np.abs(along)).astype(np.float32)
        value = np.full(inside.shape, 0.42, dtype=np.float32)
        value = _mix(value, 0.62 + 0.06 * x, _ramp(-inside, -0.24, 0.03))  # white matter under the cortex
        value = _mix(value, 0.34, _ramp(-inside, -0.17, 0.03))  # deep cortical layers
        value = _mix(value, 0.46, _ramp(-inside, -0.10, 0.02))
        value = _mix(value, 0.28, _ramp(-inside, -0.04, 0.02))  # molecular layer
        value = self._deep_structures(value, z, y, x)
        texture = _lattice_noise((indices[0], indices[1], indices[2]), 2.7, self.seed)
        coarse = _lattice_noise((indices[0], indices[1], indices[2]), 9.3, self.seed + 1)
        value *= 1 + np.float32(0.16) * texture + np.float32(0.14) * coarse
        value = self._cut_vessels(value, z, y, x)
        return np.asarray(np.clip(value * _ramp(inside, 0.0, 0.02), 0, 1), dtype=np.float32)

    def _deep_structures(self, value: Array, z: Array, y: Array, x: Array) -> Array:
        for centre, half, reflectivity in (*_NUCLEI, _VENTRICLE):
            distance = sum(
                ((axis - np.float32(at)) / np.float32(length)) ** 2
                for axis, at, length in zip((z, y, x), centre, half, strict=True)
            )
            value = _mix(value, reflectivity, _ramp(1 - np.asarray(distance), 0.0, 0.25))
        # one bundle along x, one rising along y, one along z
        for first, second, radius in (
            (y + 0.18 - 0.25 * x * x, z + 0.2 - 0.5 * x, 0.055),
            (x - 0.10 + 0.20 * np.sin(3 * y), z - 0.3 + 0.9 * y, 0.060),
            (x + 0.42 - 0.15 * z, y - 0.05 + 0.10 * z, 0.050),
        ):
            distance = (first**2 + (0.35 * second) ** 2) if radius != 0.050 else first**2 + second**2
            value = _mix(value, 0.95, _ramp(-np.asarray(distance), -(radius**2), radius**2 / 2))
        return value

    def _cut_vessels(self, value: Array, z: Array, y: Array, x: Array) -> Array:
        for at_y, at_x, slope_y, slope_x, wave, turns, radius in self._vessels:
            centre_y = (at_y + slope_y * z + wave * np.sin(turns * z)).astype(np.float32)
            centre_x = (at_x + slope_x * z + wave * np.cos(turns * z + 1)).astype(np.float32)
            if (
                centre_y.max() < y.min() - radius
                or centre_y.min() > y.max() + radius
                or centre_x.max() < x.min() - radius
                or centre_x.min() > x.max() + radius
            ):
                continue
            distance = (y - centre_y) ** 2 + (x - centre_x) ** 2
            value = _mix(value, 0.06, _ramp(-distance, -(radius**2), radius**2))
        return value
