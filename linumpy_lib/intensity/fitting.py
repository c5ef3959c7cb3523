"""From a volume to its bias field: sample the fitting grid, choose the lattice and the backend, fit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from linumpy_lib.blocks import grid as boxes
from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.intensity.bspline import Floats, interpolating_lattice
from linumpy_lib.intensity.field import BiasField, FitGrid
from linumpy_lib.intensity.n4_engines import Engine
from linumpy_lib.intensity.n4_fit import CONVERGENCE, fit_log_bias

if TYPE_CHECKING:
    from linumpy_lib.device import Device

Backend = Literal["cpu", "gpu", "itk", "auto"]
ITERATIONS = (50, 50, 50, 50)
FEWEST_CONTROL_POINTS = 4
MOST_CONTROL_POINTS = 20
READ_BOX = (64, 512, 512)


class NoTissueError(InputError):
    """No voxel of the fitting grid can be fitted."""


class BiasFieldWarning(UserWarning):
    """The field that was fitted is not the one that was asked for, or should be looked at."""


def resolve_backend(backend: str) -> Literal["cpu", "gpu", "itk"]:
    """Return the backend that will run: ``auto`` takes the GPU if CUDA is there, else the CPU.

    Raises
    ------
    ParameterError
        There is no such backend.
    DeviceError
        The GPU was asked for and is absent.
    """
    from linumpy_lib.device import get_device

    if backend not in get_args(Backend):
        raise ParameterError(
            f"parameter 'backend': {backend!r} is not allowed: use one of {', '.join(get_args(Backend))}"
        )
    if backend == "auto":
        return "gpu" if get_device("auto").name == "cuda" else "cpu"
    if backend == "gpu":
        get_device("cuda")
        return "gpu"
    return "itk" if backend == "itk" else "cpu"


def choose_control_points(
    shape: Sequence[int],
    spline_distance_mm: float,
    voxel_size_mm: Sequence[float],
    most: int | None = MOST_CONTROL_POINTS,
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return the control points per axis (z, y, x) that are used, and those that the spline distance asks for.

    Raises
    ------
    ParameterError
        A length is not positive and finite, or the limit is below 4.
    """
    for name, lengths in (("spline_distance_mm", (spline_distance_mm,)), ("voxel_size_mm", tuple(voxel_size_mm))):
        if not all(0 < float(v) < math.inf for v in lengths) or (name == "voxel_size_mm" and len(lengths) != 3):
            given = spline_distance_mm if name == "spline_distance_mm" else tuple(voxel_size_mm)
            wanted = "a length above 0" if name == "spline_distance_mm" else "three lengths (z, y, x) above 0"
            raise ParameterError(f"parameter '{name}': {given} is not allowed: give {wanted} in millimetres")
    if most is not None and most < FEWEST_CONTROL_POINTS:
        raise ParameterError(f"parameter 'max_control_points': {most} is not allowed: give 4 or more")
    extents = [n * float(size) for n, size in zip(shape, voxel_size_mm, strict=True)]
    asked = [max(FEWEST_CONTROL_POINTS, round(extent / spline_distance_mm)) for extent in extents]
    used = asked if most is None else [min(most, n) for n in asked]
    return (used[0], used[1], used[2]), (asked[0], asked[1], asked[2])


def take_nodes(vol: Any, grid: FitGrid) -> npt.NDArray[Any]:
    """Return the voxels of a grid; a volume that is not in memory is read box by box."""
    if isinstance(vol, np.ndarray):
        return vol[grid.nodes_of((0, 0, 0), vol.shape)[0]]
    found: npt.NDArray[Any] | None = None
    for region in boxes(grid.shape, READ_BOX):
        inner, nodes = grid.nodes_of([box.start for box in region], [box.stop - box.start for box in region])
        if any(box.start >= box.stop for box in nodes):
            continue
        values = np.asarray(vol[region])[inner]
        if found is None:
            found = np.empty(grid.nodes, values.dtype)
        found[nodes] = values
    assert found is not None, "every grid has a node"
    return found


def sample(vol: Any, mask: Any | None, grid: FitGrid) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the voxels of the fitting grid and which of them can be fitted: masked, finite and above 0."""
    values = np.array(take_nodes(vol, grid), np.float32)
    inside = np.isfinite(values) & (values > 0)
    if mask is not None:
        inside &= take_nodes(mask, grid) != 0
    return values, inside


def _spread(log_values: npt.NDArray[Any]) -> float:
    return float(np.std(log_values, dtype=np.float64))


def fit_bias_field(
    vol: Any,
    mask: Any | None = None,
    *,
    shrink_factor: int | Sequence[int] = 4,
    n_iterations: Sequence[int] | None = None,
    spline_distance_mm: float = 10.0,
    voxel_size_mm: Sequence[float] = (1.0, 1.0, 1.0),
    backend: str = "cpu",
    max_control_points: int | None = MOST_CONTROL_POINTS,
    convergence: float = CONVERGENCE,
    threads: int = 1,
) -> BiasField:
    """Fit a bias field; only the fitting grid is held in memory.

    Parameters
    ----------
    vol, mask : array_like, shape (z, y, x)
        Volume and tissue mask (None: everything); also lazy arrays that are read in boxes. Voxels that are not finite
        and above 0 are left out of the fit.
    shrink_factor : int or sequence of int
        Voxels from one node of the fitting grid to the next, for all axes or for z, y, x.
    n_iterations : sequence of int, optional
        Most iterations of each level; default four levels of 50.
    spline_distance_mm : float
        Distance between control points of the first level; each axis has at least 4.
    voxel_size_mm : sequence of float
        Voxel size (z, y, x).
    backend : {'cpu', 'gpu', 'itk', 'auto'}
        What fits.
    max_control_points : int, optional
        Most control points per axis; more would let the field follow the tissue. None lifts the limit.
    convergence : float
        A level ends when the coefficient of variation of its update falls to this.
    threads : int
        Threads of the CPU backends; ours gives the same result with any number.

    Returns
    -------
    BiasField
        The field, with what is left of the log intensities' spread as its `residual`.

    Raises
    ------
    InputError
        The shapes do not fit, or no voxel can be fitted.
    ParameterError
        A parameter is out of range.
    DeviceError
        The backend is absent.

    Warns
    -----
    BiasFieldWarning
        The control points were limited, or follow from so short a distance that the field can follow the tissue.
    """
    if len(vol.shape) != 3 or 0 in vol.shape:
        raise InputError(f"volume of shape {tuple(vol.shape)}: a bias field needs three axes (z, y, x) of at least 1")
    if mask is not None and tuple(mask.shape) != tuple(vol.shape):
        raise InputError(f"mask of shape {tuple(mask.shape)}: it must have the volume's shape {tuple(vol.shape)}")
    factors = [shrink_factor] * 3 if isinstance(shrink_factor, int | np.integer) else list(shrink_factor)
    if len(factors) != 3 or min(factors) < 1:
        raise ParameterError(f"parameter 'shrink_factor': {shrink_factor} is not allowed: give 1 or more")
    iterations = [int(n) for n in (ITERATIONS if n_iterations is None else n_iterations)]
    if not iterations or min(iterations) < 1:
        raise ParameterError(f"parameter 'n_iterations': {iterations} is not allowed: give 1 or more for each level")
    from linumpy_lib.device import get_device
    from linumpy_lib.device_memory import or_on_cpu

    used, asked = choose_control_points(vol.shape, spline_distance_mm, voxel_size_mm, max_control_points)
    chosen = resolve_backend(backend)

    grid = FitGrid.of(vol.shape, [int(n) for n in factors])
    values, inside = sample(vol, mask, grid)
    if not inside.any():
        raise NoTissueError(
            "bias field: no voxel of the fitting grid is tissue with an intensity above 0; check the mask, or give a "
            "smaller shrink_factor"
        )
    if chosen == "itk":
        from linumpy_lib.intensity.n4_itk import itk_log_bias

        log_bias = itk_log_bias(values, inside, used, iterations, convergence=convergence, threads=threads)
        logs = np.log(values[inside])
        residual = _spread(logs - log_bias[inside]) / (_spread(logs) or 1.0)
        mean_log = float(log_bias[inside].mean(dtype=np.float64))
        field = BiasField(interpolating_lattice(log_bias), grid, (), used, residual, mean_log)
    else:
        np.log(values, out=values, where=inside)
        values[~inside] = 0

        def fit(device: Device) -> tuple[Any, ...]:
            engine = _engine(device, values, inside, threads)
            try:
                start = engine.moments()
                return (
                    *start,
                    *fit_log_bias(engine, grid.nodes, used, iterations, convergence=convergence),
                    *engine.moments(),
                )
            finally:
                engine.close()

        mean_before, before, lattice, levels, mean_after, after = or_on_cpu(
            get_device("cuda" if chosen == "gpu" else "cpu"), fit
        )
        residual = after / (before or 1.0)
        field = BiasField(lattice, grid, levels, used, residual, mean_before - mean_after)
    if used != asked:
        warnings.warn(
            f"bias field: spline_distance_mm={spline_distance_mm:g} asks for {'x'.join(map(str, asked))} control "
            f"points (z, y, x), whose field would follow the tissue; limited to {'x'.join(map(str, used))} by "
            f"max_control_points. The corrected log intensities keep {residual:.0%} of their spread",
            BiasFieldWarning,
            stacklevel=2,
        )
    return field


def _engine(device: Device, values: Floats, inside: npt.NDArray[np.bool_], threads: int) -> Engine:
    from linumpy_lib.intensity.n4_engines import array_engine, compiled_engine

    return compiled_engine(values, inside, threads) if device.name == "cpu" else array_engine(values, inside, device.xp)
