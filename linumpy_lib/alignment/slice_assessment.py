"""Quality of every slice of an acquisition, from its likeness to the slices beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.phase_correlation import find_shift
from linumpy_lib.io import Volume
from linumpy_lib.quality.slice_quality import SliceQuality, slice_quality

Array = npt.NDArray[Any]

PLANES = 5
"""Planes of a slice that are compared, at most."""

_MARGIN = 0.1


@dataclass(frozen=True)
class Sampled:
    """Planes of a slice: the middle of it, up to a size."""

    slice_id: int
    fractions: tuple[float, ...]
    planes: tuple[Array, ...]


def sample(slice_id: int, volume: Volume, roi_px: int) -> Sampled:
    """Read the planes of a slice that are compared.

    Parameters
    ----------
    slice_id : int
        Its id.
    volume : Volume
        The slice (z, y, x).
    roi_px : int
        Side of the square in the middle that is read.

    Returns
    -------
    Sampled
        Evenly spaced planes, without the outermost tenths of the depth.
    """
    depth, height, width = volume.shape
    fractions = tuple(float(f) for f in np.linspace(_MARGIN, 1 - _MARGIN, min(PLANES, depth)))
    box = []
    for n in (height, width):
        start = max(0, (n - roi_px) // 2)
        box.append(slice(start, min(n, start + roi_px)))
    planes = tuple(
        np.asarray(volume.read((slice(z, z + 1), *box))[0], np.float32)
        for z in (min(depth - 1, int(f * depth)) for f in fractions)
    )
    return Sampled(slice_id, fractions, planes)


def _meeting(own: Sampled, other: Sampled) -> tuple[list[Array], list[Array]]:
    """Parts of the planes of two slices that meet once the shift that their middle planes tell is taken out."""
    count = min(len(own.planes), len(other.planes))
    fit = find_shift(own.planes[count // 2], other.planes[count // 2], starts=((0.0, 0.0),))
    spans = []
    for n, m, offset in zip(own.planes[0].shape, other.planes[0].shape, fit.offset, strict=True):
        whole = round(offset)
        low, high = max(0, whole), min(n, m + whole)
        spans.append((slice(low, max(low, high)), slice(low - whole, max(low, high) - whole)))
    mine = tuple(span[0] for span in spans)
    theirs = tuple(span[1] for span in spans)
    return [p[mine] for p in own.planes[:count]], [p[theirs] for p in other.planes[:count]]


def assess(volumes: Mapping[int, Volume], roi_px: int) -> Iterator[tuple[int, SliceQuality]]:
    """Score slices in the order of their ids; three of them are held at a time.

    Parameters
    ----------
    volumes : mapping of int to Volume
        Slices (z, y, x) by id.
    roi_px : int
        Side of the square in the middle that is compared.

    Yields
    ------
    int, SliceQuality
        Id and scores; a slice without neighbours scores 0.
    """
    ids = sorted(volumes)
    held: dict[int, Sampled] = {}
    for k, slice_id in enumerate(ids):
        near = ids[max(0, k - 1) : k + 2]
        held = {n: held[n] if n in held else sample(n, volumes[n], roi_px) for n in near}
        own = held[slice_id]
        yield slice_id, slice_quality(own.planes, [_meeting(own, held[n]) for n in near if n != slice_id])
