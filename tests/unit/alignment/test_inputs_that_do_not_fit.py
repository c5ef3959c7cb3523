"""From slices to the volume with tables and slices that contradict one another: a clear error, or a note and a gap."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.alignment.pair_folder import PairRecord
from linumpy_lib.alignment.pair_links import chosen_records
from linumpy_lib.alignment.rigid import Rigid
from linumpy_lib.alignment.steps import align_common_space, interpolate_slice, register_pair, stack_slices
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.slice_frame import SliceFrame

SHAPE = (6, 40, 44)
IDS = (0, 1, 2)


def write(folder: Path, slice_id: int, shape: tuple[int, int, int] = SHAPE, um: float = 10.0) -> Path:
    voxels = np.random.default_rng(3).random(shape).astype(np.float32) + 0.1
    frame = SliceFrame(slice_id, interval_um=40.0)
    path = folder / f"slice_z{slice_id:02d}_normalize.ome.zarr"
    write_volume(
        path,
        voxels,
        spacing_um=(um, um, um),
        levels=1,
        provenance={"slice": frame.as_json()},
        overwrite=True,
    )
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in IDS:
        write(tmp_path, k)
    (tmp_path / "shifts_xy.csv").write_text(
        "fixed_id,moving_id,x_shift,y_shift,x_shift_mm,y_shift_mm\n0,1,0,0,0,0\n1,2,0,0,0,0\n"
    )
    return tmp_path


def align(folder: Path, config: str = "") -> dict:
    words = ["--slices", str(folder), "--shifts", str(folder / "shifts_xy.csv"), "--output", str(folder / "common")]
    if config:
        (folder / "slice_config.csv").write_text(config)
        words += ["--slice_config", str(folder / "slice_config.csv")]
    execute(align_common_space.STEP, [*words, "--name", "all", "--quiet", "--registration_slicing_interval_mm", "0.04"])
    return dict(json.loads((folder / "common" / "all_align_common_space_metrics.json").read_text()))


def stack(folder: Path, *words: str) -> tuple[dict, list[dict[str, str]]]:
    given = ["--slices", str(folder), "--output", str(folder / "stack"), "--name", "all", "--quiet", *words]
    execute(stack_slices.STEP, given)
    with (folder / "stack" / "stacking_decisions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return dict(json.loads((folder / "stack" / "all_stack_slices_metrics.json").read_text())), rows


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("slice_id,use\n0,true\n0,false\n", "slice 0 occurs twice; keep one row"),
        ("slice_id,use\n0,perhaps\n", "use of slice 0"),
        ("slice,use\n0,true\n", "slice_id"),
        ("slice_id,use\nfirst,true\n", "slice_id"),
        ("slice_id,use\n0,false\n1,false\n2,false\n", "excludes all 3 slices"),
    ],
)
@pytest.mark.parametrize("step", ["align", "stack"])
def test_a_contradictory_table_is_refused(folder: Path, step: str, config: str, words: str) -> None:
    (folder / "slice_config.csv").write_text(config)
    run = {
        "align": lambda: align(folder, config),
        "stack": lambda: stack(folder, "--slice_config", str(folder / "slice_config.csv")),
    }[step]
    with pytest.raises(InputError, match=words):
        run()
    assert not (folder / "stack" / "all.ome.zarr").exists()


def test_ids_that_are_in_one_table_only_are_told(folder: Path) -> None:
    told = align(folder, "slice_id,use\n0,true\n2,true\n3,true\n")
    assert any("has no row for slices [1]; they are used" in note for note in told["notes"])
    assert any("uses slices [3], but their stores are not there; they stay gaps" in note for note in told["notes"])
    assert len(list((folder / "common").glob("slice_z*_common.ome.zarr"))) == 3


def test_a_table_of_shifts_that_is_absent_or_of_other_slices_is_refused(folder: Path) -> None:
    table = folder / "shifts_xy.csv"
    table.write_text(table.read_text().replace("0,1,", "10,11,").replace("1,2,", "11,12,"))
    with pytest.raises(InputError, match="names no slice"):
        align(folder)
    table.unlink()
    with pytest.raises(InputError, match=r"shifts_xy\.csv: no such file"):
        align(folder)


def test_one_slice_is_a_volume(folder: Path) -> None:
    told, rows = stack(folder, "--slices", str(folder / "slice_z01_normalize.ome.zarr"))
    assert [row["slice_id"] for row in rows] == ["01"]
    assert told["metrics"]["gaps"]["value"] == 0
    assert np.array_equal(
        open_volume(folder / "stack" / "all.ome.zarr").read(),
        open_volume(folder / "slice_z01_normalize.ome.zarr").read(),
    )


def test_an_excluded_slice_keeps_its_thickness(folder: Path) -> None:
    (folder / "slice_config.csv").write_text("slice_id,use,exclude_reason\n0,true,\n1,false,torn\n2,true,\n")
    told, rows = stack(folder, "--slice_config", str(folder / "slice_config.csv"))
    assert [(row["slice_id"], row["first_plane"]) for row in rows] == [("00", "0"), ("02", "8")]
    assert told["metrics"]["gaps"]["value"] == 1
    assert "slices 1 are gaps; their thickness is kept" in told["notes"]


@pytest.mark.parametrize("um", [10.0, 12.5])
def test_pairs_of_other_voxels_or_shapes_are_refused(folder: Path, um: float) -> None:
    path = write(folder, 1, (6, 30, 44) if um == 10.0 else SHAPE, um)
    words = ["--fixed", str(folder / "slice_z00_normalize.ome.zarr"), "--moving", str(path), "--output", str(folder)]
    with pytest.raises(InputError, match="one canvas" if um == 10.0 else "resample both to one size"):
        execute(register_pair.STEP, [*words, "--name", "z01", "--quiet"])
    with pytest.raises(InputError, match="canvas" if um == 10.0 else "resolution"):
        stack(folder)
    last = write(folder, 2, (6, 30, 44) if um == 10.0 else SHAPE, um)
    words = ["--before", str(folder / "slice_z00_normalize.ome.zarr"), "--after", str(last), "--output", str(folder)]
    with pytest.raises(InputError, match="one common space"):
        execute(interpolate_slice.STEP, [*words, "--quiet"])


def test_which_pairs_count() -> None:
    """Neighbours whatever they share; others as far as they share planes and are within reach; by hand always."""

    def pair(fixed: int, moving: int, *, overlaps: bool, source: str = "automated") -> PairRecord:
        return PairRecord(fixed, moving, Rigid(), 0, 0, 0.0, 0.9, 0.9, "ok", overlaps=overlaps, source=source)

    records = [
        pair(0, 1, overlaps=True),
        pair(1, 3, overlaps=False),
        pair(0, 3, overlaps=True),
        pair(1, 4, overlaps=False),
        pair(0, 4, overlaps=True),
    ]
    for reach, expected in (
        (1, {(0, 1), (1, 3)}),
        (2, {(0, 1), (1, 3), (0, 3)}),
        (3, {(0, 1), (1, 3), (0, 3), (0, 4)}),
    ):
        kept, notes = chosen_records(records, [], [0, 1, 3, 4], reach)
        assert {(one.fixed_id, one.moving_id) for one in kept} == expected
        assert not notes
    kept, _ = chosen_records(records, [pair(0, 4, overlaps=False, source="manual")], [0, 1, 3, 4], 1)
    assert (0, 4) in {(one.fixed_id, one.moving_id) for one in kept}
