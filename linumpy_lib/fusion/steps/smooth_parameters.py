"""Step: parameters of all time points, raw and smoothed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linumpy_lib.fusion.parameters.temporal import TemporalParameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.fusion.pair_views import PairRecord

TABLE = "parameters.csv"
LOOKUP = "lookup_table.csv"
RECORDS = "{name}_parameters"
PLOT = "{name}_smooth_parameters_preview.png"
COLUMNS = ("z_offset", "y_offset", "x_offset", "rotation", "intensity_factor")
KINDS = ("offset", "offset", "offset", "angle", "intensity")


def smooth_parameters(*, registrations: list[Path], parameters: TemporalParameters, task: Task) -> None:
    """Write the table of parameters, and the record that each pair and time point is fused with."""
    import numpy as np

    from linumpy_lib.fusion.pair_views import read_record
    from linumpy_lib.fusion.temporal import smoothed
    from linumpy_lib.fusion.viz import plot_temporal_parameters
    from linumpy_lib.io.csv_file import write_rows

    files = [
        f for path in registrations for f in (sorted(path.glob("*_registration.json")) if path.is_dir() else [path])
    ]
    pairs: dict[str, list[PairRecord]] = {}
    for record in sorted((read_record(f) for f in files), key=lambda r: (r.name, r.timepoint)):
        pairs.setdefault(_pair(record.name), []).append(record)
    folder = task.path(RECORDS)
    folder.mkdir()
    rows: list[dict[str, str]] = []
    lookup: list[dict[str, str]] = []
    plots: dict[str, Any] = {}
    for pair, records in sorted(pairs.items()):
        times = [r.timepoint for r in records]
        raw = np.array([_values(r) for r in records])
        smooth = smoothed(times, raw, parameters.model_dump(), KINDS)
        plots[pair] = (times, raw, smooth)
        for record, before, after in zip(records, raw, smooth, strict=True):
            final = _fused_with(record, before, after)
            final.write(folder / f"{record.name}_registration.json")
            rows.append(
                {"pair": pair, "timepoint": str(record.timepoint), "name": record.name, "source": final.source}
                | {f"{c}_raw": _text(v) for c, v in zip(COLUMNS, before, strict=True)}
                | {c: _text(v) for c, v in zip(COLUMNS, after, strict=True)}
                | {"confidence": _text(record.figures["confidence"]), "refused": record.refused}
            )
            lookup.append(
                {"pair": pair, "timepoint": str(record.timepoint), "source": final.source}
                | {c: _text(v) for c, v in zip(COLUMNS, after, strict=True)}
            )
    columns = ["pair", "timepoint", "name", "source", *(f"{c}_raw" for c in COLUMNS), *COLUMNS, "confidence", "refused"]
    write_rows(task.path(TABLE), columns, rows)
    if parameters.fusion_generate_lookup_table:
        write_rows(task.path(LOOKUP), ["pair", "timepoint", "source", *COLUMNS], lookup)
    plot_temporal_parameters(plots, COLUMNS, task.path(PLOT))
    refused = sum(bool(r.refused) for records in pairs.values() for r in records)
    task.metric("pairs", len(pairs))
    task.metric("timepoints", len({r.timepoint for records in pairs.values() for r in records}))
    task.metric("refused", refused, status="error" if refused else "ok")
    if refused:
        task.note(f"{refused} registrations were refused; see {TABLE}")


def _pair(name: str) -> str:
    import re

    return re.sub(r"_TM\d+", "", name)


def _values(record: PairRecord) -> list[float]:
    if record.refused:
        return [float("nan")] * len(COLUMNS)
    return [*record.transform.offset.tolist(), record.transform.rotation, record.factor]


def _text(value: float) -> str:
    return "" if value != value else f"{value:.6f}"


def _fused_with(record: PairRecord, raw: Any, smooth: Any) -> PairRecord:
    """Return the record that the fusion takes: as estimated, smoothed, or from neighbours in time."""
    import numpy as np

    if not np.isfinite(smooth).all() or np.array_equal(raw, smooth):
        return record
    z, y, x, rotation, factor = (float(v) for v in smooth)
    transform = replace(record.transform, z_offset=z, y_offset=y, x_offset=x, rotation=rotation)
    source = "interpolated" if record.refused else "smoothed"
    return replace(record, transform=transform, factor=factor, refused="", source=source)


STEP = Step(
    name="smooth_parameters",
    function=smooth_parameters,
    parameters=TemporalParameters,
    summary="Parameters of all time points, raw and smoothed",
    description="Collects the registrations of every pair and time point, smooths them over time as asked, and writes "
    "what each is fused with. Refused registrations stay refused unless fusion_temporal_interpolation fills them in.",
    inputs=(Input("registrations", "JSON files of register_views, or folders that hold them", kind="paths"),),
    outputs={
        TABLE: "parameters of each pair and time point, raw and smoothed",
        LOOKUP: "what each time point is fused with (fusion_generate_lookup_table)",
        RECORDS: "one record for each pair and time point, for fuse_views",
        PLOT: "parameters over time",
    },
)
