"""Where arrays live and compute: NumPy/SciPy on the CPU, CuPy on CUDA, torch on Apple's MPS.

This is the only module that imports cupy or torch. A `Device` offers the array module and the few image primitives that
numerical code needs, so that one body of code serves every device. Nothing heavy is imported before a device is asked
for.
"""

from __future__ import annotations

import importlib
import importlib.util
import platform
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import DeviceError

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
BorderMode = Literal["nearest", "constant"]


class Device(ABC):
    """An array module and image primitives on one piece of hardware.

    Attributes
    ----------
    name : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    description : str
        One line for people: what computes.
    xp : module
        Array module (numpy, cupy or torch). Portable code uses what the three share: arithmetic, comparisons,
        ``where``, ``sqrt``, ``abs``, ``maximum``, ``minimum``, ``clip``, ``stack``, ``zeros_like``, ``isfinite``.
    has_float64 : bool
        Whether double precision exists; without it float64 input is computed in float32.
    """

    name: str
    description: str
    xp: Any
    has_float64: bool = True

    @abstractmethod
    def to_device(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Any:
        """Copy a NumPy array to the device in the given floating type."""

    @abstractmethod
    def to_numpy(self, array: Any) -> npt.NDArray[Any]:
        """Copy a device array to NumPy."""

    @abstractmethod
    def correlate1d(self, array: Any, weights: npt.ArrayLike, axis: int, mode: BorderMode = "nearest") -> Any:
        """Correlate along one axis with an odd number of weights.

        Parameters
        ----------
        array : device array
            Any shape; the result has the same shape and type.
        weights : array_like
            Taps, centre in the middle: ``out[i] = sum(weights[k] * array[i + k - len(weights)//2])``.
        axis : int
            Axis to filter.
        mode : {"nearest", "constant"}
            Outside the array: its nearest element, or 0.
        """

    def gaussian_filter(
        self, array: Any, sigma: float | Sequence[float], truncate: float = 4.0, mode: BorderMode = "nearest"
    ) -> Any:
        """Smooth with a Gaussian; `sigma` in samples (0 leaves an axis alone), radius ``int(truncate*sigma + 0.5)``."""
        sigmas = [float(sigma)] * array.ndim if isinstance(sigma, int | float) else [float(s) for s in sigma]
        if len(sigmas) != array.ndim:
            raise ValueError(f"{len(sigmas)} sigmas for an array of {array.ndim} axes")
        for axis, s in enumerate(sigmas):
            radius = int(truncate * s + 0.5)
            if radius:
                offsets = np.arange(-radius, radius + 1)
                weights = np.exp(-0.5 * (offsets / s) ** 2)
                array = self.correlate1d(array, weights / weights.sum(), axis, mode)
        return array

    def synchronize(self) -> None:  # noqa: B027  (only asynchronous devices have something to wait for)
        """Wait until everything asked for has been computed."""

    @staticmethod
    def torch(hardware: str = "cpu") -> Device:
        """Torch on any of its own devices, for tests that exercise the MPS code where there is no Apple GPU.

        `get_device` never returns it for ``"cpu"``: NumPy and Numba are the CPU's body.
        """
        return _TorchDevice(hardware)


class _CpuDevice(Device):
    name = "cpu"
    xp = np

    def __init__(self) -> None:
        self.description = f"CPU ({platform.machine() or 'unknown'}, NumPy {np.__version__})"

    def to_device(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Any:
        return np.asarray(array, dtype=dtype)

    def to_numpy(self, array: Any) -> npt.NDArray[Any]:
        return np.asarray(array)

    def correlate1d(self, array: Any, weights: npt.ArrayLike, axis: int, mode: BorderMode = "nearest") -> Any:
        from scipy import ndimage

        return ndimage.correlate1d(array, np.asarray(weights, np.float64), axis=axis, mode=mode)


class _CudaDevice(Device):
    name = "cuda"

    def __init__(self) -> None:
        self.xp = importlib.import_module("cupy")
        properties = self.xp.cuda.runtime.getDeviceProperties(self.xp.cuda.Device().id)
        memory_gib = properties["totalGlobalMem"] / 2**30
        self.description = f"CUDA ({properties['name'].decode()}, {memory_gib:.0f} GiB, CuPy {self.xp.__version__})"

    def to_device(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Any:
        # cross the bus in the stored type: an eighth to a half of the floats' bytes
        return self.xp.asarray(np.ascontiguousarray(array)).astype(dtype, copy=False)

    def to_numpy(self, array: Any) -> npt.NDArray[Any]:
        result: npt.NDArray[Any] = self.xp.asnumpy(array)
        return result

    def correlate1d(self, array: Any, weights: npt.ArrayLike, axis: int, mode: BorderMode = "nearest") -> Any:
        ndimage = importlib.import_module("cupyx.scipy.ndimage")
        taps = self.xp.asarray(np.asarray(weights), dtype=array.dtype)
        return ndimage.correlate1d(array, taps, axis=axis, mode=mode)

    def synchronize(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()


class _TorchDevice(Device):
    name = "mps"
    has_float64 = False

    def __init__(self, hardware: str) -> None:
        self.xp = importlib.import_module("torch")
        self._hardware = hardware
        self.description = f"torch {self.xp.__version__} on {hardware} (float32)"

    def to_device(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Any:
        native = np.array(array, dtype=np.float32 if np.dtype(dtype).kind == "f" else dtype, order="C", copy=True)
        return self.xp.from_numpy(native).to(self._hardware)

    def to_numpy(self, array: Any) -> npt.NDArray[Any]:
        result: npt.NDArray[Any] = array.detach().cpu().numpy()
        return result

    def correlate1d(self, array: Any, weights: npt.ArrayLike, axis: int, mode: BorderMode = "nearest") -> Any:
        taps = [float(w) for w in np.asarray(weights)]
        radius, size = len(taps) // 2, array.shape[axis]
        padded = self._pad(array, radius, axis, mode)
        result = padded.narrow(axis, radius, size) * taps[radius]
        # mirrored taps first meet each other: a constant image then has a derivative of exactly 0
        for t in range(1, radius + 1):
            low, high = padded.narrow(axis, radius - t, size), padded.narrow(axis, radius + t, size)
            if taps[radius - t] == taps[radius + t]:
                result = result + (low + high) * taps[radius + t]
            elif taps[radius - t] == -taps[radius + t]:
                result = result + (high - low) * taps[radius + t]
            else:
                result = result + low * taps[radius - t] + high * taps[radius + t]
        return result

    def _pad(self, array: Any, radius: int, axis: int, mode: BorderMode) -> Any:
        if mode == "constant":
            shape = list(array.shape)
            shape[axis] = radius
            edge = self.xp.zeros(shape, dtype=array.dtype, device=array.device)
            return self.xp.cat([edge, array, edge], dim=axis)
        size = array.shape[axis]
        index = self.xp.arange(-radius, size + radius, device=array.device).clamp(0, size - 1)
        return array.index_select(axis, index)

    def synchronize(self) -> None:
        if self._hardware == "mps":
            self.xp.mps.synchronize()


def _cuda_problem() -> str | None:
    """Why CUDA cannot be used; None if it can."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed; install the extra: pip install 'linumpy-pipeline[gpu]'"
    cupy = importlib.import_module("cupy")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no usable NVIDIA driver ({error}); check nvidia-smi, or use --device cpu"
    return None if count else "no NVIDIA GPU is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu"


def _mps_problem() -> str | None:
    """Why MPS cannot be used; None if it can."""
    if platform.system() != "Darwin":
        return "MPS exists on Apple computers only; use --device cpu or --device cuda"
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed; install the extra: pip install 'linumpy-pipeline[torch]'"
    if not importlib.import_module("torch").backends.mps.is_available():
        return "this Mac or this torch build has no MPS; use --device cpu"
    return None


@cache
def get_device(name: DeviceName | str = "auto") -> Device:
    """Return a computing device.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda", "mps"}
        ``auto`` takes CUDA if there is one, else MPS, else the CPU. Any other name means that device or an error.

    Returns
    -------
    Device
        Its `description` belongs in the log, the metrics and the report.

    Raises
    ------
    DeviceError
        The device is unknown, absent, or its library is not installed; the text says what to do.
    """
    if name not in get_args(DeviceName):
        raise DeviceError(f"device: '{name}' is unknown; use one of {', '.join(get_args(DeviceName))}")
    if name == "auto":
        if _cuda_problem() is None:
            return _CudaDevice()
        return _TorchDevice("mps") if _mps_problem() is None else _CpuDevice()
    if name == "cpu":
        return _CpuDevice()
    problem = _cuda_problem() if name == "cuda" else _mps_problem()
    if problem is not None:
        raise DeviceError(f"device: {name} was asked for but {problem}")
    return _CudaDevice() if name == "cuda" else _TorchDevice("mps")


def resolve_device(device: Device | DeviceName | str) -> Device:
    """Accept a `Device` or its name."""
    return device if isinstance(device, Device) else get_device(device)
