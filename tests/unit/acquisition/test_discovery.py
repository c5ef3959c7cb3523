"""Tiles are found wherever they lie, and what is odd is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from linumpy_lib.acquisition.discovery import TileId, find_tiles
from linumpy_lib.errors import InputError


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
    return root


def test_flat_and_nested_with_any_ids(tmp_path: Path) -> None:
    root = folders(tmp_path, "tile_x00_y00_z1", "a/tile_x01_y00_z99", "a/b/tile_x1_y2_z100", "tile_x0_y0_z1000")
    (root / "notes.txt").write_text("x")
    (root / "tile_x00_y00_z1" / "info.txt").write_text("x")
    (root / "tile_x01_y01_z01_copy").mkdir()
    found = find_tiles(root)
    assert found.slice_ids == [1, 99, 100, 1000]
    assert list(found.slice_tiles(100)) == [TileId(100, 2, 1)]
    assert [path.name for path in found.ignored] == ["notes.txt"]
    assert len(found.missing_slices) == 996
    assert find_tiles(root, flat=True).slice_ids == [1, 1000]


def test_gaps_are_told_in_ranges(tmp_path: Path) -> None:
    root = folders(tmp_path, *(f"tile_x00_y00_z{z:02d}" for z in (1, 99, 100, 102, 1000)))
    assert find_tiles(root).gaps == ["2-98", "101", "103-999"]


def test_absurd_indices_are_refused(tmp_path: Path) -> None:
    assert find_tiles(folders(tmp_path / "a", "tile_x00_y00_z00999999")).slice_ids == [999999]
    with pytest.raises(InputError, match="more than 6 digits"):
        find_tiles(folders(tmp_path / "b", "tile_x00_y00_z1000000"))


def test_a_folder_that_holds_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InputError, match="folders below each other"):
        find_tiles(tmp_path)


def test_a_list_of_tile_folders(tmp_path: Path) -> None:
    root = folders(tmp_path, "tile_x00_y00_z05", "tile_x01_y00_z05", "tile_x01_y00_z06")
    assert find_tiles(sorted(root.glob("*z05"))).slice_ids == [5]


def test_two_tiles_with_one_id(tmp_path: Path) -> None:
    root = folders(tmp_path, "a/tile_x00_y00_z01", "b/tile_x0_y0_z1")
    with pytest.raises(InputError, match=r"a/tile_x00_y00_z01 and .*b/tile_x0_y0_z1 are both"):
        find_tiles(root)


@pytest.mark.parametrize("make", [False, True])
def test_nothing_there(tmp_path: Path, make: bool) -> None:
    root = tmp_path / "raw"
    if make:
        root.mkdir()
    with pytest.raises(InputError, match=r"no folder tile_x\*|not a folder"):
        find_tiles(root)
