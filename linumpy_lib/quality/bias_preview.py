"""One picture of a bias correction: three planes before, the field, three planes after, and intensity profiles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

FEWEST_VOXELS = 20
FEWEST_SHARE = 0.05
_NAMES = ("z", "y", "x")
_VIEWS = (("y", "x", 0), ("z", "x", 1), ("z", "y", 2))


@dataclass(frozen=True)
class BiasPreview:
    """What is drawn: coarse samples of one volume.

    Attributes
    ----------
    before, after, bias : ndarray of float32, shape (z, y, x)
        Volume before and after the correction, and the field.
    mask : ndarray of bool
        Tissue.
    spacing_um : tuple of float
        Voxel size (z, y, x) of the samples.
    title : str
        Name of the volume.
    """

    before: Floats
    after: Floats
    mask: npt.NDArray[np.bool_]
    bias: Floats
    spacing_um: tuple[float, float, float]
    title: str


def profile(stack: Floats, mask: npt.NDArray[np.bool_], axis: int = 0) -> npt.NDArray[np.float64]:
    """Return the mean tissue intensity along one axis; NaN where a plane has little tissue."""
    others = tuple(a for a in range(3) if a != axis)
    usable = mask & np.isfinite(stack)
    count = usable.sum(axis=others)
    total = np.where(usable, stack, 0).sum(axis=others, dtype=np.float64)
    enough = count >= max(FEWEST_VOXELS, FEWEST_SHARE * count.max(initial=0))
    means: npt.NDArray[np.float64] = np.where(enough, total / np.maximum(count, 1), np.nan)
    return means


def plane_to_plane_change(stack: Floats, mask: npt.NDArray[np.bool_]) -> float:
    """Return the banding along z: median jump between the means of neighbouring planes, as a fraction of their mean."""
    means = profile(stack, mask)
    jumps = np.abs(np.diff(means)) / np.maximum((means[1:] + means[:-1]) / 2, 1e-30)
    jumps = jumps[np.isfinite(jumps)]
    return float(np.median(jumps)) if jumps.size else 0.0


def _slice(stack: npt.NDArray[Any], axis: int, at: int) -> npt.NDArray[Any]:
    plane: npt.NDArray[Any] = np.take(stack, at, axis=axis)
    return plane


def save_bias_preview(path: Path, preview: BiasPreview) -> None:
    """Draw the picture as a PNG.

    Parameters
    ----------
    path : Path
        File to write.
    preview : BiasPreview
        What to draw.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 11), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{preview.title}: bias field correction")
    axes = figure.subplots(4, 3, height_ratios=(1, 1, 1, 0.8))
    weights = [preview.mask.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    cut = [int(np.argmax(w)) if w.any() else w.size // 2 for w in weights]
    logs = np.log(np.maximum(preview.bias, 1e-6))
    reach = max(float(np.abs(logs).max()), 1e-3)
    for row, (label, stack) in enumerate(
        (("before", preview.before), ("field", preview.bias), ("after", preview.after))
    ):
        # each stack has its own window, as the matching and the field may change the overall level
        tissue = stack[preview.mask & np.isfinite(stack)]
        low, high = (0.0, float(np.percentile(tissue, 99.5))) if tissue.size else (0.0, 1.0)
        for column, (vertical, horizontal, axis) in enumerate(_VIEWS):
            panel = axes[row, column]
            v, h = preview.spacing_um[_NAMES.index(vertical)], preview.spacing_um[_NAMES.index(horizontal)]
            plane = _slice(logs if label == "field" else stack, axis, cut[axis])
            extent = (0, plane.shape[1] * h / 1000, plane.shape[0] * v / 1000, 0)
            window = (-reach, reach) if label == "field" else (low, max(high, low + 1e-6))
            shown = panel.imshow(
                plane,
                cmap="RdBu_r" if label == "field" else "gray",
                vmin=window[0],
                vmax=window[1],
                extent=extent,
                interpolation="nearest",
            )
            panel.set_title("log field" if label == "field" else label, fontsize=9)
            panel.set_xlabel(f"{horizontal} [mm]", fontsize=8)
            panel.set_ylabel(f"{vertical} [mm]", fontsize=8)
            panel.tick_params(labelsize=7)
            if label == "field":
                figure.colorbar(shown, ax=panel, shrink=0.8)
    for axis in range(3):
        panel = axes[3, axis]
        for label, stack, colour in (("before", preview.before, "#c0392b"), ("after", preview.after, "#1f6fb2")):
            means = profile(stack, preview.mask, axis)
            where = np.arange(means.size) * preview.spacing_um[axis] / 1000
            level = np.nanmean(means) if np.isfinite(means).any() else 1.0
            panel.plot(where, means / (level or 1.0), color=colour, label=label, linewidth=1)
        panel.set_xlabel(f"{_NAMES[axis]} [mm]", fontsize=8)
        panel.set_ylabel("mean tissue intensity / its mean", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.legend(fontsize=8)
    figure.savefig(path)
