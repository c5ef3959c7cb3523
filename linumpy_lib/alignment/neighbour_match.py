"""Whether two neighbours of a missing slice belong together, and the affine map between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.affine_power import Affine
from linumpy_lib.alignment.phase_correlation import find_shift, pearson, smoothed
from linumpy_lib.alignment.shift_refinement import mean_plane
from linumpy_lib.io import Volume

Array = npt.NDArray[Any]
Metric = Literal["MSE", "CC", "MI"]

# Longest side of the pictures that are registered; an affine map of a whole slice needs no finer ones.
_SIDE_PX = 512
_MARGIN = 0.25
_CLIP = (5, 95)
# Gain in correlation by a translation below which the neighbours count as aligned already.
_ALIGNED = 0.02


@dataclass(frozen=True)
class Match:
    """What the neighbours of a missing slice have in common.

    Attributes
    ----------
    affine : Affine
        Pixel of the slice above that shows what a pixel of the slice below shows.
    before, after : float
        Correlation without and with it.
    planes : (int, int) or None
        Planes that were compared.
    failed : str
        The gate that the pair did not pass; empty if it may be used.
    aligned : bool
        Whether the neighbours were aligned already.
    """

    affine: Affine
    before: float = 0.0
    after: float = 0.0
    planes: tuple[int, int] | None = None
    failed: str = ""
    aligned: bool = False


def roi_correlation(a: Array, b: Array) -> float:
    """Correlation of the central parts of two pictures, values clipped to their 5th to 95th percentile."""
    margins = [int(n * _MARGIN) for n in a.shape]
    box = tuple(slice(m, n - m) for m, n in zip(margins, a.shape, strict=True))
    parts = []
    for picture in (a[box], b[box]):
        low, high = np.percentile(picture, _CLIP)
        parts.append(np.clip(picture, low, high))
    return pearson(parts[0], parts[1])


def foreground(picture: Array) -> float:
    """Share of a picture that is brighter than the darkest hundredth of its positive pixels."""
    lit = picture[picture > 0]
    return float((picture > np.percentile(lit, 1)).mean()) if lit.size else 0.0


def warped(picture: Array, affine: Affine) -> Array:
    """Resample a picture linearly so that pixel p shows the input at ``affine(p)``."""
    from scipy import ndimage

    result: Array = ndimage.affine_transform(picture, affine.matrix, affine.offset, order=1, mode="constant")
    return result


def match_neighbours(
    before: Volume,
    after: Volume,
    pairs: list[tuple[int, int]],
    *,
    metric: Metric,
    max_iterations: int,
    slab: int,
    min_foreground: float,
    min_correlation: float,
    min_improvement: float,
    register: bool,
) -> Match:
    """Compare two neighbours and register the one above to the one below.

    Parameters
    ----------
    before, after : Volume
        Slices (z, y, x) of equal size along y and x.
    pairs : list of (int, int)
        Planes to compare, from `matching_planes`.
    metric : {'MSE', 'CC', 'MI'}
        Mean squares, correlation or mutual information.
    max_iterations : int
        Per resolution.
    slab : int
        Planes around the chosen ones that are averaged.
    min_foreground : float
        Share of a plane that has to be lit.
    min_correlation : float
        Correlation of the best pair that is needed.
    min_improvement : float
        Gain that registration has to bring, unless the neighbours are aligned already.
    register : bool
        Whether the map is wanted; the identity otherwise.

    Returns
    -------
    Match
    """
    bin_px = max(1, math.ceil(max(before.shape[1:]) / _SIDE_PX))
    planes = {("before", i): _picture(before, i, 1, bin_px) for i in sorted({i for i, _ in pairs})} | {
        ("after", j): _picture(after, j, 1, bin_px) for j in sorted({j for _, j in pairs})
    }
    lit = {key: foreground(picture) >= min_foreground for key, picture in planes.items()}
    usable = [(i, j) for i, j in pairs if lit["before", i] and lit["after", j]]
    if not usable:
        return Match(Affine.identity(), failed="no_foreground_planes")
    scores = [roi_correlation(planes["before", i], planes["after", j]) for i, j in usable]
    chosen = usable[int(np.argmax(scores))]
    fixed, moving = (
        smoothed(_picture(volume, plane, slab, bin_px))
        for volume, plane in zip((after, before), chosen[::-1], strict=True)
    )
    plain = roi_correlation(moving, fixed)
    # the moving picture (above) lies at `offset` in the fixed one: fixed p shows what moving p - offset shows
    start = find_shift(fixed, moving, starts=((0.0, 0.0),))
    moved = Affine(np.eye(2), -np.array(start.offset))
    best = roi_correlation(warped(moving, moved), fixed)
    if best <= plain:
        moved, best = Affine.identity(), plain
    if best < min_correlation:
        return Match(Affine.identity(), plain, best, chosen, "low_overlap_ncc")
    if not register:
        return Match(Affine.identity(), plain, plain, chosen)
    aligned = best - plain < _ALIGNED
    try:
        found = register_affine(fixed, moving, moved, metric, max_iterations)
    except RuntimeError:
        return Match(Affine.identity(), plain, best, chosen, "registration_exception", aligned)
    if found.determinant <= 0:
        return Match(Affine.identity(), plain, best, chosen, "affine_determinant_non_positive", aligned)
    after_it = roi_correlation(warped(moving, found), fixed)
    if after_it < best:
        # never worse than the start
        found, after_it = moved, best
    if after_it - plain < min_improvement and not aligned:
        return Match(Affine.identity(), plain, after_it, chosen, "reg_did_not_improve", aligned)
    return Match(found.scaled(bin_px), plain, after_it, chosen, "", aligned)


def _picture(volume: Volume, plane: int, count: int, bin_px: int) -> Array:
    low = max(0, min(plane - (count - 1) // 2, volume.shape[0] - count))
    part = slice(low, min(volume.shape[0], low + count))
    return mean_plane(volume, part, slice(0, volume.shape[1]), slice(0, volume.shape[2]), bin_px)


def register_affine(fixed: Array, moving: Array, start: Affine, metric: Metric, max_iterations: int) -> Affine:
    """Register two pictures with an affine map by SimpleITK.

    Parameters
    ----------
    fixed, moving : ndarray of float32, shape (y, x)
        The pictures.
    start : Affine
        Where to begin: pixel of the moving picture for a pixel of the fixed one.
    metric : {'MSE', 'CC', 'MI'}
        What is optimised.
    max_iterations : int
        Per resolution.

    Returns
    -------
    Affine
        Pixel of the moving picture for a pixel of the fixed one.

    Raises
    ------
    RuntimeError
        If SimpleITK gives up.
    """
    import SimpleITK as sitk  # noqa: N813

    # mean squares compare values, which differ in brightness between slices
    images = []
    for picture in (fixed, moving):
        spread = float(picture.std()) or 1.0
        images.append(sitk.GetImageFromArray(((picture - picture.mean()) / spread).astype(np.float32)))
    transform = sitk.AffineTransform(2)
    centre = (np.array(fixed.shape) - 1) / 2
    transform.SetCenter(centre[::-1].tolist())
    transform.SetMatrix(start.matrix[::-1, ::-1].ravel().tolist())
    transform.SetTranslation((start.apply(centre) - centre)[::-1].tolist())
    method = sitk.ImageRegistrationMethod()
    # one thread, or the sums would depend on how they are split
    method.SetNumberOfThreads(1)
    if metric == "MSE":
        method.SetMetricAsMeanSquares()
    elif metric == "CC":
        method.SetMetricAsCorrelation()
    else:
        method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0,
        minStep=1e-4,
        numberOfIterations=max_iterations,
        relaxationFactor=0.5,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    levels = [4, 2, 1] if min(fixed.shape) >= 128 else [2, 1] if min(fixed.shape) >= 48 else [1]
    method.SetShrinkFactorsPerLevel(levels)
    method.SetSmoothingSigmasPerLevel([float(n) / 2 for n in levels])
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(images[0], images[1])
    matrix = np.array(transform.GetMatrix()).reshape(2, 2)[::-1, ::-1]
    translation = np.array(transform.GetTranslation())[::-1]
    pivot = np.array(transform.GetCenter())[::-1]
    return Affine(matrix, pivot + translation - matrix @ pivot)
