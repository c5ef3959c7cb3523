"""Climbing the correlation of two views to below the pixel: Gauss-Newton steps, Nelder-Mead or BFGS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.fusion.transform import Transform

Floats = npt.NDArray[np.float32]
_MOST_POINTS = 300_000
_MOST_PROBED = 40_000
_TOLERANCE = 1e-3
_MOST_STEPS = 25
# The noise of neighbouring voxels is correlated by the filters before; this many count as one.
_CORRELATED = 8.0


@dataclass(frozen=True)
class Refined:
    """A transform, its correlation, and the standard errors of z, y, x and rotation."""

    transform: Transform
    correlation: float
    sigma: tuple[float, float, float, float]


class Sampler:
    """Compares chosen voxels of a reference with the moving view at their turned and shifted places."""

    def __init__(
        self, reference: Floats, moving: Floats, *, points: npt.NDArray[np.float64] | None = None, stride: int = 1
    ) -> None:
        from scipy import ndimage

        self.shape = reference.shape
        if points is None:
            grid = np.meshgrid(*[np.arange(stride // 2, n, stride) for n in self.shape], indexing="ij")
            points = np.array([g.ravel() for g in grid], float)
        if points.shape[1] > _MOST_POINTS:
            points = points[:, :: -(-points.shape[1] // _MOST_POINTS)]
        self.points = points
        self.values = reference[tuple(points.astype(int))] if points.size else np.zeros(0, np.float32)
        self.spline = ndimage.spline_filter(moving, 3, output=np.float32, mode="mirror")

    def places(self, transform: Transform, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Voxels of the moving view (3, N) that points of the reference look at."""
        matrix, start = transform.source(self.shape)
        # Here and in _step not by BLAS, whose idle threads wait in a loop and cost as much as the work.
        at: npt.NDArray[np.float64] = np.einsum("ij,jn->in", matrix, points) + start[:, None]
        return at

    def sample(self, places: npt.NDArray[np.float64], *, slopes: bool = False) -> tuple[Floats, Floats]:
        """Values of the moving view, and its differences across one voxel along z, y, x (3, N) if asked for."""
        from linumpy_lib.fusion.spline_kernels import sample_spline

        count = places.shape[1]
        values, differences = np.empty(count, np.float32), np.empty((3, count if slopes else 0), np.float32)
        sample_spline(self.spline, np.ascontiguousarray(places, np.float64), values, differences)
        return values, differences

    def inside(self, places: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Tell which places lie in the moving view."""
        limit = np.array(self.shape)[:, None] - 1
        return np.asarray(((places >= 0) & (places <= limit)).all(0))

    def correlation(self, transform: Transform, every: int = 1) -> float:
        """Correlation of the voxels that meet; -1 if too few do."""
        places = self.places(transform, self.points[:, ::every])
        met = self.inside(places)
        if met.sum() < 50:
            return -1.0
        return _pearson(self.values[::every][met], self.sample(places[:, met])[0])

    def informative(self, transform: Transform) -> bool:
        """Tell whether the chosen voxels hold enough content to register on."""
        if self.points.shape[1] < 2000 or float(self.values.std()) < 0.1:
            return False
        return self.correlation(transform) > 0.1


def _pearson(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum(dtype=np.float64) * (b * b).sum(dtype=np.float64)))
    return float((a * b).sum(dtype=np.float64)) / scale if scale > 0 else 0.0


def refine(sampler: Sampler, start: Transform, method: str, *, turn: bool) -> Refined:
    """Climb the correlation from a start.

    Parameters
    ----------
    sampler : Sampler
        Voxels that are compared.
    start : Transform
        Within about two voxels of the answer.
    method : {"gradient_descent", "nelder_mead", "bfgs"}
        Gauss-Newton descent with analytic gradients of the images, or an optimiser that probes the correlation.
    turn : bool
        Whether the rotation takes part; else it stays.
    """
    if sampler.points.shape[1] < 100:
        return Refined(start, -1.0, (np.inf,) * 4)
    best = _descend(sampler, start, turn) if method == "gradient_descent" else _probe(sampler, start, method, turn)
    return Refined(best, sampler.correlation(best), _errors(sampler, best, turn))


def _jacobian(sampler: Sampler, transform: Transform, turn: bool) -> tuple[Floats, Floats, npt.NDArray[np.float64]]:
    """Return reference and moving values that meet, and derivatives (N, 3 or 4) of the latter by the parameters."""
    places = sampler.places(transform, sampler.points)
    met = sampler.inside(places)
    places = places[:, met]
    moving, gradient = sampler.sample(places, slopes=True)
    slopes = [-g for g in gradient]
    if turn:
        first, second = ("zyx".index(axis) for axis in transform.plane)
        centre = (np.array(sampler.shape, float) - 1) / 2
        relative = sampler.points[:, met] - centre[:, None]
        nudge = 1e-3
        matrix = (replace(transform, rotation=transform.rotation + nudge).matrix() - transform.matrix()) / nudge
        moved = matrix @ relative
        slopes.append(gradient[first] * moved[first] + gradient[second] * moved[second])
    return sampler.values[met], moving, np.stack(slopes, axis=1).astype(np.float64)


def _moved(transform: Transform, change: npt.NDArray[np.float64]) -> Transform:
    z, y, x = transform.offset + change[:3]
    angle = transform.rotation + (change[3] if change.size > 3 else 0.0)
    return replace(transform, z_offset=float(z), y_offset=float(y), x_offset=float(x), rotation=float(angle))


def _step(reference: Floats, moving: Floats, slopes: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], Any]:
    """Least-squares change of the parameters, the moving view's gain and offset fitted along."""
    a = reference.astype(np.float64) - reference.mean()
    b = moving.astype(np.float64) - moving.mean()
    gain = (a @ b) / max(float(b @ b), 1e-20)
    slopes = (slopes - slopes.mean(0)) * gain
    # The gain is one more unknown, so that a step is not spent on brightness.
    design = np.concatenate([slopes, b[:, None]], axis=1)
    normal = np.einsum("ni,nj->ij", design, design)
    normal += 1e-9 * np.trace(normal) / len(normal) * np.eye(len(normal))
    residual = a - gain * b
    change = np.linalg.solve(normal, design.T @ residual)
    variance = float((residual - design @ change).var()) * _CORRELATED
    return change[:-1], variance * np.linalg.inv(normal)


def _descend(sampler: Sampler, start: Transform, turn: bool) -> Transform:
    current, score = start, sampler.correlation(start)
    for _ in range(_MOST_STEPS):
        reference, moving, slopes = _jacobian(sampler, current, turn)
        if moving.size < 100:
            return start
        change, _ = _step(reference, moving, slopes)
        change[:3] = np.clip(change[:3], -1.0, 1.0)
        change[3:] = np.clip(change[3:], -1.0, 1.0)
        for _ in range(5):
            candidate = _moved(current, change)
            new = sampler.correlation(candidate)
            if new >= score - 1e-9:
                break
            change = change / 2
        else:
            return current
        current, score = candidate, new
        if np.abs(change).max() < _TOLERANCE:
            break
    return current


def _probe(sampler: Sampler, start: Transform, method: str, turn: bool) -> Transform:
    from scipy.optimize import minimize

    every = max(1, sampler.points.shape[1] // _MOST_PROBED)
    unit = np.array([0.5, 0.5, 0.5, 0.1])[: 4 if turn else 3]

    def cost(parameters: npt.NDArray[np.float64]) -> float:
        return -sampler.correlation(_moved(start, parameters * unit), every)

    first = np.zeros(len(unit))
    if method == "nelder_mead":
        simplex = np.vstack([first, np.eye(len(unit))])
        options = {"xatol": 2e-3, "fatol": 1e-8, "maxfev": 400, "initial_simplex": simplex}
        found = minimize(cost, first, method="Nelder-Mead", options=options)
    else:
        found = minimize(cost, first, method="L-BFGS-B", options={"eps": 1e-2, "maxfun": 400, "ftol": 1e-10})
    best = found.x if found.fun <= cost(first) else first
    return _moved(start, best * unit)


def _errors(sampler: Sampler, transform: Transform, turn: bool) -> tuple[float, float, float, float]:
    reference, moving, slopes = _jacobian(sampler, transform, turn)
    if moving.size < 100:
        return (np.inf,) * 4
    _, covariance = _step(reference, moving, slopes)
    z, y, x, *rest = np.sqrt(np.maximum(np.diag(covariance)[:-1], 0))
    return float(z), float(y), float(x), float(rest[0]) if rest else float("inf")
