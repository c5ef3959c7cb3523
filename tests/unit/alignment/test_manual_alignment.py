"""The steps export_manual_align and refine_manual_transforms: what a person gets, and what becomes of their work."""

from __future__ import annotations

import csv
import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.alignment.manual_package import centroid, pair_depths, pair_pictures, reduced
from linumpy_lib.alignment.pair_folder import read_pair
from linumpy_lib.alignment.rigid import Rigid, write_tfm
from linumpy_lib.alignment.steps import export_manual_align, refine_manual_transforms, stack_slices
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume
from tests.support.stacked_truth import register_all
from tests.support.virtual_slices import Sectioning, VirtualSlices, brain, section


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> VirtualSlices:
    return section(brain(90, 100, 110), tmp_path_factory.mktemp("slices"), Sectioning(slices=4, missing=(2,), seed=5))


def true_motion(made: VirtualSlices, fixed: int, moving: int) -> Rigid:
    return made.poses[moving].after(made.poses[fixed].inverse())


def by_hand(made: VirtualSlices, folder: Path, off: tuple[float, float, float]) -> Path:
    """Pairs as a person leaves them: near the truth, off by (y, x, degrees); two of three files are as theirs."""
    for fixed, moving in pairwise(made.ids):
        true = true_motion(made, fixed, moving)
        place = folder / f"slice_z{moving:02d}"
        place.mkdir(parents=True)
        motion = Rigid(true.angle_rad + math.radians(off[2]), (true.shift[0] + off[0], true.shift[1] + off[1]))
        write_tfm(place / "transform.tfm", Rigid(motion.angle_rad, motion.shift, true.centre))
        (place / "offsets.txt").write_text(f"{made.tops[moving] - made.tops[fixed]}\n0\n")
        (place / "pairwise_registration_metrics.json").write_text('{"source": "manual", "metrics": {}}')
    return folder


def refine(made: VirtualSlices, manual: Path, out: Path, *words: str) -> list[dict[str, str]]:
    given = ["--slices", *map(str, made.paths.values()), "--manual", str(manual), "--output", str(out), "--name", "b"]
    execute(refine_manual_transforms.STEP, [*given, "--quiet", *words])
    with (out / "manual_refinement.csv").open() as stream:
        return list(csv.DictReader(stream))


def error(made: VirtualSlices, folder: Path, fixed: int, moving: int) -> tuple[float, float]:
    found, true = read_pair(folder / f"slice_z{moving:02d}").motion, true_motion(made, fixed, moving)
    centre = np.array(true.centre)
    return float(np.linalg.norm(found.apply(centre) - true.apply(centre))), abs(found.angle_deg - true.angle_deg)


def test_refinement_brings_pairs_to_the_truth(cut: VirtualSlices, tmp_path: Path) -> None:
    manual = by_hand(cut, tmp_path / "hand", (1.5, -1.2, 0.6))
    rows = refine(cut, manual, tmp_path / "out")
    for row, (fixed, moving) in zip(rows, pairwise(cut.ids), strict=True):
        shift, angle = error(cut, tmp_path / "out" / "manual_transforms", fixed, moving)
        # across the gap only six planes show the same tissue
        assert shift < (0.6 if moving == 3 else 0.3)
        assert angle < 0.35
        assert float(row["correlation"]) > float(row["start_correlation"])
        assert float(row["moved_px"]) == pytest.approx(math.hypot(1.5, 1.2), abs=0.7)
    record = read_pair(tmp_path / "out" / "manual_transforms" / "slice_z01")
    assert (record.source, record.confidence, record.status) == ("manual_refined", 1.0, "ok")
    assert record.fixed_plane - record.moving_plane == cut.tops[1] - cut.tops[0]
    assert (tmp_path / "out" / "b_refine_manual_transforms_preview.png").stat().st_size > 5000


def test_bounds_count_from_the_manual_transform(cut: VirtualSlices, tmp_path: Path) -> None:
    manual = by_hand(cut, tmp_path / "hand", (3.0, 0.0, 0.0))
    rows = refine(cut, manual, tmp_path / "tight", "--refine_max_translation_px", "0.5")
    assert all(float(row["moved_px"]) <= 0.5 + 1e-6 for row in rows)
    rows = refine(cut, manual, tmp_path / "straight", "--refine_max_rotation_deg", "0")
    assert all(float(row["turned_deg"]) == 0 for row in rows)


def test_stacking_takes_the_refined_folder(cut: VirtualSlices, tmp_path: Path) -> None:
    manual = by_hand(cut, tmp_path / "hand", (1.0, 1.0, 0.3))
    refine(cut, manual, tmp_path / "out")
    given = ["--slices", *map(str, cut.paths.values()), "--manual", str(tmp_path / "out" / "manual_transforms")]
    execute(stack_slices.STEP, [*given, "--output", str(tmp_path / "stack"), "--name", "b", "--quiet"])
    with (tmp_path / "stack" / "stacking_decisions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["manual_override"] for row in rows] == ["false", "true", "true"]
    assert {row["use"] for row in rows[1:]} == {"full"}


def test_pairs_of_absent_slices_are_told_and_an_empty_folder_is_refused(cut: VirtualSlices, tmp_path: Path) -> None:
    manual = by_hand(cut, tmp_path / "hand", (0.0, 0.0, 0.0))
    (manual / "slice_z03").rename(manual / "slice_z08")
    assert len(refine(cut, manual, tmp_path / "out")) == 1
    notes = json.loads((tmp_path / "out" / "b_refine_manual_transforms_metrics.json").read_text())["notes"]
    assert any("slice_z08 is left out" in note for note in notes)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no folder of a pair"):
        refine(cut, tmp_path / "empty", tmp_path / "none")


def export(made: VirtualSlices, out: Path, *words: str) -> Path:
    given = ["--slices", *map(str, made.paths.values()), "--output", str(out), "--name", "b", "--quiet"]
    execute(export_manual_align.STEP, [*given, *words])
    return out / "manual_align_package"


def test_the_package_holds_what_the_tool_reads(cut: VirtualSlices, tmp_path: Path) -> None:
    pairs = register_all(cut, tmp_path / "pairs")
    package = export(cut, tmp_path / "a", "--pairs", str(pairs))
    names = {"slice_z00", "slice_z01", "slice_z03"}
    names |= {f"pair_{ids}_{which}" for ids in ("z00_z01", "z01_z03") for which in ("fixed", "moving")}
    for part in ("aips", "aips_xz", "aips_yz"):
        assert {path.stem for path in (package / part).glob("*.npz")} == names
    assert {path.name for path in (package / "transforms").iterdir()} == {"slice_z01", "slice_z03"}
    told = json.loads((package / "manual_align_metadata.json").read_text())
    assert (told["pyramid_level"], told["n_slices"], told["n_transforms"]) == (1, 3, 2)
    assert told["slice_ids"] == [0, 1, 3]
    with np.load(package / "aips" / "slice_z00.npz") as held:
        assert held["aip"].dtype == np.float32
        assert held["aip"].shape == (50, 55)
        np.testing.assert_allclose(held["scale"], (0.02, 0.02))
        whole = open_volume(cut.paths[0]).read()
        assert held["aip"].mean() == pytest.approx(whole.mean(), rel=1e-4)
    again = export(cut, tmp_path / "b", "--pairs", str(pairs))
    for path in sorted(package.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(package)).read_bytes()


def test_pictures_of_a_pair_show_the_same_depth(cut: VirtualSlices, tmp_path: Path) -> None:
    """Offsets count full-resolution planes, the pictures coarser ones."""
    package = export(cut, tmp_path, "--manual_align_level", "1")
    pictures = []
    for which in ("fixed", "moving"):
        with np.load(package / "aips" / f"pair_z00_z01_{which}.npz") as held:
            pictures.append(held["aip"])
    assert np.corrcoef(pictures[0].ravel(), pictures[1].ravel())[0, 1] > 0.9
    fixed, moving = (reduced(open_volume(cut.paths[k]), 1) for k in (0, 1))
    assert pair_depths(None, 10.0, 1) == (5.0, 0.0)
    np.testing.assert_array_equal(pair_pictures(fixed, moving, (5.0, 0.0))[0], pictures[0])
    few = pair_pictures(fixed, moving, (40.0, 0.0))
    np.testing.assert_allclose(few[0], fixed.values[-3:].mean(axis=0), rtol=1e-5)


def test_the_level_makes_coarser_pictures(cut: VirtualSlices, tmp_path: Path) -> None:
    fine, coarse = (export(cut, tmp_path / level, "--manual_align_level", level) for level in ("0", "2"))
    with np.load(fine / "aips_xz" / "slice_z01.npz") as a, np.load(coarse / "aips_xz" / "slice_z01.npz") as b:
        assert (a["aip"].shape, b["aip"].shape) == ((26, 110), (7, 28))
        np.testing.assert_allclose(b["scale"], 4 * a["scale"])


def test_centre_of_what_is_bright() -> None:
    picture = np.zeros((20, 30), np.float32)
    picture[4:7, 20:23] = 3
    assert centroid(picture) == (5, 21)
    assert centroid(np.zeros((20, 30), np.float32)) == (10, 15)
