"""A figure over slices as inline SVG, readable without a script and interactive with the report's."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from html import escape

from linumpy_lib.quality.report import format_value
from linumpy_lib.quality.run_trends import Series

WIDTH, HEIGHT = 360, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 12, 24


def trend_svg(series: Series, *, heading: str) -> str:
    """Draw a series.

    Parameters
    ----------
    series : Series
        Two points or more.
    heading : str
        What a reader of the screen hears first.

    Returns
    -------
    str
        A focusable ``<figure>``; the points are in its ``data-points`` as ``[slice, value, status, x, y]``, x and y in
        the units of the drawing.
    """
    ids = [number for number, _, _ in series.points]
    values = [value for _, value, _ in series.points]
    low, high = _range(values, [bound for _, bound in series.bounds])

    def across(number: float) -> float:
        return _LEFT + (number - ids[0]) / max(1, ids[-1] - ids[0]) * (WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    parts = [f'<path class="axis" d="M{_LEFT} {_TOP}V{HEIGHT - _BOTTOM}H{WIDTH - _RIGHT}"/>']
    parts += [
        f'<text x="{_LEFT - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{text}</text>'
        f'<path class="axis" d="M{_LEFT - 3} {up(value):.1f}h3"/>'
        for value, text in _ticks(low, high)
    ]
    parts += [
        f'<text x="{across(number):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{number}</text>'
        f'<path class="axis" d="M{across(number):.1f} {HEIGHT - _BOTTOM}v4"/>'
        for number in sorted({ids[0], ids[len(ids) // 2], ids[-1]})
    ]
    for status, bound in series.bounds:
        if low <= bound <= high:
            parts.append(f'<path class="bound {status}" d="M{_LEFT} {up(bound):.1f}H{WIDTH - _RIGHT}"/>')
    parts.append(f'<path class="line" d="{_line(series, across, up)}"/>')
    for number, value, status in series.points:
        kind = status if status in ("warning", "error") else "plain"
        parts.append(f'<circle class="{kind}" cx="{across(number):.1f}" cy="{up(value):.1f}" r="2.6"/>')
    points = [[n, v, s, round(across(n), 1), round(up(v), 1)] for n, v, s in series.points]
    unit = f" [{series.unit}]" if series.unit else ""
    flagged = f", {series.flagged} to look at" if series.flagged else ""
    label = f"{heading}: {series.name}{unit} over {len(ids)} slices, {format_value(min(values))} to "
    label += f"{format_value(max(values))}{flagged}"
    return (
        f'<figure class="trend" tabindex="0" role="group" aria-label="{escape(label)}" '
        f'data-unit="{escape(series.unit)}" data-points="{escape(json.dumps(points))}">'
        f"<figcaption>{escape(series.name)}{escape(unit)}{_badge(series)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'
        f'<output class="read">slices {ids[0]} to {ids[-1]}</output></figure>'
    )


def _badge(series: Series) -> str:
    if not series.flagged:
        return ""
    worst = "error" if any(status == "error" for _, _, status in series.points) else "warning"
    return f' <span class="badge {worst}">{series.flagged} to look at</span>'


def _range(values: list[float], bounds: list[float]) -> tuple[float, float]:
    """Vertical range: the values, and thresholds that are not far from them."""
    low, high = min(values), max(values)
    spread = high - low or abs(high) or 1.0
    for bound in bounds:
        if low - spread <= bound <= high + spread:
            low, high = min(low, bound), max(high, bound)
    margin = 0.06 * ((high - low) or abs(high) or 1.0)
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round numbers, three to six of them, and their texts."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    numbers = [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    large = max(abs(low), abs(high)) >= 1e6 or digits > 5
    return [(n, f"{n:.3g}" if large else f"{n + 0.0:.{digits}f}") for n in numbers]


def _line(series: Series, across: Callable[[float], float], up: Callable[[float], float]) -> str:
    """Path through the points, broken where slices are missing."""
    path: list[str] = []
    before: int | None = None
    for number, value, _ in series.points:
        path.append(f"{'L' if before == number - 1 else 'M'}{across(number):.1f} {up(value):.1f}")
        before = number
    return "".join(path)
