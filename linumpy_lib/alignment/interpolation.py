"""A missing slice from its neighbours, box by box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.affine_power import Affine, affine_power
from linumpy_lib.alignment.interpolation_plan import PlanePlan
from linumpy_lib.blocks import grid
from linumpy_lib.io import Volume

Array = npt.NDArray[Any]
Blend = Literal["gaussian", "linear"]
Region = tuple[slice, ...]

_FEATHER_PX = 2.0
_FEATHER_REACH = 8
_BLOCK = 512


@dataclass(frozen=True)
class Neighbour:
    """A neighbour of the missing slice.

    Attributes
    ----------
    volume : Volume
        Slice (z, y, x) on the common canvas.
    origin_px : tuple of float
        Place (y, x) of its first voxel on the canvas, less than a pixel.
    footprint : ndarray of bool, shape (y, x)
        Pixels that hold anything at any depth.
    """

    volume: Volume
    origin_px: tuple[float, float]
    footprint: Array


def footprint(volume: Volume) -> Array:
    """Mark the pixels (y, x) of a slice that hold anything at any depth."""
    out = np.zeros(volume.shape[1:], bool)
    for box in grid(out.shape, tuple(min(n, _BLOCK) for n in out.shape)):
        out[box] = (volume.read((slice(0, volume.shape[0]), *box)) != 0).any(axis=0)
    return out


def feather(mask: Array, rows: slice, columns: slice, blend: Blend) -> Array:
    """Weights (y, x) of a box of a footprint: 1 inside, falling to 0 at its border if `blend` is 'gaussian'.

    The weight at distance d from the border is 1 - exp(-d² / 2σ²) with σ = 2 px, d counted up to 8 px.
    """
    if blend == "linear":
        return mask[rows, columns].astype(np.float32)
    from scipy import ndimage

    reach = _FEATHER_REACH + 1
    spans = [
        (max(0, r.start - reach), min(n, r.stop + reach)) for r, n in zip((rows, columns), mask.shape, strict=True)
    ]
    part = mask[spans[0][0] : spans[0][1], spans[1][0] : spans[1][1]]
    # beyond the canvas there is nothing
    pads = [(int(low == 0), int(high == n)) for (low, high), n in zip(spans, mask.shape, strict=True)]
    padded = np.pad(part, pads)
    distance = ndimage.distance_transform_edt(padded) if not padded.all() else np.full(padded.shape, float(reach))
    near = np.minimum(distance, _FEATHER_REACH)
    weights = (1 - np.exp(-(near**2) / (2 * _FEATHER_PX**2))).astype(np.float32)
    y0, x0 = (r.start - s[0] + p[0] for r, s, p in zip((rows, columns), spans, pads, strict=True))
    result: Array = weights[y0 : y0 + rows.stop - rows.start, x0 : x0 + columns.stop - columns.start]
    return result


def _source_box(maps: Sequence[Affine], region: Region, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Box (y, x) of a neighbour that the maps of a region's corners touch; None if it lies outside."""
    corners = np.array(
        [(y, x) for y in (region[1].start, region[1].stop - 1) for x in (region[2].start, region[2].stop - 1)]
    )
    touched = np.concatenate([one.apply(corners) for one in maps])
    low = np.maximum(np.floor(touched.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(touched.max(axis=0)).astype(int) + 2, shape[1:])
    if (low >= high).any():
        return None
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _sampled(
    neighbour: Neighbour, maps: Sequence[Affine], planes: Sequence[float], region: Region, blend: Blend
) -> tuple[Array, Array]:
    """Values and weights (z, y, x) of a neighbour in a region: plane k at `planes[k]`, seen through `maps[k]`."""
    from scipy import ndimage

    size = tuple(r.stop - r.start for r in region)
    values, weights = np.zeros(size, np.float32), np.zeros(size, np.float32)
    box = _source_box(maps, region, neighbour.volume.shape)
    if box is None:
        return values, weights
    low, high = int(np.floor(min(planes))), min(neighbour.volume.shape[0], int(np.floor(max(planes))) + 2)
    block = neighbour.volume.read((slice(low, high), *box)).astype(np.float32)
    mask = neighbour.footprint[box].astype(np.float32)
    soft = feather(neighbour.footprint, *box, blend)
    start = np.array([region[1].start, region[2].start], dtype=float)
    corner = np.array([box[0].start, box[1].start], dtype=float)
    for k, (affine, plane) in enumerate(zip(maps, planes, strict=True)):
        whole = min(int(np.floor(plane)), neighbour.volume.shape[0] - 1)
        part = plane - whole
        picture = block[whole - low]
        if part > 0:
            picture = (1 - np.float32(part)) * picture + np.float32(part) * block[whole - low + 1]
        offset = affine.apply(start) - corner
        # whole pixels leave nothing to interpolate
        plain = np.array_equal(affine.matrix, np.eye(2)) and not (offset % 1).any()
        order = 0 if plain else 1

        def at(image: Array, order: int = order, affine: Affine = affine, offset: Array = offset) -> Array:
            result: Array = ndimage.affine_transform(
                image, affine.matrix, offset, output_shape=size[1:], order=order, mode="constant"
            )
            return result

        seen = at(mask)
        inside = seen > 0.5
        values[k] = np.where(inside, at(picture) / np.maximum(seen, 0.5), 0)
        weights[k] = np.where(inside, at(soft), 0)
    return values, weights


def interpolator(
    before: Neighbour, after: Neighbour, affine: Affine, plans: Sequence[PlanePlan], blend: Blend
) -> tuple[Callable[[Region], Array], float]:
    """Prepare the computation of a missing slice.

    Parameters
    ----------
    before, after : Neighbour
        Slices above and below.
    affine : Affine
        Pixel of the slice above for a pixel of the slice below; the identity leaves both in place.
    plans : sequence of PlanePlan
        What each plane is made of.
    blend : {'gaussian', 'linear'}
        Whether weights fall off towards the border of a neighbour's footprint.

    Returns
    -------
    compute : callable
        ``compute(region) -> ndarray of float32``; the region (z, y, x) of the missing slice, whose first voxel lies at
        the canvas's origin.
    imaginary : float
        Largest relative imaginary part that the powers of the map dropped.
    """
    # in canvas coordinates, where both neighbours lie within a pixel of the origin
    placed = affine.shifted(before.origin_px, after.origin_px)
    # a map that was not asked for is none, whatever the origins
    if np.array_equal(affine.matrix, np.eye(2)) and not affine.offset.any():
        placed = Affine.identity()
    views: dict[float, tuple[Affine, Affine]] = {}
    imaginary = 0.0
    for pose in {plan.pose for plan in plans}:
        forward, lost = affine_power(placed, pose)
        backward, lost_too = affine_power(placed, pose - 1)
        imaginary = max(imaginary, lost, lost_too)
        views[pose] = (
            forward.shifted(-np.array(before.origin_px), (0.0, 0.0)),
            backward.shifted(-np.array(after.origin_px), (0.0, 0.0)),
        )

    def compute(region: Region) -> Array:
        chosen = plans[region[0]]
        parts = []
        for k, neighbour in enumerate((before, after)):
            planes = [(plan.before, plan.after)[k] for plan in chosen]
            parts.append(_sampled(neighbour, [views[plan.pose][k] for plan in chosen], planes, region, blend))
        share = np.array([plan.weight for plan in chosen], np.float32)[:, None, None]
        weight_before, weight_after = (1 - share) * parts[0][1], share * parts[1][1]
        # where the wanted neighbour shows nothing, the other one fills in
        alone = (weight_before + weight_after) <= 0
        weight_before = np.where(alone, parts[0][1], weight_before)
        weight_after = np.where(alone, parts[1][1], weight_after)
        total = weight_before + weight_after
        mixed = weight_before * parts[0][0] + weight_after * parts[1][0]
        result: Array = np.where(total > 0, mixed / np.maximum(total, np.float32(1e-12)), 0).astype(np.float32)
        return result

    return compute, imaginary
