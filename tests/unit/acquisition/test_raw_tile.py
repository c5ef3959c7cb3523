"""Raw tiles are read exactly, and damaged ones are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.acquisition.discovery import find_tiles
from linumpy_lib.acquisition.raw_tile import open_tile
from linumpy_lib.acquisition.slice_tiles import measure_slice, slice_stages
from linumpy_lib.acquisition.tile_image import TileFixes, read_tile, tile_shape
from linumpy_lib.errors import InputError


def image_of(folder: Path, fixes: TileFixes = TileFixes()) -> np.ndarray:  # noqa: B008
    tile = open_tile(folder)
    out = np.empty(tile_shape(tile.info, fixes), np.float32)
    read_tile(tile, out, fixes)
    return out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "tile_x01_y02_z03"


@pytest.mark.parametrize(("files", "extra", "repeat"), [(1, 0, 1), (3, 4, 1), (2, 2, 3), (7, 5, 2)])
def test_layout(write_tile, folder: Path, files: int, extra: int, repeat: int) -> None:
    image = write_tile(1, 2, 3, files=files, extra=extra, repeat=repeat)
    np.testing.assert_array_equal(image_of(folder), image)


@pytest.mark.parametrize("late", range(14))
def test_every_galvo_shift_is_undone(write_tile, folder: Path, late: int) -> None:
    image = write_tile(1, 2, 3, roll=late)
    np.testing.assert_array_equal(image_of(folder, TileFixes(late)), image)


def test_repeats_that_are_recorded_once(write_tile, folder: Path) -> None:
    image = write_tile(1, 2, 3, n_repeat=4)
    np.testing.assert_array_equal(image_of(folder), image)


def test_fractional_values(write_tile, folder: Path) -> None:
    write_tile(1, 2, 3, width="33.275", height=24.5, nx="11.0")
    info = open_tile(folder).info
    assert info.pixel_um == (3.5, 33.275 / 11)


def test_legacy_rotation(write_tile, folder: Path) -> None:
    image = write_tile(1, 2, 3)
    expected = image.transpose(0, 2, 1)[:, ::-1, ::-1]
    np.testing.assert_array_equal(image_of(folder, TileFixes(rotate=True)), expected)


def test_camera_shift(write_tile, folder: Path) -> None:
    image = write_tile(1, 2, 3, extra=0, roll=-4)
    raw = np.fromfile(folder / "image_00000.bin", np.float32).reshape(-1, 11, 9)
    raw[0, 4] = 100
    raw.tofile(folder / "image_00000.bin")
    expected = image.copy()
    expected[:, 0, 0] = expected[:, 0, 1]
    np.testing.assert_array_equal(image_of(folder, TileFixes(camera=True)), expected)


def test_camera_shift_and_galvo_together(write_tile, folder: Path) -> None:
    late, camera = 5, 2
    image = write_tile(1, 2, 3, roll=late - camera, files=1)
    raw = np.fromfile(folder / "image_00000.bin", np.float32).reshape(-1, 14, 9)
    raw[0, camera] = 100
    raw.tofile(folder / "image_00000.bin")
    expected = image.copy()
    expected[:, 0, late] = expected[:, 0, late + 1]
    np.testing.assert_array_equal(image_of(folder, TileFixes(late, camera=True)), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nx": None}, "no nx"),
        ({"nx": "many"}, "nx is 'many', not a number"),
        ({"ny": 7.5}, "ny is '7.5', it must be a whole number"),
        ({"nx": 0}, "at least 1"),
        ({"width": 0}, "width is 0"),
        ({"bottom_z": 3}, "bottom_z is above top_z"),
        ({"stage_x_pos_mm": "nan"}, "stage_x_pos_mm is 'nan'"),
        ({"ny": 8}, "hold 7 B-scans, info.txt says 8 .*truncated"),
        ({"ny": 6}, "oversized"),
        ({"n_extra": 4}, "B-scans of"),
    ],
)
def test_wrong_info(write_tile, folder: Path, changes: dict[str, object], message: str) -> None:
    write_tile(1, 2, 3, **changes)
    with pytest.raises(InputError, match=message) as caught:
        open_tile(folder)
    assert str(folder) in str(caught.value)


def test_info_without_colons(write_tile, folder: Path) -> None:
    write_tile(1, 2, 3)
    (folder / "info.txt").write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(InputError, match="key: value"):
        open_tile(folder)


def test_missing_info(write_tile, folder: Path) -> None:
    write_tile(1, 2, 3)
    (folder / "info.txt").unlink()
    with pytest.raises(InputError, match=r"info\.txt: missing"):
        open_tile(folder)


def test_no_data(write_tile, folder: Path) -> None:
    write_tile(1, 2, 3)
    for path in folder.glob("*.bin"):
        path.unlink()
    with pytest.raises(InputError, match=r"no image_\*\.bin"):
        open_tile(folder)


@pytest.mark.parametrize("change", [-5, 7])
def test_a_file_of_the_wrong_size(write_tile, folder: Path, change: int) -> None:
    write_tile(1, 2, 3)
    path = folder / "image_00001.bin"
    path.write_bytes((path.read_bytes() + b"1234567")[: path.stat().st_size + change])
    with pytest.raises(InputError, match=r"image_00001\.bin: \d+ bytes are \d+\.\d+ B-scans"):
        open_tile(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(write_tile, folder: Path, value: float) -> None:
    write_tile(1, 2, 3)
    path = folder / "image_00001.bin"
    raw = np.fromfile(path, np.float32)
    raw[5] = value
    raw.tofile(path)
    with pytest.raises(InputError, match=r"tile_x01_y02_z03: B-scans .* NaN or infinite"):
        image_of(folder)


def test_a_folder_in_place_of_a_file(write_tile, folder: Path) -> None:
    write_tile(1, 2, 3)
    (folder / "info.txt").unlink()
    (folder / "info.txt").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        open_tile(folder)


def test_a_wrong_index_is_no_slice_of_a_million_holes(write_tile, tmp_path: Path) -> None:
    for place in ((0, 0), (99999, 20)):
        write_tile(*place, 4)
    acquisition = find_tiles(tmp_path / "raw")
    with pytest.raises(InputError, match=r"2 tiles of slice 4 span a grid of 100000 x 21"):
        measure_slice(4, acquisition.slice_tiles(4))


def test_tiles_of_a_slice_must_agree(write_tile, tmp_path: Path) -> None:
    for x in range(3):
        write_tile(x, 0, 4)
    write_tile(3, 0, 4, shape=(9, 7, 12))
    acquisition = find_tiles(tmp_path / "raw")
    with pytest.raises(InputError, match=r"tile_x03_y00_z04: nx 12 instead of 11, width 36 instead of 33 .*1 of 4"):
        measure_slice(4, acquisition.slice_tiles(4))
    with pytest.raises(InputError, match="tile_x03_y00_z04"):
        slice_stages(acquisition)
