"""Small charts as inline SVG that take the colours of the page around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 340, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 14, 10, 34, 26


def histogram_svg(
    edges: Sequence[float],
    counts: Sequence[int],
    *,
    title: str,
    marks: Mapping[str, float | None] | None = None,
    logarithmic: bool = False,
) -> str:
    """Draw a histogram.

    Parameters
    ----------
    edges : sequence of float
        Bin edges, ascending, one more than ``counts``.
    counts : sequence of int
        Bin contents. On a logarithmic axis every bin covers the same ratio, so heights compare there as well.
    title : str
        Heading.
    marks : mapping of str to float, optional
        Named values to mark with a line; None values are left out.
    logarithmic : bool
        Logarithmic horizontal axis; the edges are then positive.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    low, high = (np.log10(edges[k]) if logarithmic else edges[k] for k in (0, -1))

    def across(value: float) -> float:
        position = (np.log10(max(value, edges[0])) if logarithmic else value) - low
        inside = min(max(position / (high - low), 0.0), 1.0)
        return float(_LEFT + inside * (_WIDTH - _LEFT - _RIGHT))

    floor = _HEIGHT - _BOTTOM
    highest = max([*counts, 1])
    total = sum(counts)
    parts = [f'<text class="title" x="{_LEFT}" y="14">{escape(title)}</text>']
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count == 0:
            continue
        height = max(count / highest * (floor - _TOP), 0.5)
        share = f"{left:.3g} to {right:.3g}: {100.0 * count / total:.2g} %"
        parts.append(
            f'<rect class="bar" x="{across(left):.2f}" y="{floor - height:.2f}" '
            f'width="{max(across(right) - across(left) - 0.6, 0.4):.2f}" height="{height:.2f}">'
            f"<title>{share}</title></rect>"
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {floor}H{_WIDTH - _RIGHT}"/>')
    for value, text in _ticks(edges[0], edges[-1], logarithmic):
        x = across(value)
        anchor = "start" if x < _LEFT + 4 else "end" if x > _WIDTH - _RIGHT - 4 else "middle"
        parts.append(f'<path class="axis" d="M{x:.2f} {floor}v4"/>')
        parts.append(f'<text x="{x:.2f}" y="{floor + 17}" text-anchor="{anchor}">{text}</text>')
    for name, mark in (marks or {}).items():
        if mark is None:
            continue
        x = across(mark)
        anchor, shift = ("end", -4) if x > _WIDTH / 2 else ("start", 4)
        parts.append(f'<path class="mark" d="M{x:.2f} {_TOP - 6}V{floor}"/>')
        parts.append(
            f'<text x="{x + shift:.2f}" y="{_TOP - 1}" text-anchor="{anchor}">{escape(name)} {mark:.3g}</text>'
        )
    label = escape(f"Histogram of {title}", quote=True)
    return f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _ticks(low: float, high: float, logarithmic: bool) -> list[tuple[float, str]]:
    if logarithmic:
        powers = range(int(np.ceil(np.log10(low) - 1e-9)), int(np.floor(np.log10(high) + 1e-9)) + 1)
        return [(10.0**p, f"{10.0**p:g}") for p in powers]
    return [(low + k * (high - low) / 4.0, f"{low + k * (high - low) / 4.0:g}") for k in range(5)]
