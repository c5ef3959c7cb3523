"""Every value of every parameter with a list of them, every switch and every preset, in runs of the whole chain.

A run takes one value of each parameter, so there are as many runs of a workflow as its longest list has values. They
share one work directory: what a value does not touch is not computed again.
"""

from __future__ import annotations

import json
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from support.nextflow_runs import ROOT, Nextflow, Run

from linumpy_lib.io import open_volume

SCHEMA = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"]

# Steps that have such parameters, by the workflow whose runs show them.
STEPS = {
    "preprocess": ("simulate_oct", "create_mosaic_grid", "estimate_xy_shifts", "generate_slice_config"),
    "reconstruct": (
        *(
            "resample_mosaic_grid",
            "fix_illumination",
            "estimate_global_transform",
            "stitch_slice",
            "correct_beam_profile",
        ),
        *("compensate_attenuation", "detect_rehoming", "align_common_space", "interpolate_slice", "register_pair"),
        *(
            "stack_slices",
            "stitch_motor_only",
            "stack_motor_only",
            "correct_bias_field",
            "align_to_ras",
            "generate_report",
        ),
    ),
    "anisotropy": ("compute_anisotropy",),
    "fusion": (
        "simulate_multiview",
        "discover_views",
        "correct_view",
        "register_views",
        "smooth_parameters",
        "fuse_views",
    ),
}
# Switches of the run as a whole, by the workflow that they change.
SWITCHES = {
    "preprocess": ("generate_slice_config", "generate_aips", "generate_previews"),
    "reconstruct": (
        *("fix_curvature_enabled", "fix_illum_enabled", "stitch_global_transform", "compensate_psf_enabled"),
        *("compensate_attenuation_enabled", "analyze_shifts", "detect_rehoming", "auto_assess_quality"),
        *("interpolate_missing_slices", "auto_exclude_enabled", "export_manual_align", "diagnostic_mode"),
        *("analyze_rotation_drift", "analyze_acquisition_rotation", "motor_only_stitch", "motor_only_stack"),
        *("compare_stitching", "generate_report", "correct_bias_field", "publish_intermediates"),
    ),
    "anisotropy": ("anisotropy_npz",),
    "fusion": (),
}
# What these runs cannot show, and where it is shown.
ELSEWHERE = {
    "device": "needs the device: tests/gpu, make test-gpu and make test-mps",
    "use_gpu": "needs the device: tests/gpu",
    "check": "tests/workflows/test_checks.py",
    "fix_illum_backend=basicpy": "needs the extra: tests/unit/illumination",
    "align_to_ras_enabled": "the runs with an atlas below",
    "refine_manual_transforms": "the run with transforms made by hand below",
    "allen_resolution": "a template of our own is given; others: tests/unit/alignment/test_atlas_template.py",
    "import_swap_xy": "mosaics written by other programs: tests/unit/stitching",
    "use_old_folder_structure": "goes with --simulate_oct_layout flat, below",
}
# Values that belong together.
TOGETHER = {
    ("simulate_oct_layout", "flat"): ("--use_old_folder_structure",),
    ("simulate_oct_layout", "nested"): ("--use_old_folder_structure", "false"),
}


def parameters(*steps: str) -> dict[str, dict[str, Any]]:
    return {name: item for step in steps for name, item in SCHEMA[step]["properties"].items()}


def lists_of(workflow: str) -> dict[str, list[Any]]:
    found = {}
    for name, item in parameters(*STEPS[workflow]).items():
        values = [value for value in item.get("enum", []) if f"{name}={value}" not in ELSEWHERE]
        if values and name not in ELSEWHERE:
            found[name] = values
    return found


def switches_of(workflow: str) -> list[str]:
    own = [name for name, item in parameters(*STEPS[workflow]).items() if item["type"] == "boolean"]
    return [name for name in [*own, *SWITCHES[workflow]] if name not in ELSEWHERE]


def rounds(workflow: str) -> list[tuple[str, ...]]:
    """Words of the runs that together take every value of every list."""
    lists = lists_of(workflow)
    count = max(len(values) for values in lists.values())
    runs = []
    for number in range(count):
        words: list[str] = []
        for name, values in lists.items():
            value = next(islice(cycle(values), number, None))
            words += [f"--{name}", str(value)] if str(value) else []
            words += TOGETHER.get((name, value), ())
        runs.append(tuple(words))
    return runs


SMALL_OCT = {
    **{
        "slices": "5",
        "tiles_x": "3",
        "tiles_y": "3",
        "tile_shape": "60,48,48",
        "interval_um": "100",
        "missing_slices": "3",
    },
    **{"glitch_slices": "2"},
}
OCT = tuple(word for name, value in SMALL_OCT.items() for word in (f"--simulate_oct_{name}", value))
SMALL_VIEWS = ("--simulate_multiview_shape", "32,64,64", "--simulate_multiview_timepoints", "3")
BASE = {
    "preprocess": ("--workflow", "preprocess", "--input", "simulate", *OCT),
    "reconstruct": ("--workflow", "preprocess,reconstruct", "--input", "simulate", *OCT),
    "anisotropy": ("--workflow", "anisotropy", "--input", "simulate", "--simulate_shape", "32,40,48"),
    "fusion": ("--workflow", "fusion", "--input", "simulate", *SMALL_VIEWS),
}


@pytest.fixture(scope="module")
def nextflow(tmp_path_factory: pytest.TempPathFactory) -> Nextflow:
    return Nextflow(tmp_path_factory.mktemp("options") / "runs")


def go(nextflow: Nextflow, workflow: str, label: str, *words: str, profile: str = "cpu") -> Path:
    """Run a workflow, see that it has ended well, and return its results."""
    call = ("-profile", profile, *BASE[workflow], "--subject_name", "brain", "--output", label, "-resume", *words)
    run: Run = nextflow.run(*call)
    assert run.status == 0, f"{' '.join(call)}\n{run.text}"
    results = nextflow.folder / label / workflow
    stores = list(results.rglob("*.ome.zarr"))
    assert stores, f"{' '.join(call)}: no volume in the results"
    for store in stores:
        data = open_volume(store).read()
        assert np.isfinite(data).all(), store
        # A mask of noise alone may be all foreground (that is noted); it must not be empty.
        assert (data.max() if store.name.endswith("_mask.ome.zarr") else np.ptp(data)) > 0, store
    return results


@pytest.mark.parametrize(
    ("workflow", "number"), [(workflow, k) for workflow in STEPS for k in range(len(rounds(workflow)))]
)
def test_every_value(nextflow: Nextflow, workflow: str, number: int) -> None:
    extra = ("--correct_bias_field", "--diagnostic_mode") if workflow == "reconstruct" else ()
    go(nextflow, workflow, f"{workflow}_{number}", *extra, *rounds(workflow)[number])


@pytest.mark.parametrize("workflow", list(STEPS))
@pytest.mark.parametrize("state", [True, False], ids=["on", "off"])
def test_every_switch(nextflow: Nextflow, workflow: str, state: bool) -> None:
    words = [word for name in switches_of(workflow) for word in (f"--{name}", str(state).lower())]
    if not state and workflow == "fusion":  # else nothing is fused
        words += ["--fusion_enable", "true"]
    go(nextflow, workflow, f"{workflow}_{'on' if state else 'off'}", *words)


@pytest.mark.parametrize("preset", ["conservative", "aggressive", "minimal"])
def test_every_preset(nextflow: Nextflow, preset: str) -> None:
    results = go(nextflow, "reconstruct", preset, profile=f"cpu,{preset}")
    registered = results / "register_pairwise"
    assert registered.exists() == (preset != "minimal")
    report = json.loads(next(results.glob("*_report.json")).read_text())
    assert {row["state"] for row in report["slices"]} <= {"used", "excluded", "interpolated", "gap"}


@pytest.mark.parametrize("metric", SCHEMA["align_to_ras"]["properties"]["allen_metric"]["enum"])
def test_every_metric_with_an_atlas(nextflow: Nextflow, tmp_path: Path, metric: str) -> None:
    plain = go(nextflow, "reconstruct", "atlas_plain")
    volume = open_volume(plain / "stack" / "brain.ome.zarr")
    template = SimpleITK.GetImageFromArray(np.asarray(volume.read(), np.float32))
    template.SetSpacing([um / 1000 for um in volume.spacing_um[::-1]])
    path = nextflow.folder / "template.nii.gz"
    if not path.exists():
        SimpleITK.WriteImage(template, str(path))
    words = (
        "--align_to_ras_enabled",
        "--atlas_template",
        str(path),
        "--atlas_orientation",
        "IPR",
        "--ras_input_orientation",
        "IPR",
    )
    transform = "affine" if metric in ("CC", "MSE") else "rigid"
    results = go(
        nextflow, "reconstruct", f"atlas_{metric}", *words, "--allen_metric", metric, "--allen_transform", transform
    )
    assert list((results / "align_to_ras").glob("*.tfm"))


def test_transforms_made_by_hand(nextflow: Nextflow) -> None:
    plain = go(nextflow, "reconstruct", "hand_plain")
    by_hand = nextflow.folder / "by_hand"
    if not by_hand.exists():
        by_hand.mkdir()
        for pair in (plain / "register_pairwise").glob("slice_*_pairwise_registration"):
            (by_hand / pair.name).symlink_to(pair)
    words = ("--manual_transforms_dir", str(by_hand), "--refine_manual_transforms")
    results = go(nextflow, "reconstruct", "hand", *words)
    assert list((results / "refine_manual_transforms").glob("*"))


def test_nothing_is_left_out() -> None:
    """A new list or switch has to be named above, or it is run by itself."""
    known = {step for steps in STEPS.values() for step in steps} | {"benchmark_compression", "simulate_fibres"}
    for step, group in SCHEMA.items():
        if step == "run":
            continue
        chosen = [name for name, item in group["properties"].items() if "enum" in item or item["type"] == "boolean"]
        assert step in known or not chosen, f"{step}: {chosen}"
    run = {name for name, item in SCHEMA["run"]["properties"].items() if "enum" in item or item["type"] == "boolean"}
    shown = {name for names in SWITCHES.values() for name in names} | {name.split("=")[0] for name in ELSEWHERE}
    assert run - shown == {"publish_mode"}  # tests/workflows/test_anisotropy.py
