"""Pictures of shifts between slices: their lengths, and the path of the slices before and after a correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.alignment.shift_analysis import path_mm, slice_ids
from linumpy_lib.alignment.shift_cleaning import Event
from linumpy_lib.io.shift_table import Shift

_BEFORE, _AFTER, _LIMIT = "#b0552a", "#1f5f8b", "#666666"
_MARKS: dict[str, tuple[str, str]] = {
    "glitch": ("x", "#b0552a"),
    "tile_step": ("s", "#7a5195"),
    "rehoming": ("^", "#2e7d32"),
}


def write_shift_plot(
    path: Path,
    recorded: Sequence[Shift],
    corrected: Sequence[Shift],
    *,
    limit_mm: float,
    title: str,
    names: tuple[str, str] = ("recorded", "corrected"),
    events: Sequence[Event] = (),
    detailed: bool = True,
) -> None:
    """Draw two tables of shifts of the same slices.

    Parameters
    ----------
    path : Path
        PNG file.
    recorded, corrected : sequence of Shift
        The table before and after.
    limit_mm : float
        Length that is marked by a line.
    title : str
        Written above.
    names : tuple of str
        What the two tables are called.
    events : sequence of Event
        What is marked on the lengths.
    detailed : bool
        Draw the path in the plane as well.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout = [["length", "path"], ["x", "path"], ["y", "path"]] if detailed else [["length"], ["x"], ["y"]]
    figure = Figure(figsize=(13 if detailed else 8, 8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes: dict[str, Any] = figure.subplot_mosaic(layout)
    tables = ((recorded, _BEFORE, "o--", names[0]), (corrected, _AFTER, "o-", names[1]))
    ids = np.array(slice_ids(recorded))
    for table, colour, style, name in tables:
        marks: Mapping[str, Any] = {"color": colour, "label": name, "markersize": 3.5, "linewidth": 1.2}
        where = path_mm(table) * 1000
        if len(ids):
            axes["length"].plot(ids[1:], [s.length_mm * 1000 for s in table], style, **marks)
            axes["x"].plot(ids, where[:, 0], style, **marks)
            axes["y"].plot(ids, where[:, 1], style, **marks)
            if detailed:
                axes["path"].plot(where[:, 0], where[:, 1], style, **marks)
    axes["length"].axhline(limit_mm * 1000, color=_LIMIT, linestyle=":", label=f"limit {limit_mm * 1000:g} um")
    for kind, (marker, colour) in _MARKS.items():
        chosen = [event for event in events if event.kind == kind]
        if chosen:
            lengths = [float(np.hypot(*event.recorded_mm)) * 1000 for event in chosen]
            axes["length"].scatter(
                [e.moving_id for e in chosen], lengths, marker=marker, s=70, color=colour, label=kind, zorder=3
            )
    axes["length"].set(ylabel="length of the step (um)", title=title)
    axes["length"].legend(fontsize=8)
    axes["x"].set(ylabel="position x (um)")
    axes["y"].set(ylabel="position y (um)", xlabel="slice")
    if detailed:
        axes["path"].set(
            xlabel="x (um)", ylabel="y (um)", title="path of the slices, the middle one at 0", aspect="equal"
        )
        axes["path"].set_aspect("equal", adjustable="datalim")
        axes["path"].invert_yaxis()
    for one in axes.values():
        one.grid(alpha=0.25)
    figure.savefig(path, metadata={"Software": None})
