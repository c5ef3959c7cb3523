"""Real tiles with strong vignetting: neighbours agree after fix_illumination where another program registered them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.brain_section import EDGE, BrainSection, brain_section

from linumpy_lib.cli import execute
from linumpy_lib.illumination.steps.fix_illumination import STEP
from linumpy_lib.io import open_volume

NOMINAL_STEP = 460
"""Pixels from one tile to the next on the stage."""


def disagreement(section: BrainSection, voxels: np.ndarray) -> tuple[float, float, int]:
    """Relative difference and correlation of neighbours in their registered overlap: medians over pairs of tissue."""
    differences, correlations = [], []
    for (row, column), corner in section.registered.items():
        for after in ((row + 1, column), (row, column + 1)):
            other = section.registered.get(after)
            if other is None:
                continue
            dy, dx = (round(b - a) for a, b in zip(corner, other, strict=True))
            wanted = (NOMINAL_STEP, 0) if after[0] > row else (0, NOMINAL_STEP)
            # registered positions of empty tiles mean nothing
            if abs(dy - wanted[0]) > 40 or abs(dx - wanted[1]) > 40:
                continue
            first, second = section.tile(voxels, (row, column)), section.tile(voxels, after)
            a = first[max(dy, 0) : EDGE + min(dy, 0), max(dx, 0) : EDGE + min(dx, 0)]
            b = second[max(-dy, 0) : EDGE + min(-dy, 0), max(-dx, 0) : EDGE + min(-dx, 0)]
            correlation = float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
            # noise alone says nothing about shading
            if correlation < 0.5:
                continue
            differences.append(float(np.abs(a - b).mean() / ((a + b).mean() / 2)))
            correlations.append(correlation)
    return float(np.median(differences)), float(np.median(correlations)), len(differences)


@pytest.mark.parametrize("device", ["cpu"])
def test_neighbours_agree_where_they_overlap(device: str, tmp_path: Path) -> None:
    section = brain_section(tmp_path)
    words = ["--input", str(section.path), "--output", str(tmp_path / "out"), "--name", "z01", "--quiet"]
    execute(STEP, [*words, "--device", device])
    before = disagreement(section, open_volume(section.path).read())
    after = disagreement(section, open_volume(tmp_path / "out" / "mosaic_grid_z01_illum_fix.ome.zarr").read())
    assert before[2] > 30
    assert after[2] > 30
    assert after[0] < 0.3 * before[0], "the package basicpy leaves 0.57, 0.36 with its dark field"
    assert after[1] > before[1]
    metrics = json.loads((tmp_path / "out" / "z01_fix_illumination_metrics.json").read_text())["metrics"]
    assert metrics["seam_l1"]["value"] < 0.5 * metrics["seam_l1_before"]["value"]
    assert metrics["seam_l1"]["status"] == "ok"
