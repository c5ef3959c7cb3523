"""The steps of all workflows in the order of a run, and which step a picture shows."""

from __future__ import annotations

import re

ORDER: tuple[tuple[str, str], ...] = (
    ("simulate_oct", "Simulated acquisition"),
    ("simulate_multiview", "Simulated recording"),
    ("simulate_fibres", "Simulated fibres"),
    ("create_mosaic_grid", "Mosaics of raw tiles"),
    ("estimate_xy_shifts", "Shifts recorded by the stage"),
    ("generate_slice_config", "Table of slices"),
    ("generate_aips", "Depth-averaged pictures"),
    ("generate_previews", "Centre planes of mosaics"),
    ("resample_mosaic_grid", "Working voxel size"),
    ("fix_focal_curvature", "Focal curvature"),
    ("fix_illumination", "Illumination"),
    ("estimate_global_transform", "Common map of the tile grid"),
    ("stitch_slice", "Stitching"),
    ("correct_beam_profile", "Beam profile"),
    ("crop_interface", "Cut face"),
    ("compensate_attenuation", "Attenuation"),
    ("measure_slice", "Brightness of slices"),
    ("match_slices", "Brightness of slices against one another"),
    ("normalize_slice", "Common intensity scale"),
    ("stitch_motor_only", "Stitching by the motor alone"),
    ("compare_stitching", "Both ways of stitching"),
    ("analyze_shifts", "Drift of the stage"),
    ("analyze_acquisition_rotation", "Turning of the stage's path"),
    ("assess_quality", "Quality of slices"),
    ("detect_rehoming", "Glitches and re-homings"),
    ("align_common_space", "Common canvas"),
    ("interpolate_slice", "Interpolated slices"),
    ("finalise_interpolation", "Table of slices after interpolation"),
    ("register_pair", "Registration of neighbours"),
    ("exclude_clusters", "Badly registered slices"),
    ("refine_manual_transforms", "Manual transforms"),
    ("export_manual_align", "Manual alignment"),
    ("analyze_rotation_drift", "Rotations along the stack"),
    ("stack_slices", "Stacking"),
    ("stack_motor_only", "Stacking by the stage alone"),
    ("correct_bias_field", "Bias field"),
    ("align_to_ras", "Atlas"),
    ("compare_with_truth", "Comparison with the truth"),
    ("discover_views", "Views of the recording"),
    ("correct_view", "Sensor corrections"),
    ("join_masks", "Common foreground"),
    ("register_views", "Registration of views"),
    ("smooth_parameters", "Parameters over time"),
    ("fuse_views", "Fusion"),
    ("compute_anisotropy", "Anisotropy"),
    ("gather_anisotropy", "Gathered parts"),
    ("export_npz", "NumPy archive"),
    ("report_anisotropy", "Report of the anisotropy"),
)
"""Name and title. A step that is not here comes last, under its name."""

VOLUME_STEPS = ("stack_slices", "correct_bias_field", "align_to_ras", "fuse_views", "report_anisotropy")
"""Steps whose pictures show the volume."""

_RANK = {step: number for number, (step, _) in enumerate(ORDER)}
_TITLES = dict(ORDER)
_BY_NAME = (
    (re.compile(r"^aip_.+\.png$"), "generate_aips"),
    (re.compile(r"^mosaic_grid_.+_preview\.png$"), "generate_previews"),
    (re.compile(r"^drift_analysis\.png$"), "analyze_shifts"),
    (re.compile(r"^rehoming_plot\.png$"), "detect_rehoming"),
    (re.compile(r"^slice_.+_common_preview\.png$"), "align_common_space"),
    (re.compile(r"^slice_.+_interpolated_sections\.png$"), "interpolate_slice"),
    (re.compile(r"^.+_ras_(orientation_)?preview\.png$"), "align_to_ras"),
    (re.compile(r"^.+_bias_preview\.png$"), "correct_bias_field"),
    (re.compile(r"^.+_annotated\.png$"), "stack_slices"),
    (
        re.compile(r"^(registration|intensity_correction|fusion_result|blending_weights|fused_overview)\.png$"),
        "fuse_views",
    ),
)
_BY_FOLDER = {"stack": "stack_slices", "anisotropy": "report_anisotropy", "fusion": "fuse_views"}
_SLICE = re.compile(r"(?:^|_)z(\d+)(?=_|\.|$)")
_PAIR = re.compile(r"(?:^|_)z(\d{1,18})_from_z(\d{1,18})(?=_|\.|$)")


def title(step: str) -> str:
    """Return what a step is called in the report."""
    return _TITLES.get(step, step.replace("_", " "))


def rank(step: str) -> tuple[int, str]:
    """Return a key that sorts steps in the order of a run."""
    return _RANK.get(step, len(_RANK)), step


def slice_id(name: str) -> int | None:
    """Return the slice that a task or file is about; none for pairs of slices that are no neighbours.

    Examples
    --------
    >>> slice_id("z03"), slice_id("aip_z1000.png"), slice_id("mouse_preview.png"), slice_id("z04_from_z02")
    (3, 1000, None, None)
    """
    found = _SLICE.search(name)
    return int(found[1]) if found and "_from_z" not in name and len(found[1]) < 19 else None


def pair_of_slices(name: str) -> tuple[int, int] | None:
    """Return the two slices, upper one first, of a task or file about slices that are no neighbours.

    Examples
    --------
    >>> pair_of_slices("z04_from_z02_register_pair_preview.png"), pair_of_slices("z04")
    ((2, 4), None)
    """
    found = _PAIR.search(name)
    return (int(found[2]), int(found[1])) if found else None


def step_of_picture(where: str, steps: frozenset[str]) -> str:
    """Return the step that made a picture, from its path below the output folder; empty if nothing tells.

    Parameters
    ----------
    where : str
        Path with forward slashes.
    steps : frozenset of str
        Names of steps that occur in the run, beside those of `ORDER`.
    """
    *folders, name = where.split("/")
    named = [step for step in steps | set(_RANK) if f"_{step}_" in f"_{name}"]
    if named:
        return max(named, key=len)
    for pattern, step in _BY_NAME:
        if pattern.match(name):
            return step
    return next((_BY_FOLDER[folder] for folder in reversed(folders) if folder in _BY_FOLDER), "")
