"""One canvas for all slices: whole pixels of padding, the rest of a pixel told in each frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.placement import Pair, SliceFacts
from linumpy_lib.errors import InputError
from linumpy_lib.io import Volume
from linumpy_lib.io.slice_frame import SliceFrame

Array = npt.NDArray[Any]

CODEC = "lz4-bitshuffle"
CHUNKS = (64, 32, 32)
"""Small along y and x: turned slices are read in boxes that cut chunks at every side."""


@dataclass(frozen=True)
class Canvas:
    """Where slices lie on their common canvas.

    Attributes
    ----------
    shape : tuple of int
        Pixels (y, x).
    corner : dict of int to (int, int)
        Pixel (row, column) of each slice's first voxel.
    remainder_um : dict of int to (float, float)
        How much further (y, x) that voxel really lies; at most half a pixel.
    """

    shape: tuple[int, int]
    corner: Mapping[int, tuple[int, int]]
    remainder_um: Mapping[int, Pair]


def plan_canvas(positions_um: Mapping[int, Pair], facts: Mapping[int, SliceFacts]) -> Canvas:
    """Fit a canvas around all slices.

    Parameters
    ----------
    positions_um : mapping of int to (float, float)
        Place (y, x) of each slice's nominal grid.
    facts : mapping of int to SliceFacts
        The slices; the origin in their frames counts from the nominal grid.

    Returns
    -------
    Canvas
    """
    corner: dict[int, tuple[int, int]] = {}
    remainder: dict[int, Pair] = {}
    for slice_id, place in positions_um.items():
        slice_facts = facts[slice_id]
        whole, rest = [], []
        for axis in (0, 1):
            um = slice_facts.spacing_um[axis + 1]
            px = (place[axis] + slice_facts.frame.origin_um[axis + 1]) / um
            nearest = math.floor(px + 0.5)
            whole.append(nearest)
            rest.append((px - nearest) * um)
        corner[slice_id], remainder[slice_id] = (whole[0], whole[1]), (rest[0], rest[1])
    low = [min(c[axis] for c in corner.values()) for axis in (0, 1)]
    high = [max(c[axis] + facts[s].shape[axis + 1] for s, c in corner.items()) for axis in (0, 1)]
    moved = {s: (c[0] - low[0], c[1] - low[1]) for s, c in corner.items()}
    return Canvas((high[0] - low[0], high[1] - low[1]), moved, remainder)


def require_alike(facts: Mapping[int, SliceFacts], paths: Mapping[int, Path]) -> tuple[float, float, float]:
    """Return the voxel size that all slices share.

    Raises
    ------
    InputError
        If two slices differ in it.
    """
    first = min(facts)
    spacing = facts[first].spacing_um
    for slice_id, one in facts.items():
        if not np.allclose(one.spacing_um, spacing, rtol=1e-6):
            raise InputError(
                f"{paths[slice_id]}: voxels of {_text(one.spacing_um)} um, but {paths[first].name} has "
                f"{_text(spacing)} um; make all slices with the same resolution"
            )
    return spacing


def _text(spacing: Sequence[float]) -> str:
    return " x ".join(f"{s:g}" for s in spacing)


def placed_frame(frame: SliceFrame, canvas: Canvas, interval_um: float, stage_origin_mm: Pair | None) -> SliceFrame:
    """Frame of a slice on the canvas: y and x of its origin count from the canvas, z stays."""
    y, x = canvas.remainder_um[frame.slice_id]
    return replace(
        frame, origin_um=(frame.origin_um[0], y, x), interval_um=interval_um, stage_origin_mm=stage_origin_mm
    )


def padded_box(volume: Volume, canvas: Canvas, slice_id: int, region: tuple[slice, ...]) -> Array:
    """Read a box (z, y, x) of the canvas from a slice; zeros where the slice is not."""
    rows, columns = canvas.corner[slice_id]
    shape = volume.shape
    out = np.zeros([r.stop - r.start for r in region], volume.dtype)
    target: list[slice] = [slice(None)]
    source: list[slice] = [region[0]]
    for part, corner, n in zip(region[1:], (rows, columns), shape[1:], strict=True):
        low, high = max(part.start, corner), min(part.stop, corner + n)
        if low >= high:
            return out
        target.append(slice(low - part.start, high - part.start))
        source.append(slice(low - corner, high - corner))
    out[tuple(target)] = volume.read(tuple(source))
    return out


def write_on_canvas(
    path: Path,
    volume: Volume,
    canvas: Canvas,
    frame: SliceFrame,
    *,
    provenance: Mapping[str, Any],
    threads: int = 1,
) -> None:
    """Write one slice on the canvas, shard by shard, its voxels unchanged.

    Parameters
    ----------
    path : Path
        Store to make.
    volume : Volume
        The slice.
    canvas : Canvas
        Where it lies.
    frame : SliceFrame
        Its frame on the canvas.
    provenance : mapping
        How the store is made; the frame is added.
    threads : int
        Threads that encode.
    """
    from linumpy_lib import blocks
    from linumpy_lib.io import VolumeWriter

    with VolumeWriter(
        path,
        shape=(volume.shape[0], *canvas.shape),
        dtype=volume.dtype,
        spacing_um=volume.require_spacing(),
        levels=1,
        codec=CODEC,
        chunks=CHUNKS,
        threads=threads,
        provenance={**provenance, "slice": frame.as_json()},
        inputs=[] if volume.path is None else [volume.path],
    ) as writer:
        blocks.stream(
            writer.regions(),
            lambda region: padded_box(volume, canvas, frame.slice_id, region),
            write=writer.write,
            queue=0,
            progress=False,
        )
