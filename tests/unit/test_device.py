"""Devices: what is chosen, what is refused, and that their primitives agree."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from linumpy_lib.device import Device, get_device, resolve_device
from linumpy_lib.errors import DeviceError


def other_devices():
    return [
        pytest.param("torch", id="torch on the CPU"),
        pytest.param("cuda", marks=pytest.mark.gpu),
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
