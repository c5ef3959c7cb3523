"""Lengths of scale bars: round numbers that suit a picture, written in the unit that suits them."""

from __future__ import annotations

import math


def round_length_um(width_um: float) -> float:
    """Length 1, 2 or 5 times a power of ten, about a quarter of ``width_um``."""
    target = width_um / 4.0
    power = 10.0 ** math.floor(math.log10(target))
    return float(max((m * power for m in (1.0, 2.0, 5.0) if m * power <= target), default=power))


def length_text(length_um: float) -> str:
    """Write a length in the unit that suits it."""
    if length_um >= 1000.0:
        return f"{length_um / 1000.0:g} mm"
    return f"{length_um:g} µm" if length_um >= 1.0 else f"{length_um * 1000.0:g} nm"
