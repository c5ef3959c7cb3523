"""Refinement of a rigid motion: SimpleITK's coarse to fine search, then a few Gauss-Newton steps of our own."""

from __future__ import annotations

import math

import numpy as np

from linumpy_lib.alignment.planar import Box, Image, correlation, resample, shared_box
from linumpy_lib.alignment.rigid import Rigid

_SMALLEST_SIDE = 8
_NEWTON_STEPS = 8
_CONVERGED_PX = 1e-3


def search(fixed: Image, moving: Image, start: Rigid, boxes: tuple[Box, Box], *, rotate: bool) -> Rigid:
    """Maximise the correlation of two images by SimpleITK, coarse to fine.

    Parameters
    ----------
    fixed, moving : ndarray
        Images (y, x) of the same depth.
    start : Rigid
        Where to start.
    boxes : (box, box)
        Content of the two; only what both show at the start is compared.
    rotate : bool
        Rotation and translation, or translation only.

    Returns
    -------
    Rigid
        Where the optimiser stopped; whether that is better is for the caller to judge.
    """
    import SimpleITK as sitk  # noqa: N813 - the name that its manual uses

    box = shared_box(*boxes, start)
    smallest = min(part.stop - part.start for part in box)
    if smallest < _SMALLEST_SIDE:
        return start
    images = [sitk.GetImageFromArray(np.ascontiguousarray(image)) for image in (fixed, moving)]
    mask = np.zeros(fixed.shape, np.uint8)
    mask[box] = 1
    registration = sitk.ImageRegistrationMethod()
    # sums in one order, whatever the machine: equal inputs give equal bytes
    registration.SetNumberOfThreads(1)
    registration.SetMetricAsCorrelation()
    registration.SetMetricFixedMask(sitk.GetImageFromArray(mask))
    registration.SetInterpolator(sitk.sitkLinear)
    # the finest resolution is left to the Gauss-Newton steps where it would cost most
    shrink = [n for n in (8, 4, 2, 1) if (n == 1 or smallest >= 40 * n) and (n > 1 or smallest < 400)]
    registration.SetShrinkFactorsPerLevel(shrink)
    registration.SetSmoothingSigmasPerLevel([n / 2 if n > 1 else 0 for n in shrink])
    registration.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    registration.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0,
        minStep=1e-2,
        numberOfIterations=100,
        relaxationFactor=0.5,
        gradientMagnitudeTolerance=1e-9,
    )
    registration.SetOptimizerScalesFromPhysicalShift()
    shift = (start.shift[1], start.shift[0])
    if rotate:
        transform = sitk.Euler2DTransform((start.centre[1], start.centre[0]), start.angle_rad, shift)
    else:
        transform = sitk.TranslationTransform(2, shift)
    registration.SetInitialTransform(transform, inPlace=False)
    found = registration.Execute(*images).GetParameters()
    if rotate:
        return Rigid(found[0], (found[2], found[1]), start.centre)
    return Rigid(start.angle_rad, (found[1], found[0]), start.centre)


def polish(fixed: Image, moving: Image, start: Rigid, boxes: tuple[Box, Box], *, rotate: bool) -> Rigid:
    r"""Maximise the correlation of two images by Gauss-Newton steps, for a start within about a pixel.

    Each step fits ``fixed = a * moving(T + d) + b`` with the moving image linearised in the change ``d`` of the motion
    (Evangelidis and Psarakis, 2008, doi:10.1109/TPAMI.2008.113, with gain and offset solved for). A step that does not
    raise the correlation is halved, and ends the search if that does not help.

    Parameters
    ----------
    fixed, moving, start, boxes, rotate
        As in :func:`search`.

    Returns
    -------
    Rigid
        At least as good as the start.
    """
    best = start
    box = shared_box(*boxes, start)
    side = min(part.stop - part.start for part in box)
    if side < _SMALLEST_SIDE:
        return start
    reach = math.hypot(*(part.stop - part.start for part in box)) / 2
    target = fixed[box]
    warped = resample(moving, best, box)
    value = correlation(target, warped)
    for _ in range(_NEWTON_STEPS):
        change = _step(target, warped, best, box, rotate=rotate)
        for fraction in (1.0, 0.5, 0.25):
            trial = Rigid(
                best.angle_rad + fraction * change[2],
                (best.shift[0] + fraction * change[0], best.shift[1] + fraction * change[1]),
                best.centre,
            )
            candidate = resample(moving, trial, box)
            reached = correlation(target, candidate)
            if reached > value:
                break
        else:
            return best
        best, warped, value = trial, candidate, reached
        if math.hypot(change[0], change[1]) + reach * abs(change[2]) < _CONVERGED_PX:
            break
    return best


def _step(target: Image, warped: Image, motion: Rigid, box: Box, *, rotate: bool) -> tuple[float, float, float]:
    """Change of (y, x, angle) that a linear fit proposes."""
    slopes = np.stack(list(np.gradient(warped)))
    turn = motion.matrix()
    # derivatives along the moving image's axes
    along = np.tensordot(turn, slopes, axes=1)
    columns = [along[0].ravel(), along[1].ravel()]
    if rotate:
        y = np.arange(box[0].start, box[0].stop, dtype=np.float64)[:, None] - motion.centre[0]
        x = np.arange(box[1].start, box[1].stop, dtype=np.float64)[None, :] - motion.centre[1]
        c, s = math.cos(motion.angle_rad), math.sin(motion.angle_rad)
        columns.append((along[0] * (-s * y + c * x) + along[1] * (-c * y - s * x)).ravel())
    model = np.stack([*columns, warped.ravel(), np.ones(warped.size)]).astype(np.float64)
    normal = model @ model.T
    scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    right = model @ target.ravel().astype(np.float64)
    solution = np.linalg.lstsq(normal / np.outer(scale, scale), right / scale, rcond=1e-10)[0] / scale
    gain = solution[len(columns)]
    if gain <= 0:
        return 0.0, 0.0, 0.0
    change = solution[: len(columns)] / gain
    return float(change[0]), float(change[1]), float(change[2]) if rotate else 0.0
