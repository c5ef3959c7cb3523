"""Every parameter of the fusion changes a result: one table for each step, and a new parameter needs a row.

Those of `correct_view` have theirs in test_correct_view.py.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.fusion import refinement, registration, viz
from linumpy_lib.fusion.discovery import discover
from linumpy_lib.fusion.parameters.selection import SelectionParameters
from linumpy_lib.fusion.recording_plan import plan_recording
from linumpy_lib.fusion.steps import fuse_views, register_views, smooth_parameters
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.simulation import simulate_multiview

# Mode of the pair that shows it, value, and what else is set on both sides.
REGISTRATION: dict[str, tuple[str, str, dict[str, str]]] = {
    "fusion_search_offsets_x": ("camera", "3,20,1", {}),
    "fusion_search_offsets_y": ("camera", "3,20,1", {}),
    "fusion_optimizer": ("camera", "nelder_mead", {}),
    "fusion_slab_size_channels": ("channel", "25", {}),
    "fusion_slab_size_cameras": ("camera", "6", {}),
    "fusion_median_filter_range": ("camera", "20", {}),
    "fusion_precise_gauss": ("camera", "false", {}),
    "fusion_gauss_kernel": ("camera", "0", {}),
    "fusion_gauss_sigma": ("camera", "2.0", {}),
    "fusion_subsample_slices": ("camera", "977", {}),
    "fusion_subsample_stacks": ("camera", "9999", {}),
    "fusion_mask_percentile": ("camera", "70", {}),
    "fusion_mask_subsample": ("camera", "3", {"fusion_mask_percentile": "60"}),
    "fusion_mask_fusion_mode": ("camera", "0", {}),
    "fusion_mask_padding": ("camera", "1", {}),
    "fusion_mask_padding_radius": ("camera", "3", {"fusion_mask_padding": "2"}),
    "fusion_mask_min_object_size": ("camera", "0.02", {}),
    "fusion_flip_h": ("camera", "true", {}),
    "fusion_flip_v": ("camera", "true", {}),
    "fusion_channel_flip_h": ("channel", "true", {}),
    "fusion_channel_flip_v": ("channel", "true", {}),
    "fusion_intensity_slab_size_channels": ("channel", "2", {}),
    "fusion_intensity_slab_size_cameras": ("camera", "1", {}),
}
BLENDING: dict[str, tuple[str, str]] = {
    "fusion_type": ("camera", "average"),
    "fusion_blending_range": ("camera", "20,9"),
    "fusion_left_flags": ("channel", "1,2"),
    "fusion_front_flag": ("camera", "2"),
    "save_diagnostics": ("camera", "true"),
}
ON = {"fusion_temporal_smoothing": "true"}
TEMPORAL: dict[str, tuple[str, dict[str, str]]] = {
    "fusion_temporal_smoothing": ("true", {}),
    "fusion_smoothing_window": ("5", ON),
    "fusion_temporal_interpolation": ("true", {}),
    "fusion_offset_averaging_range": ("0", ON),
    "fusion_angle_averaging_range": ("0", ON),
    "fusion_intensity_averaging_range": ("0", ON),
    "fusion_averaging": ("mean", ON),
    "fusion_static": ("true", {}),
    "fusion_generate_lookup_table": ("true", {}),
}
SELECTION: dict[str, tuple[Any, dict[str, Any]]] = {
    "specimen": (1, {}),
    "timepoints": ("1", {}),
    "cameras": ("0,1", {}),
    "channels": ("1", {}),
    "camera_channel_map": ("0:0,1:0,2:1,3:1", {}),
    "camera_pairs": ("0-1", {}),
    "reference_channels": ("0", {}),
    "dependent_channels": ("1", {"reference_channels": "0"}),
    "fusion_enable": (False, {}),
    "fusion_camera_pairs": ("2-3", {}),
    "fusion_channel_pairs": ("0-1", {}),
    "fusion_4view_only": (True, {"fusion_channel_pairs": "0-1"}),
}


def digest(folder: Path) -> str:
    """Sum over what a step wrote, its log of time and versions left out."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name.endswith(("_metrics.json", "_preview.png")) or path.name == "zarr.json":
            continue
        found.update(path.relative_to(folder).as_posix().encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def words(choices: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in choices.items()]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Two facing views, and two light sheets of one camera, as stores."""
    folder = tmp_path_factory.mktemp("views")
    scene = simulate_multiview(shape=(20, 72, 64), cameras="0,1", channels=2, fill=0.03, shift_px="1,-2,3")
    stores = {}
    for camera, channel in ((0, 0), (1, 0), (0, 1)):
        path = folder / f"SPM00_TM000000_CM0{camera}_CHN0{channel}.ome.zarr"
        write_volume(path, scene.view(0, camera, channel).volume, spacing_um=(1, 1, 1), levels=1)
        stores[camera, channel] = str(path)
    first = ["--reference", stores[0, 0], "--quiet", "--processes", "1"]
    return {
        "camera": [*first, "--moving", stores[1, 0], "--name", "SPM00_TM000000_CM00_CM01_CHN00"],
        "channel": [*first, "--moving", stores[0, 1], "--name", "SPM00_TM000000_CM00_CHN00_CHN01"],
    }


def register(pairs: dict[str, list[str]], mode: str, output: Path, choices: dict[str, str]) -> str:
    execute(register_views.STEP, [*pairs[mode], "--output", str(output), *words(choices)])
    return digest(output)


def test_every_parameter_of_registration(
    pairs: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fewer voxels are compared, to be quick.
    monkeypatch.setattr(refinement, "_MOST_POINTS", 12_000)
    # Small slabs are believed even where they hold little.
    monkeypatch.setattr(registration, "_MOST_LOST", 1.0)
    assert set(REGISTRATION) == set(register_views.STEP.parameters.model_fields)
    bases = {"camera": register(pairs, "camera", tmp_path / "base", {})}
    assert register(pairs, "camera", tmp_path / "again", {}) == bases["camera"]
    record = json.loads(next((tmp_path / "base").glob("*_registration.json")).read_text())
    assert not record["refused"]
    for name, (mode, value, others) in REGISTRATION.items():
        key = mode + "".join(words(others))
        if key not in bases:
            bases[key] = register(pairs, mode, tmp_path / f"base{len(bases)}", others)
        assert register(pairs, mode, tmp_path / name, {**others, name: value}) != bases[key], name


def test_every_parameter_of_blending(pairs: dict[str, list[str]], tmp_path: Path) -> None:
    assert set(BLENDING) == set(fuse_views.STEP.parameters.model_fields)

    def fuse(mode: str, output: Path, choices: dict[str, str]) -> tuple[str, bool]:
        stem = pairs[mode][-1]
        given = [f"--registration={tmp_path / mode / stem}_registration.json"]
        given += [f"--topology={tmp_path / mode / stem}_topology.ome.zarr"]
        execute(fuse_views.STEP, [*pairs[mode], *given, "--output", str(output), *words(choices)])
        voxels = open_volume(output / f"{stem}.ome.zarr").read()
        return hashlib.sha256(np.ascontiguousarray(voxels)).hexdigest(), (output / f"{stem}_diagnostics").is_dir()

    quiet = {"save_diagnostics": "false"}
    bases = {}
    for mode in pairs:
        register(pairs, mode, tmp_path / mode, {})
        bases[mode] = fuse(mode, tmp_path / f"base_{mode}", quiet)
    for name, (mode, value) in BLENDING.items():
        assert fuse(mode, tmp_path / name, {**quiet, name: value}) != bases[mode], name


def test_every_parameter_over_time(
    pairs: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The picture is not what is compared.
    monkeypatch.setattr(viz, "plot_temporal_parameters", lambda _plots, _names, path: path.write_bytes(b""))
    assert set(TEMPORAL) == set(smooth_parameters.STEP.parameters.model_fields)
    register(pairs, "camera", tmp_path / "one", {})
    record = json.loads(next((tmp_path / "one").glob("*_registration.json")).read_text())
    series = tmp_path / "series"
    series.mkdir()
    rng = np.random.default_rng(3)
    for t in range(14):
        name = f"SPM00_TM{t:06d}_CM00_CM01_CHN00"
        one = record | {"name": name, "timepoint": t, "refused": "the views do not correlate" if t == 5 else ""}
        one["transform"] = record["transform"] | {
            "x_offset": 0.2 * t + 0.1 * rng.standard_normal(),
            "rotation": 0.1 * rng.standard_normal(),
        }
        one["factor"] = 1.2 * (1 + 0.05 * rng.standard_normal())
        (series / f"{name}_registration.json").write_text(json.dumps(one))

    def smooth(output: Path, choices: dict[str, str]) -> str:
        given = ["--registrations", str(series), "--name", "larva", "--quiet", "--output", str(output)]
        execute(smooth_parameters.STEP, [*given, *words(choices)])
        return digest(output)

    for name, (value, others) in TEMPORAL.items():
        base = smooth(tmp_path / f"{name}_base", others)
        assert smooth(tmp_path / name, {**others, name: value}) != base, name


def test_every_parameter_of_the_selection(tmp_path: Path) -> None:
    assert set(SELECTION) == set(SelectionParameters.model_fields)
    simulate_multiview(output=tmp_path / "larva", shape=(8, 16, 16), timepoints=2, channels=2, fill=0.1)

    def plan(choices: dict[str, Any]) -> dict[str, Any] | str:
        selection = SelectionParameters.parse(choices)
        try:
            return plan_recording(discover(tmp_path / "larva" / "raw", selection), selection).as_json(tmp_path)
        except (InputError, ParameterError) as error:
            return str(error)

    for name, (value, others) in SELECTION.items():
        assert plan({**others, name: value}) != plan(others), name
    assert "there are [0]" in str(plan({"specimen": 1}))
