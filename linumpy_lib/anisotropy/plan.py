"""What to compute from each block: one frozen object that every block, thread and task shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from linumpy_lib.anisotropy.filters import AxisTaps, axis_taps
from linumpy_lib.errors import ParameterError

Normalization = Literal["lambda1", "trace", "seed"]
Output = Literal["measures", "principal_dir", "fibre_dir", "eigenvalues"]
MEASURES = ("fa", "cl", "cp", "cs", "cp_norm", "lambda2_ratio")
DEFAULT_OUTPUTS: frozenset[Output] = frozenset({"measures", "principal_dir", "fibre_dir"})


def check_normalization(normalization: str) -> None:
    """Stop at an unknown normalization."""
    if normalization not in get_args(Normalization):
        known = ", ".join(get_args(Normalization))
        raise ParameterError(f"normalization: '{normalization}' is unknown; use one of {known}")


@dataclass(frozen=True, eq=False)
class AnisotropyPlan:
    """Parameters of the anisotropy maps, resolved to filters once.

    Parameters
    ----------
    sigma, rho : float or three floats
        Gradient scale and tensor window (standard deviations, z y x), in `units`.
    spacing_um : float or three floats, optional
        Voxel size; makes gradients physical.
    gradient : {"gaussian", "sobel"}
    units : {"voxel", "um"}
    normalization : {"lambda1", "trace", "seed"}
        Westin 2002, Westin 1997, or the seed's mixture (2002 CL and CP, 1997 CS).
    mask_threshold : float, optional
        Foreground is ``value >= mask_threshold``, in data units. None: every finite voxel.
    outputs : frozenset
        Any of ``measures``, ``principal_dir``, ``fibre_dir``, ``eigenvalues``.
    dtype : {"float16", "float32"}
        Type of measures and directions (computing is float32, the cast comes last); eigenvalues are float32 always.
    scale_exponent : int
        The data are multiplied by 2**scale_exponent before computing, and eigenvalues brought back (held at float32's
        limits): exact, and keeps data of extreme range (below 1e-12 or above 1e12) computable. Must be the same for
        every block of a volume.
    truncate : float
        Filter radius in standard deviations.
    """

    sigma: float | tuple[float, float, float] = 1.0
    rho: float | tuple[float, float, float] = 2.0
    spacing_um: float | tuple[float, float, float] | None = None
    gradient: str = "gaussian"
    units: str = "voxel"
    normalization: str = "lambda1"
    mask_threshold: float | None = None
    outputs: frozenset[Output] = DEFAULT_OUTPUTS
    dtype: Literal["float16", "float32"] = "float16"
    scale_exponent: int = 0
    truncate: float = 4.0
    taps: tuple[AxisTaps, AxisTaps, AxisTaps] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_normalization(self.normalization)
        unknown = set(self.outputs) - set(get_args(Output))
        if unknown:
            raise ParameterError(f"outputs: {sorted(unknown)} unknown; use any of {', '.join(get_args(Output))}")
        if self.dtype not in ("float16", "float32"):
            raise ParameterError(f"dtype: '{self.dtype}' is unknown; use float16 or float32")
        if self.mask_threshold is not None and not math.isfinite(self.mask_threshold):
            raise ParameterError(f"mask_threshold: {self.mask_threshold!r} must be finite")
        taps = axis_taps(
            self.sigma,
            self.rho,
            spacing_um=self.spacing_um,
            gradient=self.gradient,
            units=self.units,
            truncate=self.truncate,
        )
        object.__setattr__(self, "taps", taps)

    @property
    def halo(self) -> tuple[int, int, int]:
        """Voxels (z, y, x) on each side of an output block that its values depend on."""
        return self.taps[0].halo, self.taps[1].halo, self.taps[2].halo

    @property
    def eigenvalue_factor(self) -> float:
        """What eigenvalues of the scaled data are multiplied by; no larger than float32 can hold."""
        return min(2.0 ** min(-2 * self.scale_exponent, 128), float(np.finfo(np.float32).max))

    @property
    def np_dtype(self) -> np.dtype[np.floating]:
        """Type of measures and directions."""
        return np.dtype(np.float16 if self.dtype == "float16" else np.float32)
