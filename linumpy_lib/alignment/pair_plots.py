"""Pictures of registered pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.alignment.bad_pairs import JudgedPair

_GOOD, _BAD, _MARKED, _LIMIT = "#1f5f8b", "#d9822b", "#b0232a", "#666666"


def write_pair_plot(path: Path, judged: Sequence[JudgedPair], *, limit: float, title: str) -> None:
    """Draw correlation and translation of every pair: against each other, and along the stack.

    Parameters
    ----------
    path : Path
        PNG file.
    judged : sequence of JudgedPair
        The pairs.
    limit : float
        Correlation below which a pair is bad.
    title : str
        Written above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes: dict[str, Any] = figure.subplot_mosaic([["correlation", "both"], ["translation", "both"]])
    groups = (
        ("good", _GOOD, "o", [p for p in judged if not p.reason]),
        ("bad", _BAD, "^", [p for p in judged if p.reason and not p.excluded]),
        ("bad, slice marked", _MARKED, "X", [p for p in judged if p.excluded]),
    )
    for label, colour, marker, chosen in groups:
        known = [p for p in chosen if p.correlation is not None]
        if not known:
            continue
        ids = [p.moving_id for p in known]
        alike = [p.correlation for p in known]
        moved = [np.nan if p.translation_px is None else p.translation_px for p in known]
        style: dict[str, Any] = {"color": colour, "marker": marker, "label": label, "s": 36}
        axes["correlation"].scatter(ids, alike, **style)
        axes["translation"].scatter(ids, moved, **style)
        axes["both"].scatter(alike, moved, **style)
    axes["correlation"].axhline(limit, color=_LIMIT, linestyle=":")
    axes["both"].axvline(limit, color=_LIMIT, linestyle=":", label=f"limit {limit:g}")
    axes["correlation"].set(ylabel="correlation", title=f"{title}: registered pairs")
    axes["translation"].set(ylabel="translation (px)", xlabel="moving slice")
    axes["both"].set(xlabel="correlation", ylabel="translation (px)")
    axes["both"].legend(fontsize=8)
    for one in axes.values():
        one.grid(alpha=0.25)
    figure.savefig(path, metadata={"Software": None})
