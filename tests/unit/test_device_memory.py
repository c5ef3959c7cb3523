"""When a device's memory runs out: smaller blocks with the same result, a note, and an error where nothing fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bias_phantoms import bias_phantom
from support.strict_device import StrictDevice

from linumpy_lib import device as devices
from linumpy_lib.anisotropy import AnisotropyPlan, anisotropy_block
from linumpy_lib.cli import execute
from linumpy_lib.device import get_device
from linumpy_lib.device_memory import in_pieces, or_on_cpu
from linumpy_lib.errors import DeviceError
from linumpy_lib.illumination.basic import fit_basic
from linumpy_lib.illumination.steps.fix_illumination import STEP
from linumpy_lib.intensity.bias_field import compute_tissue_mask, fit_bias_field
from linumpy_lib.intensity.compensation import compensate
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid
from linumpy_lib.simulation.shaded_tiles import shaded_tiles


class DeviceOutOfMemoryError(RuntimeError):
    """What CuPy's error is to Python."""


class SmallDevice(StrictDevice):
    """A device that takes no array above a number of bytes."""

    memory_errors = (DeviceOutOfMemoryError,)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def to_device(self, array: Any, dtype: Any = np.float32) -> Any:
        if np.size(array) * np.dtype(dtype).itemsize > self.limit:
            raise DeviceOutOfMemoryError(f"out of memory allocating {np.size(array)} elements")
        return super().to_device(array, dtype)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> SmallDevice:
    device, real = SmallDevice(40_000), devices.get_device
    pick = lambda name="auto": device if name == "cuda" else real(name)  # noqa: E731
    monkeypatch.setattr(devices, "get_device", pick)
    return device


def test_work_is_halved_until_it_fits(small: SmallDevice) -> None:
    done: list[slice] = []

    def work(part: slice) -> None:
        small.to_device(np.zeros((part.stop - part.start, 1000)))
        done.append(part)

    in_pieces(small, 33, work, "a test")
    assert sorted(i for part in done for i in range(33)[part]) == list(range(33))
    assert [part.start for part in done] == sorted(part.start for part in done)
    assert small.shortages == len(done) - 1 > 0


def test_nothing_fits_and_other_errors_pass(small: SmallDevice) -> None:
    with pytest.raises(DeviceError, match=r"too small for a test; use --device cpu"):
        in_pieces(small, 4, lambda part: small.to_device(np.zeros(10_001)), "a test")
    with pytest.raises(KeyError):
        in_pieces(small, 4, lambda part: {}["missing"], "a test")
    assert or_on_cpu(small, lambda device: device.to_device(np.zeros(20_000)).size) == 20_000


@pytest.mark.parametrize("masked", [False, True])
def test_anisotropy_in_smaller_blocks(masked: bool, small: SmallDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SmallDevice, "name", "mps")  # the portable body to its end; the kernel of CUDA needs CUDA
    small.limit = 90_000
    volume = np.random.default_rng(0).random((60, 24, 26), dtype=np.float32)
    volume[40, 3, 3] = np.nan
    inner = (slice(8, 52), slice(2, 20), slice(0, 26))
    mask = np.random.default_rng(1).random((44, 18, 26)) > 0.3 if masked else None
    plan = AnisotropyPlan(dtype="float32")
    whole, cut = (
        anisotropy_block(volume, inner, plan, mask=mask),
        anisotropy_block(volume, inner, plan, mask=mask, device=small),
    )
    assert small.shortages > 1
    assert (cut.nonfinite, cut.masked) == (whole.nonfinite, whole.masked)
    np.testing.assert_array_equal(cut.mask, whole.mask)
    assert np.abs(cut.measures[:5] - whole.measures[:5]).max() < 1e-5
    assert np.abs((cut.fibre_dir * whole.fibre_dir).sum(0)[whole.mask > 0]).min() > 1 - 1e-5


def test_attenuation_in_smaller_blocks(small: SmallDevice) -> None:
    rng = np.random.default_rng(0)
    block = rng.uniform(0.1, 1, (30, 40, 25)).astype(np.float32)
    below, last, one = (
        np.full((40, 25), 2, np.float32),
        np.full((40, 25), 30, np.float32),
        np.ones((40, 25), np.float32),
    )
    options = {"floor": 0.01, "skip": 3, "strength": 1.0, "min_bias": 0.05}
    whole = compensate(block, below, last, one, get_device("cpu"), **options)
    np.testing.assert_allclose(compensate(block, below, last, one, small, **options), whole, rtol=1e-5)
    assert small.shortages > 0


def test_fits_go_to_the_cpu(small: SmallDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    images = shaded_tiles(20, (32, 32)).images
    np.testing.assert_array_equal(fit_basic(images, device=small).flat, fit_basic(images).flat)
    assert small.shortages == 1
    phantom = bias_phantom((20, 40, 44))
    np.testing.assert_array_equal(
        compute_tissue_mask(phantom.volume, use_gpu=True), compute_tissue_mask(phantom.volume)
    )
    assert small.shortages == 2

    def full(*_args: Any) -> Any:
        raise DeviceOutOfMemoryError("out of memory")

    monkeypatch.setattr("linumpy_lib.intensity.n4_engines._ArrayEngine.step", full)
    here, there = (fit_bias_field(phantom.volume, phantom.mask, backend=b) for b in ("cpu", "gpu"))
    np.testing.assert_array_equal(there.lattice, here.lattice)
    assert small.shortages == 3


def test_a_step_tells_of_it(small: SmallDevice, tmp_path: Path) -> None:
    grid = MosaicGrid(3, (20, 40, 40), (2, 3))
    tiles = shaded_tiles(6, (40, 40), dark=0).images
    voxels = np.zeros(grid.shape, np.float32)
    for tile, place in zip(tiles, grid.places(), strict=True):
        voxels[grid.box(*place)] = tile
    path = tmp_path / "m.ome.zarr"
    write_volume(path, voxels, spacing_um=(10, 10, 10), levels=1, provenance={KEY: grid.as_json()})
    stores = []
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        execute(STEP, ["--input", str(path), "--output", str(out), "--name", "z03", "--quiet", "--device", device])
        stores.append(open_volume(out / "mosaic_grid_z03_illum_fix.ome.zarr").read())
        notes = json.loads((out / "z03_fix_illumination_metrics.json").read_text())["notes"]
        assert any("memory of device cuda ran out" in note for note in notes) == (device == "cuda")
    np.testing.assert_allclose(stores[1], stores[0], rtol=1e-4)
