"""Step: slices whose registrations cannot be believed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.alignment.bad_pairs import JudgedPair

TABLE = "slice_config.csv"
PAIRS = "excluded_pairs.csv"
PREVIEW = "{name}_exclude_clusters_preview.png"


class ExcludeClustersParameters(Parameters):
    """What `exclude_clusters` lets a user choose."""

    auto_exclude_consecutive: Annotated[
        int,
        Field(
            description="Bad pairs in a row from which their slices are marked",
            ge=1,
            le=10000,
            json_schema_extra={"unit": "pairs"},
        ),
    ] = 3
    auto_exclude_z_corr: Annotated[
        float, Field(description="z_correlation below which a registered pair is bad", ge=0, le=1)
    ] = 0.6
    auto_exclude_radius: Annotated[
        float,
        Field(
            description="Pairs belong together (DBSCAN) if correlation and translation differ by less than this many "
            "times three robust standard deviations; 0 looks for no clusters",
            ge=0,
            le=1000,
        ),
    ] = 1.0
    auto_exclude_min_samples: Annotated[
        int,
        Field(description="Pairs that make a cluster (DBSCAN)", ge=1, le=10000, json_schema_extra={"unit": "pairs"}),
    ] = 3


def exclude_clusters(
    *, pairs: list[Path], slice_config: Path, parameters: ExcludeClustersParameters, task: Task
) -> None:
    """Mark slices in the table of slices, and say why."""
    from linumpy_lib.alignment.bad_pairs import judge_pairs, longest_run
    from linumpy_lib.alignment.pair_folder import pair_folders, read_pair
    from linumpy_lib.io.slice_config import is_true, read_slice_config, write_slice_config

    config = read_slice_config(slice_config)
    records = [read_pair(folder) for folder in pair_folders(pairs)]
    made = {k for k, row in config.items() if is_true(row.get("interpolated", ""), f"{slice_config}: slice {k}")}
    judged = judge_pairs(
        records,
        made,
        min_correlation=parameters.auto_exclude_z_corr,
        consecutive=parameters.auto_exclude_consecutive,
        radius=parameters.auto_exclude_radius,
        min_samples=parameters.auto_exclude_min_samples,
    )
    rows: dict[int, dict[str, str | bool]] = {k: dict(row) for k, row in config.items()}
    for row in rows.values():
        row.setdefault("auto_excluded", False)
        row.setdefault("auto_exclude_reason", "")
    marked = [pair for pair in judged if pair.excluded]
    for pair in marked:
        row = rows.setdefault(pair.moving_id, {"use": True})
        if not is_true(str(row.get("auto_excluded", ""))):
            row.update(auto_excluded=True, auto_exclude_reason=pair.reason)
    write_slice_config(task.path(TABLE), rows)
    _pair_table(judged, task)
    if marked:
        ids = ", ".join(str(pair.moving_id) for pair in marked)
        task.note(f"slices {ids} keep their stage positions: their registrations are bad, {len(marked)} in all")
    bad = sum(bool(pair.reason) for pair in judged)
    task.metric("pairs", len(judged))
    task.metric("pairs_without_figures", sum(pair.correlation is None for pair in judged))
    task.metric("bad_pairs", bad, status="warning" if bad else "ok")
    task.metric("longest_run_of_bad_pairs", longest_run(judged))
    task.metric("auto_excluded", len(marked), status="warning" if marked else "ok")
    _picture(judged, parameters, task)


def _pair_table(judged: list[JudgedPair], task: Task) -> None:
    from linumpy_lib.io.csv_file import write_rows
    from linumpy_lib.io.slice_config import slice_name

    columns = ["fixed_id", "moving_id", "z_correlation", "translation_px", "cluster", "reason", "excluded"]
    rows = [
        {
            "fixed_id": slice_name(pair.fixed_id) if pair.fixed_id >= 0 else "",
            "moving_id": slice_name(pair.moving_id),
            "z_correlation": "" if pair.correlation is None else f"{pair.correlation:.6f}",
            "translation_px": "" if pair.translation_px is None else f"{pair.translation_px:.6f}",
            "cluster": "" if pair.cluster is None else str(pair.cluster),
            "reason": pair.reason,
            "excluded": "true" if pair.excluded else "false",
        }
        for pair in judged
    ]
    write_rows(task.path(PAIRS), columns, rows)


def _picture(judged: list[JudgedPair], parameters: ExcludeClustersParameters, task: Task) -> None:
    from linumpy_lib.alignment.pair_plots import write_pair_plot

    write_pair_plot(task.path(PREVIEW), judged, limit=parameters.auto_exclude_z_corr, title=task.name)


STEP = Step(
    name="exclude_clusters",
    function=exclude_clusters,
    parameters=ExcludeClustersParameters,
    summary="Slices whose registrations are bad",
    description="A registered pair is bad if its planes are little alike, or if correlation and translation lie "
    "outside the cluster of the good pairs. Runs of bad pairs mark their slices auto_excluded: stack_slices leaves "
    "those at their stage positions. Single bad pairs mark nothing; stack_slices judges each by its confidence.",
    inputs=(
        Input("pairs", "folders of registered pairs, or folders that hold them", kind="paths"),
        Input("slice_config", "table of slices", kind="path"),
    ),
    outputs={
        TABLE: "the table with auto_excluded and auto_exclude_reason",
        PAIRS: "every pair: correlation, translation, cluster, and why it is bad",
        PREVIEW: "the pairs, by correlation and translation and along the stack",
    },
)
