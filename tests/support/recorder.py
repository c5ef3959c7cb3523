"""Stands in for a step script: notes its command line and leaves results of the right names, without computing."""

import json
import os
import sys
from pathlib import Path

OUTPUTS = {
    "simulate_fibres": [".ome.zarr", "_true_direction.ome.zarr", "_true_class.ome.zarr"],
    "compute_anisotropy": [
        "_measures.ome.zarr",
        "_principal_dir.ome.zarr",
        "_fibre_dir.ome.zarr",
        "_mask.ome.zarr",
        "_statistics.json",
    ],
    "export_npz": ["_anisotropy.npz"],
    "compare_with_truth": ["_truth_errors.csv", "_compare_with_truth_preview.png"],
    "generate_report": ["_report.html", "_report.txt", "_report.json"],
    "report_anisotropy": ["_preview.png", "_anisotropy_report.html"],
}
# Names that do not begin with the task's name.
FILES = {
    "resample_mosaic_grid": ["mosaic_grid_{name}_resampled.ome.zarr", "{name}_resample_mosaic_grid_preview.png"],
    "fix_focal_curvature": ["mosaic_grid_{name}_focal_fix.ome.zarr", "{name}_fix_focal_curvature_preview.png"],
    "fix_illumination": ["mosaic_grid_{name}_illum_fix.ome.zarr", "{name}_fix_illumination_preview.png"],
    "estimate_global_transform": ["{name}_global_transform.json", "{name}_estimate_global_transform_preview.png"],
    "stitch_slice": [
        "slice_{name}_stitch_3d.ome.zarr",
        "slice_{name}_tile_positions.csv",
        "slice_{name}_tile_pairs.csv",
        "{name}_stitch_slice_preview.png",
    ],
    "correct_beam_profile": ["slice_{name}_axial_corr.ome.zarr", "{name}_correct_beam_profile_preview.png"],
    "crop_interface": ["slice_{name}_crop_interface.ome.zarr", "{name}_crop_interface_preview.png"],
    "compensate_attenuation": ["slice_{name}_attn_corr.ome.zarr", "{name}_compensate_attenuation_preview.png"],
    "measure_slice": ["slice_{name}_levels.json"],
    "match_slices": ["slice_factors.csv"],
    "normalize_slice": ["slice_{name}_normalize.ome.zarr", "{name}_normalize_slice_preview.png"],
    "analyze_shifts": ["shifts_analysis.txt", "drift_analysis.png", "shifts_filtered.csv"],
    "detect_rehoming": ["shifts_xy_clean.csv", "slice_config.csv", "rehoming_report.json", "rehoming_plot.png"],
    "align_common_space": [
        "slice_z00_common.ome.zarr",
        "slice_z01_common.ome.zarr",
        "slice_z03_common.ome.zarr",
        "common_space.csv",
        "{name}_align_common_space_preview.png",
    ],
    "interpolate_slice": [
        "slice_{name}_interpolated.ome.zarr",
        "slice_{name}_manifest.csv",
        "slice_{name}_interpolated_diagnostics.json",
        "{name}_interpolate_slice_preview.png",
    ],
    "assess_quality": ["slice_config.csv", "{name}_assess_quality_preview.png"],
    "exclude_clusters": ["slice_config.csv", "excluded_pairs.csv", "{name}_exclude_clusters_preview.png"],
    "export_manual_align": [
        "manual_align_package/manual_align_metadata.json",
        "{name}_export_manual_align_preview.png",
    ],
    "refine_manual_transforms": ["manual_transforms/slice_z01/transform.tfm", "manual_refinement.csv", "{name}_a.png"],
    "analyze_acquisition_rotation": [
        "acquisition_rotation_data.csv",
        "acquisition_rotation.json",
        "acquisition_rotation.png",
        "acquisition_rotation.txt",
    ],
    "analyze_rotation_drift": ["registration_transforms.csv", "rotation_analysis.png", "rotation_analysis.txt"],
    "stitch_motor_only": ["slice_{name}_motor_only.ome.zarr", "{name}_stitch_motor_only_preview.png"],
    "compare_stitching": ["slice_{name}_seam_profiles.csv", "{name}_compare_stitching_preview.png"],
    "stack_motor_only": ["{name}_motor_only.ome.zarr", "{name}_stack_motor_only_preview.png"],
    "finalise_interpolation": ["slice_config_final.csv"],
    "register_pair": [
        "slice_{name}_pairwise_registration/transform.tfm",
        "slice_{name}_pairwise_registration/offsets.txt",
        "slice_{name}_pairwise_registration/pairwise_registration_metrics.json",
        "{name}_register_pair_preview.png",
    ],
    "stack_slices": [
        "{name}.ome.zarr",
        "{name}.ome.zarr.zip",
        "{name}.png",
        "{name}_annotated.png",
        "z_matches.csv",
        "stacking_decisions.csv",
    ],
    "correct_bias_field": ["{name}_corrected.ome.zarr", "{name}_bias_field.ome.zarr", "{name}_bias_preview.png"],
    "align_to_ras": ["{name}_ras.ome.zarr", "{name}_ras_transform.tfm", "{name}_ras_preview.png"],
    "create_mosaic_grid": ["mosaic_grid_3d_{name}.ome.zarr", "mosaic_grid_3d_{name}.json"],
    "estimate_xy_shifts": ["shifts_xy.csv"],
    "generate_slice_config": ["slice_config.csv"],
    "generate_aips": ["aip_{name}.png"],
    "generate_previews": ["mosaic_grid_{name}_preview.png"],
    "simulate_oct": [
        "{name}_raw/tile_x00_y00_z00/info.txt",
        "{name}_raw/tile_x00_y00_z107/info.txt",
        "{name}_truth/truth.json",
    ],
}
FILES |= {
    "simulate_multiview": ["{name}_raw/a.stack", "{name}_truth/truth.json"],
    "discover_views": ["{name}_views.csv"],
    "correct_view": ["{name}.ome.zarr", "{name}_mask.ome.zarr", "{name}_correct_view_preview.png"],
    "join_masks": ["{name}_mask.ome.zarr", "{name}_join_masks_preview.png"],
    "register_views": ["{name}_registration.json", "{name}_topology.ome.zarr", "{name}_register_views_preview.png"],
    "smooth_parameters": ["parameters.csv", "{name}_smooth_parameters_preview.png"],
    "fuse_views": ["{name}.ome.zarr", "{name}_diagnostics/registration.png", "{name}_fuse_views_preview.png"],
}
OUTPUTS["gather_anisotropy"] = OUTPUTS["compute_anisotropy"]

step = Path(sys.argv[0]).stem
words = sys.argv[1:]
given = {word[2:]: words[i + 1] for i, word in enumerate(words[:-1]) if word.startswith("--")}
calls = Path(os.environ["RECORDER_CALLS"])
calls.mkdir(exist_ok=True)
with (calls / f"{step}.jsonl").open("a") as stream:
    stream.write(json.dumps(words) + "\n")

folder = Path(given["output"])
folder.mkdir()
patterns = FILES.get(step) or ["{name}" + ending for ending in OUTPUTS[step]]
for ending in [*patterns, f"{{name}}_{step}_metrics.json"]:
    result = folder / ending.format(name=given["name"])
    result.parent.mkdir(parents=True, exist_ok=True)
    if ending.endswith(".zarr"):
        (result / "0" / "c").mkdir(parents=True)
        (result / "zarr.json").write_text("{}")
        (result / "0" / "c" / "0").write_bytes(b"chunk " * 100)
    else:
        result.write_text(json.dumps({"step": step, "provenance": {"version": "0", "code": given["code"]}}))

if step == "discover_views":
    views = [
        {
            "stem": f"SPM00_TM000000_CM{camera:02d}_CHN{channel:02d}",
            **{"timepoint": 0, "camera": camera, "channel": channel, "stack": "a.stack", "background": None},
        }
        for camera in (0, 1)
        for channel in (0, 1)
    ]
    plan = {
        **{"specimen": 0, "timepoints": [0], "views": views, "missing": [], "mask_groups": []},
        **{"camera_pairs": [[0, 1]], "channel_pairs": [[0, 1]], "fuse": True, "keep_pairs": True},
        "global_masks": {"0": "global", "1": "global"},
    }
    (folder / f"{given['name']}_recording.json").write_text(json.dumps(plan))
    (folder / f"{given['name']}_views").mkdir()
    for view in views:
        (folder / f"{given['name']}_views" / f"{view['stem']}.json").write_text(json.dumps(view))
if step == "smooth_parameters":
    (folder / f"{given['name']}_parameters").mkdir()
    for registration in Path(given["registrations"]).iterdir():
        (folder / f"{given['name']}_parameters" / registration.name).write_text("{}")
