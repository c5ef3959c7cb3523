"""Pictures of an alignment to an atlas: a brain beside the template in the three anatomical planes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# Axis that the plane is cut across, its name, and the directions along the edges (left to right, bottom to top).
_VIEWS = (
    (0, "axial", ("L", "R"), ("P", "A")),
    (1, "coronal", ("L", "R"), ("I", "S")),
    (2, "sagittal", ("P", "A"), ("I", "S")),
)
_TILES = 8


def _high(image: Floats) -> float:
    return float(np.percentile(image[image > 0], 99.5)) if np.any(image > 0) else 1.0


def _window(plane: npt.NDArray[Any], high: float) -> Floats:
    values: Floats = np.clip(np.asarray(plane, np.float32) / max(high, 1e-9), 0, 1)
    return values


def _checkerboard(a: Floats, b: Floats) -> Floats:
    """Fields of one picture and the other in turn: edges that run on across fields are aligned."""
    rows, columns = np.indices(a.shape)
    size = max(1, max(a.shape) // _TILES)
    return np.where((rows // size + columns // size) % 2 == 0, a, b)


def _borders(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    edges = np.zeros(labels.shape, bool)
    edges[1:] |= labels[1:] != labels[:-1]
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    return edges


def save_atlas_preview(
    path: Path,
    subject: Floats,
    template: Floats,
    spacing_mm: tuple[float, float, float],
    *,
    title: str,
    annotation: npt.NDArray[Any] | None = None,
) -> None:
    """Draw subject, template and both in turn through the middle of the template's tissue.

    Parameters
    ----------
    path : Path
        PNG to write.
    subject, template : ndarray, shape (z, y, x)
        On one grid, axes pointing to superior, anterior, right.
    spacing_mm : tuple of float
        Voxel size (z, y, x).
    title : str
        Heading.
    annotation : ndarray, optional
        Regions on the same grid, whose borders are drawn over the subject.
    """
    figure, axes = _figure(3, title)
    highs = [
        float(np.percentile(image[image > 0], 99.5)) if np.any(image > 0) else 1.0 for image in (subject, template)
    ]
    bright = template > 0.3 * highs[1]
    cut = [int(np.median(np.nonzero(bright)[axis])) if bright.any() else template.shape[axis] // 2 for axis in range(3)]
    for row, view in enumerate(_VIEWS):
        axis = view[0]
        planes = [_window(np.take(v, cut[axis], axis), h) for v, h in zip((subject, template), highs, strict=True)]
        for column, (name, plane) in enumerate(
            (("subject", planes[0]), ("template", planes[1]), ("in turn", _checkerboard(*planes)))
        ):
            _show(axes[row, column], plane, view, spacing_mm, f"{view[1]}: {name}")
        if annotation is not None:
            edges = _borders(np.take(annotation, cut[axis], axis))
            rgba = np.zeros((*edges.shape, 4), np.float32)
            rgba[edges] = (1.0, 0.75, 0.1, 0.8)
            _show(axes[row, 0], rgba, view, spacing_mm, f"{view[1]}: subject, regions")
    figure.savefig(path, metadata={"Software": None})


def save_orientation_preview(
    path: Path, subject: Floats, spacing_mm: tuple[float, float, float], *, code: str, title: str
) -> None:
    """Draw the three planes of a volume turned to RAS by its code, with the directions at the edges.

    Parameters
    ----------
    path : Path
        PNG to write.
    subject : ndarray, shape (z, y, x)
        Turned to superior, anterior, right, not yet registered.
    spacing_mm : tuple of float
        Voxel size (z, y, x).
    code : str
        The orientation code that was used.
    title : str
        Heading.
    """
    figure, axes = _figure(1, f"{title}: as orientation {code} says")
    high = _high(subject)
    for column, view in enumerate(_VIEWS):
        plane = _window(np.take(subject, subject.shape[view[0]] // 2, view[0]), high)
        _show(axes[0, column], plane, view, spacing_mm, view[1])
    figure.savefig(path, metadata={"Software": None})


def _figure(rows: int, title: str) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2 * rows + 0.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    return figure, figure.subplots(rows, 3, squeeze=False)


def _show(
    panel: Any, plane: npt.NDArray[Any], view: tuple[Any, ...], spacing_mm: tuple[float, ...], title: str
) -> None:
    vertical, horizontal = (s for axis, s in enumerate(spacing_mm) if axis != view[0])
    extent = (0, plane.shape[1] * horizontal, 0, plane.shape[0] * vertical)
    panel.imshow(plane, cmap="gray", vmin=0, vmax=1, origin="lower", extent=extent, interpolation="nearest")
    panel.set_title(title, fontsize=9)
    (left, right), (bottom, top) = view[2], view[3]
    panel.set_xlabel(f"{left}   [mm]   {right}", fontsize=8)
    panel.set_ylabel(f"{bottom}   [mm]   {top}", fontsize=8)
    panel.tick_params(labelsize=7)
