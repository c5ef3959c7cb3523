"""Bias field correction of serial-section volumes: tissue mask, N4, division by the field.

A typical two-pass correction::

    mask = compute_tissue_mask(vol, n_serial_slices=50)
    per_section, _ = n4_correct_per_section(vol, 50, mask, n_processes=8, spline_distance_mm=2.0)
    corrected, _ = n4_correct(per_section, mask)
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.intensity.bspline import Floats
from linumpy_lib.intensity.field import FLOOR, BiasField
from linumpy_lib.intensity.fitting import BiasFieldWarning, NoTissueError, fit_bias_field, resolve_backend
from linumpy_lib.intensity.sections import section_bounds
from linumpy_lib.intensity.tissue_mask import compute_tissue_mask
from linumpy_lib.threads import available_threads

__all__ = [
    "BiasField",
    "BiasFieldWarning",
    "apply_bias_field",
    "compute_tissue_mask",
    "fit_bias_field",
    "n4_correct",
    "n4_correct_per_section",
    "section_bounds",
]


def _threads(asked: int) -> int:
    return asked or available_threads()


def _destination(name: str, array: npt.NDArray[Any] | None, shape: tuple[int, ...]) -> Floats:
    if array is None:
        return np.empty(shape, np.float32)
    if array.shape != shape or array.dtype != np.float32:
        raise InputError(
            f"'{name}' has shape {array.shape} and type {array.dtype}: it must be float32 of the volume's shape {shape}"
        )
    return array


def _as_volume(vol: npt.ArrayLike) -> npt.NDArray[Any]:
    array = np.asarray(vol)
    if array.dtype.kind not in "uif":
        raise InputError(f"volume of type {array.dtype}: give real numbers")
    return array


def n4_correct(
    vol: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    *,
    shrink_factor: int = 4,
    n_iterations: Sequence[int] | None = None,
    spline_distance_mm: float = 10.0,
    voxel_size_mm: Sequence[float] = (1.0, 1.0, 1.0),
    backend: str = "cpu",
    out: Floats | None = None,
    bias_out: Floats | None = None,
    max_control_points: int | None = 20,
    threads: int = 0,
) -> tuple[Floats, Floats]:
    """Correct the bias field of a volume with N4.

    The field is fitted to every `shrink_factor`-th voxel and evaluated from its B-splines at every voxel.

    Parameters
    ----------
    vol : array_like, shape (z, y, x)
        Intensities of any real type. Voxels that are not finite and above 0 are left out of the fit, and divided like
        all others: NaN stays NaN, 0 stays 0.
    mask : array_like, optional
        Tissue, non-zero; None fits the whole volume. The field continues smoothly outside.
    shrink_factor : int
        Voxels from one node of the fitting grid to the next; a short axis gets a smaller factor.
    n_iterations : sequence of int, optional
        Most iterations of each level; their number is the number of levels. Default ``[50, 50, 50, 50]``.
    spline_distance_mm : float
        Distance between control points at the first level, halved at each further one; every axis has at least 4
        control points, however long the distance.
    voxel_size_mm : sequence of float
        Voxel size (z, y, x) in millimetres.
    backend : {'cpu', 'gpu', 'itk', 'auto'}
        What fits: ``cpu``: compiled loops; ``gpu``: CuPy; ``itk``: SimpleITK; ``auto``: the GPU if there is one, else
        the CPU. The division takes less than the way to a GPU and back, and is the CPU's with all of them.
    out, bias_out : ndarray of float32, optional
        Receive the results; `out` may be `vol` itself.
    max_control_points : int, optional
        Most control points per axis at the first level, against fields that follow the tissue; None lifts the limit.
    threads : int
        Threads of the CPU backends; 0 takes all cores. Ours gives the same result with any number.

    Returns
    -------
    corrected, bias : ndarray of float32, shape (z, y, x)
        The volume divided by the field, and the field (around 1).

    Raises
    ------
    InputError
        Shapes or types do not fit, or no voxel can be fitted.
    ParameterError
        A parameter is out of range.
    DeviceError
        The backend is absent.

    Warns
    -----
    BiasFieldWarning
        The control points were limited.

    References
    ----------
    Tustison, N. J. et al. (2010), IEEE Trans. Med. Imaging 29(6), 1310-1320.
    """
    volume = _as_volume(vol)
    chosen = resolve_backend(backend)
    corrected = _destination("out", out, volume.shape)
    bias = _destination("bias_out", bias_out, volume.shape)
    field = fit_bias_field(
        volume,
        None if mask is None else np.asarray(mask),
        shrink_factor=shrink_factor,
        n_iterations=n_iterations,
        spline_distance_mm=spline_distance_mm,
        voxel_size_mm=voxel_size_mm,
        backend=chosen,
        max_control_points=max_control_points,
        threads=_threads(threads),
    )
    field.correct(volume, out=corrected, bias_out=bias, threads=_threads(threads))
    return corrected, bias


def apply_bias_field(
    vol: npt.ArrayLike, bias_field: npt.ArrayLike, floor: float = FLOOR, *, out: Floats | None = None
) -> Floats:
    """Divide a volume by a bias field.

    Parameters
    ----------
    vol : array_like
        Intensities of any real type and shape.
    bias_field : array_like
        Multiplicative field of the same shape.
    floor : float
        Smallest divisor.
    out : ndarray of float32, optional
        Receives the result; may be `vol` itself.

    Returns
    -------
    ndarray of float32
        ``vol / max(bias_field, floor)``.

    Raises
    ------
    InputError
        The shapes differ.
    """
    volume, bias = np.asarray(vol), np.asarray(bias_field)
    if volume.shape != bias.shape:
        raise InputError(f"bias field of shape {bias.shape}: it must have the volume's shape {volume.shape}")
    result = _destination("out", out, volume.shape)
    # plane by plane, so that no second volume is made for the divisor
    for index in range(volume.shape[0]) if volume.ndim else [...]:
        divisor = np.maximum(bias[index], np.float32(floor), dtype=np.float32)
        np.divide(volume[index].astype(np.float32), divisor, out=result[index, ...])
    return result


def n4_correct_per_section(
    vol: npt.ArrayLike,
    n_serial_slices: int,
    mask: npt.ArrayLike | None = None,
    *,
    n_processes: int = 1,
    section_boundaries: Sequence[int] | None = None,
    out: Floats | None = None,
    bias_out: Floats | None = None,
    **kwargs: Any,
) -> tuple[Floats, Floats]:
    """Correct each serial section with a bias field of its own.

    Parameters
    ----------
    vol : array_like, shape (z, y, x)
        Intensities.
    n_serial_slices : int
        Number of equally thick sections along z.
    mask : array_like, optional
        Tissue. A section without any tissue keeps its values and gets a field of 1, with a warning.
    n_processes : int
        Sections that are worked on at the same time (threads of one process); on a GPU they follow one another.
    section_boundaries : sequence of int, optional
        First plane of each section, instead of equal thickness.
    out, bias_out : ndarray of float32, optional
        Receive the results; `out` may be `vol` itself.
    **kwargs
        Passed to :func:`n4_correct`.

    Returns
    -------
    corrected, bias : ndarray of float32, shape (z, y, x)

    Raises
    ------
    ParameterError
        There are more sections than planes, or another parameter is out of range.

    See Also
    --------
    n4_correct : errors and warnings of one section.
    """
    volume = _as_volume(vol)
    if volume.ndim != 3:
        raise InputError(f"volume of shape {volume.shape}: a bias field needs three axes (z, y, x)")
    tissue = None if mask is None else np.asarray(mask)
    if n_processes < 1:
        raise ParameterError(f"parameter 'n_processes': {n_processes} is not allowed: give 1 or more")
    chosen = resolve_backend(kwargs.pop("backend", "cpu"))
    bounds = section_bounds(volume.shape[0], n_serial_slices, section_boundaries)
    corrected = _destination("out", out, volume.shape)
    bias = _destination("bias_out", bias_out, volume.shape)
    workers = 1 if chosen == "gpu" else min(n_processes, len(bounds))
    if workers > 1:
        kwargs = {"threads": 1, **kwargs}

    def one(bound: tuple[int, int]) -> None:
        part = slice(*bound)
        inside = None if tissue is None else tissue[part]
        # a view of the volume: in place, the division then sees one array
        source = corrected[part] if corrected is volume else volume[part]
        try:
            n4_correct(source, inside, backend=chosen, out=corrected[part], bias_out=bias[part], **kwargs)
        except NoTissueError:
            warnings.warn(
                f"bias field: planes {bound[0]} to {bound[1] - 1} hold no tissue; they are left as they are",
                BiasFieldWarning,
                stacklevel=3,
            )
            corrected[part], bias[part] = source, 1

    if workers == 1:
        for bound in bounds:
            one(bound)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(one, bounds))
    return corrected, bias
