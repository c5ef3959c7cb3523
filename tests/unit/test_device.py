"""Devices: what is chosen, what is refused, and that their primitives agree."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from linumpy_lib import device as devices
from linumpy_lib.device import CORRELATE, Device, get_device, resolve_device
from linumpy_lib.errors import DeviceError


def other_devices():
    return [
        pytest.param("torch", id="torch on the CPU"),
        pytest.param("cuda", marks=pytest.mark.gpu),
        pytest.param("mps", marks=pytest.mark.mps),
    ]


def make(name: str) -> Device:
    if name == "torch":
        pytest.importorskip("torch", reason="the torch extra is not installed")
        return Device.torch("cpu")
    return get_device(name)


def test_cpu_and_names():
    device = get_device("cpu")
    assert device.name == "cpu"
    assert "NumPy" in device.description
    assert resolve_device(device) is device
    assert resolve_device("cpu") is device
    assert get_device("auto").name in {"cpu", "cuda", "mps"}


def test_absent_devices_name_the_remedy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    get_device.cache_clear()
    with pytest.raises(DeviceError, match=r"linumpy-pipeline\[gpu\]"):
        get_device("cuda")
    with pytest.raises(DeviceError, match=r"linumpy-pipeline\[torch\]"):
        get_device("mps")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    with pytest.raises(DeviceError, match="Apple"):
        get_device("mps")
    with pytest.raises(DeviceError, match="'tpu' is unknown"):
        get_device("tpu")
    assert get_device("auto").name == "cpu"
    get_device.cache_clear()


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, linumpy_lib.device, linumpy_lib.anisotropy\n"
        "from linumpy_lib.anisotropy import AnisotropyPlan, anisotropy_block, structure_tensor\n"
        "assert not {'torch', 'cupy', 'numba', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", other_devices())
@pytest.mark.parametrize("mode", ["nearest", "constant"])
def test_correlate1d(name, mode):
    device, cpu = make(name), get_device("cpu")
    array = np.random.default_rng(0).random((6, 7, 8), dtype=np.float32)
    for weights in ([0.25, 0.5, 0.25], [-0.5, 0, 0.5], [1, 2, 3, 4, 5], [2.0], np.hanning(19)):
        for axis in range(3):
            ours = device.to_numpy(device.correlate1d(device.to_device(array), weights, axis, mode))
            assert np.abs(ours - cpu.correlate1d(array, weights, axis, mode)).max() < 1e-5


@pytest.mark.parametrize("name", ["cpu", *other_devices()])
def test_gaussian_filter(name):
    from scipy import ndimage

    device = make(name)
    array = np.random.default_rng(0).random((9, 10, 11), dtype=np.float32)
    for sigma in (1.3, (0.0, 1.0, 2.5)):
        ours = device.to_numpy(device.gaussian_filter(device.to_device(array), sigma))
        assert np.abs(ours - ndimage.gaussian_filter(array, sigma, mode="nearest")).max() < 1e-6
    with pytest.raises(ValueError, match="2 sigmas"):
        device.gaussian_filter(device.to_device(array), (1, 2))
    device.synchronize()


@pytest.mark.parametrize("name", ["cpu", *other_devices()])
def test_a_flat_image_has_no_gradient_at_all(name):
    device = make(name)
    flat = device.to_device(np.full((9, 10, 11), 0.3, np.float32))
    for axis in range(3):
        smooth = device.correlate1d(flat, [0.1, 0.2, 0.4, 0.2, 0.1], axis)
        for other in range(3):
            assert not device.to_numpy(device.correlate1d(smooth, [-0.3, -0.2, 0, 0.2, 0.3], other)).any()


HOST = r"""
#define DEVICE_FUNCTION static inline
@CORRELATE@
extern "C" void run(const float *in, const float *taps, float *out, long long size, long long length, long long inner,
    int radius, int nearest)
{
    for (long long at = 0; at < size; ++at)
        out[at] = correlate_one(in, taps, radius, at, length, inner, nearest != 0);
}
"""


@pytest.fixture(scope="module")
def correlate(tmp_path_factory):
    """Return the CUDA kernel's function, compiled by a host compiler that contracts a*b + c as GPUs do."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler (g++ or clang++) on this machine")
    folder = tmp_path_factory.mktemp("correlate")
    (folder / "kernel.cpp").write_text(HOST.replace("@CORRELATE@", CORRELATE), encoding="ascii")
    command = [
        compiler,
        "-O2",
        "-march=native",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-ffp-contract=fast",
        "-shared",
        "-fPIC",
    ]
    subprocess.run([*command, "-o", str(folder / "kernel.so"), str(folder / "kernel.cpp")], check=True)
    function = ctypes.CDLL(str(folder / "kernel.so")).run

    def call(array: np.ndarray, weights: Any, axis: int, mode: str) -> np.ndarray:
        out, taps = np.full_like(array, np.nan), np.asarray(weights, np.float32)
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (array, taps, out)]
        sizes = [ctypes.c_longlong(int(n)) for n in (array.size, array.shape[axis], np.prod(array.shape[axis + 1 :]))]
        function(*pointers, *sizes, ctypes.c_int(len(taps) // 2), ctypes.c_int(mode == "nearest"))
        return out

    return call


@pytest.mark.parametrize("mode", ["nearest", "constant"])
def test_the_cuda_kernel_on_a_host(correlate, mode):
    array = np.random.default_rng(0).random((6, 7, 8), dtype=np.float32)
    for weights in ([0.25, 0.5, 0.25], [-0.5, 0, 0.5], [1, 2, 3, 4, 5], [2.0], np.hanning(19)):
        for axis in range(3):
            wanted = get_device("cpu").correlate1d(array, weights, axis, mode)
            np.testing.assert_allclose(correlate(array, weights, axis, mode), wanted, rtol=1e-5, atol=1e-5)
    flat = correlate(np.full((9, 9, 9), 0.3, np.float32), [0.11, 0.23, 0.4, 0.23, 0.11], 0, "nearest")
    assert not correlate(flat, [-0.3, -0.2, 0, 0.2, 0.3], 1, "nearest").any()


def test_large_arrays_come_through_pinned_pieces(monkeypatch):
    """With the host's memory in the place of a GPU's."""

    def copy(to: int, source: int, size: int, kind: int, stream: int) -> None:
        assert (kind, stream) == (2, 7)
        ctypes.memmove(to, source, size)

    cuda = SimpleNamespace(
        get_current_stream=lambda: SimpleNamespace(ptr=7),
        alloc_pinned_memory=bytearray,
        Event=lambda: SimpleNamespace(record=lambda stream: None, synchronize=lambda: None),
        runtime=SimpleNamespace(memcpyAsync=copy, memcpyDeviceToHost=2),
    )
    device = object.__new__(devices._CudaDevice)
    device.xp = SimpleNamespace(cuda=cuda, ascontiguousarray=lambda a: a)
    monkeypatch.setattr(devices, "_STAGE_BYTES", 1000)
    monkeypatch.setattr(devices, "_SMALL_COPY", 100)
    for dtype, shape in (("float32", (3, 17, 23)), ("float16", (1, 251)), ("uint8", (1000,)), ("uint8", (2001,))):
        values = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
        array = SimpleNamespace(
            nbytes=values.nbytes, shape=shape, dtype=values.dtype, data=SimpleNamespace(ptr=values.ctypes.data)
        )
        out = np.zeros(shape, dtype)
        assert device.to_numpy(array, out=out) is out
        np.testing.assert_array_equal(out, values)
        np.testing.assert_array_equal(device.to_numpy(array), values)
