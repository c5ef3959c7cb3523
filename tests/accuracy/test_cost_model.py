"""The plan of large acquisitions: its costs predict the largest measured runs, and the page shows what it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.plan_large import check, plan

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("step", "ratio"), check())
def test_costs_of_small_runs_predict_the_largest_ones(step: str, ratio: float) -> None:
    assert 0.5 <= ratio <= 2, step


def test_twice_the_tiles_take_twice_the_time_in_the_same_memory() -> None:
    for one, two in zip(plan(5, (200, 400, 400), 10), plan(10, (200, 400, 400), 10), strict=True):
        assert float(two["cpu_h"]) == pytest.approx(2 * float(one["cpu_h"]), rel=0.01)
        assert two["peak_mb"] == one["peak_mb"]


def test_the_page_shows_what_the_plan_prints() -> None:
    command = [sys.executable, "-m", "bench.plan_large"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed in (ROOT / "docs" / "large-runs.md").read_text(encoding="utf-8")
