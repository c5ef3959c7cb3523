"""Places of slices on the common canvas, against simulated acquisitions whose truth is known."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from support.nominal_slices import nominal_slices, true_places_um

from linumpy_lib.acquisition.steps.estimate_xy_shifts import STEP as SHIFTS
from linumpy_lib.alignment.steps.align_common_space import STEP as ALIGN
from linumpy_lib.alignment.steps.detect_rehoming import STEP as DETECT
from linumpy_lib.cli import execute
from linumpy_lib.io import open_volume
from linumpy_lib.io.csv_file import read_rows
from linumpy_lib.io.shift_table import Shift, write_shifts
from linumpy_lib.io.slice_frame import slice_frame
from linumpy_lib.simulation import simulate_oct
from linumpy_lib.simulation.truth import Truth

CLEAN = {
    "jitter_um": 0,
    "scan_rotation_deg": 0,
    "scan_shear_deg": 0,
    "shift_um": 0,
    "rotation_deg": 0,
    "galvo_shift_px": 0,
    "curvature_um": 0,
    "tilt_deg": 0,
    "vignetting": 0,
}
SMALL = {
    "slices": 9,
    "tiles_x": 3,
    "tiles_y": 3,
    "tile_shape": "44,48,48",
    "overlap": 0.25,
    "interval_um": 100,
    "axial_um": 5,
    "interface_um": 20,
    "noise": 0.002,
}
EVENTS = {"glitch_slices": "2", "rehoming_slices": "4", "missing_slices": "6"}


def aligned(
    tmp_path: Path, truth: Truth, shifts: Path | None = None, *words: str
) -> tuple[Path, dict[int, np.ndarray]]:
    """Run the steps; return the folder and the errors (y, x) of every slice's place in pixels."""
    raw = tmp_path / "a" / "raw"
    stores = nominal_slices(raw, truth, tmp_path)
    if shifts is None:
        execute(SHIFTS, ["--input", str(raw), "--output", str(tmp_path), "--name", "all"])
        shifts = tmp_path / "shifts_xy.csv"
    out = tmp_path / "out"
    execute(DETECT, ["--shifts", str(shifts), "--output", str(out), "--name", "all"])
    execute(
        ALIGN,
        [
            *("--slices", *map(str, stores.values()), "--shifts", str(out / "shifts_xy_clean.csv")),
            *("--output", str(out), "--name", "all", "--quiet"),
            *("--registration_slicing_interval_mm", str(truth.interval_um / 1000), *words),
        ],
    )
    return out, place_errors(out, truth)


def place_errors(out: Path, truth: Truth) -> dict[int, np.ndarray]:
    true = true_places_um(truth)
    rows = {int(row["slice_id"]): row for row in read_rows(out / "common_space.csv", ["slice_id"])}
    found = {k: np.array([float(rows[k]["y_um"]), float(rows[k]["x_um"])]) for k in true}
    ids = sorted(true)
    error = np.array([found[k] - true[k] for k in ids]) / truth.spacing_um[2]
    error -= np.median(error, axis=0)
    return dict(zip(ids, error, strict=True))


@pytest.mark.parametrize("axes", ["x+y+", "y-x+"])
@pytest.mark.parametrize("table", ["own", "of the stage"])
def test_what_the_stage_knows_is_exact_under_every_convention(tmp_path: Path, axes: str, table: str) -> None:
    """Drift, a mosaic that grows, a re-homing and a missing slice; a table of image axes or of the stage's counters."""
    truth = simulate_oct(output=tmp_path / "a", growth=1, stage_axes=axes, **CLEAN, **SMALL, **EVENTS)
    shifts = None
    if table == "of the stage":
        shifts = tmp_path / "theirs.csv"
        write_shifts(shifts, stage_table(truth))
    out, errors = aligned(tmp_path, truth, shifts, "--common_space_refine_unreliable", "false")
    worst = max(np.abs(e).max() for k, e in errors.items() if k != 2)
    assert worst < 1e-3
    # the glitch was taken out; its slice lies between its neighbours, as far off as the drift is uneven
    assert np.abs(errors[2]).max() < 6
    rows = {int(r["slice_id"]): r for r in read_rows(out / "common_space.csv", ["slice_id"])}
    assert rows[6]["status"] == "missing"
    assert {r["status"] for k, r in rows.items() if k != 6} == {"used"}


def stage_table(truth: Truth) -> list[Shift]:
    """Shifts as other programs write them: along the stage's axes, ids as they come, the nearer border counts."""
    recorded = [item for item in truth.slices if item.recorded]
    found = []
    for fixed, moving in itertools.pairwise(recorded):
        places = [np.array([tile.stage_mm[:2] for tile in item.tiles]) for item in (fixed, moving)]
        low, high = (np.subtract(*(f(p, axis=0) for p in places)) for f in (np.min, np.max))
        x, y = np.where(np.abs(low) <= np.abs(high), low, high).tolist()
        found.append(Shift(fixed.id, moving.id, x / 0.01, y / 0.01, x, y, len(fixed.tiles) == len(moving.tiles)))
    return found


def test_images_place_what_the_stage_does_not_know(tmp_path: Path) -> None:
    """The glitched slice, and a re-homing that changed the stage's counters only."""
    truth = simulate_oct(output=tmp_path / "a", growth=1, rehoming_moves=False, speckle=0.3, **CLEAN, **SMALL, **EVENTS)
    _, errors = aligned(tmp_path, truth)
    error = np.array(list(errors.values()))
    assert np.sqrt((error**2).sum(axis=1).mean()) < 0.5
    assert np.abs(error).max() < 1


def test_stores_share_a_canvas_and_keep_their_voxels(tmp_path: Path) -> None:
    truth = simulate_oct(output=tmp_path / "a", **CLEAN, **{**SMALL, "slices": 3})
    out, _ = aligned(tmp_path, truth)
    volumes = {k: open_volume(out / f"slice_z{k:02d}_common.ome.zarr") for k in range(3)}
    assert len({v.shape for v in volumes.values()}) == 1
    rows = {int(r["slice_id"]): r for r in read_rows(out / "common_space.csv", ["slice_id"])}
    for k, volume in volumes.items():
        frame = slice_frame(volume)
        source = open_volume(tmp_path / f"slice_z{k:02d}_normalize.ome.zarr").read()
        y, x = int(rows[k]["y_px"]), int(rows[k]["x_px"])
        whole = volume.read()
        np.testing.assert_array_equal(whole[:, y : y + source.shape[1], x : x + source.shape[2]], source)
        assert whole.sum(dtype=np.float64) == pytest.approx(source.sum(dtype=np.float64))
        assert max(abs(o) for o in frame.origin_um[1:]) <= 5.0
        assert frame.interval_um == pytest.approx(100)
        assert frame.origin_um[0] == 20
        assert float(rows[k]["y_um"]) == pytest.approx(10 * y + frame.origin_um[1], abs=1e-5)
