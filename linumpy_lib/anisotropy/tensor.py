"""The structure tensor: smoothed products of the image gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.anisotropy.filters import AxisTaps, axis_taps
from linumpy_lib.device import Device, resolve_device
from linumpy_lib.errors import InputError

COMPONENTS = ("zz", "yy", "xx", "zy", "zx", "yx")
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def check_volume(volume: Any, name: str = "volume") -> npt.NDArray[Any]:
    """Return the volume as an array, or say what is wrong with it."""
    array = np.asarray(volume)
    if array.dtype.kind == "c":
        raise InputError(f"{name}: complex values ({array.dtype}); take the magnitude or one part first")
    if array.dtype.kind == "b":
        raise InputError(f"{name}: boolean; a mask has no gradients worth measuring, give the intensities")
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name}: values of type {array.dtype}; give integers or floats")
    if array.ndim != 3:
        raise InputError(f"{name}: {array.ndim} axes (shape {array.shape}); give one 3-D volume (z, y, x)")
    if 0 in array.shape:
        raise InputError(f"{name}: empty (shape {array.shape}); every axis needs at least one voxel")
    return array


def tensor_components(device: Device, image: Any, taps: Sequence[AxisTaps]) -> list[Any]:
    """Six smoothed gradient products (zz, yy, xx, zy, zx, yx) of a device array."""

    def derivative(along: int) -> Any:
        result = image
        for axis in range(3):
            result = device.correlate1d(result, taps[axis].odd if axis == along else taps[axis].even, axis)
        return result

    gradient = [derivative(axis) for axis in range(3)]
    components = []
    for i, j in _PAIRS:
        product = gradient[i] * gradient[j]
        for axis in range(3):
            product = device.correlate1d(product, taps[axis].window, axis)
        components.append(product)
    return components


def structure_tensor(
    volume: npt.ArrayLike,
    sigma: float | Sequence[float] = 1.0,
    rho: float | Sequence[float] = 2.0,
    *,
    spacing_um: float | Sequence[float] | None = None,
    gradient: str = "gaussian",
    units: str = "voxel",
    truncate: float = 4.0,
    dtype: npt.DTypeLike = np.float32,
    device: Device | str = "auto",
) -> npt.NDArray[np.floating]:
    """Structure tensor of a 3-D image.

    Parameters
    ----------
    volume : array_like, (Z, Y, X)
        Integers or floats, used as given (no scaling by the type's range).
    sigma : float or three floats
        Standard deviation of the Gaussian derivative, per axis z, y, x. Not used with ``gradient="sobel"``.
    rho : float or three floats
        Standard deviation of the tensor window.
    spacing_um : float or three floats, optional
        Voxel size. When given, gradients are per micrometre; without it directions tilt on anisotropic voxels.
    gradient : {"gaussian", "sobel"}
        ``sobel`` has unit gain on a ramp; scikit-image's has gain 32, so its eigenvalues are 1024 times ours.
    units : {"voxel", "um"}
        Unit of sigma and rho.
    truncate : float
        Filter radius in standard deviations, ``int(truncate * sigma + 0.5)``.
    dtype : {float32, float64}
        Type to compute and return (float32 where the device has no float64).
    device : Device or str
        Where to compute.

    Returns
    -------
    ndarray, (6, Z, Y, X)
        Components zz, yy, xx, zy, zx, yx. A ramp of slope 1 along z gives zz = 1 inside (to the sampling of the
        derivative).

    Raises
    ------
    InputError, ParameterError, DeviceError
        Not a real 3-D volume, NaN or infinities in it, a parameter out of range, or a device that is absent.

    Notes
    -----
    Outside the volume the image counts as its nearest voxel for the gradient, and the gradient products count as theirs
    for the window: the result of two `scipy.ndimage` passes with ``mode="nearest"``.

    References
    ----------
    J. Bigun, G. Granlund, ICCV (1987) 433. W. Foerstner, E. Guelch, Proc. ISPRS (1987) 281.
    """
    array = check_volume(volume)
    taps = axis_taps(sigma, rho, spacing_um=spacing_um, gradient=gradient, units=units, truncate=truncate)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(
            "volume: it holds NaN or infinities; replace them, or use compute_anisotropy, which masks them"
        )
    target = resolve_device(device)
    wanted = np.dtype(dtype)
    if wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise InputError(f"dtype: {wanted}; use float32 or float64")
    components = tensor_components(target, target.to_device(array, wanted), taps)
    return np.stack([target.to_numpy(c) for c in components])
