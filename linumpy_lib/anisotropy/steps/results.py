"""Names of the anisotropy results, in one place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linumpy_lib.io.text_file import read_json as read_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linumpy_lib.anisotropy.statistics import AnisotropyStatistics
    from linumpy_lib.step import Task

MEASURES = "{name}_measures.ome.zarr"
PRINCIPAL_DIR = "{name}_principal_dir.ome.zarr"
FIBRE_DIR = "{name}_fibre_dir.ome.zarr"
MASK = "{name}_mask.ome.zarr"
EIGENVALUES = "{name}_eigenvalues.ome.zarr"
STATISTICS = "{name}_statistics.json"
STATISTICS_PART = "{name}_statistics_part.npz"
NPZ = "{name}_anisotropy.npz"
PREVIEW = "{name}_preview.png"
REPORT = "{name}_anisotropy_report.html"

STORES = (MEASURES, PRINCIPAL_DIR, FIBRE_DIR, MASK, EIGENVALUES)

OUTPUTS = {
    MEASURES: "FA, CL, CP, CS, CPnorm and lambda2/lambda3 (c,z,y,x float16)",
    PRINCIPAL_DIR: "direction of most change, normal of sheets (c=3 in z,y,x order, float16)",
    FIBRE_DIR: "direction of least change, axis of fibres (c=3 in z,y,x order, float16)",
    MASK: "1 where the measures are defined (uint8)",
    EIGENVALUES: "eigenvalues, largest first (c=3, float32), with --anisotropy_eigenvalues true",
    STATISTICS: "histograms, mean orientation tensors, dominant directions",
}

CHUNK = (64, 64, 64)
# One region holds all outputs at once, 25 bytes per voxel (37 with eigenvalues): 210 MB.
SHARD = (128, 256, 256)


def write_statistics(statistics: AnisotropyStatistics, spacing_um: Sequence[float], task: Task) -> None:
    """Write the statistics of a whole volume as JSON, and tell what a user should know of them."""
    document = {**statistics.to_json(spacing_um=spacing_um), "provenance": task.provenance}
    text = json.dumps(document, indent=1, sort_keys=True)
    task.path(STATISTICS).write_text(text + "\n", encoding="utf-8")
    total, nonfinite = document["voxels"]["total"], document["voxels"]["nonfinite_input"]
    task.metric("nonfinite_voxels", nonfinite, status="warning" if nonfinite else "ok")
    if nonfinite:
        task.note(f"{task.name}: {nonfinite} of {total} voxels are NaN or infinite; they count as background")


def read_metrics(folder: Path, name: str) -> dict[str, Any]:
    """Read what `compute_anisotropy` told of one result folder."""
    return read_json(folder / f"{name}_compute_anisotropy_metrics.json")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that another step wrote.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    return read_document(path, "run the step that writes it again")
