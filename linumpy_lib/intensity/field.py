"""A fitted bias field: a small lattice that is evaluated, and divided out, at full resolution plane by plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.intensity.bspline import Axis, Floats, contract, cubic_axis
from linumpy_lib.intensity.n4_fit import Level

FLOOR = 1e-6
"""Smallest divisor, so that a field that nearly vanishes somewhere does not make infinities."""


@dataclass(frozen=True)
class FitGrid:
    """Regular sample of a volume's voxels: the grid on which a field is fitted.

    Attributes
    ----------
    shape : tuple of int
        Shape (z, y, x) of the volume.
    factors : tuple of int
        Voxels from one node to the next.
    offsets : tuple of int
        Voxel of the first node.
    nodes : tuple of int
        Shape of the grid.
    """

    shape: tuple[int, int, int]
    factors: tuple[int, int, int]
    offsets: tuple[int, int, int]
    nodes: tuple[int, int, int]

    @classmethod
    def of(cls, shape: Sequence[int], shrink_factor: int) -> FitGrid:
        """Place the grid as ITK's shrink filter does: centred, rounded up.

        An axis too short for two nodes gets a smaller factor, so that it keeps a field of its own.
        """
        factors, offsets, nodes = [], [], []
        for length in shape:
            factor = min(shrink_factor, max(1, length // 2))
            count = max(1, length // factor)
            factors.append(factor)
            nodes.append(count)
            offsets.append((length - 1 - (count - 1) * factor + 1) // 2)
        return cls(*(tuple(int(v) for v in values) for values in (shape, factors, offsets, nodes)))  # type: ignore[arg-type]

    def planes(self) -> range:
        """Return the z planes that hold nodes."""
        return range(self.offsets[0], self.offsets[0] + self.nodes[0] * self.factors[0], self.factors[0])

    def take(self, plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the nodes of one (y, x) plane."""
        (_, oy, ox), (_, fy, fx), (_, ny, nx) = self.offsets, self.factors, self.nodes
        return plane[oy : oy + ny * fy : fy, ox : ox + nx * fx : fx]


@dataclass(frozen=True)
class BiasField:
    """A smooth multiplicative field over a volume.

    Attributes
    ----------
    lattice : ndarray of float32
        Control points of the log field.
    grid : FitGrid
        Grid whose first and last nodes span the lattice; beyond them the field stays constant.
    levels : tuple of Level
        How the fit went, level by level.
    control_points : tuple of int
        Control points (z, y, x) of the first level.
    residual : float
        Standard deviation of the corrected log intensities over the mask, as a fraction of that before: a field that
        follows the tissue leaves little.
    """

    lattice: Floats
    grid: FitGrid
    levels: tuple[Level, ...] = ()
    control_points: tuple[int, int, int] = (4, 4, 4)
    residual: float = 1.0
    _axes: list[Axis] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def flat(cls, shape: Sequence[int]) -> BiasField:
        """Return the field that is 1 everywhere."""
        return cls(np.zeros((4, 4, 4), np.float32), FitGrid.of(shape, 1))

    def _basis(self, z0: int, z1: int) -> tuple[Axis, Axis, Axis]:
        if not self._axes:
            for points, length, offset, factor, nodes in zip(
                self.lattice.shape, self.grid.shape, self.grid.offsets, self.grid.factors, self.grid.nodes, strict=True
            ):
                self._axes.append(cubic_axis(points, nodes, (np.arange(length) - offset) / factor))
        z, y, x = self._axes
        return Axis(z.points, z.first[z0:z1], np.ascontiguousarray(z.weights[:, z0:z1])), y, x

    def _spread(self, count: int, threads: int, work: Callable[[int, int], None]) -> None:
        threads = max(1, min(threads, count))
        if threads == 1:
            work(0, count)
            return
        parts = min(count, 4 * threads)
        cuts = [round(i * count / parts) for i in range(parts + 1)]
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(work, a, b) for a, b in pairwise(cuts)]:
                done.result()

    def log(self, z0: int = 0, z1: int | None = None, *, threads: int = 1) -> Floats:
        """Evaluate the log field at the voxels of planes `z0` to `z1`.

        Returns
        -------
        ndarray of float32, shape (z1 - z0, y, x)
        """
        from linumpy_lib.intensity import n4_kernels

        z1 = self.grid.shape[0] if z1 is None else z1
        z, y, x = self._basis(z0, z1)
        out = np.empty((z1 - z0, *self.grid.shape[1:]), np.float32)
        runs = x.runs()
        self._spread(
            z1 - z0,
            threads,
            lambda a, b: n4_kernels.log_field(
                self.lattice, z.first, z.weights, y.first, y.weights, x.first, x.weights, runs, a, b, out
            ),
        )
        return out

    def correct(
        self,
        block: npt.NDArray[Any],
        z0: int = 0,
        *,
        out: Floats | None = None,
        bias_out: Floats | None = None,
        strength: float = 1.0,
        floor: float = FLOOR,
        threads: int = 1,
    ) -> Floats:
        """Divide planes of the volume by the field.

        Parameters
        ----------
        block : ndarray, shape (n, y, x)
            Planes `z0` to ``z0 + n`` of the volume, any real type.
        z0 : int
            First plane of the block in the volume.
        out : ndarray of float32, optional
            Receives the result; may be `block` itself.
        bias_out : ndarray of float32, optional
            Receives the field.
        strength : float
            0 leaves the block as it is, 1 corrects fully; between, the two are mixed.
        floor : float
            Smallest divisor.
        threads : int
            Threads; the result does not depend on them.

        Returns
        -------
        ndarray of float32, shape (n, y, x)
            `out`.
        """
        from linumpy_lib.intensity import n4_kernels

        if out is None:
            out = np.empty(block.shape, np.float32)
        z, y, x = self._basis(z0, z0 + block.shape[0])
        runs = x.runs()
        result, bias = out, out if bias_out is None else bias_out
        self._spread(
            block.shape[0],
            threads,
            lambda a, b: n4_kernels.divide(
                block, self.lattice, z.first, z.weights, y.first, y.weights, x.first, x.weights, runs,
                np.float32(1 / floor), np.float32(strength), a, b, result, result is block, bias,
                bias_out is not None,
            ),
        )  # fmt: skip
        return result

    def correct_arrays(
        self, block: Any, z0: int, xp: Any, strength: float = 1.0, floor: float = FLOOR
    ) -> tuple[Any, Any]:
        """Divide planes by the field with the operations of a NumPy-like module; return the result and the field."""
        bases = [xp.asarray(axis.dense().T) for axis in self._basis(z0, z0 + block.shape[0])]
        bias = xp.exp(contract(xp.asarray(self.lattice), bases, xp))
        gain = 1 + np.float32(strength) * (1 / xp.maximum(bias, np.float32(floor)) - 1)
        return xp.asarray(block).astype(np.float32) * gain, bias
