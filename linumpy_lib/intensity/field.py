"""A fitted bias field: a small lattice that is evaluated, and divided out, at full resolution plane by plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.intensity.bspline import Axis, Floats, cubic_axis
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
    def of(cls, shape: Sequence[int], shrink_factor: int | Sequence[int]) -> FitGrid:
        """Place the grid as ITK's shrink filter does: centred, rounded up.

        An axis too short for two nodes gets a smaller factor, so that it keeps a field of its own.
        """
        factors, offsets, nodes = [], [], []
        wanted = (shrink_factor,) * 3 if isinstance(shrink_factor, int) else shrink_factor
        for length, most in zip(shape, wanted, strict=True):
            factor = min(most, max(1, length // 2))
            count = max(1, length // factor)
            factors.append(factor)
            nodes.append(count)
            offsets.append((length - 1 - (count - 1) * factor + 1) // 2)
        return cls(*(tuple(int(v) for v in values) for values in (shape, factors, offsets, nodes)))  # type: ignore[arg-type]

    def nodes_of(
        self, start: Sequence[int], shape: Sequence[int]
    ) -> tuple[tuple[slice, slice, slice], tuple[slice, slice, slice]]:
        """Return the nodes inside a box of the volume: as slices of the box, and as slices of the grid."""
        inner, nodes = [], []
        for a, n, factor, offset, count in zip(start, shape, self.factors, self.offsets, self.nodes, strict=True):
            first = min(max(-((offset - a) // factor), 0), count)
            last = min(max(-((offset - a - n) // factor), 0), count)
            at = offset + first * factor - a
            inner.append(slice(at, at + max(last - first, 0) * factor, factor))
            nodes.append(slice(first, last))
        return (inner[0], inner[1], inner[2]), (nodes[0], nodes[1], nodes[2])


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
    mean_log : float
        Mean of the log field over the masked nodes.
    """

    lattice: Floats
    grid: FitGrid
    levels: tuple[Level, ...] = ()
    control_points: tuple[int, int, int] = (4, 4, 4)
    residual: float = 1.0
    mean_log: float = 0.0
    _axes: list[Axis] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def flat(cls, shape: Sequence[int]) -> BiasField:
        """Return the field that is 1 everywhere."""
        return cls(np.zeros((4, 4, 4), np.float32), FitGrid.of(shape, 1))

    def __post_init__(self) -> None:
        # made here, as several threads may evaluate the field at the same time
        for points, length, offset, factor, nodes in zip(
            self.lattice.shape, self.grid.shape, self.grid.offsets, self.grid.factors, self.grid.nodes, strict=True
        ):
            self._axes.append(cubic_axis(points, nodes, (np.arange(length) - offset) / factor))

    def centred(self) -> BiasField:
        """Return the field scaled so that it keeps the mean log intensity of the tissue that it was fitted to.

        N4 leaves the overall scale of a field open; sections that are corrected one by one need a common one.
        """
        lattice = self.lattice - np.float32(self.mean_log)
        return BiasField(lattice, self.grid, self.levels, self.control_points, self.residual, 0.0)

    def _basis(self, at: Sequence[int], shape: Sequence[int]) -> tuple[Axis, Axis, Axis]:
        """Evaluate the basis along each axis of a box of voxels."""
        z, y, x = (
            Axis(axis.points, axis.first[a : a + n], np.ascontiguousarray(axis.weights[:, a : a + n]))
            for axis, a, n in zip(self._axes, at, shape, strict=True)
        )
        return z, y, x

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
        out = np.empty((z1 - z0, *self.grid.shape[1:]), np.float32)
        z, y, x = self._basis((z0, 0, 0), out.shape)
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
        at: Sequence[int] = (0, 0, 0),
        *,
        out: Floats | None = None,
        bias_out: Floats | None = None,
        strength: float = 1.0,
        floor: float = FLOOR,
        threads: int = 1,
    ) -> Floats:
        """Divide a box of the volume by the field.

        Parameters
        ----------
        block : ndarray, shape (z, y, x)
            Voxels of the box, any real type.
        at : sequence of int
            Where its first voxel lies in the volume (z, y, x).
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
        ndarray of float32, shape (z, y, x)
            `out`.
        """
        from linumpy_lib.intensity import n4_kernels

        if out is None:
            out = np.empty(block.shape, np.float32)
        result = np.ascontiguousarray(out)
        bias = result if bias_out is None else np.ascontiguousarray(bias_out)
        source = block
        usable = type(block) is np.ndarray and block.flags.c_contiguous and block.flags.writeable
        if block is out or block.dtype != np.float32 or not usable:
            # the kernel knows one type and layout: anything else is converted into the result, and corrected there
            if block is not out:
                result[...] = block
            source = result
        z, y, x = self._basis(at, block.shape)
        runs = x.runs()
        self._spread(
            block.shape[0],
            threads,
            lambda a, b: n4_kernels.divide(
                source, self.lattice, z.first, z.weights, y.first, y.weights, x.first, x.weights, runs,
                np.float32(1 / floor), np.float32(strength), a, b, result, source is result, bias,
                bias_out is not None,
            ),
        )  # fmt: skip
        # arrays that are not contiguous were worked on in a copy
        if result is not out:
            out[...] = result
        if bias_out is not None and bias is not bias_out:
            bias_out[...] = bias
        return out
