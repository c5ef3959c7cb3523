"""The N4 fit on a grid: sharpen, smooth with a B-spline, repeat; double the mesh, repeat.

Tustison, N. J. et al. (2010), "N4ITK: improved N3 bias correction", IEEE Trans. Med. Imaging 29(6), 1310-1320, with the
scattered-data B-spline of Lee, Wolberg & Shin (1997). On a grid that fit has a closed form with one small matrix per
axis: with basis values B, mask m, residual r and s the sum of B**2 at a node, the control points are
(Bz**3/sz x By**3/sy x Bx**3/sx)(m r) / (Bz**2 x By**2 x Bx**2)(m), which is no approximation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linumpy_lib.intensity.bspline import Floats, cubic_axis, refine
from linumpy_lib.intensity.n4_engines import Engine
from linumpy_lib.intensity.sharpening import BINS, expected_log_intensity

CONVERGENCE = 1e-3


@dataclass(frozen=True)
class Level:
    """How one level of a fit went.

    Attributes
    ----------
    control_points : tuple of int
        Lattice size (z, y, x).
    iterations : int
        Iterations done.
    convergence : float
        Coefficient of variation of the last update's ratio over the mask; below the threshold the level had converged.
    """

    control_points: tuple[int, int, int]
    iterations: int
    convergence: float


def fit_log_bias(
    engine: Engine,
    shape: Sequence[int],
    control_points: Sequence[int],
    iterations: Sequence[int],
    *,
    convergence: float = CONVERGENCE,
    bins: int = BINS,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Floats, tuple[Level, ...]]:
    """Fit the log bias field of the volume that an engine holds.

    Parameters
    ----------
    engine : Engine
        Holds the log volume and the mask of the fitting grid; it is consumed.
    shape : sequence of int
        Shape (z, y, x) of the fitting grid.
    control_points : sequence of int
        Control points (z, y, x) of the first level, each at least 4; the spans double at each further level.
    iterations : sequence of int
        Most iterations of each level.
    convergence : float
        A level ends when the coefficient of variation of the update falls to this.
    bins : int
        Bins of the log-intensity histogram.
    progress : callable, optional
        Called with (level, iteration) after each iteration.

    Returns
    -------
    lattice : ndarray of float32
        Log bias as one lattice as fine as the last level's.
    levels : tuple of Level
        How each level went.
    """
    total: npt.NDArray[np.float64] | None = None
    levels = []
    points = tuple(int(n) for n in control_points)
    for index, most in enumerate(iterations):
        if total is not None:
            total = refine(total)
            points = tuple(2 * n - 3 for n in points)
        z, y, x = (cubic_axis(n, nodes) for n, nodes in zip(points, shape, strict=True))
        engine.start_level((z, y, x))
        measure, done = math.inf, 0
        while done < most and measure > convergence:
            low, high = engine.extremes()
            width = (high - low) / (bins - 1)
            # a constant image has nothing to sharpen; a width below the precision of its values has neither
            if width <= 1e-7 * max(abs(low), abs(high), 1e-3):
                measure = 0.0
                break
            expected = expected_log_intensity(engine.histogram(low, width, bins), low, width)
            count, sum1, sum2 = engine.step(low, width, expected)
            mean = sum1 / count
            spread = max(sum2 - count * mean * mean, 0.0) / max(count - 1, 1)
            measure = math.sqrt(spread) / (1 + mean)
            done += 1
            if progress is not None:
                progress(index, done)
        levels.append(Level((points[0], points[1], points[2]), done, measure))
        lattice = engine.lattice()
        total = lattice.astype(np.float32) if total is None else total + lattice
    assert total is not None, "at least one level is checked by the caller"
    return np.ascontiguousarray(total, np.float32), tuple(levels)
