"""Pictures of where fibres and sheet normals point: hemisphere density and in-plane rose."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.anisotropy.summary import cell_directions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BACKGROUND, _TEXT, _FAINT = "#14161b", "#eceef2", "#9aa1ad"
_ROSE_BINS = 36
_SIDE = 301

Grid = npt.NDArray[Any]


def hemisphere_density(cells: Grid, side: int = _SIDE) -> npt.NDArray[np.float64]:
    """Spread the counted directions over a disc: the hemisphere seen along z, in Lambert's equal-area projection.

    Parameters
    ----------
    cells : ndarray of int, shape (n, n)
        Counts on the octahedral grid of the statistics.
    side : int
        Size of the picture [pixels].

    Returns
    -------
    ndarray of float64, shape (side, side)
        Density relative to evenly spread directions (1 everywhere if there is no preference), rows y, columns x; NaN
        outside the disc.
    """
    from scipy.ndimage import map_coordinates

    _, angles = cell_directions(len(cells))
    density = cells / angles
    mean = cells.sum() / angles.sum()
    density = density / mean if mean > 0 else density
    position = np.linspace(-1.0, 1.0, side)
    down, across = np.meshgrid(position, position, indexing="ij")
    radius = np.hypot(down, across)
    # Equal areas: the angle t to the z axis is drawn at radius sqrt(2) sin(t / 2), 1 at the equator.
    tilt = 2.0 * np.arcsin(np.minimum(radius, 1.0) / np.sqrt(2.0))
    ratio = np.sin(tilt) / np.maximum(radius, 1e-12)
    z, y, x = np.cos(tilt), down * ratio, across * ratio
    total = np.abs(z) + np.abs(y) + np.abs(x)
    index = [((c / total + 1.0) * len(cells) - 1.0) / 2.0 for c in (y + x, y - x)]
    disc: npt.NDArray[np.float64] = map_coordinates(density, index, order=1, mode="nearest")
    disc[radius > 1.0] = np.nan
    return disc


def in_plane_rose(cells: Grid, bins: int = _ROSE_BINS) -> npt.NDArray[np.float64]:
    """Count azimuths (from x towards y, 0 to 180 degrees), each direction by the square of its part in the XY plane."""
    fine = 6
    directions, angles = cell_directions(len(cells) * fine)
    whole = angles.reshape(len(cells), fine, len(cells), fine).sum(axis=(1, 3))
    spread = np.kron(cells / whole, np.ones((fine, fine))) * angles
    azimuth = np.degrees(np.arctan2(directions[..., 1], directions[..., 2])) % 180.0
    weight = spread * (1.0 - directions[..., 0] ** 2)
    counts, _ = np.histogram(azimuth, bins=bins, range=(0.0, 180.0), weights=weight)
    return counts.astype(np.float64)


def orientation_figure(distribution: dict[str, Any], orientation: dict[str, Any], *, dpi: int = 110) -> bytes:
    """Draw density and rose of fibre axes and of sheet normals.

    Parameters
    ----------
    distribution : dict
        ``orientation.distribution`` of the statistics file.
    orientation : dict
        ``orientation`` of the statistics file, for the dominant directions.
    dpi : int
        Resolution.

    Returns
    -------
    bytes
        PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.4, 3.35), dpi=dpi, facecolor=_BACKGROUND)
    FigureCanvasAgg(figure)
    sides = (
        ("Fibre axes", distribution["fibre_axes"], orientation["fibre_dir"]["fibres"], 0.0),
        ("Sheet normals", distribution["sheet_normals"], orientation["principal_dir"]["sheets"], 0.5),
    )
    for title, counts, summary, left in sides:
        cells = np.asarray(counts)
        figure.text(left + 0.25, 0.93, title, color=_TEXT, size=12, weight="bold", ha="center")
        if not cells.any():
            figure.text(left + 0.25, 0.5, "no such voxels", color=_FAINT, ha="center")
            continue
        _draw_disc(figure, left, cells, summary["dominant_zyx"])
        _draw_rose(figure, left, cells)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor=_BACKGROUND, metadata={"Software": None})
    return stream.getvalue()


def _draw_disc(figure: Figure, left: float, cells: Grid, dominant_zyx: list[float] | None) -> None:
    from matplotlib.colors import PowerNorm

    density = hemisphere_density(cells)
    axes: Axes = figure.add_axes((left + 0.015, 0.13, 0.22, 0.68), facecolor="none")
    highest = max(2.0, float(np.nanpercentile(density, 99.8)))
    # The square root shows a weak population beside a strong one.
    norm = PowerNorm(0.5, 0.0, highest, clip=True)
    image = axes.imshow(density, extent=(-1, 1, 1, -1), cmap="inferno", norm=norm, interpolation="bilinear")
    axes.set(xticks=[], yticks=[], xlim=(-1.03, 1.03), ylim=(1.03, -1.03))
    for spine in axes.spines.values():
        spine.set_visible(False)
    turn = np.linspace(0.0, 2.0 * np.pi, 181)
    axes.plot(np.cos(turn), np.sin(turn), color=_FAINT, linewidth=1.0)
    for tilt in (30.0, 60.0):
        radius = np.sqrt(2.0) * np.sin(np.radians(tilt) / 2.0)
        axes.plot(radius * np.cos(turn), radius * np.sin(turn), color="white", linewidth=0.4, alpha=0.45)
    for text, x, y in (("x", 1.1, 0.0), ("y", 0.0, 1.14)):
        axes.text(x, y, text, color=_TEXT, size=9, ha="center", va="center", clip_on=False)
    if dominant_zyx is not None:
        z, y, x = dominant_zyx
        scale = 1.0 / np.sqrt(1.0 + max(z, 0.0))
        axes.plot([x * scale], [y * scale], marker="x", color="#43e0ff", markersize=8, markeredgewidth=2.0)
    bar = figure.colorbar(image, cax=figure.add_axes((left + 0.255, 0.2, 0.011, 0.54)))
    bar.set_ticks([0.0, *(float(f"{highest * f:.2g}") for f in (0.06, 0.25, 0.55, 1.0))])
    bar.ax.set_ylim(0.0, highest)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=_TEXT, labelsize=8, length=2)
    bar.ax.set_title("× even", color=_FAINT, size=8, pad=6)


def _draw_rose(figure: Figure, left: float, cells: Grid) -> None:
    axes: Any = figure.add_axes((left + 0.325, 0.13, 0.145, 0.68), projection="polar", facecolor="none")
    counts = in_plane_rose(cells)
    centre = np.radians((np.arange(len(counts)) + 0.5) * 180.0 / len(counts))
    # An axis has two ends; areas, not lengths, are proportional to the counts.
    both = np.concatenate([centre, centre + np.pi])
    length = np.sqrt(np.concatenate([counts, counts]) / max(counts.max(), 1e-12))
    axes.bar(both, length, width=np.pi / len(counts), color="#5f8be6", edgecolor=_BACKGROUND, linewidth=0.4)
    axes.set_theta_direction(-1)  # y points down, as in the images
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([])
    axes.set_xticks(np.radians([0.0, 90.0, 180.0, 270.0]), ["x", "y", "", ""])
    axes.tick_params(colors=_TEXT, labelsize=9, pad=-1)
    axes.grid(color=_FAINT, linewidth=0.4, alpha=0.5)
    axes.spines["polar"].set_color(_FAINT)
    axes.set_title("in the XY plane", color=_FAINT, size=8, pad=7)
