"""The preprocess workflow on twelve simulated slices with every effect on, against the truth file."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from support.nextflow_runs import Nextflow

from linumpy_lib.io import open_volume
from linumpy_lib.io.mosaic_grid import mosaic_grid
from linumpy_lib.io.shift_table import read_shifts
from linumpy_lib.io.slice_config import read_slice_config
from linumpy_lib.simulation import simulate_oct
from linumpy_lib.simulation.truth import SliceTruth, Truth, read_truth

NZ, NY, NX, EXTRA = 20, 28, 48, 12


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Path, Path, str]:
    nextflow = Nextflow(tmp_path_factory.mktemp("truth"))
    simulate_oct(
        output=nextflow.folder / "acquisition",
        slices=12,
        first_id=95,
        tiles_x=3,
        tiles_y=2,
        tile_shape=f"{NZ},{NY},{NX}",
        n_extra=EXTRA,
        interval_um=60,
        axial_um=5,
        layout="nested",
        frames_per_file=9,
        n_repeat=2,
        growth=1,
        glitch_slices="97",
        rehoming_slices="101",
        missing_slices="99",
        missing_tiles="1_0_98,0_1_104",
        degraded_slices="103",
        camera_shift_px=3,
        stage_axes="y-x+",
        oblique_deg=10,
        galvo_fraction=0.6,
        threads=2,
    )
    raw = nextflow.folder / "acquisition" / "raw"
    words = ("--workflow", "preprocess", "--input", str(raw), "--axial_resolution", "5")
    run = nextflow.run("-profile", "cpu", *words, "--detect_galvo", "--fix_camera_shift", "--sharding_factor", "2")
    assert run.status == 0, run.text
    return (
        read_truth(nextflow.folder / "acquisition" / "truth"),
        raw,
        nextflow.folder / "results" / "preprocess",
        run.text,
    )


def recorded(truth: Truth) -> list[SliceTruth]:
    return [item for item in truth.slices if item.recorded]


def wanted_tile(raw: Path, item: SliceTruth, x: int, y: int) -> np.ndarray:
    """Decode a tile from its files and the truth alone: repeats, camera and galvo undone, the return cut off."""
    folder = raw / f"z{item.id:02d}" / f"tile_x{x:02d}_y{y:02d}_z{item.id:02d}"
    samples = np.concatenate([np.fromfile(path, "<f4") for path in sorted(folder.glob("image_*.bin"))])
    frames = samples.reshape(NY, 2, NX + EXTRA, NZ).mean(axis=1, dtype=np.float32)
    rolled = np.roll(frames, item.galvo_shift_px - item.camera_shift_px, axis=1)[:, :NX]
    image = np.ascontiguousarray(rolled.transpose(2, 0, 1))
    # The overexposed sample of the first A-line after the camera's start takes its neighbour's value.
    place = item.galvo_shift_px
    if place < NX - 1:
        image[:, 0, place] = image[:, 0, place + 1]
    return image


def test_mosaics_are_the_simulated_tiles_bit_for_bit(done: tuple[Truth, Path, Path, str]) -> None:
    truth, raw, results, _ = done
    stores = sorted(path.name for path in results.glob("*.ome.zarr"))
    assert stores == sorted(f"mosaic_grid_3d_z{item.id:02d}.ome.zarr" for item in recorded(truth))
    assert len(stores) == 11
    shifted = 0
    for item in recorded(truth):
        volume = open_volume(results / f"mosaic_grid_3d_z{item.id:02d}.ome.zarr")
        grid = mosaic_grid(volume)
        assert (grid.tile_shape, grid.grid) == ((NZ, NY, NX), (item.tiles_y, item.tiles_x))
        assert volume.spacing_um == truth.spacing_um
        assert set(grid.missing) == {(tile.y, tile.x) for tile in item.tiles if tile.missing}
        assert volume.provenance["galvo"]["shift_px"] == item.galvo_shift_px
        shifted += item.galvo_shift_px != 0
        for tile in item.tiles:
            voxels = volume.read(grid.box(tile.y, tile.x))
            if tile.missing:
                assert not voxels.any()
            else:
                np.testing.assert_array_equal(voxels, wanted_tile(raw, item, tile.x, tile.y))
    assert 3 <= shifted <= 9


def test_shifts_are_those_of_the_stage(done: tuple[Truth, Path, Path, str]) -> None:
    truth, _, results, _ = done
    shifts = {(s.fixed_id, s.moving_id): s for s in read_shifts(results / "shifts_xy.csv")}
    ids = [item.id for item in recorded(truth)]
    assert list(shifts) == list(itertools.pairwise(ids))
    exact = truth.recorded_shifts_mm()
    for pair, shift in shifts.items():
        fixed, moving = (truth.slice(k) for k in pair)
        same_grid = (fixed.tiles_x, fixed.tiles_y) == (moving.tiles_x, moving.tiles_y)
        assert shift.reliable == same_grid, pair
        if same_grid and not {98, 104} & set(pair):
            np.testing.assert_allclose((shift.x_mm, shift.y_mm), exact[pair], rtol=0, atol=1.001e-6)
    assert sum(not shift.reliable for shift in shifts.values()) == 1


def test_the_table_of_slices(done: tuple[Truth, Path, Path, str]) -> None:
    truth, _, results, _ = done
    rows = read_slice_config(results / "slice_config.csv")
    assert {k: row["galvo_fix"] == "true" for k, row in rows.items()} == {
        item.id: item.galvo_shift_px != 0 for item in recorded(truth)
    }
    assert [k for k, row in rows.items() if row["use"] == "false"] == [95]


def test_what_was_assumed_and_what_is_missing_is_said(done: tuple[Truth, Path, Path, str]) -> None:
    _, _, results, _ = done
    for slice_id, hole in ((98, (0, 1)), (104, (1, 0))):
        volume = open_volume(results / f"mosaic_grid_3d_z{slice_id}.ome.zarr")
        assert mosaic_grid(volume).missing == (hole,)
        assert volume.provenance["stage_axes"]["x"] == "+y"
        assert volume.provenance["stage_axes"]["y"] == "-x"
