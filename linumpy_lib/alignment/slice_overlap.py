"""What neighbours of a stack show where they overlap: remaining shift, and brightness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.line_solver import Difference, solve_line
from linumpy_lib.alignment.phase_correlation import pearson
from linumpy_lib.alignment.stack_volume import PlacedSlice, StackedVolume

Image = npt.NDArray[np.float32]

_PLANES = 5
_SIDE = 512
_BAND = 256
_SPARSE_BAND = 64
_PIXELS_ENOUGH = 1 << 18
_FEWEST_PIXELS = 1000
_LEAST_CORRELATION = 0.5
# What depth does to brightness differs from slice to slice, and so pairs are off by more than their noise: by about as
# much as the ratio differs from place to place, which has the same cause. Slices were normalised one by one, which is
# coarser but does not add up.
_GAIN_NOISE = 0.2
_LEAST_GAIN_NOISE = 0.03
_GAIN_SPREAD = 0.1
_BLOCK_PX = 16
_FEWEST_BLOCKS = 8
_GAIN_LIMITS = (0.5, 2.0)
_SHIFT_NOISE_PX = 0.1
_LEAST_SHIFT_SPREAD_PX = 0.3


def overlaps(slices: Sequence[PlacedSlice]) -> list[tuple[int, int, range]]:
    """Neighbours that share planes: their places in the sequence, and the planes of the stack, ramp to end."""
    found = []
    for k, (above, below) in enumerate(pairwise(slices)):
        planes = range(max(below.ramp[0], below.top), min(above.bottom, below.bottom))
        if len(planes) > 0:
            found.append((k, k + 1, planes))
    return found


def _pictures(stack: StackedVolume, step: int, every: int = 1) -> list[tuple[tuple[int, int], Image, Image]]:
    """Places of each two neighbours, and the means over some shared planes of either, posed; 0 where nothing is held.

    Every slice is read once, band by band; pictures show every `step`-th pixel, and of bands every `every`-th one.
    """
    wanted: dict[int, list[list[int]]] = {}
    shared = overlaps(stack.slices)
    for first, second, planes in shared:
        chosen = sorted({int(z) for z in np.linspace(planes.start, planes.stop - 1, min(_PLANES, len(planes)))})
        for k in (first, second):
            # where the deep end slides, it may slide beyond the slice's last plane
            deepest = stack.slices[k].volume.shape[0] - 1
            own = [stack.slices[k].plane(z) for z in chosen]
            wanted.setdefault(k, []).append([z if z >= 0 else deepest for z in own])
    found: list[tuple[tuple[int, int], Image, Image]] = []
    above: Image | None = None
    for k, one in enumerate(stack.slices):
        if k not in wanted:
            above = None
            continue
        made = [_posed(picture, stack, k, step) for picture in _means(one, wanted[k], every)]
        # a slice's first list belongs to the pair with the slice above it, its last one to that below
        if above is not None and any(pair[1] == k for pair in shared):
            found.append(((k - 1, k), above, made[0]))
        above = made[-1] if any(pair[0] == k for pair in shared) else None
    return found


def _means(one: PlacedSlice, groups: Sequence[Sequence[int]], every: int) -> list[Image]:
    """Mean over each group of planes of a slice (y, x), read band by band; 0 in bands that are passed over."""
    _, height, width = one.volume.shape
    low, high = min(z for group in groups for z in group), max(z for group in groups for z in group) + 1
    out: list[Image] = [np.zeros((height, width), np.float32) for _ in groups]
    band = _BAND if every == 1 else _SPARSE_BAND
    for top in range(0, height, band * every):
        rows = slice(top, min(height, top + band))
        part = one.volume.read((slice(low, high), rows, slice(0, width)))
        for picture, group in zip(out, groups, strict=True):
            picture[rows] = part[[z - low for z in group]].mean(axis=0, dtype=np.float32)
    return out


def _posed(picture: Image, stack: StackedVolume, k: int, step: int) -> Image:
    """Sample a slice's picture at every `step`-th pixel of the stack, linearly; 0 where one of the pixels is."""
    from scipy import ndimage

    matrix, offset = stack.slices[k].pose.affine()
    shape = tuple(-(-n // step) for n in stack.shape[1:])
    placed = {"matrix": matrix * step, "offset": matrix @ np.array(stack.corner, np.float64) + offset}
    values = ndimage.affine_transform(picture, output_shape=shape, order=1, **placed)
    held = ndimage.affine_transform((picture > 0).astype(np.float32), output_shape=shape, order=1, **placed)
    result: Image = np.where(held > 1 - 1e-4, values, np.float32(0))
    return result


def gains(stack: StackedVolume) -> tuple[list[float], list[float]]:
    """Factor for each slice that makes neighbours equally bright where they overlap.

    The log ratios of all pairs are one least-squares problem with a pull to 1. A pair counts the more, the less its
    ratio differs from place to place (`_ratio_noise`). What all pairs have in common
    (deep tissue is darker than shallow tissue in every slice alike) is no difference between slices and is taken out
    first; so factors do not drift along the stack.

    Returns
    -------
    factors : list of float
        Between 0.5 and 2.
    ratios : list of float
        Brightness of the lower slice over that of the upper one, for each pair that could be compared.
    """
    step = max(1, max(stack.shape[1:]) // _SIDE)
    differences, ratios = [], []
    # brightness is told well enough by a part of the pixels
    every = min(4, max(1, stack.shape[1] * stack.shape[2] // _PIXELS_ENOUGH))
    for (first, second), above, below in _pictures(stack, step, every):
        both = (above > 0) & (below > 0)
        if both.sum() < min(_FEWEST_PIXELS, above.size // 10):
            continue
        alike = pearson(above[both], below[both])
        if alike < _LEAST_CORRELATION:
            continue  # other tissue, or none: its brightness says nothing of the slices
        floor = np.median(above[both]), np.median(below[both])
        both &= (above >= floor[0]) & (below >= floor[1])
        if not both.any():
            continue
        ratio = float(np.median(below[both] / above[both]))
        ratios.append(ratio)
        trust = alike * (_GAIN_NOISE / _ratio_noise(above, below, both)) ** 2
        differences.append(Difference(first, second, math.log(ratio), trust))
    if len(differences) >= 3:
        common = float(np.median([d.value for d in differences]))
        differences = [replace(d, value=d.value - common) for d in differences]
    logs = solve_line(len(stack.slices), differences, _GAIN_NOISE, _GAIN_SPREAD, fixed_spread=True)
    factors = np.exp(-(logs - np.median(logs)))
    return [float(f) for f in np.clip(factors, *_GAIN_LIMITS)], ratios


def _ratio_noise(above: Image, below: Image, both: npt.NDArray[np.bool_]) -> float:
    """Robust spread, over blocks of 16 x 16 pixels, of the logarithm of a pair's ratio; between 0.03 and 0.2."""
    rows, columns = np.nonzero(both)
    block = (rows // _BLOCK_PX) * (both.shape[1] // _BLOCK_PX + 1) + columns // _BLOCK_PX
    count = np.bincount(block)
    used = count >= _BLOCK_PX**2 // 4
    if used.sum() < _FEWEST_BLOCKS:
        return _GAIN_NOISE
    sums = [np.bincount(block, picture[both].astype(np.float64))[used] for picture in (above, below)]
    logs = np.log(sums[1] / sums[0])
    spread = 1.4826 * float(np.median(np.abs(logs - np.median(logs))))
    return min(_GAIN_NOISE, max(_LEAST_GAIN_NOISE, spread))


def remaining_shifts(stack: StackedVolume, limit_px: float) -> list[tuple[float, float]]:
    """Shift (y, x) of each slice that is still seen in the overlaps, by phase correlation, up to a limit.

    Returns
    -------
    list of (float, float)
        Where a slice's content lies too far along y and x, pixels.
    """
    from linumpy_lib.alignment.phase_correlation import find_shift

    differences: tuple[list[Difference], list[Difference]] = ([], [])
    for (first, second), above, below in _pictures(stack, 1):
        if min((above > 0).sum(), (below > 0).sum()) < _FEWEST_PIXELS:
            continue
        fit = find_shift(above, below, starts=((0.0, 0.0),), limit_px=limit_px)
        # a lower slice that has to be moved by `offset` to match is seen at minus that
        if math.hypot(*fit.offset) <= limit_px and fit.correlation > 0:
            for axis in (0, 1):
                differences[axis].append(Difference(first, second, -fit.offset[axis], fit.correlation))
    solved = [solve_line(len(stack.slices), d, _SHIFT_NOISE_PX, _LEAST_SHIFT_SPREAD_PX) for d in differences]
    return [(float(y), float(x)) for y, x in zip(*solved, strict=True)]
