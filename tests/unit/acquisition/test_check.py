"""The plan of a run tells grids, holes, gaps and every damaged slice."""

from __future__ import annotations

from pathlib import Path

from linumpy_lib.acquisition.check import check_acquisition


def test_the_plan_of_an_acquisition(write_tile, tmp_path: Path) -> None:
    for z in (3, 6):
        for x in (1, 2):
            for y in (0, 1):
                if (x, y, z) != (2, 1, 6):
                    write_tile(x, y, z)
    (tmp_path / "raw" / "notes.txt").write_text("x")
    lines, problems, disk = check_acquisition(tmp_path / "raw", {"axial_resolution": "2"})
    text = "\n".join(lines)
    assert problems == []
    assert disk == 2 * 4 * 9 * 14 * 22
    for part in (
        "7 tiles in 2 slices, ids 3 to 6",
        "gaps: no slice 4-5",
        "ignored: notes.txt",
        "z06: 2 x 2 tiles (x, y), missing x2 y1, stage x 5.020 to 5.040 mm, y 7.000 to 7.020 mm; "
        "9 x 14 x 22 voxels (z, y, x) of 2 x 3.5 x 3 um",
        "image x is stage +x, image y is stage +y",
    ):
        assert part in text, text


def test_every_damaged_slice_is_listed(write_tile, tmp_path: Path) -> None:
    for z in range(3):
        write_tile(0, 0, z)
    for z in (0, 2):
        (tmp_path / "raw" / f"tile_x00_y00_z{z:02d}" / "info.txt").unlink()
    _, problems, _ = check_acquisition(tmp_path / "raw", {})
    assert len(problems) == 2
    assert all("info.txt: missing" in problem for problem in problems)


def test_wrong_parameters_and_folders_are_problems(tmp_path: Path) -> None:
    assert "axial_resolution" in check_acquisition(tmp_path, {"axial_resolution": "-1"})[1][0]
    assert "no folder tile_x" in check_acquisition(tmp_path, {})[1][0]
