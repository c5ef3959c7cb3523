"""The step assess_quality: a degraded slice scores lower by every term, and marks do not touch what stood before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from linumpy_lib.alignment.steps.assess_quality import STEP
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.slice_config import read_slice_config
from tests.support.virtual_slices import Sectioning, brain, section


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six slices; the fourth is blurred, dim and noisy, the others lie up to a few pixels apart."""
    folder = tmp_path_factory.mktemp("slices")
    made = section(brain(110), folder, Sectioning(slices=6, missing=()))
    volume = open_volume(made.paths[3])
    bad = 0.15 * ndimage.gaussian_filter(volume.read(), (0, 6, 6))
    bad += 0.2 * np.random.default_rng(0).random(bad.shape, np.float32)
    write_volume(
        made.paths[3], bad, spacing_um=volume.spacing_um, levels=1, overwrite=True, provenance=volume.provenance
    )
    return [made.paths[k] for k in made.ids]


def run(stores: list[Path], out: Path, *words: str) -> tuple[dict[int, dict[str, str]], dict[str, float]]:
    given = ["--slices", *map(str, stores), "--output", str(out), "--name", "brain", "--quiet"]
    execute(STEP, [*given, *words])
    metrics = json.loads((out / "brain_assess_quality_metrics.json").read_text())["metrics"]
    return read_slice_config(out / "slice_config.csv"), {name: item["value"] for name, item in metrics.items()}


def test_a_degraded_slice_is_told_from_the_others(stores: list[Path], tmp_path: Path) -> None:
    rows, figures = run(stores, tmp_path, "--auto_assess_min_quality", "0.45")
    good = [figures[f"z{k:02d}_quality"] for k in (0, 1, 5)]
    assert min(good) > figures["z03_quality"] + 0.2
    for part in ("ssim", "edges", "variance"):
        assert figures[f"z03_{part}"] < min(figures[f"z{k:02d}_{part}"] for k in (0, 1, 5))
    assert rows[3]["auto_exclude_reason"] == "low_quality"
    assert rows[0]["auto_exclude_reason"] == "first_slice"
    assert [k for k, row in rows.items() if row.get("auto_excluded") == "true"] == [0, 3]
    assert float(rows[3]["quality_score"]) == pytest.approx(figures["z03_quality"], abs=1e-4)
    assert (tmp_path / "brain_assess_quality_preview.png").stat().st_size > 5000


def test_parameters_and_earlier_marks_count(stores: list[Path], tmp_path: Path) -> None:
    table = tmp_path / "slice_config.csv"
    table.write_text("slice_id,use,exclude_reason,notes,mine\n0,false,calibration_slice,,a\n1,true,,,b\n9,true,,,c\n")
    words = ("--slice_config", str(table), "--auto_assess_min_quality", "0")
    rows, _ = run(stores, tmp_path / "a", *words)
    assert rows[0]["exclude_reason"] == "calibration_slice"
    assert rows[0].get("auto_excluded", "") in ("", "false")
    assert rows[1]["mine"] == "b"
    assert "quality_score" not in rows[9] or not rows[9]["quality_score"]
    assert not any(row.get("auto_excluded") == "true" for row in rows.values())
    rows, _ = run(stores, tmp_path / "b", *words, "--auto_assess_exclude_first", "3")
    assert [k for k, row in rows.items() if row.get("auto_excluded") == "true"] == [1, 2]
    _, small = run(stores, tmp_path / "c", "--auto_assess_roi_size", "64")
    _, large = run(stores, tmp_path / "d")
    assert small["z01_quality"] != large["z01_quality"]


def test_one_slice_is_not_judged(stores: list[Path], tmp_path: Path) -> None:
    rows, _ = run(stores[:1], tmp_path, "--auto_assess_exclude_first", "0")
    assert rows[0].get("auto_excluded", "") in ("", "false")


def test_what_is_no_slice_is_refused(stores: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="twice"):
        run([*stores, stores[0]], tmp_path)
    plain = tmp_path / "plain.ome.zarr"
    write_volume(plain, np.ones((4, 9, 9), np.float32), spacing_um=(10, 10, 10))
    with pytest.raises(InputError, match="state no slice"):
        run([plain], tmp_path / "out")
