"""Where arrays live and compute: NumPy/SciPy on the CPU, CuPy on CUDA, torch on Apple's MPS.

This is the only module that imports cupy or torch. A `Device` offers the array module and the few image primitives that
numerical code needs, so that one body of code serves every device. Nothing heavy is imported before a device is asked
for.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import DeviceError
from linumpy_lib.kernel_cache import kernel_cache

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
BorderMode = Literal["nearest", "constant"]

# Arrays from a GPU go through pinned memory in pieces, except small ones.
_STAGE_BYTES = 32 * 2**20
_SMALL_COPY = 4 * 2**20
_COPY_THREADS = 4

# One thread for each element. A host compiler understands the function of one element as well.
CORRELATE = r"""
#ifndef DEVICE_FUNCTION
#define DEVICE_FUNCTION __device__ __forceinline__
#endif

template <typename T> DEVICE_FUNCTION
T correlate_one(const T *in, const T *taps, int radius, long long at, long long length, long long inner, bool nearest)
{
    const long long i = at / inner % length;
    const T *here = in + at;
    T sum = taps[radius] * *here;
    for (int t = 1; t <= radius; ++t) {
        const long long down = i < t ? i : t, up = length - 1 - i < t ? length - 1 - i : t;
        const T low = nearest || down == t ? here[-down * inner] : T(0);
        const T high = nearest || up == t ? here[up * inner] : T(0);
        const T before = taps[radius - t], after = taps[radius + t];
        // mirrored taps first meet each other: a constant image then has a derivative of exactly 0
        if (before == after) sum += (low + high) * after;
        else if (before == -after) sum += (high - low) * after;
        else sum += low * before + high * after;
    }
    return sum;
}
"""

_CORRELATE_KERNEL = r"""
template <typename T> __global__ void correlate(
    const T *in, T *out, const T *taps, int radius, long long size, long long length, long long inner, int nearest)
{
    const long long at = blockDim.x * (long long)blockIdx.x + threadIdx.x;
    if (at < size) out[at] = correlate_one(in, taps, radius, at, length, inner, nearest != 0);
}
"""


@cache
def _correlate_kernel(cupy: Any, double: bool) -> Any:
    name = f"correlate<{'double' if double else 'float'}>"
    module = cupy.RawModule(code=CORRELATE + _CORRELATE_KERNEL, options=("--std=c++17",), name_expressions=(name,))
    return module.get_function(name)


def _filled(out: npt.NDArray[Any], values: npt.ArrayLike) -> npt.NDArray[Any]:
    out[...] = values
    return out


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
    memory_errors : tuple of exception types
        What is raised when the device's memory runs out; `is_shortage` tells it from other errors of that type.
    shortages : int
        How often memory ran out and work went on in smaller pieces, or on the CPU.
    """

    name: str
    description: str
    xp: Any
    has_float64: bool = True
    memory_errors: tuple[type[Exception], ...] = ()
    shortages: int = 0

    @abstractmethod
    def to_device(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Any:
        """Copy a NumPy array to the device in the given floating type."""

    @abstractmethod
    def to_numpy(self, array: Any, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Copy a device array to NumPy, into `out` (same shape and type, C-contiguous) if given."""

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

    def is_shortage(self, error: Exception) -> bool:
        """Tell whether one of `memory_errors` says that the device's memory ran out."""
        return isinstance(error, self.memory_errors)

    def shortage(self) -> None:
        """Note that memory ran out, and give back what is not in use."""
        self.shortages += 1

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

    def to_numpy(self, array: Any, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        return np.asarray(array) if out is None else _filled(out, array)

    def correlate1d(self, array: Any, weights: npt.ArrayLike, axis: int, mode: BorderMode = "nearest") -> Any:
        from scipy import ndimage

        return ndimage.correlate1d(array, np.asarray(weights, np.float64), axis=axis, mode=mode)


class _CudaDevice(Device):
    name = "cuda"

    def __init__(self) -> None:
        # CuPy's own place is below the home folder; a container has none, and CuPy stops where it cannot write
        os.environ.setdefault("CUPY_CACHE_DIR", str(kernel_cache() / "cupy"))
        self.xp = importlib.import_module("cupy")
        properties = self.xp.cuda.runtime.getDeviceProperties(self.xp.cuda.Device().id)
        memory_gib = properties["totalGlobalMem"] / 2**30
        self.memory_errors = (self.xp.cuda.memory.OutOfMemoryError,)
        self.description = f"CUDA ({properties['name'].decode()}, {memory_gib:.0f} GiB, CuPy {self.xp.__version__})"

    def shortage(self) -> None:
        super().shortage()
        self.xp.get_default_memory_pool().free_all_blocks()

    def to_device(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Any:
        # cross the bus in the stored type: an eighth to a half of the floats' bytes
        return self.xp.asarray(np.ascontiguousarray(array)).astype(dtype, copy=False)

    def to_numpy(self, array: Any, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        result: npt.NDArray[Any]
        if array.nbytes < _SMALL_COPY:
            result = self.xp.asnumpy(array)
            return result if out is None else _filled(out, result)
        result = np.empty(array.shape, array.dtype) if out is None else out
        self._fetch(self.xp.ascontiguousarray(array), result)
        return result

    def _fetch(self, array: Any, out: npt.NDArray[Any]) -> None:
        """Copy through two pinned buffers: while one is filled, threads empty the other, which also touch new pages."""
        cuda, stream = self.xp.cuda, self.xp.cuda.get_current_stream()
        total, target = array.nbytes, out.reshape(-1).view(np.uint8)
        pinned = [cuda.alloc_pinned_memory(_STAGE_BYTES) for _ in range(2)]
        stages = [np.frombuffer(memory, np.uint8, _STAGE_BYTES) for memory in pinned]
        events = [cuda.Event() for _ in range(2)]
        starts = range(0, total, _STAGE_BYTES)

        def empty(k: int, pool: ThreadPoolExecutor) -> None:
            events[k % 2].synchronize()
            stop = min(starts[k] + _STAGE_BYTES, total)
            cuts = np.linspace(starts[k], stop, _COPY_THREADS + 1).astype(np.int64)
            list(
                pool.map(
                    lambda a, b: np.copyto(target[a:b], stages[k % 2][a - starts[k] : b - starts[k]]), cuts, cuts[1:]
                )
            )

        with ThreadPoolExecutor(_COPY_THREADS) as pool:
            for k, start in enumerate(starts):
                cuda.runtime.memcpyAsync(
                    stages[k % 2].ctypes.data,
                    array.data.ptr + start,
                    min(_STAGE_BYTES, total - start),
                    cuda.runtime.memcpyDeviceToHost,
                    stream.ptr,
                )
                events[k % 2].record(stream)
                if k:
                    empty(k - 1, pool)
            empty(len(starts) - 1, pool)

    def correlate1d(self, array: Any, weights: npt.ArrayLike, axis: int, mode: BorderMode = "nearest") -> Any:
        cupy = self.xp
        double = array.dtype == np.float64
        array = cupy.ascontiguousarray(array, dtype=np.float64 if double else np.float32)
        result = cupy.empty_like(array)
        taps = np.asarray(weights, array.dtype)
        length, inner = array.shape[axis], int(np.prod(array.shape[axis + 1 :], dtype=np.int64))
        threads = 256
        _correlate_kernel(cupy, double)(
            ((array.size + threads - 1) // threads,),
            (threads,),
            (
                array, result, cupy.asarray(taps), np.int32(len(taps) // 2), np.int64(array.size), np.int64(length),
                np.int64(inner), np.int32(mode == "nearest"),
            ),
        )  # fmt: skip
        return result

    def synchronize(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()


class _TorchDevice(Device):
    name = "mps"
    has_float64 = False

    def __init__(self, hardware: str) -> None:
        self.xp = importlib.import_module("torch")
        self._hardware = hardware
        self.description = f"torch {self.xp.__version__} on {hardware} (float32)"
        # MPS has no type of its own for it
        self.memory_errors = (RuntimeError,)

    def is_shortage(self, error: Exception) -> bool:
        return "out of memory" in str(error)

    def shortage(self) -> None:
        super().shortage()
        if self._hardware == "mps":
            self.xp.mps.empty_cache()

    def to_device(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Any:
        native = np.array(array, dtype=np.float32 if np.dtype(dtype).kind == "f" else dtype, order="C", copy=True)
        return self.xp.from_numpy(native).to(self._hardware)

    def to_numpy(self, array: Any, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        result: npt.NDArray[Any] = array.detach().cpu().numpy()
        return result if out is None else _filled(out, result)

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
