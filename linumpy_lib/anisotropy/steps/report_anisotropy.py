"""Step: preview picture and report page of one volume's maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from linumpy_lib.anisotropy.steps import results
from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.io import Volume


class ReportAnisotropyParameters(Parameters):
    """`report_anisotropy` leaves nothing to choose."""


def report_anisotropy(
    *,
    input: Path,  # noqa: A002
    volume: Volume | None,
    parameters: ReportAnisotropyParameters,
    task: Task,
) -> None:
    """Draw the middle planes of the maps and write the report.

    Parameters
    ----------
    input : Path
        Folder with the results of `compute_anisotropy` or `gather_anisotropy` under the task's name.
    volume : Volume or None
        The image that they were computed from.
    parameters : ReportAnisotropyParameters
        Nothing.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If a store or the statistics are missing or damaged.
    """
    from linumpy_lib.anisotropy.report import anisotropy_report
    from linumpy_lib.anisotropy.steps.compute_anisotropy import spatial_volume
    from linumpy_lib.io import open_volume
    from linumpy_lib.quality.anisotropy_preview import anisotropy_preview
    from linumpy_lib.quality.report import Metric

    def store(pattern: str) -> Volume:
        return open_volume(input / pattern.format(name=task.name))

    measures = store(results.MEASURES)
    spacing_um = measures.require_spacing()
    origin = measures.provenance
    original = None
    if volume is not None and not task.stub:
        original = spatial_volume(volume, str(origin.get("parameters", {}).get("anisotropy_channel", "")))
    preview = anisotropy_preview(
        original,
        measures,
        store(results.PRINCIPAL_DIR),
        store(results.FIBRE_DIR),
        store(results.MASK),
        (spacing_um[0], spacing_um[1], spacing_um[2]),
        name=task.name,
    )
    task.path(results.PREVIEW).write_bytes(preview)
    statistics = results.read_json(input / results.STATISTICS.format(name=task.name))
    notes: list[str] = []
    metrics: dict[str, Metric] = {}
    for path in sorted(input.glob(f"{task.name}_*_metrics.json")):
        document = results.read_json(path)
        notes += [note for note in document["notes"] if note not in notes]
        metrics |= {
            name: Metric.of(name, figure)
            for name, figure in document["metrics"].items()
            if name != "nonfinite_voxels"  # the statistics hold it
        }
    page = anisotropy_report(
        statistics,
        name=task.name,
        preview_png=preview,
        provenance=origin,
        notes=notes,
        metrics=metrics.values(),
    )
    task.path(results.REPORT).write_text(page, encoding="utf-8")


STEP = Step(
    name="report_anisotropy",
    function=report_anisotropy,
    parameters=ReportAnisotropyParameters,
    summary="Preview and report of one volume's anisotropy results",
    description="The report is one self-contained HTML page; the preview shows the middle planes of all maps.",
    inputs=(
        Input("input", "folder with NAME_measures.ome.zarr and the other results", kind="path"),
        Input("volume", "the volume that the maps were computed from, for the preview", required=False, digest=False),
    ),
    outputs={
        results.PREVIEW: "middle planes of the volume, the measures and the directions",
        results.REPORT: "report page with distributions, directions and methods text",
    },
)
