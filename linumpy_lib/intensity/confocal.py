"""The confocal function, and its fit to A-lines of a homogeneous medium."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

# Samples; what is narrower is a reflection, no focus.
_SHORTEST_RAYLEIGH = 10


def confocal(z_mm: npt.NDArray[Any], focus_mm: float, rayleigh_mm: float) -> Doubles:
    """Sensitivity of a confocal microscope at each depth: 1 / (1 + ((z - focus) / Rayleigh length)^2)."""
    result: Doubles = 1 / (1 + ((z_mm - focus_mm) / rayleigh_mm) ** 2)
    return result


def fit_model(
    lines: Doubles, weights: Doubles, faces: Doubles, step_mm: float, rayleigh_mm: float, mu_per_mm: float | None
) -> tuple[float, float, float, float]:
    """Fit the confocal model to A-lines of a homogeneous medium, grouped by the depth of their face.

    Parameters
    ----------
    lines, weights : ndarray, shape (groups, z)
        Mean A-lines above the floor, and their weights (0: not to be used).
    faces : ndarray, shape (groups,)
        Depth index of each group's face.
    step_mm : float
        Distance of depth samples.
    rayleigh_mm : float
        Rayleigh length to start from.
    mu_per_mm : float, optional
        Attenuation coefficient of the medium if it is known; fitted otherwise.

    Returns
    -------
    focus_mm, rayleigh_mm, mu_per_mm, residual : float
        Depth of the focus below the first sample, Rayleigh length, attenuation coefficient, and root mean square
        deviation of the logarithm.

    Raises
    ------
    ValueError
        If the fit does not converge.
    """
    from scipy.optimize import least_squares

    depth = lines.shape[1]
    z = np.arange(depth) * step_mm
    below = z - faces[:, None] * step_mm
    use = (weights > 0) & (lines > 0)
    logs = np.log(np.where(use, lines, 1.0))
    root = np.sqrt(weights / weights.max())

    def difference(p: Doubles) -> Doubles:
        level, focus, log_rayleigh, mu = p[0], p[1], p[2], p[3] if mu_per_mm is None else mu_per_mm
        explained = level + np.log(confocal(z, focus, np.exp(log_rayleigh))) - 2 * mu * below
        result: Doubles = (root * (logs - explained))[use]
        return result

    count = 3 if mu_per_mm is not None else 4
    span = z[-1] + step_mm
    # fitted together with the attenuation, a focus above the face would be nothing but more attenuation
    highest = -2 * span if mu_per_mm is not None else max(0.0, float(faces.min()) * step_mm)
    bounds = (
        [-np.inf, highest, np.log(_SHORTEST_RAYLEIGH * step_mm), 0.0][:count],
        [np.inf, 3 * span, np.log(100 * span), 50.0][:count],
    )
    # several starts: from the brightest depth alone, a reflection of the face would be taken for a very short focus
    seen = np.flatnonzero(use.any(axis=0))
    focuses = [z[int(np.argmax(np.where(use, lines, 0).sum(axis=0)))], *np.quantile(z[seen], (0.2, 0.5, 0.8))]
    fits = []
    for focus in focuses:
        start = [float(np.median(logs[use])), float(focus), np.log(rayleigh_mm), 0.3][:count]
        start = [float(np.clip(v, low + 1e-9, high - 1e-9)) for v, low, high in zip(start, *bounds, strict=True)]
        fits.append(least_squares(difference, start, bounds=bounds, loss="soft_l1", f_scale=0.05, max_nfev=200))
    fit = min((one for one in fits if one.success), key=lambda one: float(one.cost), default=None)
    if fit is None:
        raise ValueError(f"the fit did not converge ({fits[0].message})")
    mu = float(fit.x[3]) if mu_per_mm is None else mu_per_mm
    residual = float(np.sqrt(np.mean(difference(fit.x) ** 2)))
    return float(fit.x[1]), float(np.exp(fit.x[2])), mu, residual
