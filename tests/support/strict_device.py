"""A stand-in for CUDA on the CPU that refuses what CuPy refuses: host arrays where device arrays belong, and back.

Code written for every device goes wrong on a GPU mostly where it mixes the two kinds, and on NumPy nothing shows it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from linumpy_lib.device import Device

_ENTRANCES = {"asarray", "array", "ascontiguousarray"}


class DeviceArray(np.ndarray):
    """An array that meets only its own kind and scalars."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **options: Any) -> Any:
        _refuse_host_arrays((*inputs, *out), ufunc.__name__)
        plain = tuple(_plain(value) for value in inputs)
        into = {"out": tuple(_plain(value) for value in out)} if out else {}
        return _wrap(getattr(ufunc, method)(*plain, **into, **options)) if not out else _into(ufunc, plain, into, out)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        _refuse_host_arrays((*args, *kwargs.values()), function.__name__)
        return _wrap(function(*_plain_all(args), **{k: _plain(v) for k, v in kwargs.items()}))

    def __setitem__(self, index: Any, value: Any) -> None:
        _refuse_host_arrays((value, *(index if isinstance(index, tuple) else (index,))), "assignment")
        super().__setitem__(index, value)


def _into(ufunc: Any, plain: Any, into: Any, out: Any) -> Any:
    ufunc(*plain, **into)
    return out[0]


def _refuse_host_arrays(values: tuple[Any, ...], where: str) -> None:
    for value in values:
        if type(value) is np.ndarray and value.ndim:
            raise TypeError(f"{where}: a host array among device arrays")


def _plain(value: Any) -> Any:
    if isinstance(value, DeviceArray):
        return value.view(np.ndarray)
    return _plain_all(value) if isinstance(value, list | tuple) else value


def _plain_all(values: Any) -> Any:
    return type(values)(_plain(value) for value in values)


def _wrap(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_wrap(part) for part in value)
    return value.view(DeviceArray) if type(value) is np.ndarray else value


class _Module:
    """NumPy, as far as CuPy has it."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            if name not in _ENTRANCES:
                _refuse_host_arrays((*args, *options.values()), name)
            return _wrap(found(*_plain_all(args), **{k: _plain(v) for k, v in options.items()}))

        return call

    @staticmethod
    def asnumpy(array: Any) -> Any:
        if not isinstance(array, DeviceArray):
            raise TypeError(f"asnumpy: not a device array but {type(array).__name__}")
        return np.array(array.view(np.ndarray))


class StrictDevice(Device):
    """Device whose arrays are `DeviceArray`."""

    name = "cuda"
    description = "stand-in for CUDA on the CPU"

    def __init__(self) -> None:
        self.xp = _Module()

    def to_device(self, array: Any, dtype: Any = np.float32) -> Any:
        return np.array(array, dtype=dtype, order="C").view(DeviceArray)

    def to_numpy(self, array: Any, out: Any = None) -> Any:
        result = self.xp.asnumpy(array)
        if out is None:
            return result
        out[...] = result
        return out

    def correlate1d(self, array: Any, weights: Any, axis: int, mode: Any = "nearest") -> Any:
        from scipy import ndimage

        if not isinstance(array, DeviceArray):
            raise TypeError("correlate1d: not a device array")
        taps = np.asarray(weights, np.float64)
        return ndimage.correlate1d(array.view(np.ndarray), taps, axis=axis, mode=mode).view(DeviceArray)
