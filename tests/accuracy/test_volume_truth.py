"""A simulated acquisition through every step, from raw tiles to the stacked volume, against its exact truth."""

from __future__ import annotations

from pathlib import Path

from bench.accuracy import LIMITS
from bench.acquisition import Plan, reconstruct


def test_twelve_slices_from_raw_tiles_to_the_volume(tmp_path: Path) -> None:
    """Drift, unrecorded shifts of 2 px and rotations of 0.7 degrees, a glitch, a re-homing, a missing slice, noise."""
    found = reconstruct(tmp_path, Plan(), ceiling=False)
    assert found["planes_too_many"] == 0
    assert found["tile_rms_px"] <= 0.25
    for name in ("position_rms_px", "position_max_px", "rotation_rms_deg", "depth_max_planes"):
        assert found[name] <= LIMITS[name], name
    assert found["ncc_blurred_model"] >= 0.95
