"""Anisotropy measures of structure-tensor eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.anisotropy.plan import check_normalization
from linumpy_lib.errors import InputError

LAMBDA2_RATIO_LIMIT = 65504.0
"""lambda2/lambda3 is clipped here, at the largest float16."""

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class AnisotropyMeasures:
    """Measures of shape, each of the eigenvalues' shape.

    Westin's words describe the tensor's ellipsoid. For gradients the tissue is the other way round: one large
    eigenvalue (high `cl`) is a sheet, two (high `cp`) are a fibre, three (high `cs`) a blob or noise. A perfect fibre
    has FA 0.707, a perfect sheet FA 1.
    """

    fa: FloatArray
    cl: FloatArray
    cp: FloatArray
    cs: FloatArray
    cp_norm: FloatArray
    lambda2_ratio: FloatArray

    @property
    def sheetness(self) -> FloatArray:
        """`cl` under the name of what it finds."""
        return self.cl

    @property
    def fibreness(self) -> FloatArray:
        """`cp` under the name of what it finds."""
        return self.cp


def measures_of(xp: Any, l1: Any, l2: Any, l3: Any, regular: Any, normalization: str) -> tuple[Any, ...]:
    """FA, CL, CP, CS, CPnorm, lambda2/lambda3 of eigenvalues whose sum is 1 (0 where not `regular`), on any device."""
    one, zero = xp.zeros_like(l1) + 1, xp.zeros_like(l1)
    d12, d23, d13 = l1 - l2, l2 - l3, l1 - l3
    squares = xp.where(regular, l1 * l1 + l2 * l2 + l3 * l3, one)
    fa = xp.minimum(xp.sqrt((d12 * d12 + d23 * d23 + d13 * d13) / squares / 2), one)
    largest = xp.where(regular, l1, one)
    total = xp.where(regular, l1 + l2 + l3, one)
    if normalization == "trace":
        cl, cp = d12 / total, 2 * d23 / total
    else:
        cl, cp = d12 / largest, d23 / largest
    cs = l3 / largest if normalization == "lambda1" else 3 * l3 / total
    spread = d13 > 0
    cp_norm = xp.where(spread, xp.minimum(d12 / xp.where(spread, d13, one), one), zero)
    floor = xp.maximum(l3, l2 / LAMBDA2_RATIO_LIMIT)
    held = floor > 0
    ratio = xp.clip(xp.where(held, l2, one) / xp.where(held, floor, one), 1.0, LAMBDA2_RATIO_LIMIT)
    return fa, cl, cp, cs, cp_norm, xp.where(regular, ratio, zero)


def anisotropy_measures(eigenvalues: npt.ArrayLike, normalization: str = "lambda1") -> AnisotropyMeasures:
    """Measures of eigenvalues l1 >= l2 >= l3 >= 0.

    Parameters
    ----------
    eigenvalues : array_like, (3, ...)
        Descending, as `eigen_decompose` returns them; float64 stays float64, all else is float32.
    normalization : {"lambda1", "trace", "seed"}
        ``lambda1`` (Westin 2002): CL = (l1-l2)/l1, CP = (l2-l3)/l1, CS = l3/l1.
        ``trace`` (Westin 1997): CL = (l1-l2)/T, CP = 2(l2-l3)/T, CS = 3 l3/T with T = l1+l2+l3.
        ``seed``: CL and CP of the first, CS of the second. The first two sum to 1.

    Returns
    -------
    AnisotropyMeasures
        FA = sqrt(((l1-l2)^2 + (l2-l3)^2 + (l1-l3)^2) / (2 sum(l^2))) in [0, 1]; CPnorm = (l1-l2)/(l1-l3), 0 for l1 =
        l3; lambda2/lambda3 from 1 to 65504 (clipped there). Where all eigenvalues are 0, every measure is 0, CS too.

    Raises
    ------
    InputError, ParameterError
        Not three eigenvalues; unknown normalization.

    References
    ----------
    P. J. Basser, C. Pierpaoli, J. Magn. Reson. B 111 (1996) 209. C.-F. Westin et al., Medical Image Analysis 6 (2002)
    93.
    """
    check_normalization(normalization)
    array = np.asarray(eigenvalues)
    if array.ndim < 1 or array.shape[0] != 3 or array.dtype.kind not in "fiu":
        raise InputError(f"eigenvalues: shape {array.shape}, type {array.dtype}; expected three real ones first")
    array = array.astype(np.float64 if array.dtype == np.float64 else np.float32, copy=False)
    # divide by the sum first: squares of tiny or huge eigenvalues would leave the floating range
    total = array[0] + array[1] + array[2]
    regular = total >= np.finfo(array.dtype).tiny
    scaled = np.where(regular, array / np.where(regular, total, 1), 0)
    return AnisotropyMeasures(*measures_of(np, scaled[0], scaled[1], scaled[2], regular, normalization))
