"""Recordings with anything wrong in them: corrected, or refused with an error that names a file; nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def _try(first: int, last: int) -> dict[str, int]:
    words = [sys.executable, "-W", "error", "-m", "tests.support.damage_recordings", str(first), str(last), "500"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    ends: dict[str, int] = json.loads(done.stdout)
    assert sum(ends.values()) == last - first
    return ends


def test_damaged_recordings_are_corrected_or_refused() -> None:
    """161 recordings, 500 MB of address space at most, warnings are errors; no crash, no hang, nothing left behind."""
    ends = _try(0, 160)
    assert min(ends["corrected"], ends["refused by discover_views"], ends["refused by correct_view"]) > 160 // 10
    _try(325, 326)  # a dark frame whose TIFF has no pixels
