"""The steps of preprocess on files: exact mosaics, tables, pictures, and refusals that leave nothing behind."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linumpy_lib.acquisition.steps.create_mosaic_grid import STEP as CREATE
from linumpy_lib.acquisition.steps.estimate_xy_shifts import STEP as SHIFTS
from linumpy_lib.acquisition.steps.generate_aips import STEP as AIPS
from linumpy_lib.acquisition.steps.generate_previews import STEP as PREVIEWS
from linumpy_lib.acquisition.steps.generate_slice_config import STEP as CONFIG
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume
from linumpy_lib.io.mosaic_grid import mosaic_grid
from linumpy_lib.io.shift_table import read_shifts
from linumpy_lib.io.slice_config import read_slice_config


def create(tmp_path: Path, *words: str, out: str = "out") -> Path:
    execute(CREATE, ["--input", str(tmp_path / "raw"), "--output", str(tmp_path / out), "--quiet", *words])
    return tmp_path / out


@pytest.mark.parametrize("sharding", [1, 2, 4])
def test_a_mosaic_is_its_tiles_bit_for_bit(write_tile, tmp_path: Path, sharding: int) -> None:
    tiles = {(x, y): write_tile(x, y, 103) for x in (2, 3, 4) for y in (5, 6) if (x, y) != (3, 6)}
    out = create(tmp_path, "--sharding_factor", str(sharding), "--axial_resolution", "1.5", "--processes", "3")
    volume = open_volume(out / "mosaic_grid_3d_z103.ome.zarr")
    grid = mosaic_grid(volume)
    assert volume.spacing_um == (1.5, 3.5, 3.0)
    assert (grid.tile_shape, grid.grid, grid.first_index, grid.missing) == ((9, 7, 11), (2, 3), (5, 2), ((1, 1),))
    assert grid.stage_mm[0, 1] == (7.1, 5.06)
    voxels = volume.read()
    for (x, y), tile in tiles.items():
        np.testing.assert_array_equal(voxels[grid.box(y - 5, x - 2)], tile)
    assert not voxels[grid.box(1, 1)].any()
    record = json.loads((out / "mosaic_grid_3d_z103.json").read_text())
    assert record["slice_id"] == 103
    assert len(volume.provenance["inputs"]["tiles"]) == 64


def test_threads_do_not_change_a_byte(write_tile, tmp_path: Path) -> None:
    for place in ((0, 0), (1, 0), (0, 1), (2, 1)):
        write_tile(*place, 1)
    for resolution in ("-1", "4"):
        stores = []
        for threads in ("1", "3"):
            words = ["--processes", threads, "--mosaic_resolution", resolution]
            store = create(tmp_path, *words, out=f"{resolution}_{threads}") / "mosaic_grid_3d_z01.ome.zarr"
            stores.append({p.relative_to(store): p.read_bytes() for p in store.rglob("*") if p.is_file()})
        assert stores[0] == stores[1]


def test_threads_and_sharding_do_not_change_the_digest(write_tile, tmp_path: Path) -> None:
    for x in range(3):
        write_tile(x, 0, 1)
    digests = set()
    for k, words in enumerate((["--processes", "1"], ["--processes", "4", "--sharding_factor", "1"])):
        out = create(tmp_path, *words, out=f"out{k}")
        digests.add(open_volume(out / "mosaic_grid_3d_z01.ome.zarr").provenance["inputs"]["tiles"])
    assert len(digests) == 1


def test_target_resolution(write_tile, tmp_path: Path) -> None:
    write_tile(0, 0, 1, shape=(30, 40, 50), extra=0)
    write_tile(1, 0, 1, shape=(30, 40, 50), extra=0)
    out = create(tmp_path, "--mosaic_resolution", "10", "--axial_resolution", "2")
    volume = open_volume(out / "mosaic_grid_3d_z01.ome.zarr")
    assert volume.spacing_um == (10.0, 10.0, 10.0)
    assert mosaic_grid(volume).tile_shape == (6, 14, 15)
    assert volume.read().mean() == pytest.approx(1.5, abs=0.02)


def test_tables(write_tile, tmp_path: Path) -> None:
    for z in (0, 1, 3):
        write_tile(0, 0, z, stage_x_pos_mm=5 + 0.1 * z)
        write_tile(1, 0, z, stage_x_pos_mm=5.02 + 0.1 * z)
        write_tile(0, 1, z, stage_x_pos_mm=5 + 0.1 * z)
    out = create(tmp_path)
    execute(SHIFTS, ["--input", str(tmp_path / "raw"), "--output", str(out), "--name", "all"])
    shifts = read_shifts(out / "shifts_xy.csv")
    assert [(s.fixed_id, s.moving_id, s.reliable) for s in shifts] == [(0, 1, True), (1, 3, True)]
    np.testing.assert_allclose([s.x_mm for s in shifts], [-0.1, -0.2], atol=1e-9)
    np.testing.assert_allclose([s.x_px for s in shifts], [-0.1 / 0.003, -0.2 / 0.003], atol=1e-6)
    records = [str(path) for path in sorted(out.glob("*z*.json")) if "metrics" not in path.name]
    words = ["--shifts", str(out / "shifts_xy.csv"), "--output", str(out), "--exclude_first_slices", "2"]
    execute(CONFIG, [*words, "--detect_galvo", "true", "--records", *records])
    rows = read_slice_config(out / "slice_config.csv")
    assert {k: row["use"] for k, row in rows.items()} == {0: "false", 1: "false", 3: "true"}
    assert rows[0]["notes"] == "calibration_slice"
    assert rows[3]["galvo_fix"] == "false"
    assert rows[3]["galvo_confidence"] == "0.000"
    execute(CONFIG, words)
    assert (out / "slice_config.csv").read_text().splitlines()[0] == "slice_id,use,exclude_reason,notes"


def test_pictures(write_tile, tmp_path: Path) -> None:
    tiles = {(x, y): write_tile(x, y, 7) for x in range(2) for y in range(2) if (x, y) != (1, 0)}
    store = str(create(tmp_path) / "mosaic_grid_3d_z07.ome.zarr")
    execute(AIPS, ["--input", store, "--output", str(tmp_path / "aips")])
    with Image.open(tmp_path / "aips" / "aip_z07.png") as aip:
        picture = np.asarray(aip)
    assert picture.dtype == np.uint16
    assert picture.shape == (14, 22)
    assert not picture[:7, 11:].any()
    mean = tiles[0, 1].mean(axis=0)
    assert np.corrcoef(picture[7:, :11].ravel(), mean.ravel())[0, 1] > 0.99
    execute(PREVIEWS, ["--input", store, "--output", str(tmp_path / "previews")])
    with Image.open(tmp_path / "previews" / "mosaic_grid_z07_preview.png") as preview:
        assert preview.size == (3600, 1500)


def test_stub(write_tile, tmp_path: Path) -> None:
    for x in range(2):
        write_tile(x, 0, 7, shape=(40, 30, 20))
    out = create(tmp_path, "--stub")
    volume = open_volume(out / "mosaic_grid_3d_z07.ome.zarr")
    assert mosaic_grid(volume).tile_shape == (12, 12, 12)
    execute(AIPS, ["--stub", "--input", str(volume.path), "--output", str(tmp_path / "aips")])


def test_a_bad_tile_leaves_nothing_under_a_final_name(write_tile, tmp_path: Path) -> None:
    for x in range(3):
        write_tile(x, 0, 1)
    path = tmp_path / "raw" / "tile_x02_y00_z01" / "image_00000.bin"
    raw = np.fromfile(path, np.float32)
    raw[3] = np.nan
    raw.tofile(path)
    with pytest.raises(InputError, match="tile_x02_y00_z01"):
        create(tmp_path, "--fix_galvo_shift", "false")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_volume_without_a_tile_grid_is_refused(tmp_path: Path) -> None:
    from linumpy_lib.io import write_volume

    write_volume(tmp_path / "v.ome.zarr", np.ones((4, 4, 4), np.float32), spacing_um=(1, 1, 1))
    with pytest.raises(InputError, match="no tile grid"):
        execute(AIPS, ["--input", str(tmp_path / "v.ome.zarr"), "--output", str(tmp_path / "aips")])


def test_tables_are_read_as_other_programs_read_them(write_tile, tmp_path: Path) -> None:
    """By the documented columns alone: integers for ids, 0 or 1, two-digit ids, true and false in lower case."""
    for z in (1, 2, 100):
        write_tile(0, 0, z, stage_x_pos_mm=5 + 0.1 * z)
        write_tile(1, 1, z, stage_x_pos_mm=5.02 + 0.1 * z)
    out = create(tmp_path)
    execute(SHIFTS, ["--input", str(tmp_path / "raw"), "--output", str(out), "--name", "all"])
    records = [str(path) for path in sorted(out.glob("*z*.json")) if "metrics" not in path.name]
    words = ["--shifts", str(out / "shifts_xy.csv"), "--output", str(out), "--detect_galvo", "true"]
    execute(CONFIG, [*words, "--records", *records])
    with (out / "shifts_xy.csv").open(newline="") as handle:
        shifts = list(csv.DictReader(handle))
    columns = ["fixed_id", "moving_id", "x_shift", "y_shift", "x_shift_mm", "y_shift_mm", "reliable"]
    assert list(shifts[0]) == columns
    ids = [(int(row["fixed_id"]), int(row["moving_id"]), int(row["reliable"])) for row in shifts]
    assert ids == [(1, 2, 1), (2, 100, 1)]
    assert [float(row["x_shift_mm"]) for row in shifts] == pytest.approx([-0.1, -9.8], abs=1e-9)
    assert [float(row["x_shift"]) * 0.003 for row in shifts] == pytest.approx([-0.1, -9.8], abs=1e-6)
    with (out / "slice_config.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == ["slice_id", "use", "exclude_reason", "galvo_confidence", "galvo_fix", "notes"]
    assert [row["slice_id"] for row in rows] == ["01", "02", "100"]
    assert [row["use"] for row in rows] == ["false", "true", "true"]
    assert {row["galvo_fix"] for row in rows} <= {"true", "false"}
    assert all(float(row["galvo_confidence"]) >= 0 for row in rows)
    for path in (out / "shifts_xy.csv", out / "slice_config.csv"):
        text = path.read_bytes()
        assert b"\r" not in text
        assert text.isascii()
