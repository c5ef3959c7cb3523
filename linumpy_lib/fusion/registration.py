"""How a view is brought onto the one that faces it: a bounded search, then shifts and an angle below the pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.fusion.coarse_search import coarse_shift
from linumpy_lib.fusion.refinement import Refined, Sampler, refine
from linumpy_lib.fusion.transform import Plane, Transform

Floats = npt.NDArray[np.float32]
Search = tuple[int, int, int]
Optimizer = Literal["gradient_descent", "nelder_mead", "bfgs"]

MOST_VOXELS = 2_600_000
"""Voxels of the level that is registered: larger views are averaged down by 2, 4, ... first."""
LEAST_DISTINCTNESS = 6.0
LEAST_CORRELATION = 0.05
# Interpolation between voxels smooths noise, which draws a correlation towards shifts of half a voxel unless the noise
# is smooth already. Width [voxels of the level that is registered] laterally and along z.
_LEAST_SIGMA = 0.9
_AXIAL_SIGMA = 0.7
# A slab's answer may cost the correlation of all voxels this much, else the slab holds too little.
_MOST_LOST = 0.003
# Share of what all voxels leave unexplained that a rotation has to explain; 0.07 degrees do on 128 pixels.
_LEAST_GAIN = 0.002
# Largest factor exp(this) that evens out the first and last plane.
_STEEPEST = 2.0
_TURNS: dict[str, Plane] = {"camera": "yx", "channel": "zy"}


@dataclass(frozen=True)
class Registration:
    """What a registration found.

    Attributes
    ----------
    transform : Transform
        Motion that brings the moving view onto the reference; no motion if `refused`.
    correlation_before, correlation_after : float
        Correlation of the views where they overlap, high-passed as for the search.
    confidence : float
        0 to 1: how far the best shift stands out, and how well the views agree there.
    refused : str
        Why the result must not be used; empty if it may.
    sigma : tuple of float
        Standard errors of z, y, x [px] and of the rotation [degrees].
    scores_yx : ndarray of float32
        Scores of the first search, for a picture.
    """

    transform: Transform
    correlation_before: float
    correlation_after: float
    confidence: float
    refused: str = ""
    sigma: tuple[float, ...] = (math.nan,) * 4
    scores_yx: Floats = field(default_factory=lambda: np.zeros((1, 1), np.float32))


@dataclass(frozen=True)
class Preparation:
    """How views are filtered before they are compared.

    Attributes
    ----------
    median_range : int
        Window [px] of the median that is subtracted; 0 is off.
    gauss_kernel, gauss_sigma : int, float
        Size and width [px] of the Gaussian; size 0 is off.
    precise : bool
        False rounds the smoothed values to whole counts.
    subsample : int
        The offset is a percentile of every so many pixels.
    """

    median_range: int = 100
    gauss_kernel: int = 3
    gauss_sigma: float = 1.0
    precise: bool = True
    subsample: int = 1


def shrink_factors(shape: tuple[int, ...], scaling: float = 1.0) -> tuple[int, int, int]:
    """Return by how much a view is averaged down along z, y, x, so that it can be registered in memory."""
    lateral = 1
    while math.prod(max(1, n // f) for n, f in zip(shape, _factors(lateral, scaling), strict=True)) > MOST_VOXELS:
        lateral *= 2
    return _factors(lateral, scaling)


def _factors(lateral: int, scaling: float) -> tuple[int, int, int]:
    axial = max(1, 2 ** math.floor(math.log2(max(1.0, lateral / max(scaling, 1e-6))) + 1e-9))
    return axial, lateral, lateral


def shrink(volume: npt.NDArray[Any], factors: tuple[int, ...]) -> Floats:
    """Average whole groups of voxels; a rest at the end is left out.  (z, y, x) to float32."""
    if max(factors) == 1:
        return np.asarray(volume, np.float32)
    whole = np.asarray(volume)[tuple(slice(0, max(1, n // f) * f) for n, f in zip(volume.shape, factors, strict=True))]
    split: list[int] = []
    for n, f in zip(whole.shape, factors, strict=True):
        split += [max(1, n // f), min(f, n)]
    mean: Floats = whole.reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)
    return mean


def prepare(volume: Floats, factors: tuple[int, ...], how: Preparation) -> Floats:
    """High-pass and even out a shrunk view for comparison: mean near zero, one spread for every plane."""
    from scipy import ndimage

    from linumpy_lib.fusion.filters import apply_gauss_filter, local_median

    positive = volume[volume > 0][:: how.subsample]
    offset = float(np.percentile(positive, 5.0, method="hazen")) if positive.size else 0.0
    values = np.maximum(volume - np.float32(offset), 0)
    lateral = factors[1]
    smooth = values
    if how.gauss_kernel:
        sigma = max(_LEAST_SIGMA, how.gauss_sigma / lateral)
        values = _without_slope(values)
        smooth = apply_gauss_filter(values, how.gauss_kernel, sigma, precise=how.precise)
        smooth = ndimage.gaussian_filter1d(smooth, _AXIAL_SIGMA, axis=0, mode="nearest")
    if how.median_range:
        smooth = smooth - local_median(values, max(3, how.median_range // lateral))
    smooth = smooth - smooth.mean(axis=(1, 2), keepdims=True)
    spread = smooth.std(axis=(1, 2), keepdims=True)
    # Planes without content must not be blown up to the strength of the others.
    even: Floats = (smooth / np.maximum(spread, max(0.15 * float(spread.max()), 1e-6))).astype(np.float32)
    return even


def _without_slope(values: Floats) -> Floats:
    """Even out brightness that falls exponentially with depth: smoothing along it would shift objects towards light."""
    means = values.mean(axis=(1, 2), dtype=np.float64)
    lit = means > 0.02 * means.max()
    if lit.sum() < 4:
        return values
    places = np.arange(len(means), dtype=float) - (len(means) - 1) / 2
    slope = float(np.polyfit(places[lit], np.log(means[lit]), 1, w=np.sqrt(means[lit]))[0])
    steepest = _STEEPEST / max(1.0, places[-1])
    even: Floats = values * np.exp(-np.clip(slope, -steepest, steepest) * places).astype(np.float32)[:, None, None]
    return even


def estimate_registration(
    reference: npt.NDArray[Any],
    moving: npt.NDArray[Any],
    *,
    search_x: Search = (-50, 50, 10),
    search_y: Search = (-50, 50, 10),
    search_z: tuple[int, int] | None = None,
    mode: Literal["camera", "channel"] = "camera",
    scaling: float = 1.0,
    method: Optimizer = "gradient_descent",
    slab_size: int = 3,
    topology: npt.NDArray[Any] | None = None,
    preparation: Preparation | None = None,
    shrunk: tuple[int, int, int] | None = None,
) -> Registration:
    """Find the shift along z, y, x and the rotation that bring a view onto another.

    Parameters
    ----------
    reference, moving : ndarray
        Views (z, y, x) of one shape, any real dtype.
    search_x, search_y : (int, int, int)
        Lowest and highest shift, and the step of the first search [px].
    search_z : (int, int), optional
        Lowest and highest shift along z [px], by default a quarter of the depth either way.
    mode : {"camera", "channel"}
        Cameras turn in the plane (y, x) of the sensor, opposing light sheets in (z, y).
    scaling : float
        Distance of planes in lateral pixels.
    method : {"gradient_descent", "nelder_mead", "bfgs"}
        How the correlation is climbed to below the pixel.
    slab_size : int
        Planes, of the level that is registered, on each side of the topology's middle that the fine estimate looks at.
    topology : ndarray, optional
        Where views meet: for cameras the plane z for each (y, x), for channels the column x for each (z, y); 0 is
        nowhere. By default the middle.
    preparation : Preparation, optional
        Filters before the comparison.
    shrunk : (int, int, int), optional
        The views come averaged down by these factors already; results and all sizes are in full pixels all the same.

    Returns
    -------
    Registration
        With a reason in `refused` and no motion where the views do not match.

    Notes
    -----
    Correlation is counted over the voxels that meet. The rotation is kept only where it exceeds thrice its standard
    error and all voxels agree better with it: noise that interpolation smooths raises the correlation, and would
    turn a view that is straight.
    """
    how = preparation or Preparation()
    factors = shrunk or shrink_factors(reference.shape, scaling)
    small = [np.asarray(v, np.float32) if shrunk else shrink(v, factors) for v in (reference, moving)]
    plane = _TURNS[mode]
    still = Transform(plane=plane, scaling=scaling)
    if any(float(v.max()) == float(v.min()) for v in small):
        return Registration(still, math.nan, math.nan, 0.0, refused="a view is empty")
    a, b = (prepare(v, factors, how) for v in small)
    limits = search_z or (-(a.shape[0] * factors[0]) // 4, a.shape[0] * factors[0] // 4)
    bounds = (limits, search_y[:2], search_x[:2])
    # The first search samples at least twice per step, on views averaged down further where that suffices.
    step = max(1, min(search_x[2], search_y[2]) // 2)
    extra = max(1, 2 ** int(math.log2(max(1, step / factors[1])))) if min(a.shape[1:]) >= 32 else 1
    deep = max(1, min(extra, a.shape[0] // 16))
    first = coarse_shift(
        shrink(a, (deep, extra, extra)),
        shrink(b, (deep, extra, extra)),
        tuple(
            (lo / (f * g), hi / (f * g)) for (lo, hi), f, g in zip(bounds, factors, (deep, extra, extra), strict=True)
        ),  # type: ignore[arg-type]
    )
    start = first.offset * (deep, extra, extra)
    level_scaling = scaling * factors[0] / factors[1]
    initial = Transform(start[0], start[1], start[2], plane=plane, scaling=level_scaling)
    everywhere = Sampler(a, b, stride=max(1, round((a.size / 250_000) ** (1 / 3))))
    rough = refine(everywhere, initial, "gradient_descent", turn=True)
    slab = _slab(a.shape, factors, mode, topology, slab_size)
    thin = Sampler(a, b, points=slab)
    found = _best(thin, everywhere, rough, method)
    before = everywhere.correlation(replace(initial, z_offset=0.0, y_offset=0.0, x_offset=0.0))
    after = everywhere.correlation(found.transform)
    offset = found.transform.offset * factors
    confidence = float(np.clip(first.distinctness / 20, 0, 1) * np.clip(after, 0, 1) ** 0.5)
    refused = _refusal(first.distinctness, after, offset, bounds, reference.shape, factors if shrunk else (1, 1, 1))
    transform = Transform(
        float(offset[0]), float(offset[1]), float(offset[2]), float(found.transform.rotation), plane, scaling
    )
    sigma = tuple(float(s * f) for s, f in zip(found.sigma, (*factors, 1), strict=True))
    return Registration(
        still if refused else transform,
        before,
        before if refused else after,
        0.0 if refused else confidence,
        refused,
        sigma,
        first.scores_yx,
    )


def _best(thin: Sampler, everywhere: Sampler, rough: Refined, method: Optimizer) -> Refined:
    """Refine where the views are equally sharp; on all voxels where too little lies there."""
    sampler = thin if thin.informative(rough.transform) else everywhere
    fine = refine(sampler, rough.transform, method, turn=True)
    far = np.abs(fine.transform.offset - rough.transform.offset).max() > 2.0
    if far or everywhere.correlation(fine.transform) < rough.correlation - _MOST_LOST:
        fine = refine(everywhere, rough.transform, method, turn=True)
        sampler = everywhere
    if not fine.transform.rotation:
        return fine
    straight = refine(sampler, replace(fine.transform, rotation=0.0), method, turn=False)
    left = [1 - everywhere.correlation(each.transform) ** 2 for each in (fine, straight)]
    turned = abs(fine.transform.rotation) > 3 * fine.sigma[3] and left[0] < left[1] * (1 - _LEAST_GAIN)
    return fine if turned else straight


def _slab(
    shape: tuple[int, ...], factors: tuple[int, ...], mode: str, topology: npt.NDArray[Any] | None, size: int
) -> npt.NDArray[np.float64]:
    """Voxels (3, N) of the shrunk reference near the topology."""
    axis = 0 if mode == "camera" else 2
    others = [k for k in range(3) if k != axis]
    f = factors[axis]
    if topology is None:
        level = np.full([shape[k] for k in others], (shape[axis] - 1) / 2)
    else:
        index = np.ix_(
            *[
                np.minimum(
                    ((np.arange(shape[k]) + 0.5) * topology.shape[j] / shape[k]).astype(int), topology.shape[j] - 1
                )
                for j, k in enumerate(others)
            ]
        )
        level = np.asarray(topology, float)[index]
        # Topology counts full planes from 1; 0 is none. Columns that hold a single object put it anywhere in the depth;
        # what is sought is where both views are about equally sharp, and most columns agree on that.
        known = level[level > 0]
        level = np.full(level.shape, (float(np.median(known)) - 0.5) / f - 0.5 if known.size else -1e9)
    reach = max(size, 0) + 0.5
    places = np.arange(shape[axis]).reshape([-1 if k == axis else 1 for k in range(3)])
    near = np.abs(places - np.expand_dims(level, axis)) <= reach
    return np.array(np.nonzero(near), float)


def _refusal(
    distinctness: float, after: float, offset: Any, bounds: Any, shape: tuple[int, ...], factors: tuple[int, ...]
) -> str:
    if not distinctness > LEAST_DISTINCTNESS:
        return f"no shift within the search stands out ({distinctness:.1f} standard deviations)"
    if not after > LEAST_CORRELATION:
        return f"the views do not correlate ({after:.3f})"
    for axis, value, (low, high) in zip("zyx", offset, bounds, strict=True):
        if not low - 1 <= value <= high + 1:
            return f"the shift along {axis} ({value:.1f} px) leaves the search range {low} to {high}"
    for axis, value, n, f in zip("zyx", offset, shape, factors, strict=True):
        if abs(value) > 0.75 * n * f:
            return f"the shift along {axis} ({value:.1f} px) leaves no overlap"
    return ""


Reader = Callable[[tuple[slice, slice, slice]], npt.NDArray[Any]]


def read_shrunk(read: Reader, shape: tuple[int, int, int], factors: tuple[int, int, int]) -> Floats:
    """Average a view down while it is read, a few planes at a time."""
    rows = max(1, (1 << 25) // max(1, shape[1] * shape[2]))
    rows = max(factors[0], rows - rows % factors[0])
    whole = max(1, shape[0] // factors[0]) * factors[0] if shape[0] >= factors[0] else shape[0]
    parts = [
        shrink(read((slice(z, min(whole, z + rows)), slice(0, shape[1]), slice(0, shape[2]))), factors)
        for z in range(0, whole, rows)
    ]
    return np.concatenate(parts)
