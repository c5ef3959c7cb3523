"""Self-contained HTML reports: sections of figures, tables and rated figures, in one file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from linumpy_lib.quality.report_style import STYLE
from linumpy_lib.step import Status

_RANK: tuple[Status, ...] = ("info", "ok", "warning", "error")
_WORDS = {"ok": "in range", "warning": "look at this", "error": "out of range", "info": ""}
# Nothing may be loaded, and no script but the page's own may run, whatever a name in the data may hold.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Metric:
    """One figure about a result, shown as a card.

    Attributes
    ----------
    name : str
        What it is.
    value : float, int, str or None
        None shows as a dash.
    unit : str
        Written behind the value.
    status : {"ok", "warning", "error", "info"}
        The judgement; ``info`` judges nothing.
    thresholds : mapping of str to float
        The bounds that the status was judged by, for instance ``{"warning above": 0.1}``.
    note : str
        One line of explanation.
    """

    name: str
    value: float | int | str | None
    unit: str = ""
    status: Status = "info"
    thresholds: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @classmethod
    def of(cls, name: str, figure: Mapping[str, Any]) -> Metric:
        """Take a figure of a metrics file."""
        known = {key: figure[key] for key in ("value", "unit", "status", "thresholds") if key in figure}
        return cls(name.replace("_", " "), **known, note=str(figure.get("description", "")))


def format_value(value: object) -> str:
    """Write a value for people: four digits, thousands set apart, true and false as words."""
    if value is None or value in ([], (), {}, ""):
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(format_value(v) for v in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {format_value(v)}" for k, v in value.items())
    return str(value)


class Section:
    """A titled part of a report; its methods add content and return the section, so that calls chain."""

    def __init__(self, title: str, anchor: str) -> None:
        self.title, self.anchor = title, anchor
        self.status: Status = "info"
        self._parts: list[str] = []

    def text(self, *paragraphs: str) -> Section:
        """Add paragraphs of plain text."""
        self._parts += [f"<p>{escape(p)}</p>" for p in paragraphs]
        return self

    def heading(self, title: str) -> Section:
        """Add a heading below that of the section."""
        self._parts.append(f"<h3>{escape(title)}</h3>")
        return self

    def notice(self, *messages: str) -> Section:
        """Add messages that a reader should not miss."""
        self._parts += [f'<p class="notice">{escape(m)}</p>' for m in messages]
        return self

    def metrics(self, metrics: Iterable[Metric]) -> Section:
        """Add a card for each figure; the section takes the worst status."""
        cards = []
        for metric in metrics:
            self.status = max(self.status, metric.status, key=_RANK.index)
            cards.append(_card(metric))
        self._parts.append(f'<div class="cards">{"".join(cards)}</div>')
        return self

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> Section:
        """Add a table; numbers are aligned to the right."""
        body = [list(row) for row in rows]
        numeric = [
            any(_is_number(row[k]) for row in body) and all(_is_number(row[k]) or row[k] is None for row in body)
            for k in range(len(header))
        ]
        classes = [' class="number"' if n else "" for n in numeric]
        lines = [
            "".join(f"<td{c}>{escape(format_value(v))}</td>" for c, v in zip(classes, row, strict=True)) for row in body
        ]
        head = "".join(f"<th{c}>{escape(h)}</th>" for c, h in zip(classes, header, strict=True))
        title = f"<caption>{escape(caption)}</caption>" if caption else ""
        self._parts.append(
            f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table></div>"
        )
        return self

    def figure(self, png: bytes, *, caption: str = "", alt: str = "", width_px: int | None = None) -> Section:
        """Add a PNG picture, stored inside the page.

        Raises
        ------
        ValueError
            If the bytes are not a PNG.
        """
        if not png.startswith(b"\x89PNG\r\n\x1a\n"):
            raise ValueError("a report figure must be a PNG picture")
        data = base64.b64encode(png).decode("ascii")
        width = f' style="width: {int(width_px)}px"' if width_px else ""
        below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        self._parts.append(
            f'<figure><img src="data:image/png;base64,{data}" alt="{escape(alt or caption)}"{width}>{below}</figure>'
        )
        return self

    def charts(self, svgs: Iterable[str]) -> Section:
        """Add charts made by `linumpy_lib.quality.charts`, side by side."""
        self._parts.append(f'<div class="charts">{"".join(f"<div>{svg}</div>" for svg in svgs)}</div>')
        return self

    def values(self, values: Mapping[str, object], *, header: tuple[str, str] = ("name", "value")) -> Section:
        """Add a mapping as a table of two columns, in its order: parameters, provenance, versions."""
        return self.table(header, [(key, format_value(value)) for key, value in values.items()])

    def markup(self, *parts: str) -> Section:
        """Add HTML as it is; whoever made it has escaped what it holds."""
        self._parts += parts
        return self

    def raw(self, title: str, data: object) -> Section:
        """Add plain data as JSON that unfolds on request."""
        text = escape(json.dumps(data, indent=1, ensure_ascii=False, default=str))
        self._parts.append(f"<details><summary>{escape(title)}</summary><pre>{text}</pre></details>")
        return self

    def parts(self) -> tuple[str, ...]:
        """Return what was added, as HTML, to be part of another section."""
        return tuple(self._parts)

    def html(self) -> str:
        """Return the section as HTML."""
        badge = f' <span class="badge {self.status}">{_WORDS[self.status]}</span>' if _WORDS[self.status] else ""
        return f'<section id="{self.anchor}"><h2>{escape(self.title)}{badge}</h2>{"".join(self._parts)}</section>'


class Report:
    """A page of sections that needs no other file and no network.

    Every text is escaped, so names of files, samples and parameters may hold anything.

    Parameters
    ----------
    title, subtitle : str
        Heading of the page.
    footer : str
        Last line, for instance software and version.
    style, script : str
        Further style sheet, and a script. The page tells the browser to run no other.
    status : {"ok", "warning", "error", "info"}, optional
        The verdict; without it the worst status of any metric.

    Examples
    --------
    >>> report = Report("Mouse <3>")
    >>> _ = report.section("Result").metrics([Metric("tiles", 12, status="ok")])
    >>> "Mouse &lt;3&gt;" in report.html(), report.status
    (True, 'ok')
    """

    def __init__(
        self,
        title: str,
        subtitle: str = "",
        *,
        footer: str = "",
        style: str = "",
        script: str = "",
        status: Status | None = None,
    ) -> None:
        self.title, self.subtitle, self.footer = title, subtitle, footer
        self._style, self._script, self._verdict = style, script, status
        self.sections: list[Section] = []

    def section(self, title: str) -> Section:
        """Add a section and return it."""
        stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        section = Section(title, f"{stem}-{len(self.sections) + 1}")
        self.sections.append(section)
        return section

    @property
    def status(self) -> Status:
        """The verdict, or else the worst status of any metric."""
        if self._verdict is not None:
            return self._verdict
        return max((s.status for s in self.sections), key=_RANK.index, default="info")

    def html(self) -> str:
        """Return the page; equal content gives equal text."""
        links = " ".join(f'<a href="#{s.anchor}">{escape(s.title)}</a>' for s in self.sections)
        badge = f' <span class="badge {self.status}">{_WORDS[self.status]}</span>' if _WORDS[self.status] else ""
        subtitle = f"<p>{escape(self.subtitle)}</p>" if self.subtitle else ""
        footer = f"<footer>{escape(self.footer)}</footer>" if self.footer else ""
        policy, script = _POLICY, ""
        if self._script:
            digest = base64.b64encode(hashlib.sha256(self._script.encode()).digest()).decode("ascii")
            policy, script = f"{_POLICY}; script-src 'sha256-{digest}'", f"<script>{self._script}</script>"
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{STYLE}{self._style}</style></head><body><main>"
            f"<header><h1>{escape(self.title)}{badge}</h1>{subtitle}<nav>{links}</nav></header>\n"
            + "\n".join(s.html() for s in self.sections)
            + f"\n{footer}</main>{script}</body></html>\n"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _card(metric: Metric) -> str:
    kind = "value text" if isinstance(metric.value, str) else "value"
    unit = f' <span class="unit">{escape(metric.unit)}</span>' if metric.unit else ""
    behind = f" {metric.unit}" if metric.unit else ""
    bounds = ", ".join(f"{name} {format_value(value)}{behind}" for name, value in metric.thresholds.items())
    word = f'<span class="{metric.status}">{_WORDS[metric.status]}</span>' if _WORDS[metric.status] else ""
    judged = " · ".join(part for part in (word, escape(bounds)) if part)
    lines = "".join(f'<div class="note">{line}</div>' for line in (escape(metric.note), judged) if line)
    return (
        f'<div class="card {metric.status}"><div class="name">{escape(metric.name)}</div>'
        f'<div class="{kind}">{escape(format_value(metric.value))}{unit}</div>{lines}</div>'
    )
