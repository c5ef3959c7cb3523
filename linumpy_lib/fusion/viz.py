"""Pictures of views, registrations, fusions and parameters over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_DPI = 110


def _canvas(rows: int, columns: int, title: str, size: float = 3.6) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size * columns, size * rows + 0.4), dpi=_DPI, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.suptitle(title)
    return figure, axes


def _stretched(image: npt.NDArray[Any], low: float | None = None, high: float | None = None) -> npt.NDArray[np.float64]:
    values = np.asarray(image, float)
    low = float(np.percentile(values, 1)) if low is None else low
    high = float(np.percentile(values, 99.7)) if high is None else high
    return np.clip((values - low) / max(high - low, 1e-9), 0, 1)


def _show(axis: Any, image: npt.NDArray[Any], title: str, aspect: float = 1.0) -> None:
    axis.imshow(image, cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
    axis.set_title(title, fontsize=9)
    axis.set_xticks([])
    axis.set_yticks([])


def plot_projections(volume: npt.NDArray[Any], path: str | Path, *, title: str = "", scaling: float = 1.0) -> None:
    """Write the maximum projections of a volume (z, y, x) along z, y and x."""
    figure, axes = _canvas(1, 3, title or "maximum projections")
    for k, (name, axis) in enumerate(zip("zyx", axes[0], strict=True)):
        _show(axis, _stretched(volume.max(axis=k)), f"along {name}", scaling if k else 1.0)
    figure.savefig(path)


def plot_volume_overview(volume: npt.NDArray[Any], path: str | Path, *, title: str = "", planes: int = 9) -> None:
    """Write planes spread over the depth of a volume (z, y, x)."""
    chosen = np.unique(np.linspace(0, volume.shape[0] - 1, min(planes, volume.shape[0])).round().astype(int))
    rows = -(-len(chosen) // 3)
    figure, axes = _canvas(rows, 3, title or "planes", 3.0)
    low, high = float(np.percentile(volume, 1)), float(np.percentile(volume, 99.8))
    for k, axis in enumerate(axes.ravel()):
        if k < len(chosen):
            _show(axis, _stretched(volume[chosen[k]], low, high), f"z {chosen[k]}")
        else:
            axis.set_axis_off()
    figure.savefig(path)


def _overlay(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    a, b = _stretched(first), _stretched(second)
    return np.stack([a, b, a], axis=-1)


def plot_registration_result(
    reference: npt.NDArray[Any],
    moving: npt.NDArray[Any],
    moved: npt.NDArray[Any],
    path: str | Path,
    *,
    text: str = "",
    title: str = "",
) -> None:
    """Write projections of a pair before and after registration, and magenta and green overlays.

    Parameters
    ----------
    reference, moving, moved : ndarray
        Views (z, y, x) on one grid.
    path : path-like
        The picture.
    text : str
        Shift, rotation, correlation: written below the title.
    """
    views = [v.max(axis=0) for v in (reference, moving, moved)]
    sides = [v.max(axis=1) for v in (reference, moving, moved)]
    figure, axes = _canvas(2, 4, f"{title or 'registration'}\n{text}")
    for axis, image, name in zip(axes[0], views, ("reference", "moving, before", "moving, after"), strict=False):
        _show(axis, _stretched(image), name)
    _show(axes[0][3], _stretched(np.abs(_stretched(views[0]) - _stretched(views[2]))), "difference after")
    for axis, pair, name in zip(
        axes[1],
        ((views[0], views[1]), (views[0], views[2]), (sides[0], sides[1]), (sides[0], sides[2])),
        ("overlay before (y, x)", "overlay after (y, x)", "overlay before (z, x)", "overlay after (z, x)"),
        strict=True,
    ):
        _show(axis, _overlay(*pair), name)
    figure.savefig(path)


def plot_fusion_result(
    first: npt.NDArray[Any], second: npt.NDArray[Any], fused: npt.NDArray[Any], path: str | Path, *, title: str = ""
) -> None:
    """Write planes of both views and their fusion at three depths, and a section in depth of each."""
    figure, axes = _canvas(4, 4, title or "fusion")
    depth = fused.shape[0]
    for row, k in enumerate((depth // 6, depth // 2, depth - 1 - depth // 6)):
        images = [_stretched(v[k]) for v in (first, second, fused)]
        for axis, image, name in zip(axes[row], images, ("first", "second", "fused"), strict=False):
            _show(axis, image, f"{name}, z {k}")
        _show(axes[row][3], np.stack([images[0], images[2], images[1]], axis=-1), "red first, blue second, green fused")
    middle = fused.shape[1] // 2
    images = [_stretched(v[:, middle]) for v in (first, second, fused)]
    for axis, image, name in zip(axes[3], images, ("first", "second", "fused"), strict=False):
        _show(axis, image, f"{name}, y {middle} (z, x)")
    _show(axes[3][3], np.stack([images[0], images[2], images[1]], axis=-1), "all, (z, x)")
    figure.savefig(path)


def plot_intensity_correction(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    gains: tuple[float, float],
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """Write histograms of both views and their means over depth, before and after the correction."""
    figure, axes = _canvas(1, 4, f"{title or 'intensity correction'}\nfactors {gains[0]:.4g} and {gains[1]:.4g}")
    top = float(np.percentile(np.concatenate([first.ravel()[::7] * gains[0], second.ravel()[::7] * gains[1]]), 99.5))
    bins = np.linspace(0, max(top, 1e-6), 80)
    for k, (factors, when) in enumerate((((1.0, 1.0), "before"), (gains, "after"))):
        scaled = [v * f for v, f in zip((first, second), factors, strict=True)]
        for values, name in zip(scaled, ("first", "second"), strict=True):
            axes[0][k].hist(values[values > 0].ravel(), bins=bins, histtype="step", log=True, label=name)
            axes[0][k + 2].plot(values.mean(axis=(1, 2)), label=name)
        axes[0][k].set_title(f"voxels above zero, {when}", fontsize=9)
        axes[0][k + 2].set_title(f"mean of each plane, {when}", fontsize=9)
        axes[0][k].legend()
    figure.savefig(path)


def plot_blending_weights(
    weights: npt.NDArray[Any],
    topology: npt.NDArray[Any],
    profile: npt.NDArray[Any],
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """Write where views meet, the first view's weight in a section, and its weight along one column.

    Parameters
    ----------
    weights : ndarray
        Weight of the first view in a section.
    topology : ndarray
        Place where the views meet for each column, 0 is nowhere.
    profile : ndarray
        Weight along the axis, averaged over columns.
    """
    figure, axes = _canvas(1, 3, title or "blending weights")
    shown = np.where(topology > 0, topology, np.nan)
    image = axes[0][0].imshow(shown, cmap="viridis")
    axes[0][0].set_title("transition", fontsize=9)
    figure.colorbar(image, ax=axes[0][0], shrink=0.7)
    _show(axes[0][1], weights, "weight of the first view, section")
    axes[0][2].plot(profile)
    axes[0][2].set_ylim(-0.05, 1.05)
    axes[0][2].set_title("mean weight of the first view along the axis", fontsize=9)
    figure.savefig(path)


def plot_quality_over_depth(
    planes: npt.NDArray[Any],
    sharpness: Sequence[npt.NDArray[Any]],
    resolution: Sequence[tuple[int, float, float, float]],
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """Write sharpness and resolution of both views and of the fused one over depth.

    Parameters
    ----------
    planes : ndarray
        Planes that the sharpness is of.
    sharpness : sequence of ndarray
        Of the first view, the second and the fused one, for each plane.
    resolution : sequence of (int, float, float, float)
        Plane, and resolution of the three [um] there; NaN where nothing is.
    path : path-like
        The picture.
    title : str
        Heading.
    """
    figure, axes = _canvas(1, 2, title or "quality over depth", 4.5)
    names, styles = ("first view", "second view", "fused"), ("C0-", "C1-", "k-")
    for values, name, style in zip(sharpness, names, styles, strict=True):
        axes[0][0].plot(planes, values, style, label=name)
    axes[0][0].set_title("energy of the lateral gradient over that of the plane", fontsize=9)
    places = [row[0] for row in resolution]
    for k, (name, style) in enumerate(zip(names, styles, strict=True)):
        axes[0][1].plot(places, [row[k + 1] for row in resolution], f"{style[:-1]}o-", label=name)
    axes[0][1].set_title("lateral resolution by Fourier ring correlation, um (less is sharper)", fontsize=9)
    for axis in axes[0]:
        axis.set_xlabel("plane")
        axis.set_ylim(bottom=0)
        if resolution or axis is axes[0][0]:
            axis.legend(fontsize=8)
    figure.savefig(path)


def plot_temporal_parameters(
    pairs: Mapping[str, tuple[Sequence[int], npt.NDArray[Any], npt.NDArray[Any]]],
    names: Sequence[str],
    path: str | Path,
) -> None:
    """Write each parameter over time, raw as points and as fused as a line; one row for each pair."""
    figure, axes = _canvas(max(1, len(pairs)), len(names), "parameters over time", 2.8)
    for row, (pair, (times, raw, smooth)) in zip(axes, pairs.items(), strict=False):
        for k, (axis, name) in enumerate(zip(row, names, strict=True)):
            axis.plot(times, raw[:, k], "o", ms=3, label="estimated")
            axis.plot(times, smooth[:, k], "-", label="fused with")
            axis.set_title(f"{pair}\n{name}", fontsize=8)
            axis.ticklabel_format(useOffset=False)
        row[0].legend(fontsize=7)
    figure.savefig(path)
