"""Pictures of a stacked volume: three orthogonal planes, and vertical sections with the slices named beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linumpy_lib.io import Volume
from linumpy_lib.quality.planes import Geometry, read_plane
from linumpy_lib.quality.slice_preview import write_panels

_LARGEST_PX = 1200
_KINDS = {"slice": "#1f6fb2", "interpolated": "#b8860b", "gap": "#c0392b"}


@dataclass(frozen=True)
class Band:
    """Planes `start` to `stop` of a stack that one slice fills (or none: a gap), with what to call it."""

    label: str
    start: int
    stop: int
    kind: str = "slice"


def _geometry(volume: Volume) -> Geometry:
    z, y, x = volume.require_spacing()
    return Geometry.of(volume, (z, y, x))


def save_stack_preview(path: Path, volume: Volume, title: str) -> None:
    """Write the middle planes across y, x and z side by side."""
    geometry = _geometry(volume)
    panels, spacings = [], []
    for normal, label in ((1, "coronal: z down, x across"), (2, "sagittal: z down, y across"), (0, "axial: y, x")):
        plane = read_plane(volume, geometry, normal, _LARGEST_PX)
        height, width = geometry.plane_extent_um(normal)
        panels.append((label, plane))
        spacings.append((height / plane.shape[0], width / plane.shape[1]))
    write_panels(path, panels, spacing_um=spacings, title=title)


def save_annotated_preview(
    path: Path, volume: Volume, bands: Sequence[Band], title: str, *, every: int = 1, lines: bool = False
) -> None:
    """Write vertical sections with the name of each slice beside the planes that it fills.

    Parameters
    ----------
    path : Path
        The picture (PNG).
    volume : Volume
        The stack (z, y, x).
    bands : sequence of Band
        What fills it, from the top down.
    title : str
        Written above.
    every : int
        Name every n-th slice; gaps are always named.
    lines : bool
        Draw where slices begin across the sections too.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    geometry = _geometry(volume)
    dz = geometry.spacing_um[0] / 1000
    figure = Figure(figsize=(14, max(4.0, min(16.0, 0.16 * len(bands) + 3))), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    axes = figure.subplots(1, 2)
    for panel, (normal, name) in zip(axes, ((1, "coronal"), (2, "sagittal")), strict=True):
        plane = read_plane(volume, geometry, normal, _LARGEST_PX)
        height, width = (extent / 1000 for extent in geometry.plane_extent_um(normal))
        lit = plane[plane > 0]
        high = float(np.percentile(lit, 99.5)) if lit.size else 1.0
        panel.imshow(plane, cmap="gray", vmin=0, vmax=high, extent=(0, width, height, 0), interpolation="nearest")
        panel.set_title(name, fontsize=10)
        panel.set_xlabel(f"{'x' if normal == 1 else 'y'} [mm]", fontsize=8)
        panel.set_ylabel("depth [mm]", fontsize=8)
        panel.tick_params(labelsize=7)
        for k, band in enumerate(bands):
            colour = _KINDS[band.kind]
            side = panel.get_yaxis_transform()
            panel.plot(
                (1.012, 1.012),
                (band.start * dz, band.stop * dz),
                color=colour,
                linewidth=3,
                transform=side,
                clip_on=False,
                solid_capstyle="butt",
                alpha=1.0 if k % 2 == 0 else 0.6,
            )
            if k % every == 0 or band.kind != "slice":
                panel.text(
                    1.025,
                    (band.start + band.stop) / 2 * dz,
                    band.label,
                    color=colour,
                    fontsize=6,
                    va="center",
                    transform=side,
                )
            if lines:
                panel.axhline(band.start * dz, color=colour, linewidth=0.5, linestyle=":")
    figure.savefig(path)
