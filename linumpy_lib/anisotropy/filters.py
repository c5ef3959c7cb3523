"""Taps of the separable filters: what is differentiated, at which scale, in which unit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError, ParameterError

Gradient = Literal["gaussian", "sobel"]
Units = Literal["voxel", "um"]
Triple = tuple[float, float, float]

# a sampled Gaussian derivative narrower than this misjudges slopes; central differences do not
SMALLEST_DERIVATIVE_SIGMA = 0.6
AXES = "zyx"


class CoarseScaleWarning(UserWarning):
    """The gradient scale is below what the voxel grid can sample along some axis."""


class AxisTaps(NamedTuple):
    """Filters along one axis, as correlation weights in float64 with an odd length."""

    even: npt.NDArray[np.float64]
    """Smoothing that goes with a derivative along another axis."""
    odd: npt.NDArray[np.float64]
    """Derivative along this axis; same length as `even`."""
    window: npt.NDArray[np.float64]
    """Smoothing of the gradient products."""

    @property
    def halo(self) -> int:
        """Voxels on each side that an output voxel depends on."""
        return len(self.even) // 2 + len(self.window) // 2


def gaussian_taps(sigma_px: float, truncate: float = 4.0) -> npt.NDArray[np.float64]:
    """Sample a Gaussian that sums to 1, radius ``int(truncate * sigma_px + 0.5)``."""
    radius = int(truncate * sigma_px + 0.5)
    if radius == 0:
        return np.ones(1)
    offsets = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 * (offsets / sigma_px) ** 2)
    return np.asarray(taps / taps.sum())


def derivative_taps(sigma_px: float, truncate: float = 4.0) -> npt.NDArray[np.float64]:
    """Sample the derivative of a Gaussian (per voxel); central differences below `SMALLEST_DERIVATIVE_SIGMA`."""
    if sigma_px < SMALLEST_DERIVATIVE_SIGMA:
        return np.array([-0.5, 0.0, 0.5])
    taps = gaussian_taps(sigma_px, truncate)
    radius = len(taps) // 2
    return np.asarray(np.arange(-radius, radius + 1) / sigma_px**2 * taps)


def _centred(taps: npt.NDArray[np.float64], radius: int) -> npt.NDArray[np.float64]:
    return np.pad(taps, radius - len(taps) // 2)


def per_axis(
    value: float | Sequence[float], name: str, *, positive: bool = False, error: type[Exception] = ParameterError
) -> Triple:
    """One number for all axes or three in z, y, x order; finite, not negative (or positive)."""
    kind = "positive" if positive else "0 or positive"
    try:
        numbers: list[Any] = [value] * 3 if np.ndim(value) == 0 else list(value)  # type: ignore[arg-type]
        result = tuple(float(v) for v in numbers)
    except (TypeError, ValueError):
        raise error(f"{name}: {value!r} is not a number or three numbers (z, y, x)") from None
    if len(result) != 3:
        raise error(f"{name}: {value!r} has {len(result)} entries; give one number or three (z, y, x)")
    if not all(math.isfinite(v) and (v > 0 if positive else v >= 0) for v in result):
        raise error(f"{name}: {value!r} must be finite and {kind}")
    return result


def axis_taps(
    sigma: float | Sequence[float],
    rho: float | Sequence[float],
    *,
    spacing_um: float | Sequence[float] | None = None,
    gradient: str = "gaussian",
    units: str = "voxel",
    truncate: float = 4.0,
) -> tuple[AxisTaps, AxisTaps, AxisTaps]:
    """Make the filters of the structure tensor for each axis (z, y, x).

    Parameters
    ----------
    sigma, rho : float or three floats
        Gradient scale and tensor window, standard deviations, in `units`.
    spacing_um : float or three floats, optional
        Voxel size. When given, derivatives are per micrometre, so that directions are right in physical space.
    gradient : {"gaussian", "sobel"}
        Gaussian derivative, or the 3x3x3 Sobel operator scaled to unit gain on a ramp (`sigma` is then not used).
    units : {"voxel", "um"}
        Unit of `sigma` and `rho`; ``um`` needs `spacing_um`.
    truncate : float
        Filter radius in standard deviations.

    Raises
    ------
    ParameterError, InputError
        A parameter, or the spacing, makes no sense.
    """
    if gradient not in get_args(Gradient):
        raise ParameterError(f"gradient: '{gradient}' is unknown; use one of {', '.join(get_args(Gradient))}")
    if units not in get_args(Units):
        raise ParameterError(f"units: '{units}' is unknown; use one of {', '.join(get_args(Units))}")
    if not (math.isfinite(truncate) and truncate > 0):
        raise ParameterError(f"truncate: {truncate!r} must be finite and positive")
    sigma3, rho3 = per_axis(sigma, "sigma"), per_axis(rho, "rho")
    spacing = None if spacing_um is None else per_axis(spacing_um, "spacing_um", positive=True, error=InputError)
    if units == "um":
        if spacing is None:
            raise InputError(
                "spacing_um: unknown, but sigma and rho are in um; give the voxel size or use units='voxel'"
            )
        sigma3 = tuple(s / d for s, d in zip(sigma3, spacing, strict=True))  # type: ignore[assignment]
        rho3 = tuple(s / d for s, d in zip(rho3, spacing, strict=True))  # type: ignore[assignment]
    if gradient == "gaussian":
        coarse = [f"{a} {s:.2g}" for a, s in zip(AXES, sigma3, strict=True) if s < SMALLEST_DERIVATIVE_SIGMA]
        if coarse:
            warnings.warn(
                f"sigma under {SMALLEST_DERIVATIVE_SIGMA} voxels ({', '.join(coarse)}): central differences there",
                CoarseScaleWarning,
                stacklevel=3,
            )
    taps = []
    for axis in range(3):
        if gradient == "sobel":
            even, odd = np.array([0.25, 0.5, 0.25]), np.array([-0.5, 0.0, 0.5])
        else:
            even, odd = gaussian_taps(sigma3[axis], truncate), derivative_taps(sigma3[axis], truncate)
        radius = max(len(even), len(odd)) // 2
        step = 1.0 if spacing is None else spacing[axis]
        taps.append(AxisTaps(_centred(even, radius), _centred(odd, radius) / step, gaussian_taps(rho3[axis], truncate)))
    return taps[0], taps[1], taps[2]
