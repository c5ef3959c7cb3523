"""Eigenvalues and eigenvectors of 3x3 symmetric positive semidefinite tensors in closed form, on any device."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from linumpy_lib.device import Device, get_device
from linumpy_lib.errors import InputError

# cos(acos(t) / 3) on [0, 1] is analytic (the nearest singularity is t = -1): Chebyshev fit of degree 16, error 6e-16
_COSINE_OF_THIRD = (
    0.8660254037844392,
    0.1666666666663888,
    -0.048112522405535964,
    0.024691356978334574,
    -0.015591999575806722,
    0.010973664489080435,
    -0.008255707124590545,
    0.006489538953559158,
    -0.005233838387395526,
    0.004225708391272309,
    -0.003283030774951153,
    0.002321607139216215,
    -0.0013988861016094156,
    0.0006677174316553041,
    -0.0002313349831774131,
    5.096688677285584e-05,
    -5.3113676523798626e-06,
)
# degree 8, error 2e-9
COSINE_OF_THIRD_FLOAT32 = (
    0.8660254053677889,
    0.16666639962372146,
    -0.048105021730373745,
    0.0246088319505374,
    -0.015124763175307933,
    0.00942007458168282,
    -0.004972568163275133,
    0.0017909605524383694,
    -0.00030932018690678516,
)
TIE_MARGIN = 1.00001
_CHUNK = 1 << 16  # voxels whose temporaries stay in the cache


class EigenSystem(NamedTuple):
    """Eigenvalues in descending order and the unit eigenvectors that belong to them.

    Attributes
    ----------
    eigenvalues : ndarray, (3, ...)
        Largest first, never negative.
    e1, e2, e3 : ndarray, (..., 3)
        Components in z, y, x order; the component of largest magnitude is positive (if they tie to
        1e-5: z before y before x).
    """

    eigenvalues: npt.NDArray[np.floating]
    e1: npt.NDArray[np.floating]
    e2: npt.NDArray[np.floating]
    e3: npt.NDArray[np.floating]


class Solution(NamedTuple):
    """Device arrays: trace-scaled eigenvalues, z-y-x components of e1 and e3, the trace, and where it is not 0."""

    l1: Any
    l2: Any
    l3: Any
    e1: tuple[Any, Any, Any]
    e3: tuple[Any, Any, Any]
    trace: Any
    regular: Any


def _with_sign(xp: Any, v: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    z, y, x = v
    az, ay, ax = xp.abs(z), xp.abs(y), xp.abs(x)
    # the margin makes a tie of what rounding made unequal, as at 45 degrees
    lead = xp.where(ay > az * TIE_MARGIN, y, z)
    lead = xp.where(ax > xp.maximum(ay, az) * TIE_MARGIN, x, lead)
    sign = xp.where(lead < 0, -1.0, 1.0)
    if sign.dtype != z.dtype:
        sign = sign.astype(z.dtype) if hasattr(sign, "astype") else sign.to(z.dtype)
    return z * sign, y * sign, x * sign


def solve(xp: Any, tensor: tuple[Any, ...], epsilon: float) -> Solution:
    """Solve every tensor of six component arrays (zz, yy, xx, zy, zx, yx).

    Steps: divide by the trace; find the extreme eigenvalue that is better separated from the other two (Smith 1961,
    without trigonometry); its vector is the longest cross product of two rows of J - lambda I; solve the 2x2 problem in
    the plane across it (frame of Duff et al. 2017), which keeps full precision where two eigenvalues nearly coincide.

    Parameters
    ----------
    xp : module
        numpy, cupy or torch.
    tensor : six arrays
        One shape and floating type.
    epsilon : float
        Machine epsilon of that type.
    """
    zz, yy, xx, zy, zx, yx = tensor
    tiny = epsilon  # of the trace: below it the tensor is isotropic to rounding
    one, zero = xp.zeros_like(zz) + 1, xp.zeros_like(zz)
    trace = zz + yy + xx
    regular = trace >= float(np.finfo(np.float32).tiny if epsilon > 1e-10 else np.finfo(np.float64).tiny)
    divisor = xp.where(regular, trace, one)
    zz, yy, xx, zy, zx, yx = (xp.where(regular, v / divisor, zero) for v in (zz, yy, xx, zy, zx, yx))
    q = (zz + yy + xx) / 3
    a, b, c = zz - q, yy - q, xx - q
    p2 = (a * a + b * b + c * c + 2 * (zy * zy + zx * zx + yx * yx)) / 6
    spread = p2 > tiny * tiny
    p = xp.where(spread, xp.sqrt(p2), zero)
    inverse = xp.where(spread, one / xp.where(spread, p, one), zero)
    r = (a * (b * c - yx * yx) + zy * (zx * yx - zy * c) + zx * (zy * yx - b * zx)) * inverse * inverse * inverse / 2
    prolate = r >= 0
    t = xp.minimum(xp.abs(r), one)
    cosine = zero + _COSINE_OF_THIRD[-1]
    for coefficient in _COSINE_OF_THIRD[-2::-1]:
        cosine = cosine * t + coefficient
    extreme = q + xp.where(prolate, one, -one) * 2 * p * cosine

    a, b, c = zz - extreme, yy - extreme, xx - extreme
    aa, bb, cc = b * c - yx * yx, a * c - zx * zx, a * b - zy * zy
    ab, ac, bc = zx * yx - zy * c, zy * yx - zx * b, zy * zx - a * yx
    na, nb, nc = aa * aa + ab * ab + ac * ac, ab * ab + bb * bb + bc * bc, ac * ac + bc * bc + cc * cc
    second = nb > na
    v = [xp.where(second, u, w) for u, w in ((ab, aa), (bb, ab), (bc, ac))]
    length2 = xp.maximum(na, nb)
    third = nc > length2
    v = [xp.where(third, u, w) for u, w in zip((ac, bc, cc), v, strict=True)]
    length2 = xp.maximum(length2, nc)
    found = length2 > tiny**4
    length = xp.sqrt(xp.where(found, length2, one))
    vz, vy, vx = (xp.where(found, u / length, w) for u, w in zip(v, (one, zero, zero), strict=True))

    side = xp.where(vx < 0, -one, one)
    k = -1 / (side + vx)
    m = vz * vy * k
    tz, ty, tx = 1 + side * vz * vz * k, side * m, -side * vz
    uz, uy, ux = m, side + vy * vy * k, -vy
    jz, jy, jx = zz * tz + zy * ty + zx * tx, zy * tz + yy * ty + yx * tx, zx * tz + yx * ty + xx * tx
    tt, tu = tz * jz + ty * jy + tx * jx, uz * jz + uy * jy + ux * jx
    jz, jy, jx = zz * uz + zy * uy + zx * ux, zy * uz + yy * uy + yx * ux, zx * uz + yx * uy + xx * ux
    uu = uz * jz + uy * jy + ux * jx
    half, mean = (tt - uu) / 2, (tt + uu) / 2
    radius = xp.sqrt(half * half + tu * tu)
    long = xp.abs(half) + radius
    length2 = long * long + tu * tu
    found = length2 > 1e-36
    length = xp.sqrt(xp.where(found, length2, one))
    cosine = xp.where(found, xp.where(half >= 0, long, tu) / length, one)
    sine = xp.where(found, xp.where(half >= 0, tu, long) / length, zero)
    big = (cosine * tz + sine * uz, cosine * ty + sine * uy, cosine * tx + sine * ux)
    small = (cosine * uz - sine * tz, cosine * uy - sine * ty, cosine * ux - sine * tx)

    l3 = xp.maximum(xp.where(prolate, mean - radius, extreme), zero)
    l2 = xp.maximum(xp.where(prolate, mean + radius, mean - radius), l3)
    l1 = xp.maximum(xp.where(prolate, extreme, mean + radius), l2)
    e1 = tuple(xp.where(prolate, u, w) for u, w in zip((vz, vy, vx), big, strict=True))
    e3 = tuple(xp.where(prolate, u, w) for u, w in zip(small, (vz, vy, vx), strict=True))
    return Solution(l1, l2, l3, _with_sign(xp, e1), _with_sign(xp, e3), trace, regular)


def solve_on(device: Device, tensor: Any) -> Solution:
    """Solve a (6, ...) device array."""
    epsilon = float(np.finfo(np.float64 if "float64" in str(tensor.dtype) else np.float32).eps)
    return solve(device.xp, tuple(tensor[i] for i in range(6)), epsilon)


def eigen_decompose(tensor: npt.ArrayLike) -> EigenSystem:
    """Eigenvalues (descending) and eigenvectors of structure tensors.

    Robust for every positive semidefinite tensor: rank 1, isotropic, zero, eigenvalues that nearly coincide, any scale.
    Vectors are finite and orthonormal always; for equal eigenvalues they are one orthonormal choice out of many, for a
    zero tensor any frame.

    Parameters
    ----------
    tensor : array_like, (6, ...)
        Components zz, yy, xx, zy, zx, yx, as `structure_tensor` returns them. float64 is solved in float64, all else in
        float32.

    Returns
    -------
    EigenSystem
        ``eigenvalues`` (3, ...), and ``e1``, ``e2``, ``e3`` (..., 3) in z, y, x order. ``e1`` is across a sheet or an
        edge, ``e3`` is along a fibre.

    Raises
    ------
    InputError
        The array has no six components, or holds NaN or infinities.

    Notes
    -----
    Against LAPACK the error is about 2e-15 (float64) or 6e-7 (float32) of the largest eigenvalue.

    References
    ----------
    O. K. Smith, Communications of the ACM 4 (1961) 168. T. Duff et al., Journal of Computer Graphics Techniques 6
    (2017) 1.
    """
    array = np.asarray(tensor)
    if array.ndim < 1 or array.shape[0] != 6 or array.dtype.kind not in "fiu":
        raise InputError(f"tensor: shape {array.shape}, type {array.dtype}; expected zz, yy, xx, zy, zx, yx first")
    dtype = np.float64 if array.dtype == np.float64 else np.float32
    flat = array.reshape(6, -1)
    count = flat.shape[1]
    eigenvalues = np.empty((3, count), dtype)
    vectors = [np.empty((count, 3), dtype) for _ in range(3)]
    device = get_device("cpu")
    for start in range(0, count, _CHUNK):
        part = slice(start, min(start + _CHUNK, count))
        piece = flat[:, part].astype(dtype)
        if not np.isfinite(piece).all():
            raise InputError(
                "tensor: it holds NaN or infinities; clean the volume first (compute_anisotropy masks them)"
            )
        s = solve_on(device, piece)
        eigenvalues[:, part] = np.stack([s.l1, s.l2, s.l3]) * np.where(s.regular, s.trace, 0)
        (az, ay, ax), (cz, cy, cx) = s.e1, s.e3
        e2 = _with_sign(np, (cy * ax - cx * ay, cx * az - cz * ax, cz * ay - cy * az))
        for out, v in zip(vectors, (s.e1, e2, s.e3), strict=True):
            out[part] = np.stack(v, axis=-1)
    shape = array.shape[1:]
    return EigenSystem(eigenvalues.reshape(3, *shape), *(v.reshape(*shape, 3) for v in vectors))
