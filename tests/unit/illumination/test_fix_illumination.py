"""The step fix_illumination: shading out, seams less, nothing invented where there is too little to see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.illumination.steps.fix_illumination import STEP
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid, mosaic_grid

NZ, EDGE, ROWS, COLUMNS, STEP_PX = 6, 40, 5, 5, 32


def scene(seed: int = 0) -> np.ndarray:
    """Tissue (z, y, x) that all tiles look at."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).standard_normal((NZ, ROWS * STEP_PX + 8, COLUMNS * STEP_PX + 8))
    coarse = gaussian_filter(noise, (3, 12, 12))
    fine = gaussian_filter(noise[::-1], (1, 2, 2))
    return (1 + 0.12 * coarse / coarse.std() + 0.15 * fine / fine.std()).clip(0.2) * 400


def flat_field() -> np.ndarray:
    y, x = np.meshgrid(np.linspace(-1, 1, EDGE), np.linspace(-1, 1, EDGE), indexing="ij")
    flat = 1 - 0.3 * ((x - 0.2) ** 2 + 0.7 * (y + 0.1) ** 2) / 1.5
    return flat / flat.mean()


def make(path: Path, *, shade: bool = True, fields: Any = None, edit: Any = None, grid: Any = None) -> MosaicGrid:
    flat = flat_field() if shade else np.ones((EDGE, EDGE))
    stage = {(r, c): (r * STEP_PX * 0.01, c * STEP_PX * 0.01) for r in range(ROWS) for c in range(COLUMNS)}
    grid = grid or MosaicGrid(
        3, (NZ, EDGE, EDGE), (ROWS, COLUMNS), missing=((0, 4),), stage_mm=stage, field_of_view_um=(400.0, 400.0)
    )
    tissue = scene()
    voxels = np.zeros(grid.shape, np.float32)
    for r, c in grid.places():
        tile = tissue[:, r * STEP_PX : r * STEP_PX + EDGE, c * STEP_PX : c * STEP_PX + EDGE] * flat
        voxels[grid.box(r, c)] = tile if edit is None else edit(r, c, tile)
    write_volume(path, voxels, spacing_um=(10, 10, 10), levels=1, provenance={KEY: grid.as_json(), "galvo": {"a": 1}})
    return grid


def run(path: Path, out: Path, *words: str) -> tuple[Path, dict[str, Any]]:
    execute(STEP, ["--input", str(path), "--output", str(out), "--name", "z03", "--quiet", *words])
    data = json.loads((out / "z03_fix_illumination_metrics.json").read_text())
    return out / "mosaic_grid_z03_illum_fix.ome.zarr", data


def values(data: dict[str, Any]) -> dict[str, Any]:
    return {name: entry["value"] for name, entry in data["metrics"].items()}


@pytest.fixture
def mosaic(tmp_path: Path) -> Path:
    path = tmp_path / "mosaic.ome.zarr"
    make(path)
    return path


def test_shading_leaves_and_tissue_stays(mosaic: Path, tmp_path: Path) -> None:
    path, data = run(mosaic, tmp_path / "out", "--device", "cpu")
    found = values(data)
    assert found["corrected"] == 1
    assert found["seam_l1"] < 0.4 * found["seam_l1_before"]
    assert found["seam_correlation"] > found["seam_correlation_before"]
    assert found["seam_curvature"] < found["seam_curvature_before"]
    assert (tmp_path / "out" / "z03_fix_illumination_preview.png").stat().st_size > 1000
    volume = open_volume(path)
    grid = mosaic_grid(volume)
    assert grid.missing == ((0, 4),)
    assert volume.provenance["galvo"] == {"a": 1}
    tissue, ratios = scene(), []
    for r, c in grid.places():
        true = tissue[:, r * STEP_PX : r * STEP_PX + EDGE, c * STEP_PX : c * STEP_PX + EDGE]
        ratios.append(volume.read(grid.box(r, c)) / true)
    ratio = np.stack(ratios)
    assert np.std(ratio / ratio.mean()) < 0.04
    assert not volume.read(grid.box(0, 4)).any()


def test_threads_change_no_byte(mosaic: Path, tmp_path: Path) -> None:
    one = open_volume(run(mosaic, tmp_path / "a", "--processes", "1", "--device", "cpu")[0]).read()
    two = open_volume(run(mosaic, tmp_path / "b", "--processes", "3", "--device", "cpu")[0]).read()
    np.testing.assert_array_equal(one, two)


def test_the_device_agrees(mosaic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the torch extra is not installed")
    from linumpy_lib import device

    here = open_volume(run(mosaic, tmp_path / "here", "--device", "cpu")[0]).read()
    stand_in = device.Device.torch()
    monkeypatch.setattr(device, "get_device", lambda name="auto": stand_in)
    there = open_volume(run(mosaic, tmp_path / "there", "--device", "mps")[0]).read()
    assert np.abs(here - there).max() < 2e-3 * here.max()


def test_every_parameter_acts(mosaic: Path, tmp_path: Path) -> None:
    plain = open_volume(run(mosaic, tmp_path / "plain")[0]).read()
    choices = {
        "fix_illum_fit_max_samples": "24",
        "fix_illum_max_iterations": "2",
        "fix_illum_darkfield": "true",
        "fix_illum_smoothness_flatfield": "0.5",
        "fix_illum_per_z_fit": "true",
    }
    for name, value in choices.items():
        assert not np.array_equal(open_volume(run(mosaic, tmp_path / name, f"--{name}", value)[0]).read(), plain), name
    offset = tmp_path / "offset.ome.zarr"
    # one tile is darker than the dark field of the others, which bounds it at percentile 0
    make(offset, edit=lambda row, column, tile: tile * 0.1 + 20 if (row, column) == (0, 0) else tile + 100)
    dark = [
        open_volume(
            run(offset, tmp_path / p, "--fix_illum_darkfield", "true", "--fix_illum_darkfield_percentile", p)[0]
        ).read()
        for p in ("0", "60")
    ]
    assert not np.array_equal(*dark)


def test_a_field_that_changes_with_depth(tmp_path: Path) -> None:
    path = tmp_path / "deep.ome.zarr"
    depth = np.linspace(0.3, 1.7, NZ)[:, None, None]
    make(path, shade=False, edit=lambda r, c, tile: tile * (1 + (flat_field() - 1) * depth))
    one = values(run(path, tmp_path / "one")[1])
    each = run(path, tmp_path / "each", "--fix_illum_per_z_fit", "true")
    assert values(each[1])["depths_fitted"] == NZ
    true, found = scene(), open_volume(each[0]).read()
    spread = found[:, :EDGE, :EDGE] / true[:, :EDGE, :EDGE]
    assert np.std(spread / spread.mean()) < 0.06
    assert one["corrected"] == 1


@pytest.mark.parametrize("kind", ["empty", "zero", "one"])
def test_too_little_to_see_leaves_the_mosaic_alone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m.ome.zarr"
    grid = MosaicGrid(3, (NZ, EDGE, EDGE), (1, 1)) if kind == "one" else None
    edits = {"empty": lambda r, c, t: t if (r, c) == (2, 2) else 0 * t, "zero": lambda r, c, t: 0 * t, "one": None}
    make(path, edit=edits[kind], grid=grid)
    result, data = run(path, tmp_path / "out")
    np.testing.assert_array_equal(open_volume(result).read(), open_volume(path).read())
    corrected = data["metrics"]["corrected"]
    assert (corrected["value"], corrected["status"]) == (0, "warning")
    assert any("left as it is" in note for note in data["notes"])


def test_bad_voxels_are_counted_and_do_not_spoil_the_fit(mosaic: Path, tmp_path: Path) -> None:
    def spoil(row: int, column: int, tile: np.ndarray) -> np.ndarray:
        tile = tile.copy()
        if (row, column) == (1, 1):
            tile[2, 3:9, 5] = np.nan
        if (row, column) == (2, 1):
            tile[:, :20] = 9000
        if (row, column) == (3, 3):
            tile[1, 4, 4:7] = -50
        return tile * 0 if (row, column) == (4, 4) else tile

    path = tmp_path / "spoilt.ome.zarr"
    make(path, edit=spoil)
    result, data = run(path, tmp_path / "out")
    found, clean = values(data), values(run(mosaic, tmp_path / "clean")[1])
    assert (found["not_finite_voxels"], found["negative_voxels"]) == (6, 3)
    assert found["saturated_voxels"] == NZ * 20 * EDGE
    volume = open_volume(result).read()
    assert np.isfinite(volume).all()
    assert (volume >= 0).all()
    assert found["flat_field_min"] == pytest.approx(clean["flat_field_min"], abs=0.05)


def test_a_solver_that_is_absent_is_named(mosaic: Path, tmp_path: Path) -> None:
    import importlib.util

    if importlib.util.find_spec("basicpy") is not None:
        pytest.skip("basicpy is installed")
    with pytest.raises(ParameterError, match=r"basicpy is not installed.*overrides"):
        run(mosaic, tmp_path / "out", "--fix_illum_backend", "basicpy")
    assert not list((tmp_path / "out").glob("*.zarr"))


def test_no_grid_and_a_stub(mosaic: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.ome.zarr"
    write_volume(path, np.ones((4, 8, 8), np.float32), spacing_um=(10, 10, 10), levels=1)
    with pytest.raises(InputError, match="tile grid"):
        run(path, tmp_path / "out")
    assert open_volume(run(mosaic, tmp_path / "stub", "--stub")[0]).shape == (6, 60, 60)
