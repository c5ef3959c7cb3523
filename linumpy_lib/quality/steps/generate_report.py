"""Step: the quality report of a run."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from linumpy_lib import __version__
from linumpy_lib.params import Parameters
from linumpy_lib.quality.run_home import report_home
from linumpy_lib.step import Input, Step, Task

PAGE = "{name}_report.html"
TEXT = "{name}_report.txt"
DATA = "{name}_report.json"
ARCHIVE = "{name}_report.zip"

_CLOCK = (1980, 1, 1, 0, 0, 0)  # the earliest that zip knows: equal content gives equal bytes


class GenerateReportParameters(Parameters):
    """What `generate_report` lets a user choose."""

    report_format: Annotated[
        Literal["html", "zip"],
        Field(description="One HTML page with everything inside, or a zip of it and the pictures in full size too"),
    ] = "html"
    report_verbose: Annotated[bool, Field(description="List the figures of every task, not only their ranges")] = False
    report_pictures_mb: Annotated[
        float,
        Field(
            description="Size of all pictures in the page; they are shrunk to fit",
            gt=0,
            le=2000,
            json_schema_extra={"unit": "MiB"},
        ),
    ] = 24.0


def generate_report(
    *,
    results: Path,
    facts: Path | None,
    thresholds: Path | None,
    parameters: GenerateReportParameters,
    task: Task,
) -> None:
    """Write the report as a page, as text and as data.

    Parameters
    ----------
    results : Path
        Folder with metrics files, pictures and tables of the run, in any arrangement.
    facts : Path or None
        What the launcher knows of the run; without it `pipeline_info/` of the folder is read.
    thresholds : Path or None
        Thresholds that replace those of the same name in `thresholds.json`.
    parameters : GenerateReportParameters
        Choices.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the folder is none, or the thresholds are malformed.
    """
    from linumpy_lib.errors import InputError
    from linumpy_lib.quality.run_files import read_run
    from linumpy_lib.quality.run_report import run_report
    from linumpy_lib.quality.run_report_page import report_page
    from linumpy_lib.quality.run_report_text import report_text
    from linumpy_lib.quality.thresholds import DEFAULT_FILE, read_thresholds

    if not results.is_dir():
        raise InputError(f"{results}: is no folder; give the output folder of a run")
    table = {**read_thresholds(DEFAULT_FILE), **(read_thresholds(thresholds) if thresholds is not None else {})}
    report = run_report(read_run(results, facts, table), subject=_subject(task.name))
    verbose = parameters.report_verbose
    page = report_page(
        report, verbose=verbose, picture_mb=parameters.report_pictures_mb, footer=f"linumpy-pipeline {__version__}"
    )
    _write(task.path(PAGE), page)
    _write(task.path(TEXT), report_text(report, verbose=verbose))
    _write(task.path(DATA), json.dumps(report.as_json(), indent=1, default=str) + "\n")
    if parameters.report_format == "zip":
        _archive(task, [(picture.where, picture.path) for picture in report.run.pictures])
    for state, count in report.counts().items():
        task.metric(f"slices_{state}", count)
    task.metric("verdict", report.status)
    for where, why in report.run.damaged:
        task.note(f"{where}: {why}")


def _subject(name: str) -> str:
    """Return the subject in a name of results, `mouse` in `mouse_quality`."""
    return name.removesuffix("_quality")


def _write(path: Path, text: str) -> None:
    """Write text that may hold parts of characters, as names of files can."""
    path.write_bytes(text.encode("utf-8", "replace"))


def _archive(task: Task, pictures: list[tuple[str, Path]]) -> None:
    files = [("index.html", task.path(PAGE)), ("report.txt", task.path(TEXT)), ("report.json", task.path(DATA))]
    files += [(f"pictures/{_safe(where)}", path) for where, path in pictures]
    names = dict(reversed(files))  # of files with one name the first, and never one in place of the page
    with zipfile.ZipFile(task.path(ARCHIVE), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in reversed(names.items()):
            archive.writestr(zipfile.ZipInfo(name, _CLOCK), path.read_bytes(), zipfile.ZIP_DEFLATED)


def _safe(where: str) -> str:
    """Name inside an archive that every system can unpack."""
    return "/".join(re.sub(r"[^\w.,=+ -]", "_", part) for part in where.split("/") if part not in ("", ".", ".."))


STEP = Step(
    name="generate_report",
    function=generate_report,
    parameters=GenerateReportParameters,
    summary="Quality report of a run",
    description="One self-contained HTML page: verdict, ledger of slices, figures with thresholds, trends, pictures, "
    "cost, parameters, versions; and the same as text and as JSON. It takes the output folder of a run, and goes where "
    "the run itself puts it, unless --output and --name say otherwise.",
    inputs=(
        Input("results", "output folder of a run", kind="path", positional=True),
        Input("facts", "run.json: what the launcher tells of the run", kind="path", required=False),
        Input("thresholds", "JSON file of thresholds, in place of those built in", kind="path", required=False),
    ),
    outputs={
        PAGE: "the page",
        TEXT: "the same as text",
        DATA: "the same as data",
        ARCHIVE: "with report_format zip: all of it, and the pictures in full size",
    },
    place=report_home,
)
