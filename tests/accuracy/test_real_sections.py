"""Twenty real, cut sections of a mouse brain: all are stacked, in order, and nothing is made up between them."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.alignment.steps import align_common_space, register_pair, stack_slices
from linumpy_lib.cli import execute
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.slice_frame import SliceFrame

SECTIONS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "abba_mouse_sections.zip"
INTERVAL_PLANES = 10
PIXEL_UM = 20.0
# every second pixel: a quarter of the time, and more than registration needs
STEP = 2


def write_sections(folder: Path) -> list[np.ndarray]:
    """Write each section as a slice of one plane; nothing tells how far they were apart, so 200 um are said."""
    if not SECTIONS.is_file():
        pytest.skip(f"{SECTIONS}: the real sections are not there")
    import tifffile

    planes = []
    with zipfile.ZipFile(SECTIONS) as files:
        names = sorted(name for name in files.namelist() if name.endswith(".tif"))
        for k, name in enumerate(names):
            picture = tifffile.imread(io.BytesIO(files.read(name)))[0].astype(np.float32)
            height, width = (n // STEP * STEP for n in picture.shape)
            picture = picture[:height, :width].reshape(height // STEP, STEP, width // STEP, STEP).mean(axis=(1, 3))
            planes.append(np.maximum(picture, 1) / 1000)
            write_volume(
                folder / f"slice_z{k + 1:02d}_normalize.ome.zarr",
                planes[-1][None],
                spacing_um=(PIXEL_UM, PIXEL_UM * STEP, PIXEL_UM * STEP),
                levels=1,
                provenance={"slice": SliceFrame(k + 1).as_json()},
            )
    (folder / "shifts_xy.csv").write_text(
        "fixed_id,moving_id,x_shift,y_shift,x_shift_mm,y_shift_mm\n"
        + "".join(f"{k},{k + 1},0,0,0,0\n" for k in range(1, len(planes)))
    )
    return planes


def test_twenty_sections_without_invention(tmp_path: Path) -> None:
    planes = write_sections(tmp_path)
    execute(
        align_common_space.STEP,
        [
            *("--slices", str(tmp_path), "--shifts", str(tmp_path / "shifts_xy.csv"), "--output", str(tmp_path / "c")),
            *("--name", "brain", "--quiet", "--registration_slicing_interval_mm", "0.2"),
        ],
    )
    ids = range(1, len(planes) + 1)
    stores = {k: str(tmp_path / "c" / f"slice_z{k:02d}_common.ome.zarr") for k in ids}
    for fixed, moving in pairwise(ids):
        words = ["--fixed", stores[fixed], "--moving", stores[moving], "--output", str(tmp_path / "pairs")]
        execute(register_pair.STEP, [*words, "--name", f"z{moving:02d}", "--quiet"])
    out = tmp_path / "out"
    execute(
        stack_slices.STEP,
        [
            *("--slices", str(tmp_path / "c"), "--pairs", str(tmp_path / "pairs"), "--output", str(out)),
            *("--name", "brain", "--quiet", "--stack_match_intensity", "false"),
        ],
    )
    volume = open_volume(out / "brain.ome.zarr")
    data = volume.read()
    with (out / "stacking_decisions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    # every section is there, at its depth; a section is one plane, and the planes between hold nothing
    assert [int(row["slice_id"]) for row in rows] == list(ids)
    assert volume.shape[0] == (len(planes) - 1) * INTERVAL_PLANES + 1
    lit = np.flatnonzero((data != 0).any(axis=(1, 2)))
    assert lit.tolist() == [INTERVAL_PLANES * k for k in range(len(planes))]
    assert [int(row["first_plane"]) for row in rows] == lit.tolist()
    for plane, section in zip(data[lit], planes, strict=True):
        assert plane.max() <= section.max() + 1e-6
        assert abs(plane.sum(dtype=np.float64) / section.sum(dtype=np.float64) - 1) < 0.01
    # what is not believed is told, slice by slice
    for row in rows[1:]:
        assert row["use"] == "full" or row["reason"], row
    metrics = json.loads((out / "brain_stack_slices_metrics.json").read_text())
    assert any("do not reach down to the next one" in note for note in metrics["notes"])
    assert metrics["metrics"]["slices"]["value"] == 20
