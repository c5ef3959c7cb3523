"""One picture of a depth correction: a section before and after, and mean A-lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_SHOWN_PERCENTILE = 99.5


@dataclass(frozen=True)
class DepthLine:
    """A curve over depth.

    Attributes
    ----------
    label : str
        What it is.
    values : ndarray, shape (z,)
        Its values.
    dashed : bool
        Draw it dashed.
    scaled : bool
        Divide it by its highest value first.
    """

    label: str
    values: Array
    dashed: bool = False
    scaled: bool = False


def _section(stack: Array) -> tuple[Array, int]:
    """Plane (z, x) through the brightest row, and the row."""
    row = int(np.argmax(stack.sum(axis=(0, 2)))) if stack.size else 0
    plane: Array = stack[:, row]
    return plane, row


def save_depth_preview(
    path: Path,
    title: str,
    *,
    before: Array,
    after: Array,
    lines: Sequence[DepthLine],
    spacing_um: tuple[float, float],
    marks: Sequence[float] = (),
    trace: Array | None = None,
    row: int | None = None,
) -> None:
    """Draw the picture as a PNG.

    Parameters
    ----------
    path : Path
        File to write.
    title : str
        Written above.
    before, after : ndarray, shape (z, y, x)
        Coarse samples of a slice; the planes (z, x) of one row are shown.
    lines : sequence of DepthLine
        Curves beside the planes.
    spacing_um : tuple of float
        Distance of samples along z and x.
    marks : sequence of float
        Depth indices to draw as lines into the section before.
    trace : ndarray, shape (x,), optional
        Depth index of a surface in that section.
    row : int, optional
        The row shown; by default the brightest one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = _section(before)[1] if row is None else row
    figure = Figure(figsize=(13, 6.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    axes: dict[str, Any] = figure.subplot_mosaic([["before", "lines"], ["after", "lines"]], width_ratios=(1.7, 1))
    step_z, step_x = spacing_um[0] / 1000, spacing_um[1] / 1000
    for name, stack in (("before", before), ("after", after)):
        plane = stack[:, shown]
        lit = plane[plane > 0]
        top = float(np.percentile(lit, _SHOWN_PERCENTILE)) if lit.size else 1.0
        extent = (0, plane.shape[1] * step_x, (plane.shape[0] - 0.5) * step_z, -0.5 * step_z)
        axes[name].imshow(plane, cmap="gray", vmin=0, vmax=top, extent=extent, interpolation="nearest", aspect="auto")
        axes[name].set(title=name, xlabel="x [mm]", ylabel="depth [mm]")
    for mark in marks:
        axes["before"].axhline((mark - 0.5) * step_z, color="#e67e22", linewidth=1)
    if trace is not None:
        axes["before"].plot((np.arange(len(trace)) + 0.5) * step_x, trace * step_z, color="#5dade2", linewidth=1)
    for line in lines:
        values = np.asarray(line.values, np.float64)
        highest = float(np.nanmax(values)) if values.size else 0.0
        scale = highest if line.scaled and highest > 0 else 1.0
        depth = np.arange(len(values)) * step_z
        axes["lines"].plot(depth, values / scale, "--" if line.dashed else "-", label=line.label, linewidth=1.2)
    axes["lines"].set(xlabel="depth [mm]", ylabel="fraction of the highest", ylim=(0, None))
    if lines:
        axes["lines"].legend(fontsize=8)
    figure.savefig(path, metadata={"Software": None})
