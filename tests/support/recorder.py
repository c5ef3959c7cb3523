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
    "report_anisotropy": ["_preview.png", "_anisotropy_report.html"],
}
# Names that do not begin with the task's name.
FILES = {
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
