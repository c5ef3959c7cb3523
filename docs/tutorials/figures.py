"""Figures of the tutorial, in colours that colour-blind readers tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

ORANGE, BLUE, GREEN = "#E69F00", "#0072B2", "#009E73"  # Okabe and Ito's palette
Box = Sequence[slice]
Image = npt.NDArray[Any]


def _save(figure: Any, path: Path, dpi: int = 100) -> None:
    figure.savefig(path, dpi=dpi, metadata={"Software": None})
    plt.close(figure)


def _extent(shape: Sequence[int], rows_um: float, columns_um: float) -> tuple[float, float, float, float]:
    return (0.0, shape[1] * columns_um, shape[0] * rows_um, 0.0)


def _bare(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.set(xticks=[], yticks=[])


def _bar(axes: Any, length_um: float, rows_um: float, columns_um: float) -> None:
    """Draw a scale bar in the lower left corner of a picture of that size."""
    left, low = 0.04 * columns_um, 0.95 * rows_um
    axes.plot([left, left + length_um], [low, low], color="black", linewidth=6, solid_capstyle="butt")
    axes.plot([left, left + length_um], [low, low], color="white", linewidth=3, solid_capstyle="butt")
    label = {"fontsize": 9, "bbox": {"facecolor": "black", "edgecolor": "none", "pad": 1.5}}
    axes.text(left, low - 0.03 * rows_um, f"{length_um:g} µm", color="white", va="bottom", **label)


def segments(axes: Any, vectors: Image, show: Image, step: int, rows_um: float, columns_um: float, keep: Any) -> None:
    """Draw directions as short lines as they lie in the plane; a direction across the plane becomes a dot.

    `vectors` (rows, columns, 3) have z, y, x components; `keep` are the two that lie in the plane, rows first.
    """
    down, right = np.mgrid[step // 2 : show.shape[0] : step, step // 2 : show.shape[1] : step]
    chosen = show[down, right]
    middle = np.stack([(right[chosen] + 0.5) * columns_um, (down[chosen] + 0.5) * rows_um], axis=-1)
    half = 0.55 * step * columns_um * vectors[down, right][chosen][:, [keep[1], keep[0]]]
    lines = np.stack([middle - half, middle + half], axis=1)
    axes.add_collection(LineCollection(lines, colors="black", linewidths=2.6, capstyle="round"))
    axes.add_collection(LineCollection(lines, colors=ORANGE, linewidths=1.4, capstyle="round"))


def planes(image: Image, spacing_um: Sequence[float], sample: Box, path: Path) -> None:
    """Show planes of the stack, with the sample framed."""
    figure, row = plt.subplots(1, 4, figsize=(12, 3.5), layout="constrained")
    rows_um, columns_um = image.shape[1] * spacing_um[1], image.shape[2] * spacing_um[2]
    for axes, plane in zip(row, (10, 25, (sample[0].start + sample[0].stop) // 2, 60), strict=True):
        axes.imshow(image[plane], cmap="gray", extent=_extent(image.shape[1:], *spacing_um[1:]))
        _bare(axes, f"plane {plane}  (z = {plane * spacing_um[0]:g} µm)")
        if sample[0].start <= plane < sample[0].stop:
            axes.set_title(f"plane {plane}, the sample framed", fontsize=11)
            corner = (sample[2].start * spacing_um[2], sample[1].start * spacing_um[1])
            width, height = (
                (s.stop - s.start) * step for s, step in zip(sample[:0:-1], spacing_um[:0:-1], strict=True)
            )
            axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=ORANGE, linewidth=2))
        _bar(axes, 50, rows_um, columns_um)
    _save(figure, path)


def profiles(image: Image, spacing_um: Sequence[float], sample: Box, path: Path) -> None:
    """Plot grey values along three lines through the middle of the sample, to see how wide is what varies."""
    middle = [(s.start + s.stop) // 2 for s in sample]
    figure, axes = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    looks = ((BLUE, "-", "z, nearly along"), (GREEN, "--", "y, across"), (ORANGE, "-.", "x, across"))
    for axis, (colour, dashes, label) in enumerate(looks):
        reach = int(12 / spacing_um[axis])
        index: list[Any] = list(middle)
        index[axis] = slice(middle[axis] - reach, middle[axis] + reach + 1)
        distance = np.arange(-reach, reach + 1) * spacing_um[axis]
        axes.plot(distance, image[tuple(index)], color=colour, linestyle=dashes, linewidth=2, label=label)
    for x, text, y in ((1.0, "sigma 1 µm", 262), (3.0, "rho 3 µm", 246)):
        axes.plot([-x, x], [y, y], color="black", linewidth=4, solid_capstyle="butt")
        axes.text(x + 0.4, y, text, va="center", fontsize=9)
    axes.set(xlabel="distance from the middle of the sample [µm]", ylabel="grey value", ylim=(0, 275), xlim=(-12, 12))
    axes.legend(frameon=False, loc="lower left", ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def eigenvalues(image: Image, maps: Any, sample: Box, peak: Sequence[int], path: Path) -> None:
    """Draw the sample and its three eigenvalues in the plane of the largest, on one logarithmic scale."""
    inside = (peak[0], *sample[1:])
    extent = (sample[2].start - 0.5, sample[2].stop - 0.5, sample[1].stop - 0.5, sample[1].start - 0.5)
    figure, row = plt.subplots(1, 4, figsize=(12, 3.3), layout="compressed")
    row[0].imshow(image[inside], cmap="gray", extent=extent)
    row[0].set_title(f"sample, plane {peak[0]}", fontsize=11)
    norm = LogNorm(1.0, float(maps.eigenvalues[0][sample].max()))
    for axes, values, name in zip(row[1:], maps.eigenvalues, ("λ1", "λ2", "λ3"), strict=True):
        shown = axes.imshow(np.maximum(values[inside], 1e-3), cmap="cividis", norm=norm, extent=extent)
        axes.set_title(name, fontsize=11)
    for axes in row:
        axes.plot(peak[2], peak[1], marker="s", markersize=10, markerfacecolor="none", color=ORANGE, markeredgewidth=2)
        ticks = ([s.start, (s.start + s.stop) // 2, s.stop - 1] for s in sample[:0:-1])
        axes.set(xlabel="column x", **dict(zip(("xticks", "yticks"), ticks, strict=True)))
    for axes in row[1:]:
        axes.tick_params(labelleft=False)
    row[0].set_ylabel("row y")
    figure.colorbar(shown, ax=list(row), label="eigenvalue [grey values²/µm²]", shrink=0.85)
    _save(figure, path)


def shapes(image: Image, maps: Any, phantom: Any, path: Path) -> None:
    """Draw the tensor's ellipsoid and the tissue that it comes from, for a sheet, a fibre and a grain."""
    from linumpy_lib.simulation import TissueClass

    kinds = (
        (TissueClass.SHEET, maps.cl, "cigar", "one large eigenvalue: a sheet"),
        (TissueClass.FIBRE, maps.cp, "pancake", "two large eigenvalues: a fibre"),
        (TissueClass.GRANULAR, maps.cs, "ball", "three alike: a grain"),
    )
    figure = plt.figure(figsize=(10, 5.6), layout="constrained")
    half = 14
    for column, (tissue, measure, word, meaning) in enumerate(kinds):
        values = np.where(phantom.labels == tissue, measure, -1.0)
        values[:half], values[-half:] = -1.0, -1.0
        values[:, :half], values[:, -half:], values[:, :, :half], values[:, :, -half:] = -1.0, -1.0, -1.0, -1.0
        ranked = np.argsort(values, axis=None)[-200:]
        # of the purest voxels, the one with the strongest contrast
        best = ranked[np.argmax(maps.eigenvalues[0].ravel()[ranked])]
        z, y, x = (int(i) for i in np.unravel_index(best, values.shape))
        axes = figure.add_subplot(2, 3, column + 1, projection="3d")
        _ellipsoid(axes, maps, (z, y, x))
        axes.set_title(f"{word}\n{meaning}", fontsize=11)
        flat = figure.add_subplot(2, 3, column + 4)
        flat.imshow(image[z, y - half : y + half + 1, x - half : x + half + 1], cmap="gray", vmin=0, vmax=255)
        flat.plot(half, half, marker="o", markersize=9, markerfacecolor="none", color=ORANGE, markeredgewidth=2)
        ratio = maps.eigenvalues[:, z, y, x] / maps.eigenvalues[0, z, y, x]
        _bare(flat, "λ1 : λ2 : λ3 = " + " : ".join(f"{value:.2f}" for value in ratio))
    _save(figure, path)


def _ellipsoid(axes: Any, maps: Any, voxel: tuple[int, int, int]) -> None:
    first, last = maps.principal_dir[voxel], maps.fibre_dir[voxel]
    frame = np.stack([first, np.cross(last, first), last])
    radii = np.maximum(maps.eigenvalues[(slice(None), *voxel)] / maps.eigenvalues[(0, *voxel)], 0.08)
    around, down = np.meshgrid(np.linspace(0, 2 * np.pi, 61), np.linspace(0, np.pi, 41))
    unit = np.stack([np.cos(around) * np.sin(down), np.sin(around) * np.sin(down), np.cos(down)], axis=-1)
    z, y, x = np.moveaxis((unit * radii) @ frame, -1, 0)
    axes.plot_surface(x, y, z, color=BLUE, linewidth=0, rstride=1, cstride=1, antialiased=False)
    axes.view_init(elev=22, azim=-25)
    axes.set(xlim=(-1, 1), ylim=(1, -1), zlim=(-1, 1), xticks=[], yticks=[], zticks=[])
    axes.set_xlabel("x", labelpad=-14)
    axes.set_ylabel("y", labelpad=-14)
    axes.set_zlabel("z", labelpad=-14)
    axes.set_box_aspect((1, 1, 1), zoom=1.15)


def sections(image: Image, spacing_um: Sequence[float], maps: Any, peak: Sequence[int], path: Path) -> None:
    """Draw the three planes through a voxel, with the fibre direction where tissue is bright."""
    figure, row = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained", width_ratios=(160, 160, 160))
    for axes, normal, name in zip(row, range(3), ("XY", "XZ", "YZ"), strict=True):
        keep = [axis for axis in range(3) if axis != normal]
        index: list[Any] = [slice(None)] * 3
        index[normal] = peak[normal]
        plane, vectors = image[tuple(index)], maps.fibre_dir[tuple(index)]
        rows_um, columns_um = (spacing_um[axis] for axis in keep)
        axes.imshow(plane, cmap="gray", extent=_extent(plane.shape, rows_um, columns_um))
        show = (plane > 60) & (maps.cp[tuple(index)] > 0.4)
        segments(axes, vectors, show, 6, rows_um, columns_um, keep)
        place = [(peak[axis] + 0.5) * spacing_um[axis] for axis in keep]
        axes.plot(place[1], place[0], marker="s", markersize=12, markerfacecolor="none", color=BLUE, markeredgewidth=4)
        axes.plot(place[1], place[0], marker="s", markersize=12, markerfacecolor="none", color="w", markeredgewidth=1.5)
        axes.set_title(f"{name}, {'zyx'[normal]} = {peak[normal]}", fontsize=11)
        axes.set(xlabel=f"{'zyx'[keep[1]]} [µm]", ylabel=f"{'zyx'[keep[0]]} [µm]")
    _save(figure, path)


def maps(image: Image, spacing_um: Sequence[float], maps: Any, plane: int, path: Path) -> None:
    """Show one plane as maps: what each measure finds in the whole block."""
    figure, grid = plt.subplots(2, 3, figsize=(11.5, 7.4), layout="constrained")
    extent = _extent(image.shape[1:], *spacing_um[1:])
    rows_um, columns_um = image.shape[1] * spacing_um[1], image.shape[2] * spacing_um[2]
    grid[0, 0].imshow(image[plane], cmap="gray", extent=extent)
    _bare(grid[0, 0], f"image, plane {plane}")
    _bar(grid[0, 0], 50, rows_um, columns_um)
    bright = image[plane] > 60
    titles = (
        (grid[0, 1], "cl", "CL, sheetness"),
        (grid[0, 2], "cp", "CP, fibreness"),
        (grid[1, 1], "fa", "FA, any anisotropy"),
        (grid[1, 2], "cs", "CS, roundness"),
    )
    for axes, name, title in titles:
        colours = plt.get_cmap("cividis").with_extremes(bad="#d9d9d9")
        values = np.where(bright, getattr(maps, name)[plane], np.nan)
        shown = axes.imshow(values, cmap=colours, vmin=0, vmax=1, extent=extent, interpolation="nearest")
        _bare(axes, title)
    figure.colorbar(shown, ax=list(grid[:, 2]), shrink=0.6, label="measure (grey: dark tissue, not shown)")
    grid[1, 0].imshow(image[plane], cmap="gray", extent=extent)
    show = bright & (maps.cp[plane] > 0.4)
    segments(grid[1, 0], maps.fibre_dir[plane], show, 5, *spacing_um[1:], (1, 2))
    _bare(grid[1, 0], "fibre direction where CP > 0.4")
    _save(figure, path, dpi=80)
