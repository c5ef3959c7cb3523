"""Devices for parity tests: a stand-in that every machine has, and the real one where there is one."""

from __future__ import annotations

import pytest
from support.strict_device import StrictDevice

from linumpy_lib import device as devices
from linumpy_lib.device import Device


@pytest.fixture(params=["strict", pytest.param("cuda", marks=pytest.mark.gpu)])
def cuda(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
    """Return what `get_device("cuda")` returns during the test: a GPU, or a stand-in as strict as one."""
    if request.param == "cuda":
        return devices.get_device("cuda")
    stand_in = StrictDevice()
    real = devices.get_device
    monkeypatch.setattr(devices, "get_device", lambda name="auto": stand_in if name == "cuda" else real(name))
    return stand_in


@pytest.fixture(
    params=[
        "strict",
        pytest.param("torch", id="torch on the CPU"),
        pytest.param("cuda", marks=pytest.mark.gpu),
        pytest.param("mps", marks=pytest.mark.mps),
    ]
)
def other(request: pytest.FixtureRequest) -> Device:
    """Return a device that is not the CPU, or what stands in for one: for code that all devices run."""
    if request.param == "strict":
        return StrictDevice()
    if request.param == "torch":
        pytest.importorskip("torch", reason="the torch extra is not installed")
        return Device.torch()
    return devices.get_device(request.param)
