"""Pictures of rotations along a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_COLOUR, _LIMIT, _MARK = "#1f5f8b", "#666666", "#b0232a"


def write_line_plots(
    path: Path,
    ids: Sequence[int],
    rows: Mapping[str, npt.NDArray[np.float64]],
    *,
    title: str,
    limits: Mapping[str, float] | None = None,
    marked: Sequence[int] = (),
) -> None:
    """Draw figures of the slices, one below the other.

    Parameters
    ----------
    path : Path
        PNG file.
    ids : sequence of int
        The slices.
    rows : mapping of str to ndarray
        Values by what the axis is called; NaN leaves a hole.
    title : str
        Written above.
    limits : mapping of str to float, optional
        Values that are marked by lines, on both sides of 0, by the name of the row.
    marked : sequence of int
        Slices that are marked in the first row.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.4 * len(rows) + 0.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for k, (axis, (name, values)) in enumerate(zip(axes, rows.items(), strict=True)):
        axis.plot(ids, values, "o-", color=_COLOUR, markersize=3.5, linewidth=1.2)
        limit = (limits or {}).get(name)
        if limit is not None:
            for side in (-limit, limit):
                axis.axhline(side, color=_LIMIT, linestyle=":")
        chosen = [j for j, slice_id in enumerate(ids) if slice_id in marked]
        if k == 0 and chosen:
            axis.scatter([ids[j] for j in chosen], values[chosen], color=_MARK, s=50, zorder=3)
        axis.set_ylabel(name)
        axis.grid(alpha=0.25)
    axes[0].set_title(title)
    axes[-1].set_xlabel("slice")
    figure.savefig(path, metadata={"Software": None})
