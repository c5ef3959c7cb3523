"""Tiles whose voxels are kept go into the store bit for bit, however they are cut, read and spread over threads."""

from __future__ import annotations

import os
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from linumpy_lib.acquisition import direct_reading, native_tiles
from linumpy_lib.acquisition.checksums import combined
from linumpy_lib.acquisition.direct_reading import DirectReader
from linumpy_lib.acquisition.discovery import find_tiles
from linumpy_lib.acquisition.mosaic import plan_mosaic, write_mosaic
from linumpy_lib.acquisition.slice_tiles import measure_slice
from linumpy_lib.acquisition.tile_image import TileFixes
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume

SHAPE = (37, 70, 41)


def mosaic(raw: Path, out: Path, *, shift: int = 0, threads: int = 2) -> Path:
    source = measure_slice(3, find_tiles([raw]).slice_tiles(3))
    plan = plan_mosaic(source, TileFixes(shift), axial_resolution_um=2, resolution_um=-1, sharding_factor=2)
    write_mosaic(plan, out, provenance={}, threads=threads)
    return out


def contents(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("files", "repeat", "shift"), [(1, 1, 0), (3, 1, 17), (70, 1, 2), (9, 2, 43), (1, 4, 30)])
def test_tiles_arrive_bit_for_bit(write_tile, tmp_path: Path, files: int, repeat: int, shift: int) -> None:
    options = {"shape": SHAPE, "files": files, "repeat": repeat, "roll": shift}
    images = {(y, x): write_tile(x, y, 3, **options) for y, x in ((0, 0), (0, 1), (1, 1))}
    stores = [mosaic(tmp_path / "raw", tmp_path / f"{n}.ome.zarr", shift=shift, threads=n) for n in (1, 3)]
    voxels = open_volume(stores[0]).read()
    for y, x in np.ndindex(2, 2):
        place = np.s_[:, 70 * y : 70 * (y + 1), 41 * x : 41 * (x + 1)]
        np.testing.assert_array_equal(voxels[place], images.get((y, x), np.zeros(SHAPE, np.float32)))
    first, second = (contents(store) for store in stores)
    names = [name for name in first if not name.endswith("zarr.json")]
    assert names
    assert first.keys() == second.keys()
    assert all(first[name] == second[name] for name in names)


def test_pieces_and_the_way_of_reading_change_nothing(write_tile, tmp_path: Path, monkeypatch) -> None:
    write_tile(0, 0, 3, shape=SHAPE, files=3)
    usual = mosaic(tmp_path / "raw", tmp_path / "usual" / "a.ome.zarr")
    monkeypatch.setattr(native_tiles, "_PIECE_BYTES", 20_000)
    monkeypatch.delattr(os, "O_DIRECT", raising=False)
    monkeypatch.delattr(os, "RWF_NOWAIT", raising=False)
    assert contents(mosaic(tmp_path / "raw", tmp_path / "other" / "a.ome.zarr")) == contents(usual)


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(write_tile, tmp_path: Path, value: float) -> None:
    write_tile(0, 0, 3, shape=SHAPE, files=1)
    path = tmp_path / "raw" / "tile_x00_y00_z03" / "image_00000.bin"
    scans = np.fromfile(path, np.float32).reshape(70, 44, 37)
    scans[20, 11, 36] = value
    scans.tofile(path)
    with pytest.raises(InputError, match=r"tile_x00_y00_z03: B-scans 0 to 69 hold NaN or infinite values"):
        mosaic(tmp_path / "raw", tmp_path / "a.ome.zarr")
    assert not list(tmp_path.glob("*a.ome.zarr*"))
    scans[20, 11, 36], scans[20, 43, 36] = 1, value  # in the galvo return, which is cut off
    scans.tofile(path)
    mosaic(tmp_path / "raw", tmp_path / "a.ome.zarr")


def test_pieces_of_files(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(50_000)
    path = tmp_path / "data.bin"
    path.write_bytes(data)
    reader = DirectReader(50_000)
    for cached in (True, False):
        for start, size in ((0, 50_000), (1, 4095), (4096, 4096), (4095, 2), (12_345, 30_000), (49_999, 1)):
            if not cached and hasattr(os, "posix_fadvise"):
                handle = os.open(path, os.O_RDONLY)
                os.fsync(handle)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(handle)
            assert reader.read(path, start, size).tobytes() == data[start : start + size]
    with pytest.raises(InputError, match=r"data.bin: became shorter"):
        reader.read(path, 49_000, 1001)
    with pytest.raises(InputError, match=r"gone.bin: cannot be read"):
        reader.read(tmp_path / "gone.bin", 0, 1)


def test_a_file_system_without_direct_reading(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(range(200)) * 100)
    monkeypatch.setattr(direct_reading, "_from_cache", lambda *_: 0)
    real = os.open

    def refuse(name, flags, *rest):
        if flags & getattr(os, "O_DIRECT", 0):
            raise OSError(22, "Invalid argument")
        return real(name, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    assert DirectReader(20_000).read(path, 150, 19_000).tobytes() == path.read_bytes()[150:19_150]


def test_checksums_of_parts_are_those_of_the_whole() -> None:
    data = np.random.default_rng(0).bytes(100_001)
    for cuts in ([], [1], [50_000], [0, 7, 7, 99_999], list(range(1000, 100_000, 777))):
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert combined([(google_crc32c.value(part), len(part)) for part in parts]) == google_crc32c.value(data)
