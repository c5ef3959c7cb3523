"""Step: score every slice, and leave out what is not fit to be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.quality.slice_quality import SliceQuality

CONFIG = "slice_config.csv"
PREVIEW = "{name}_assess_quality_preview.png"


class AssessQualityParameters(Parameters):
    """What `assess_quality` lets a user choose."""

    auto_assess_min_quality: Annotated[
        float, Field(description="Score below which a slice is left out; 0 leaves out none", ge=0, le=1)
    ] = 0.3
    auto_assess_exclude_first: Annotated[
        int,
        Field(
            description="First slices of the acquisition to leave out, those that are already left out among them",
            ge=0,
            json_schema_extra={"unit": "slices"},
        ),
    ] = 1
    auto_assess_roi_size: Annotated[
        int,
        Field(
            description="Side of the square in the middle of the slices that is compared",
            ge=16,
            json_schema_extra={"unit": "px"},
        ),
    ] = 1024


def assess_quality(
    *, slices: list[Path], slice_config: Path | None, parameters: AssessQualityParameters, task: Task
) -> None:
    """Write the table of slices with scores and marks, and a picture.

    Parameters
    ----------
    slices : list of Path
        Slices of one acquisition.
    slice_config : Path, optional
        The table so far; what it leaves out stays left out.
    parameters : AssessQualityParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If a store is no slice, or two have one id.
    """
    from linumpy_lib.alignment.slice_assessment import assess
    from linumpy_lib.alignment.slice_stores import open_slices
    from linumpy_lib.blocks import Progress
    from linumpy_lib.io.slice_config import is_true, read_slice_config, slice_name, write_slice_config
    from linumpy_lib.quality.slice_quality import FIRST_SLICE, LOW_QUALITY
    from linumpy_lib.quality.thresholds import judge

    volumes, _ = open_slices(slices, STUB_SIZE if task.stub else None)
    rows: dict[int, dict[str, str | bool]] = {}
    if slice_config is not None:
        rows = {k: dict(row) for k, row in read_slice_config(slice_config).items()}
    for k in volumes:
        rows.setdefault(k, {"slice_id": slice_name(k), "use": True})
    first = sorted(rows)[: parameters.auto_assess_exclude_first]
    scores: dict[int, SliceQuality] = {}
    with Progress(len(volumes), task.name, shown=task.progress) as bar:
        for slice_id, quality in assess(volumes, parameters.auto_assess_roi_size):
            scores[slice_id] = quality
            bar.advance()
    alone = len(volumes) < 2
    if alone:
        task.note("one slice has no neighbours that it could be compared with; it is not judged")
    left_out = []
    for k, row in rows.items():
        unused = not is_true(str(row.get("use", "true")), f"slice {k}")
        score = scores[k].score if k in scores else None
        if score is not None:
            row["quality_score"] = f"{score:.6f}"
        reason = ""
        if k in first:
            reason = FIRST_SLICE
        elif score is not None and not alone and score < parameters.auto_assess_min_quality:
            reason = LOW_QUALITY
        if reason and not unused:
            row.update(auto_excluded=True, auto_exclude_reason=reason)
            left_out.append(k)
    write_slice_config(task.path(CONFIG), rows)

    for k, quality in scores.items():
        name = f"z{slice_name(k)}"
        task.metric(f"{name}_quality", round(quality.score, 4), **judge("slice_quality", quality.score))
        for part in ("ssim", "edges", "variance"):
            task.metric(f"{name}_{part}", round(getattr(quality, part), 4))
    if left_out:
        task.note(f"slices {', '.join(map(str, left_out))} are left out; {CONFIG} tells why")
    task.metric("slices", len(scores))
    task.metric("left_out", len(left_out), status="warning" if left_out else "ok")
    _picture(scores, left_out, parameters.auto_assess_min_quality, task)


def _picture(scores: dict[int, SliceQuality], left_out: list[int], limit: float, task: Task) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, min(20.0, 0.25 * len(scores))), 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ids = list(scores)
    for part, colour in (("ssim", "#7f8c8d"), ("edges", "#b8860b"), ("variance", "#1f6fb2")):
        axes.plot(ids, [getattr(scores[k], part) for k in ids], ".-", color=colour, linewidth=0.8, label=part)
    axes.plot(ids, [scores[k].score for k in ids], "o-", color="black", label="score")
    lost = [k for k in left_out if k in scores]
    axes.plot(lost, [scores[k].score for k in lost], "x", color="#c0392b", markersize=11, label="left out")
    axes.axhline(limit, color="#c0392b", linestyle=":", label="auto_assess_min_quality")
    axes.set(xlabel="slice", ylabel="likeness to the neighbours", ylim=(0, 1.02), title=task.name)
    axes.legend(fontsize=7, ncols=3)
    figure.savefig(task.path(PREVIEW))


STEP = Step(
    name="assess_quality",
    function=assess_quality,
    parameters=AssessQualityParameters,
    summary="Quality of every slice",
    description="Compares planes of each slice with those of the slices beside it: structural similarity (0.5), edges "
    "(0.3) and contrast (0.2). Slices that score below auto_assess_min_quality, and the first ones, are marked "
    "auto_excluded; later steps leave them out and keep their thickness. What was left out before stays left out.",
    inputs=(
        Input("slices", "slices (slice_z*.ome.zarr) of one acquisition, or folders that hold them", kind="paths"),
        Input("slice_config", "slice_config.csv", kind="path", required=False),
    ),
    outputs={
        CONFIG: "the table of slices with quality_score, auto_excluded and auto_exclude_reason",
        PREVIEW: "scores of all slices",
    },
)
