"""Anisotropy of a volume in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.anisotropy.block import anisotropy_block
from linumpy_lib.anisotropy.measures import AnisotropyMeasures
from linumpy_lib.anisotropy.plan import MEASURES, AnisotropyPlan
from linumpy_lib.anisotropy.tensor import check_volume
from linumpy_lib.device import Device, resolve_device
from linumpy_lib.errors import InputError
from linumpy_lib.threads import available_threads

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Anisotropy(AnisotropyMeasures):
    """Maps of a volume (see `AnisotropyMeasures`); all are 0 outside `mask`.

    Attributes
    ----------
    eigenvalues : ndarray, (3, Z, Y, X)
        float32, descending.
    principal_dir, fibre_dir : ndarray, (Z, Y, X, 3)
        e1 (across a sheet or edge) and e3 (along a fibre), components in z, y, x order.
    mask : ndarray of bool, (Z, Y, X)
        Finite foreground with a gradient in reach.
    nonfinite : int
        NaN and infinite voxels, treated as background.
    """

    eigenvalues: FloatArray
    principal_dir: FloatArray
    fibre_dir: FloatArray
    mask: npt.NDArray[np.bool_]
    nonfinite: int

    @property
    def normal(self) -> FloatArray:
        """`principal_dir` under the name of what it is to a sheet."""
        return self.principal_dir

    @property
    def fibre(self) -> FloatArray:
        """`fibre_dir` under a shorter name."""
        return self.fibre_dir


def scale_exponent(array: npt.NDArray[Any]) -> int:
    """Power of two that brings data of extreme range to order 1, as their squares must fit float32; else 0."""
    if array.dtype.kind != "f":
        return 0
    with np.errstate(invalid="ignore"):
        largest = float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))
    if largest == 0.0 or 1e-12 < largest < 1e12:
        return 0
    return -math.frexp(largest)[1]


def compute_anisotropy(
    volume: npt.ArrayLike,
    sigma: float | Sequence[float] = 1.0,
    rho: float | Sequence[float] = 2.0,
    *,
    spacing_um: float | Sequence[float] | None = None,
    gradient: str = "gaussian",
    normalization: str = "lambda1",
    mask: npt.ArrayLike | None = None,
    device: Device | str = "auto",
    units: str = "voxel",
    threads: int | None = None,
) -> Anisotropy:
    """Structure-tensor anisotropy of a 3-D image.

    Parameters
    ----------
    volume : array_like, (Z, Y, X)
        uint8, uint16, int16, float16, float32, float64 or other real numbers. NaN and infinities count as background.
    sigma, rho : float or three floats
        Gradient scale and tensor window (standard deviations, z y x).
    spacing_um : float or three floats, optional
        Voxel size; directions are then right in physical space and eigenvalues per square micrometre.
    gradient : {"gaussian", "sobel"}
        See `structure_tensor`.
    normalization : {"lambda1", "trace", "seed"}
        See `anisotropy_measures`.
    mask : array_like, (Z, Y, X), optional
        Voxels to compute; the tensors are smoothed unmasked, so the mask makes no false edges.
    device : Device or {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    units : {"voxel", "um"}
        Unit of sigma and rho.
    threads : int, optional
        Threads of the CPU (default: all this process may use); the result does not depend on it.

    Returns
    -------
    Anisotropy
        fa, cl, cp, cs, cp_norm, lambda2_ratio (Z, Y, X); eigenvalues (3, Z, Y, X); principal_dir, fibre_dir (Z, Y, X,
        3); mask. Computed and returned in float32.

    Raises
    ------
    InputError, ParameterError, DeviceError
        Not a real 3-D volume, a mask of another shape, a parameter out of range, or a device that is absent.

    Examples
    --------
    >>> import numpy as np
    >>> from linumpy_lib.anisotropy import compute_anisotropy
    >>> planes = np.broadcast_to(np.sin(np.arange(32.0) / 2)[:, None, None], (32, 32, 32))
    >>> maps = compute_anisotropy(planes, device="cpu")
    >>> maps.principal_dir[16, 16, 16].round(3).tolist()
    [1.0, 0.0, 0.0]
    >>> float(maps.sheetness[16, 16, 16].round(3))
    1.0
    """
    array = check_volume(volume)
    chosen = None if mask is None else np.asarray(mask)
    if chosen is not None and chosen.shape != array.shape:
        raise InputError(f"mask: shape {chosen.shape} does not match the volume {array.shape}")
    plan = AnisotropyPlan(
        sigma=sigma,  # type: ignore[arg-type]
        rho=rho,  # type: ignore[arg-type]
        spacing_um=spacing_um,  # type: ignore[arg-type]
        gradient=gradient,
        units=units,
        normalization=normalization,
        outputs=frozenset({"measures", "principal_dir", "fibre_dir", "eigenvalues"}),
        dtype="float32",
        scale_exponent=scale_exponent(array),
    )
    whole = (slice(None), slice(None), slice(None))
    count = available_threads() if threads is None else threads
    block = anisotropy_block(array, whole, plan, threads=count or 1, mask=chosen, device=resolve_device(device))
    assert block.measures is not None  # the plan asks for every output
    assert block.principal_dir is not None
    assert block.fibre_dir is not None
    assert block.eigenvalues is not None
    measures = dict(zip(MEASURES, block.measures, strict=True))
    return Anisotropy(
        **measures,
        eigenvalues=block.eigenvalues,
        principal_dir=np.moveaxis(block.principal_dir, 0, -1),
        fibre_dir=np.moveaxis(block.fibre_dir, 0, -1),
        mask=block.mask.view(np.bool_),
        nonfinite=block.nonfinite,
    )
