"""The report of a run as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from linumpy_lib.quality.picture_data import PictureData, picture_data
from linumpy_lib.quality.report import Metric, Report, Section, format_value
from linumpy_lib.quality.run_files import Picture
from linumpy_lib.quality.run_order import VOLUME_STEPS, pair_of_slices, rank, title
from linumpy_lib.quality.run_report import RunReport, StepSummary
from linumpy_lib.quality.run_report_script import SCRIPT
from linumpy_lib.quality.run_report_style import STYLE
from linumpy_lib.quality.run_truth import truth_section
from linumpy_lib.quality.trend_chart import trend_svg
from linumpy_lib.step import Status

_MARKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "in range"),
    "warning": ("!", "look at this"),
    "error": ("✗", "out of range"),
    "info": ("·", "nothing to judge"),
}
_MOST = 12
_DIALOG = (
    '<dialog aria-label="picture"><div class="bar"><button type="button" data-do="previous">Previous</button>'
    '<button type="button" data-do="next">Next</button><button type="button" data-do="size">Actual size</button>'
    '<output></output><button type="button" data-do="close">Close</button></div>'
    '<div class="stage"><img alt=""></div></dialog>'
)


def report_page(report: RunReport, *, verbose: bool = False, picture_mb: float = 24.0, footer: str = "") -> str:
    """Write the page.

    Parameters
    ----------
    report : RunReport
        The run. Pictures that turn out damaged are added to its files.
    verbose : bool
        A table with the figures of every task, beside the ranges over the tasks.
    picture_mb : float
        Size [MiB] of all pictures in the page; they are shrunk to it.
    footer : str
        Last line.
    """
    broken: list[tuple[Path, str]] = []
    paths = [picture.path for picture in report.run.pictures]
    pictures, side = picture_data(paths, int(picture_mb * (1 << 20)), broken)
    places = {picture.path: picture.where for picture in report.run.pictures}
    report.run.damaged += [(places[path], why) for path, why in broken]
    page = Report(
        f"Quality report: {report.subject or 'run'}",
        f"Workflow {report.workflows}" if report.workflows else "",
        footer=footer,
        style=STYLE,
        script=SCRIPT,
        status=report.status,
    )
    _verdict(page.section("Verdict"), report)
    if report.slices:
        _ledger(page.section("Slices"), report)
    shown = [p for p in report.run.pictures if p.path in pictures]
    volume = [p for p in shown if p.step in VOLUME_STEPS]
    if volume:
        section = page.section("Volume").text("Orthogonal views of the result. A click or Enter enlarges a picture.")
        section.markup(_thumbs(volume, pictures, large=True))
    if report.series:
        _trends(page.section("Trends over slices"), report)
    _steps(page.section("Steps"), report, [p for p in shown if p not in volume], pictures, verbose=verbose)
    if shown:
        page.sections[-1].text(f"Pictures are shown with at most {side} pixels along a side.")
    truth_section(page, report)
    _cost(page.section("Time, memory and devices"), report)
    _parameters(page.section("Parameters"), report)
    page.section("Versions").values(report.versions(), header=("part", "version"))
    if report.run.damaged:
        page.section("Files that could not be read").table(("file", "problem"), report.run.damaged)
    html = page.html()
    return html.replace("</main>", f"{_DIALOG}</main>", 1) if shown else html


def _verdict(section: Section, report: RunReport) -> None:
    section.status = report.status
    lines = "".join(f"<li>{escape(line)}</li>" for line in report.verdict())
    section.markup(f'<ul class="verdict">{lines}</ul>')
    counts = report.counts()
    cards = [
        Metric(f"slices {state}", n, status=_status_of(state, n))
        for state, n in counts.items()
        if n or state in ("used", "failed")
    ]
    judged = [f for task in report.run.tasks for f in task.figures.values() if f.status != "info"]
    cards = cards if report.slices else []
    cards += [
        Metric("tasks", len(report.run.tasks)),
        Metric("figures judged", len(judged)),
        Metric("figures out of range", sum(f.status == "error" for f in judged), status=_worst(judged, "error")),
        Metric("figures to look at", sum(f.status == "warning" for f in judged), status=_worst(judged, "warning")),
    ]
    section.metrics(cards)
    if report.issues:
        section.heading("What to look at")
        section.markup(_issues(report))
    notes = report.notes()
    if notes:
        section.heading("Notes of the steps")
        section.table(("note", "from"), [(note, _listed(names)) for note, names in notes])


def _status_of(state: str, count: int) -> Status:
    if state == "failed":
        return "error" if count else "info"
    return "info" if state in ("used", "excluded") else "warning"


def _worst(figures: Iterable[Any], status: Status) -> Status:
    return status if any(figure.status == status for figure in figures) else "ok"


def _issues(report: RunReport) -> str:
    rows = []
    for issue in report.issues:
        found = _listed([f"{name} {value}".strip() for name, value in issue.found])
        figure = escape(issue.figure.replace("_", " "))
        rows.append(
            f'<tr><td class="{issue.status}">{_MARKS[issue.status][0]} {_MARKS[issue.status][1]}</td>'
            f'<td><a href="#{_anchor(report, issue.step)}">{escape(title(issue.step))}</a></td>'
            f"<td>{figure}</td><td>{escape(found)}</td><td>{escape(issue.bounds)}</td></tr>"
        )
    head = "".join(f"<th>{word}</th>" for word in ("", "step", "figure", "where", "thresholds"))
    head = f"<thead><tr>{head}</tr></thead>"
    return f'<div class="scroll"><table class="issues">{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


def _anchor(report: RunReport, step: str) -> str:
    """Target of links to a step; its name may hold anything, so its number stands for it."""
    return f"step-{next((k for k, s in enumerate(report.steps) if s.step == step), 0)}"


def _ledger(section: Section, report: RunReport) -> None:
    steps = sorted({step for row in report.slices for step in row.steps}, key=rank)
    rows = []
    for row in report.slices:
        marks = []
        for step in steps:
            status = row.steps.get(step)
            if status is None:
                marks.append('<td class="mark"><span class="info" title="did not run">–</span></td>')
                continue
            sign, words = _MARKS[status]
            words = escape(f"{title(step)}: {words}")
            marks.append(
                f'<td class="mark"><span class="{status}" role="img" title="{words}" aria-label="{words}">{sign}</span>'
                "</td>"
            )
        quiet = row.state == "used" and not any(s in ("warning", "error") for s in row.steps.values())
        rows.append(
            f'<tr data-slice="{row.id}" data-quiet="{"yes" if quiet else "no"}"><th class="id" scope="row">'
            f'<button type="button" class="slice" title="show this slice in all charts">{row.id}</button></th>'
            f'<td><span class="state {row.state}">{row.state}</span></td><td class="why">{escape(row.why)}</td>'
            f"{''.join(marks)}</tr>"
        )
    turned = "".join(f'<th class="turned" scope="col"><span>{escape(title(step))}</span></th>' for step in steps)
    section.text(
        "Every slice that the run knows of, what became of it and why. Signs tell the worst figure of each step: "
        "✓ in range, ! look at this, ✗ out of range, · nothing to judge, – did not run."
    )
    section.markup(
        '<div class="controls"><label><input type="checkbox" id="only-issues"> only slices with something to look at'
        "</label></div>",
        '<div class="scroll" tabindex="0" role="region" aria-label="ledger of slices"><table class="ledger"><thead><tr>'
        f'<th class="id" scope="col">slice</th><th scope="col">state</th><th scope="col">why</th>{turned}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>",
    )


def _trends(section: Section, report: RunReport) -> None:
    section.text(
        "Point at a chart, or focus it and use the arrow keys, to read a slice in all charts at once. Dashed lines are "
        "thresholds; lines break where slices are missing."
    )
    first = [s for s in report.series if s.judged or s.flagged]
    others = [s for s in report.series if not (s.judged or s.flagged)]
    for step, group in groupby(first, key=lambda s: s.step):
        section.heading(title(step))
        section.markup(f'<div class="trends">{"".join(trend_svg(s, heading=title(step)) for s in group)}</div>')
    if others:
        parts = []
        for step, group in groupby(others, key=lambda s: s.step):
            charts = "".join(trend_svg(s, heading=title(step)) for s in group)
            parts.append(f'<h3>{escape(title(step))}</h3><div class="trends">{charts}</div>')
        section.markup(
            f"<details><summary>{len(others)} further figures without thresholds</summary>{''.join(parts)}</details>"
        )


def _steps(
    section: Section, report: RunReport, shown: list[Picture], pictures: dict[Path, PictureData], *, verbose: bool
) -> None:
    if not report.steps and not shown:
        section.text("No step left figures or pictures.")
        return
    section.text("Figures over all tasks of a step, with the thresholds that they are judged by, and pictures.")
    section.markup('<div class="controls"><label><input type="checkbox" id="unfold"> unfold all steps</label></div>')
    by_step = {step: list(group) for step, group in groupby(shown, key=lambda p: p.step)}
    for number, summary in enumerate(report.steps):
        inner = Section("", "").table(
            ("figure", "smallest", "median", "largest", "unit", "values", "status", "thresholds"),
            [_figure_row(figure) for figure in summary.figures()],
        )
        if verbose:
            _every_task(inner, summary)
        gallery = by_step.pop(summary.step, [])
        if gallery:
            inner.markup(_thumbs(gallery, pictures))
        sign, words = _MARKS[summary.status]
        opened = " open" if summary.status in ("warning", "error") else ""
        section.markup(
            f'<details class="step" id="step-{number}"{opened}><summary>{escape(title(summary.step))} '
            f'<span class="badge {summary.status}">{sign} {words}</span> <code>{escape(summary.step)}</code></summary>',
            *inner.parts(),
            "</details>",
        )
    for step, gallery in by_step.items():
        section.markup(
            f'<details class="step"><summary>{escape(title(step) if step else "Further pictures")}</summary>'
            f"{_thumbs(gallery, pictures)}</details>"
        )


def _figure_row(figure: dict[str, Any]) -> tuple[object, ...]:
    bounds = ", ".join(f"{words} {format_value(value)}" for words, value in figure["thresholds"].items())
    name = figure["name"].replace("_", " ")
    described = f"{name}: {figure['description']}" if figure["description"] else name
    flagged = f" ({figure['flagged']} of {figure['count']})" if figure["flagged"] else ""
    status = "" if figure["status"] == "info" else f"{_MARKS[figure['status']][1]}{flagged}"
    return (
        described,
        figure["min"],
        figure["median"],
        figure["max"],
        figure["unit"],
        figure["texts"],
        status,
        bounds,
    )


def _every_task(section: Section, summary: StepSummary) -> None:
    names = list(dict.fromkeys(name for task in summary.tasks for name in task.figures))
    section.heading("Every task")
    section.table(
        ("task", *(name.replace("_", " ") for name in names)),
        [(task.name, *(task.figures[n].value if n in task.figures else None for n in names)) for task in summary.tasks],
    )


def _thumbs(shown: Sequence[Picture], pictures: dict[Path, PictureData], *, large: bool = False) -> str:
    parts = []
    for picture in shown:
        data = pictures[picture.path]
        number = picture.slice_id
        pair = pair_of_slices(picture.path.name)
        words = f"{title(picture.step)}, slice {number}" if number is not None and picture.step else picture.where
        if pair is not None and picture.step:
            words = f"{title(picture.step)}, slices {pair[0]} and {pair[1]}"
        text, label = escape(words), escape(f"enlarge: {words}")
        parts.append(
            f'<figure><button type="button" class="zoom" aria-label="{label}"><img src="{data.source}" alt="{text}" '
            f'width="{data.width}" height="{data.height}" loading="lazy"></button>'
            f"<figcaption>{escape(_caption(picture))}</figcaption></figure>"
        )
    return f'<div class="thumbs{" large" if large else ""}">{"".join(parts)}</div>'


def _parameters(section: Section, report: RunReport) -> None:
    """Show what the user chose first; the rest unfolds."""
    header = ("parameter", "value")
    changed = report.changed()
    if not changed:
        section.values(report.parameters(), header=header)
        return
    section.text("These differ from their defaults.").values(changed, header=header)
    rest = {name: value for name, value in report.parameters().items() if name not in changed}
    table = Section("", "").values(rest, header=header).parts()
    section.markup(f"<details><summary>{len(rest)} parameters at their defaults</summary>", *table, "</details>")


def _caption(picture: Picture) -> str:
    """Slice where a picture shows one; the file's name tells the kind where a step makes several."""
    name = picture.where.split("/")[-1]
    pair = pair_of_slices(name)
    if pair is not None and picture.step in name:
        return f"slices {pair[0]} and {pair[1]}"
    return f"slice {picture.slice_id}" if picture.slice_id is not None and picture.step in name else name


def _cost(section: Section, report: RunReport) -> None:
    rows = []
    for summary in report.steps:
        cost = summary.cost()
        rows.append((title(summary.step), *cost.values(), summary.devices()))
    section.text("Seconds are sums over the tasks; memory is the peak of the largest task, resident.")
    section.table(
        ("step", "tasks", "wall [s]", "longest task [s]", "CPU [s]", "peak memory [MiB]", "device"),
        rows,
    )
