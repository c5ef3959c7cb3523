"""The volume that a simulated acquisition looks at: procedural, an array or a stored volume, read region by region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.simulation.brain_phantom import BrainPhantom
from linumpy_lib.simulation.oct_parameters import SimulateOctParameters
from linumpy_lib.simulation.oct_plan import mosaic_extent_um

_SAMPLES = 1_000_000


@dataclass(frozen=True)
class TruthVolume:
    """A 3-D array, its voxel size, and the values that are reflectivity 0 and 1.

    Attributes
    ----------
    array
        Anything with ``shape`` that is read with three slices (z, y, x).
    spacing_um
        Voxel size (z, y, x).
    low, high
        Values of reflectivity 0 and 1; values beyond are clipped.
    name
        What it is called in the truth file.
    """

    array: Any
    spacing_um: tuple[float, float, float]
    low: float
    high: float
    name: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y, x."""
        z, y, x = self.array.shape
        return int(z), int(y), int(x)

    def description(self) -> dict[str, Any]:
        """Say what the truth file keeps of it."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "spacing_um": list(self.spacing_um),
            "low": self.low,
            "high": self.high,
        }

    def reflectivity(self, start: Sequence[int], stop: Sequence[int]) -> npt.NDArray[np.float32]:
        """Read a box as reflectivity 0..1 (float32, C order)."""
        region = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        values = np.asarray(self.array[region], dtype=np.float32)
        if not np.isfinite(values).all():
            raise InputError(f"{self.name}: holds NaN or infinite values; replace them before simulating from it")
        if self.low != 0.0 or self.high != 1.0:
            values = (values - np.float32(self.low)) / np.float32(self.high - self.low)
        return np.ascontiguousarray(np.clip(values, 0, 1), dtype=np.float32)


def _range(array: Any, name: str) -> tuple[float, float]:
    """Percentiles 1 and 99.9 of planes spread over the volume; 0 and 1 where values are reflectivities already."""
    z, y, x = array.shape
    lateral = max(1, round((y * x * min(z, 16) / _SAMPLES) ** 0.5))
    planes = [
        np.asarray(array[int(k) : int(k) + 1, :, :])[:, ::lateral, ::lateral]
        for k in np.unique(np.linspace(0, z - 1, 16).astype(int))
    ]
    values = np.concatenate([plane.ravel() for plane in planes]).astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{name}: holds NaN or infinite values; replace them before simulating from it")
    if np.issubdtype(array.dtype, np.floating) and values.min() >= 0 and 0.2 < values.max() <= 1:
        return 0.0, 1.0
    low, high = np.percentile(values, [1, 99.9])
    if high <= low:
        raise InputError(f"{name}: is the same everywhere, nothing can be simulated from it; give another volume")
    return float(low), float(high)


def truth_volume(truth: Any, parameters: SimulateOctParameters) -> TruthVolume:
    """Make a truth volume of whatever the user gave.

    Parameters
    ----------
    truth : None, array_like or Volume
        None is the procedural phantom, sized to what the acquisition covers.
    parameters : SimulateOctParameters
        Extent of the acquisition, voxel size of the phantom or of an array.

    Raises
    ------
    InputError
        If it is not a 3-D volume of finite, varying values, or its voxel size is unknown.
    """
    if truth is None:
        phantom = BrainPhantom(
            mosaic_extent_um(parameters), parameters.simulate_oct_phantom_um, parameters.simulate_oct_seed
        )
        return TruthVolume(phantom, phantom.spacing_um, 0.0, 1.0, "procedural brain")
    array = getattr(truth, "array", truth)
    name = str(getattr(truth, "path", None) or "truth")
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        array = np.asarray(array)
    if len(array.shape) != 3 or min(array.shape) < 2:
        raise InputError(
            f"{name}: has shape {tuple(array.shape)}; a truth volume has three axes (z, y, x) of two voxels or more"
        )
    given = [float(part) for part in parameters.simulate_oct_truth_spacing_um.split(",") if part]
    spacing = given or getattr(truth, "spacing_um", None)
    if not spacing:
        raise InputError(f"{name}: the voxel size is unknown; give it with --simulate_oct_truth_spacing_um")
    z, y, x = spacing if len(spacing) == 3 else spacing * 3
    low, high = _range(array, name)
    return TruthVolume(array, (float(z), float(y), float(x)), low, high, name)
