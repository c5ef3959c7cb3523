"""Registration and fusion of simulated opposing views, in good and in poor light, against their truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.opposing_views import figures

from linumpy_lib.cli import execute
from linumpy_lib.fusion.steps import fuse_views, register_views
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.simulation import simulate_multiview

STEM = "SPM00_TM000000_CM00_CM01_CHN00"
SHAPE = (128, 160, 160)
# NCC, PSNR [dB] and SSIM of the quality-weighted mode at least; the full size is that of bench.bench_fusion.
LEAST = {"opposing": (0.975, 38.5, 0.97), "noisy": (0.96, 27.0, 0.79)}
SHIFT_PX, ROTATION_DEG = 0.1, 0.05
MODES = ("quality_weighted", "adaptive_blending", "average", "geometric", "wavelet")


@pytest.fixture(scope="module", params=["opposing", "noisy"])
def fused(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any, Any, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    scene = simulate_multiview(preset=request.param, shape=SHAPE)
    views = [scene.view(0, camera).volume for camera in (0, 1)]
    paths = [str(folder / f"SPM00_TM000000_CM0{camera}_CHN00.ome.zarr") for camera in (0, 1)]
    for path, view in zip(paths, views, strict=True):
        write_volume(path, view, spacing_um=scene.spacing_um, levels=1)
    pair = ["--reference", paths[0], "--moving", paths[1], "--name", STEM, "--quiet", "--processes", "1"]
    execute(register_views.STEP, [*pair, "--output", str(folder)])
    pair += ["--registration", str(folder / f"{STEM}_registration.json")]
    pair += ["--topology", str(folder / f"{STEM}_topology.ome.zarr"), "--save_diagnostics", "false"]
    for mode in MODES:
        execute(fuse_views.STEP, [*pair, "--output", str(folder / mode), "--fusion_type", mode])
    return request.param, scene, views, folder


def test_shift_and_rotation(fused: tuple[str, Any, Any, Path]) -> None:
    _preset, _scene, _views, folder = fused
    found = json.loads((folder / f"{STEM}_registration.json").read_text())["transform"]
    offset = np.array([found[f"{axis}_offset"] for axis in "zyx"])
    assert np.abs(offset + np.array([2.6, -5.2, 7.4])).max() <= SHIFT_PX
    assert abs(found["rotation"]) <= ROTATION_DEG


def test_quality_weighting_leads_on_all_three_figures(fused: tuple[str, Any, Any, Path]) -> None:
    preset, scene, views, folder = fused
    ours = figures(open_volume(folder / "quality_weighted" / f"{STEM}.ome.zarr").read(), scene.truth)
    assert all(a >= b for a, b in zip(ours, LEAST[preset], strict=True)), ours
    others = {mode: open_volume(folder / mode / f"{STEM}.ome.zarr").read() for mode in MODES[1:]}
    others["first view"] = views[0]
    for name, volume in others.items():
        theirs = figures(volume, scene.truth)
        assert all(a > b for a, b in zip(ours, theirs, strict=True)), (name, ours, theirs)


def test_no_voxel_is_brighter_than_what_was_seen(fused: tuple[str, Any, Any, Path]) -> None:
    """Each mode stays within the range of both views, brought to the brightness it fuses them at."""
    _preset, _scene, views, folder = fused
    record = json.loads((folder / f"{STEM}_registration.json").read_text())
    backgrounds, factor = record["backgrounds"], record["factor"]
    gains = (1.0, factor) if factor >= 1 else (1 / factor, 1.0)
    top = max((v.max() - b) * g for v, b, g in zip(views, backgrounds, gains, strict=True))
    for mode in MODES:
        volume = open_volume(folder / mode / f"{STEM}.ome.zarr").read()
        assert volume.max() <= top + 0.5, mode
