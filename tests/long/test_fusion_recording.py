"""A recording of four cameras, two light sheets and five time points through fusion and anisotropy."""

from __future__ import annotations

import csv

import pytest
from support.nextflow_runs import Nextflow, Run

from linumpy_lib.io import open_volume

SHAPE, TIMES, CAMERAS = (48, 96, 96), range(5), range(4)
NAMES = {"registration", "intensity_correction", "fusion_result", "blending_weights", "fused_overview"}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    nextflow = Nextflow(tmp_path_factory.mktemp("recording"))
    words = ("-profile", "cpu", "--workflow", "fusion,anisotropy", "--input", "simulate", "--output", "results")
    scene = {"shape": "48,96,96", "channels": "2", "timepoints": "5", "fill": "0.1", "shift_px": "1,-3,4"}
    simulation = [word for name, value in scene.items() for word in (f"--simulate_multiview_{name}", value)]
    return nextflow.run(*words, *simulation, "--fusion_channel_pairs", "0-1", "--fusion_temporal_smoothing")


def test_every_view_and_pair_is_there(done: Run) -> None:
    assert done.status == 0, done.text
    results = done.folder / "results" / "fusion"
    views = {f"SPM00_TM00000{t}_CM0{c}_CHN0{h}" for t in TIMES for c in CAMERAS for h in (0, 1)}
    sheets = {f"SPM00_TM00000{t}_CM0{c}_CHN00_CHN01" for t in TIMES for c in CAMERAS}
    fours = {f"SPM00_TM00000{t}_{pair}_CHN00_CHN01" for t in TIMES for pair in ("CM00_CM01", "CM02_CM03")}
    assert {path.name for path in (results / "corrected").glob("SPM00*")} == {f"{name}.ome.zarr" for name in views}
    assert {path.name for path in (results / "fused").iterdir()} == {f"{name}.ome.zarr" for name in sheets | fours}
    for name in fours:
        volume = open_volume(results / "fused" / f"{name}.ome.zarr")
        assert volume.shape == SHAPE
        assert volume.provenance["view"]["timepoint"] == int(name[11])
    for folder in (results / "diagnostics").glob("TM*/cam*"):
        assert {path.stem for path in folder.iterdir()} == NAMES | {"quality_over_depth"}, folder
    assert len(list((results / "diagnostics").glob("TM*/cam*"))) == len(sheets | fours)
    maps = {path.name for path in (done.folder / "results" / "anisotropy").glob("*_measures.ome.zarr")}
    assert maps == {f"{name}_measures.ome.zarr" for name in fours}


def test_shifts_between_cameras_are_those_that_were_simulated(done: Run) -> None:
    """This thin scene tells less than that of `test_fusion_truth.py`: 0.16 px and 0.4 degrees were measured."""
    with (done.folder / "results" / "fusion" / "parameters.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(TIMES) * (len(CAMERAS) + 2)
    for row in rows:
        wanted = (0, 0, 0) if row["pair"].count("CM") == 1 else (-1, 3, -4)
        assert [float(row[f"{axis}_offset"]) for axis in "zyx"] == pytest.approx(wanted, abs=0.25), row["name"]
        assert abs(float(row["rotation"])) < 0.5
        assert not row["refused"]
