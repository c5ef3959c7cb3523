"""Topology of a pair of views: the surface on which one view hands over to the other.

A topology holds, for each column of voxels, the plane (cameras, along z) or the pixel (light sheets, along x) where the
views meet, counted from 1 as the cameras' manufacturers do; 0 says that the column has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Mode = Literal["camera", "channel"]


@dataclass(frozen=True)
class MaskChoices:
    """How foreground becomes a topology.

    Attributes
    ----------
    percentile, subsample : float, int
        The darkest value is this percentile of every so many voxels; percentile 0 is the minimum.
    min_object_size : float
        Objects below this fraction of the volume are dropped; 0 keeps all.
    fusion_mode : {0, 1}
        Columns that only one view has: 0 none, 1 that view's.
    padding, padding_radius : {0, 1, 2}, int
        Columns without foreground: 0 none, 1 the middle, 2 a transition to the middle over a radius [px].
    """

    percentile: float = 1.0
    subsample: int = 100
    min_object_size: float = 0.0
    fusion_mode: int = 1
    padding: int = 0
    padding_radius: int = 50


def foreground(volume: npt.NDArray[Any], choices: MaskChoices, scaling: float = 1.0) -> npt.NDArray[np.bool_]:
    """Tell foreground from background: brighter than the mean of what is not darkest, after smoothing.

    Parameters
    ----------
    volume : ndarray
        View (z, y, x).
    choices : MaskChoices
        Percentile and smallest object.
    scaling : float
        Distance of planes in lateral pixels.
    """
    from scipy import ndimage

    from linumpy_lib.fusion.filters import gauss_taps

    smooth = np.asarray(volume, np.float32)
    lateral = gauss_taps(5, 2.0)
    axial = gauss_taps(max(1.0, 5 / scaling), max(1.0, 2 / scaling))
    for axis, taps in ((0, axial), (1, lateral), (2, lateral)):
        smooth = ndimage.correlate1d(smooth, taps, axis=axis, mode="nearest")
    sample = smooth.ravel()[:: choices.subsample] if smooth.size > 1000 * choices.subsample else smooth.ravel()
    darkest = np.percentile(sample, choices.percentile, method="hazen") if choices.percentile else smooth.min()
    above = smooth[smooth > darkest]
    if above.size == 0:
        return np.zeros(smooth.shape, bool)
    mask = smooth > above.mean(dtype=np.float64)
    least = round(mask.size * choices.min_object_size)
    if least > 1:
        labels, count = ndimage.label(mask, np.ones((3, 3, 3), bool))
        if count:
            sizes = np.bincount(labels.ravel())
            sizes[0] = 0
            mask = (sizes >= least)[labels]
    found: npt.NDArray[np.bool_] = mask
    return found


def slice_mask(mask: npt.NDArray[np.bool_], mode: Mode) -> Ints:
    """Average place of the foreground of each column, from 1: along z for cameras, along x for channels; 0 is none."""
    axis = 0 if mode == "camera" else 2
    count = mask.sum(axis)
    places = np.arange(1, mask.shape[axis] + 1).reshape([-1 if k == axis else 1 for k in range(3)])
    total = (mask * places).sum(axis)
    mean = np.where(count > 0, total / np.maximum(count, 1), 0)
    return np.floor(mean + 0.5).astype(np.int32)


def combine_slice_masks(first: Ints, second: Ints, fusion_mode: int = 1) -> Ints:
    """Average two topologies where both have one; elsewhere none (mode 0), or that of the view that has it (mode 1)."""
    both = (first > 0) & (second > 0)
    middle = np.floor((first.astype(float) + second) / 2 + 0.5).astype(np.int32)
    other = np.maximum(first, second) if fusion_mode else np.zeros_like(first)
    return np.where(both, middle, other).astype(np.int32)


def without_anomalies(topology: Ints, blending_range: int, extent: int) -> Ints:
    """Drop columns whose transition would leave the volume: m < b or m > extent - b."""
    inside = (topology >= blending_range) & (topology <= extent - blending_range)
    return np.where(inside, topology, 0).astype(np.int32)


def pad_mask_to_center(topology: npt.NDArray[Any], extent: int, mode: int = 1, disk_radius: int = 50) -> Ints:
    """Give columns without topology one.

    Parameters
    ----------
    topology : ndarray of int
        Places from 1, 0 is none.
    extent : int
        Voxels along the axis that the places count.
    mode : {0, 1, 2}
        0 leaves such columns; 1 sets them to the middle; 2 sets those farther than the radius from any topology to
        the middle and lets the ones between pass over smoothly.
    disk_radius : int
        Width of the transition [px].

    Returns
    -------
    ndarray of int32
        The padded topology.

    Notes
    -----
    The transition goes from the value of the nearest column that has a topology to the middle, in proportion to the
    distance from it, so it is continuous at both ends.
    """
    from scipy import ndimage

    places = np.asarray(topology, np.int32)
    middle = int(np.floor(extent / 2 + 0.5))
    if mode == 0:
        return places
    if mode == 1 or not places.any():
        return np.where(places > 0, places, middle).astype(np.int32)
    distance, nearest = ndimage.distance_transform_edt(places == 0, return_indices=True)
    start = places[tuple(nearest)].astype(float)
    share = np.clip(distance / (disk_radius + 1), 0, 1)
    padded = start + (middle - start) * share
    return np.where(places > 0, places, np.floor(padded + 0.5)).astype(np.int32)


def find_topology(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    mode: Mode,
    choices: MaskChoices,
    *,
    blending_range: int = 0,
    scaling: float = 1.0,
) -> Ints:
    """Find where two registered views meet.

    Parameters
    ----------
    first, second : ndarray
        Views (z, y, x) on one grid.
    mode : {"camera", "channel"}
        Views from opposite sides along z, or light sheets from opposite sides along x.
    choices : MaskChoices
        How foreground becomes a topology.
    blending_range : int
        Planes on each side of the transition; places too near to the ends for it are dropped.
    scaling : float
        Distance of planes in lateral pixels.

    Returns
    -------
    ndarray of int32
        (y, x) for cameras, (z, y) for channels.
    """
    axis = 0 if mode == "camera" else 2
    extent = first.shape[axis]
    masks = [slice_mask(foreground(v, choices, scaling), mode) for v in (first, second)]
    topology = combine_slice_masks(masks[0], masks[1], choices.fusion_mode)
    topology = without_anomalies(topology, max(1, blending_range), extent)
    padded = pad_mask_to_center(topology, extent, choices.padding, choices.padding_radius)
    low, high = max(1, blending_range), max(1, extent - blending_range)
    return np.where(padded > 0, np.clip(padded, low, max(low, high)), 0).astype(np.int32)
