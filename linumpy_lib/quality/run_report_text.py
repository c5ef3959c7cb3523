"""The report of a run as plain text."""

from __future__ import annotations

from linumpy_lib.quality.report import format_value
from linumpy_lib.quality.run_order import title
from linumpy_lib.quality.run_report import RunReport, StepSummary

_WORDS = {"ok": "IN RANGE", "warning": "LOOK AT THIS", "error": "OUT OF RANGE", "info": "NOTHING TO JUDGE"}
_MOST = 8


def report_text(report: RunReport, *, verbose: bool = False) -> str:
    """Write the report as text.

    Parameters
    ----------
    report : RunReport
        The run.
    verbose : bool
        Every figure of every task, instead of the range over the tasks.
    """
    lines = [f"Quality report of {report.subject or 'a run'}", f"Workflow: {report.workflows or 'unknown'}", ""]
    lines += [f"Verdict: {_WORDS[report.status]}", *(f"  {line}" for line in report.verdict())]
    if report.slices:
        counts = ", ".join(f"{n} {state}" for state, n in report.counts().items() if n)
        lines += ["", f"Slices: {len(report.slices)} ({counts})"]
        lines += [f"  {row.id:>5}  {row.state:<12}  {row.why}".rstrip() for row in report.slices]
    if report.issues:
        lines += ["", "Figures to look at"]
        for issue in report.issues:
            shown = ", ".join(f"{name} {value}".strip() for name, value in issue.found[:_MOST])
            more = f" and {len(issue.found) - _MOST} more" if len(issue.found) > _MOST else ""
            bounds = f" ({issue.bounds})" if issue.bounds else ""
            lines.append(f"  {issue.status:<8} {issue.step}: {issue.figure}{bounds}: {shown}{more}")
    notes = report.notes()
    if notes:
        lines += ["", "Notes"] + [f"  {note} [{', '.join(names[:_MOST])}]" for note, names in notes]
    for summary in report.steps:
        lines += ["", *_step(summary, verbose=verbose)]
    lines += ["", "Parameters"] + [f"  {name} = {format_value(value)}" for name, value in report.parameters().items()]
    lines += ["", "Versions"] + [f"  {name} = {format_value(value)}" for name, value in report.versions().items()]
    if report.run.damaged:
        lines += ["", "Files that could not be read"] + [f"  {where}: {why}" for where, why in report.run.damaged]
    return "\n".join(_one_line(line) for line in lines) + "\n"


def _one_line(line: str) -> str:
    """No name of a file may break a line or steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in line)


def _step(summary: StepSummary, *, verbose: bool) -> list[str]:
    cost = summary.cost()
    spent = ", ".join(
        f"{word} {format_value(cost[key])} {unit}"
        for word, key, unit in (("wall", "wall_s", "s"), ("CPU", "cpu_s", "s"), ("peak", "peak_rss_mb", "MiB"))
        if cost[key] is not None
    )
    lines = [f"{title(summary.step)} [{summary.step}], {cost['tasks']} tasks{', ' + spent if spent else ''}"]
    if verbose:
        for task in summary.tasks:
            lines.append(f"  {task.name}")
            lines += [
                f"    {name} = {format_value(f.value)} {f.unit} {f.status if f.status != 'info' else ''}".rstrip()
                for name, f in task.figures.items()
            ]
        return lines
    for figure in summary.figures():
        values = figure["texts"]
        if figure["median"] is not None:
            low, middle, high = (format_value(figure[key]) for key in ("min", "median", "max"))
            values = middle if low == high else f"{low} … {middle} … {high}"
        status = "" if figure["status"] == "info" else f"  {figure['status']}"
        lines.append(f"  {figure['name']:<32} {values} {figure['unit']}{status}".rstrip())
    return lines
