"""Pictures of the common space: how well a row and a column of all slices line up, and single slices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.common_space import Canvas, padded_box
from linumpy_lib.io import Volume
from linumpy_lib.quality.slice_preview import write_panels

Array = npt.NDArray[Any]

_PLANES = 8
_HEIGHT_PX = 240
_SIDE_PX = 900


def _line(volume: Volume, canvas: Canvas | None, slice_id: int, axis: int, at: int, length: int) -> Array:
    """Mean brightness along a row (axis 1) or column (axis 0) of a slice, on the canvas or as its array lies."""
    planes = slice(0, min(_PLANES, volume.shape[0]))
    across = slice(at, at + 1)
    along = slice(0, length)
    region = (planes, across, along) if axis == 1 else (planes, along, across)
    if canvas is None:
        shape = volume.shape
        clipped = tuple(slice(min(r.start, n), min(r.stop, n)) for r, n in zip(region, shape, strict=True))
        found = np.zeros(length, np.float32)
        values = volume.read(clipped).astype(np.float32)
        if values.size:
            line = values.mean(axis=0).ravel()
            found[: line.size] = line
        return found
    return np.asarray(padded_box(volume, canvas, slice_id, region).astype(np.float32).mean(axis=0).ravel())


def write_space_preview(path: Path, volumes: Mapping[int, Volume], canvas: Canvas, *, title: str) -> None:
    """Draw one row and one column of every slice, the slices below each other, before and after.

    Parameters
    ----------
    path : Path
        PNG file.
    volumes : mapping of int to Volume
        The slices.
    canvas : Canvas
        Where they lie.
    title : str
        Written above.
    """
    ids = sorted(volumes)
    repeat = max(1, _HEIGHT_PX // (ids[-1] - ids[0] + 1))
    panels = []
    for name, axis in (("x", 1), ("y", 0)):
        middle = canvas.shape[1 - axis] // 2
        for label, place in (("stored", None), ("placed", canvas)):
            rows = np.zeros((ids[-1] - ids[0] + 1, canvas.shape[axis]), np.float32)
            for slice_id in ids:
                at = middle if place is not None else min(middle, volumes[slice_id].shape[2 - axis] - 1)
                rows[slice_id - ids[0]] = _line(volumes[slice_id], place, slice_id, axis, at, canvas.shape[axis])
            panels.append((f"{name}, {label}", np.repeat(rows, repeat, axis=0)))
    write_panels(path, panels, title=f"{title}: slices {ids[0]} to {ids[-1]}, one above the other")


def write_slice_preview(path: Path, volume: Volume, canvas: Canvas, slice_id: int) -> None:
    """Draw the middle plane of one slice on the canvas, thinned to what a picture can show."""
    depth = volume.shape[0] // 2
    step = max(1, -(-max(canvas.shape) // _SIDE_PX))
    block = max(step, 512 // step * step)
    rows = []
    for top in range(0, canvas.shape[0], block):
        region = (slice(depth, depth + 1), slice(top, min(canvas.shape[0], top + block)), slice(0, canvas.shape[1]))
        rows.append(padded_box(volume, canvas, slice_id, region)[0, ::step, ::step])
    spacing = volume.require_spacing()
    write_panels(
        path,
        [(f"slice {slice_id}, plane {depth}", np.concatenate(rows))],
        spacing_um=(spacing[1] * step, spacing[2] * step),
    )
