"""Where one N4 iteration computes: compiled loops on the CPU, or array operations of any NumPy-like module.

Both hold the log volume on the fitting grid and offer the same four operations, so that the fit itself is written once.
The array engine is what runs on CUDA through CuPy; on NumPy it is the reference that tests hold the compiled loops to.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from linumpy_lib.intensity.bspline import Axis, Floats, contract

_SHARE_SCALE = 2.0**20
_LEAST_WEIGHT = np.float32(1e-37)


class Engine(Protocol):
    """What a fit needs from the place where it computes."""

    def extremes(self) -> tuple[float, float]:
        """Return the lowest and the highest masked value."""
        ...

    def histogram(self, low: float, width: float, bins: int) -> npt.NDArray[np.float64]:
        """Return the histogram of the masked values, each shared between its two nearest bins."""
        ...

    def start_level(self, axes: tuple[Axis, Axis, Axis]) -> None:
        """Change to another lattice."""
        ...

    def step(self, low: float, width: float, expected: npt.NDArray[np.float64]) -> tuple[float, float, float]:
        """Fit the lattice to what sharpening removes, subtract its field, add it to the level's lattice.

        Returns
        -------
        tuple of float
            Number of masked voxels, sum of expm1(-update) and sum of its square over them.
        """
        ...

    def lattice(self) -> Floats:
        """Return the level's lattice."""
        ...

    def moments(self) -> tuple[float, float]:
        """Return the mean and the standard deviation of the masked values."""
        ...

    def close(self) -> None:
        """Release threads and memory."""
        ...


def _inverse(values: Any, xp: Any) -> Any:
    """Invert the weight of each control point; one that no voxel reaches (or by less than float32 holds) gets 0."""
    reached = values > _LEAST_WEIGHT
    return xp.where(reached, 1 / xp.where(reached, values, 1), 0).astype(np.float32)


class _CompiledEngine:
    def __init__(self, log_volume: Floats, mask: npt.NDArray[np.bool_], threads: int = 1) -> None:
        from linumpy_lib.intensity import n4_kernels

        self._kernels = n4_kernels
        self._v = log_volume
        self._m = mask.view(np.uint8)
        self._rows = np.ascontiguousarray(mask.any(axis=2))
        self._count = int(mask.sum())
        self._nz = mask.shape[0]
        self._threads = max(1, min(threads, self._nz))
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None
        self._bounds = np.empty((self._nz, 2), np.float32)
        self._spread(self._nz, lambda a, b: n4_kernels.extremes(self._v, self._m, self._rows, a, b, self._bounds))

    def _spread(self, length: int, work: Callable[[int, int], None]) -> None:
        if self._pool is None:
            work(0, length)
            return
        cuts = [round(i * length / self._threads) for i in range(self._threads + 1)]
        for done in [self._pool.submit(work, a, b) for a, b in pairwise(cuts)]:
            done.result()

    def extremes(self) -> tuple[float, float]:
        return float(self._bounds[:, 0].min()), float(self._bounds[:, 1].max())

    def histogram(self, low: float, width: float, bins: int) -> npt.NDArray[np.float64]:
        parts = np.zeros((self._nz, bins))
        self._spread(
            self._nz,
            lambda a, b: self._kernels.histogram(
                self._v, self._m, self._rows, np.float32(low), np.float32(1 / width), a, b, parts
            ),
        )
        total: npt.NDArray[np.float64] = parts.sum(axis=0)
        return total

    def start_level(self, axes: tuple[Axis, Axis, Axis]) -> None:
        self._axes = axes
        shape = tuple(axis.points for axis in axes)
        self._cubes = [np.ascontiguousarray(axis.weights**3 / axis.squares()) for axis in axes]
        self._planes = np.empty((self._nz, *shape[1:]), np.float32)
        self._delta = np.empty(shape, np.float32)
        self._lattice = np.zeros(shape, np.float32)
        squares = [np.ascontiguousarray(axis.weights**2) for axis in axes]
        # the kernel gathers mask * (v - expected): with v = 1 and nothing expected, the mask itself
        self._gather(np.ones_like(self._v), np.zeros(2), 0.0, 1.0, squares)
        self._inverse = _inverse(self._delta, np)
        self._sums = np.empty((self._nz, 2))

    def _gather(
        self, v: Floats, expected: npt.NDArray[np.float64], low: float, width: float, weights: list[Floats]
    ) -> None:
        z, y, x = self._axes
        runs = x.runs()
        # one more entry: rounding can put the highest voxel a hair beyond the last bin
        rise = np.append(np.diff(expected), [0.0, 0.0])
        start = np.append(expected, expected[-1]) - rise * np.arange(rise.size)
        self._spread(
            self._nz,
            lambda a, b: self._kernels.residual(
                v, self._m, self._rows, np.float32(low), np.float32(1 / width), start.astype(np.float32),
                rise.astype(np.float32), y.first, weights[1], x.first, weights[2], runs, a, b, self._planes,
            ),
        )  # fmt: skip
        self._spread(
            y.points, lambda a, b: self._kernels.gather_z(self._planes, z.first, weights[0], a, b, self._delta)
        )

    def step(self, low: float, width: float, expected: npt.NDArray[np.float64]) -> tuple[float, float, float]:
        self._gather(self._v, expected, low, width, self._cubes)
        self._delta *= self._inverse
        self._lattice += self._delta
        z, y, x = self._axes
        runs = x.runs()
        self._spread(
            self._nz,
            lambda a, b: self._kernels.update(
                self._v, self._m, self._rows, self._delta, z.first, z.weights, y.first, y.weights, x.first, x.weights,
                runs, a, b, self._sums, self._bounds,
            ),
        )  # fmt: skip
        total, square = self._sums.sum(axis=0)
        return float(self._count), float(total), float(square)

    def lattice(self) -> Floats:
        return self._lattice

    def moments(self) -> tuple[float, float]:
        inside = self._v[self._m != 0]
        return float(inside.mean(dtype=np.float64)), float(inside.std(dtype=np.float64))

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


class _ArrayEngine:
    def __init__(self, log_volume: Floats, mask: npt.NDArray[np.bool_], xp: Any = np) -> None:
        self._xp = xp
        self._v = xp.asarray(log_volume)
        self._mask = xp.asarray(mask)
        self._index = xp.flatnonzero(self._mask)
        self._values = self._v.ravel()[self._index]

    def extremes(self) -> tuple[float, float]:
        return float(self._values.min()), float(self._values.max())

    def _bin(self, low: float, width: float, bins: int) -> tuple[Any, Any]:
        position = (self._values - np.float32(low)) * np.float32(1 / width)
        index = self._xp.minimum(position.astype(np.int32), bins - 1)
        return index, self._xp.where(index < bins - 1, position - index.astype(np.float32), np.float32(0))

    def histogram(self, low: float, width: float, bins: int) -> npt.NDArray[np.float64]:
        xp = self._xp
        index, share = self._bin(low, width, bins)
        shares = xp.bincount(index, xp.rint(share * np.float32(_SHARE_SCALE)), bins) / _SHARE_SCALE
        counts = xp.bincount(index, minlength=bins) - shares
        counts[1:] += shares[:-1]
        result: npt.NDArray[np.float64] = counts if xp is np else xp.asnumpy(counts)
        return result

    def start_level(self, axes: tuple[Axis, Axis, Axis]) -> None:
        xp = self._xp
        self._cubes = [xp.asarray(axis.dense(3) / axis.squares()) for axis in axes]
        self._bases = [xp.asarray(axis.dense().T) for axis in axes]
        squares = [xp.asarray(axis.dense(2)) for axis in axes]
        self._inverse = _inverse(contract(self._mask.astype(np.float32), squares, xp), xp)
        self._lattice = xp.zeros(self._inverse.shape, np.float32)

    def step(self, low: float, width: float, expected: npt.NDArray[np.float64]) -> tuple[float, float, float]:
        xp = self._xp
        table = xp.asarray(expected.astype(np.float32))
        index, share = self._bin(low, width, table.size)
        after = xp.minimum(index + 1, table.size - 1)
        grid = xp.zeros(self._v.shape, np.float32)
        grid.ravel()[self._index] = self._values - (table[index] + (table[after] - table[index]) * share)
        delta = contract(grid, self._cubes, xp) * self._inverse
        self._lattice += delta
        change = contract(delta, self._bases, xp).ravel()[self._index]
        self._values -= change
        grown = xp.expm1(-change)
        return (
            float(self._values.size),
            float(grown.sum(dtype=np.float64)),
            float((grown * grown).sum(dtype=np.float64)),
        )

    def lattice(self) -> Floats:
        result: Floats = self._lattice if self._xp is np else self._xp.asnumpy(self._lattice)
        return result

    def moments(self) -> tuple[float, float]:
        return float(self._values.mean(dtype=np.float64)), float(self._values.std(dtype=np.float64))

    def close(self) -> None:
        return


def compiled_engine(log_volume: Floats, mask: npt.NDArray[np.bool_], threads: int = 1) -> Engine:
    """Return compiled loops over z planes; `log_volume` is changed, the result does not depend on `threads`."""
    return _CompiledEngine(log_volume, mask, threads)


def array_engine(log_volume: Floats, mask: npt.NDArray[np.bool_], xp: Any = np) -> Engine:
    """Return array operations of a NumPy-like module (NumPy or CuPy).

    Shares of the histogram are rounded to multiples of 2**-20, which makes their sums exact in any order: the result is
    the same in every run although a GPU adds in no fixed order.
    """
    return _ArrayEngine(log_volume, mask, xp)
