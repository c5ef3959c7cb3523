"""Rigid or affine registration of a brain to a template, from an unknown start, with a judgement of the result."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.orientation import rotation_matrix
from linumpy_lib.errors import InputError

Floats = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
Metric = Literal["MI", "MSE", "CC", "AntsCC"]

SEARCH_VOXELS = 30
"""Voxels along the longest axis of the images that all rotations are tried on."""
SEARCH_DEG = (-40.0, -20.0, 0.0, 20.0, 40.0)
"""Angles about each axis that are tried; any turn of up to 45 degrees lies within 10 degrees of one."""
CANDIDATES = 3
SAMPLES = 400_000
"""Voxels that the metric looks at, of a larger image every n-th."""
_FLIPS = ((180.0, 0.0, 0.0), (0.0, 180.0, 0.0), (0.0, 0.0, 180.0))


@dataclass(frozen=True)
class Brain:
    """An image for registration, axes (z, y, x) pointing to superior, anterior, right.

    Attributes
    ----------
    image : ndarray of float32, shape (z, y, x)
        Intensities, the brightest percent clipped, from 0 to 1.
    spacing_mm : tuple of float
        Voxel size (z, y, x); the centre of the first voxel is the origin.
    tissue : ndarray of bool
        What is brighter than Otsu's threshold.
    """

    image: Floats
    spacing_mm: tuple[float, float, float]
    tissue: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, image: npt.NDArray[Any], spacing_mm: tuple[float, ...], name: str) -> Brain:
        """Prepare an image.

        Raises
        ------
        InputError
            If it holds no tissue or values that are not finite only.
        """
        from skimage.filters import threshold_otsu

        values = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = np.percentile(values, (1, 99.5))
        if not high > low:
            raise InputError(f"{name}: is constant; there is nothing to register to an atlas")
        values = np.clip((values - low) / (high - low), 0, 1)
        z, y, x = (float(s) for s in spacing_mm)
        return cls(values, (z, y, x), values > threshold_otsu(values))

    @property
    def extent_mm(self) -> Matrix:
        """Edge lengths (z, y, x)."""
        return np.asarray(self.spacing_mm) * self.image.shape

    @property
    def centroid_mm(self) -> Matrix:
        """Centre of the tissue (z, y, x)."""
        where = np.nonzero(self.tissue)
        return np.array([float(axis.mean()) for axis in where]) * self.spacing_mm

    @property
    def tissue_mm3(self) -> float:
        """Volume of the tissue."""
        return float(self.tissue.sum() * np.prod(self.spacing_mm))


@dataclass(frozen=True)
class Pose:
    """A map of template to subject positions, millimetres (z, y, x): ``subject = matrix @ template + offset``."""

    matrix: Matrix
    offset: Matrix

    def angle_deg(self) -> float:
        """Return the angle of the rotation, or of the rotation nearest to an affine map."""
        u, _, vt = np.linalg.svd(self.matrix)
        return float(np.rad2deg(np.arccos(np.clip((np.trace(u @ vt) - 1) / 2, -1, 1))))


@dataclass(frozen=True)
class AtlasFit:
    """What came out, and how far to trust it.

    Attributes
    ----------
    pose : Pose
        Template to subject.
    metric : float
        Value of the registration's metric, lower is better.
    start_metric : float
        Its value before the refinement.
    flipped_metric : dict of str to float
        Its value after half turns about the axes x, y and z: a brain that is the right way round beats them.
    overlap : float
        Part of the smaller tissue mask that the other one covers.
    correlation : float
        Pearson correlation where either holds tissue.
    volume_ratio : float
        Tissue volume of the subject relative to the template's.
    """

    pose: Pose
    metric: float
    start_metric: float
    overlap: float
    correlation: float
    volume_ratio: float
    flipped_metric: dict[str, float] = field(default_factory=dict)


def search_start(template: Brain, subject: Brain, initial: Matrix | None = None) -> list[Pose]:
    """Try rotations on small images, each with its best shift by correlation.

    Parameters
    ----------
    template, subject : Brain
        The two images.
    initial : ndarray, shape (3, 3), optional
        Known rotation that the subject needs; only its surroundings are searched then.

    Returns
    -------
    list of Pose
        The best starts, best first, not all of one kind.
    """
    from scipy import fft, ndimage

    step = float(max(template.extent_mm.max(), subject.extent_mm.max())) / SEARCH_VOXELS
    fixed, moving = _small(template, step), _small(subject, step)
    size = [fft.next_fast_len(int(np.ceil(n + max(moving.shape))), real=True) for n in fixed.shape]
    spectrum = fft.rfftn(fixed, size)
    centre = (np.asarray(moving.shape) - 1) / 2
    half = int(np.ceil(np.linalg.norm(moving.shape) / 2))
    box = tuple(min(2 * half + 1, n) for n in size)
    middle = (np.asarray(box) - 1) / 2
    angles = (-10.0, 0.0, 10.0) if initial is not None else SEARCH_DEG
    found: list[tuple[float, Pose]] = []
    for x, y, z in itertools.product(angles, repeat=3):
        turn = rotation_matrix((x, y, z)) @ (np.eye(3) if initial is None else initial)
        back = turn.T  # output (template frame) -> input (subject)
        turned = ndimage.affine_transform(moving, back, centre - back @ middle, box, order=1)
        norm = float(np.linalg.norm(turned))
        if norm == 0:
            continue
        score = fft.irfftn(spectrum * np.conj(fft.rfftn(turned, size)), size) / norm
        peak = np.unravel_index(int(np.argmax(score)), score.shape)
        shift = np.array([p - n if p > n // 2 else p for p, n in zip(peak, size, strict=True)], float)
        offset = (centre - back @ (middle + shift)) * step
        found.append((float(score[peak]), Pose(back, offset)))
    if not found:
        raise InputError("the volume holds no tissue that could be registered to the atlas")
    found.sort(key=lambda item: -item[0])
    chosen: list[Pose] = []
    for _, pose in found:
        if all(Pose(pose.matrix @ other.matrix.T, pose.offset).angle_deg() > 15 for other in chosen):
            chosen.append(pose)
        if len(chosen) == CANDIDATES:
            break
    return chosen


def _small(brain: Brain, step: float) -> Floats:
    """Resample to cubic voxels of `step` mm, smoothed before; the mean of the tissue mask and the image."""
    from scipy import ndimage

    factors = step / np.asarray(brain.spacing_mm)
    image = 0.5 * brain.image + 0.5 * brain.tissue
    smooth = ndimage.gaussian_filter(image, np.maximum(factors, 0) / 2)
    shape = tuple(int(n) for n in np.maximum(1, np.floor((np.asarray(image.shape) - 1) / factors) + 1))
    result: Floats = ndimage.affine_transform(smooth, factors, 0.0, shape, order=1)
    return result


def _sitk_image(brain: Brain) -> Any:
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(brain.image)
    image.SetSpacing(brain.spacing_mm[::-1])
    return image


def itk_transform(pose: Pose, centre_mm: Matrix | None = None, kind: str = "rigid") -> Any:
    """Build ITK's transform (x, y, z) of a pose (z, y, x), about a centre."""
    import SimpleITK as sitk  # noqa: N813

    centre_mm = np.zeros(3) if centre_mm is None else centre_mm
    transform = sitk.Euler3DTransform() if kind == "rigid" else sitk.AffineTransform(3)
    transform.SetCenter(centre_mm[::-1].tolist())
    matrix = pose.matrix[::-1, ::-1]
    if kind == "rigid":
        transform.SetMatrix(matrix.ravel().tolist(), 1e-6)
    else:
        transform.SetMatrix(matrix.ravel().tolist())
    shift = pose.offset + pose.matrix @ centre_mm - centre_mm
    transform.SetTranslation(shift[::-1].tolist())
    return transform


def _pose(transform: Any) -> Pose:
    matrix = np.asarray(transform.GetMatrix(), float).reshape(3, 3)[::-1, ::-1]
    centre = np.asarray(transform.GetCenter(), float)[::-1]
    shift = np.asarray(transform.GetTranslation(), float)[::-1]
    return Pose(matrix, shift + centre - matrix @ centre)


def _method(metric: Metric) -> Any:
    import SimpleITK as sitk  # noqa: N813

    method = sitk.ImageRegistrationMethod()
    # one thread: the sum over several depends on how many there are
    method.SetNumberOfThreads(1)
    if metric == "MI":
        method.SetMetricAsMattesMutualInformation(50)
    elif metric == "MSE":
        method.SetMetricAsMeanSquares()
    elif metric == "CC":
        method.SetMetricAsCorrelation()
    else:
        method.SetMetricAsANTSNeighborhoodCorrelation(4)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _sampled(method: Any, metric: Metric, voxels: int) -> Any:
    if metric != "AntsCC" and voxels > SAMPLES:
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(max(0.1, SAMPLES / voxels), 1)
    return method


def _refine(
    fixed: Any,
    moving: Any,
    start: Any,
    metric: Metric,
    shrink: list[int],
    iterations: int,
) -> tuple[Any, float]:
    import SimpleITK as sitk  # noqa: N813

    method = _sampled(_method(metric), metric, fixed.GetNumberOfPixels())
    extent = max(n * s for n, s in zip(fixed.GetSize(), fixed.GetSpacing(), strict=True))
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=min(1.0, extent / 8),  # millimetres; a longer step throws a small brain out of the template
        minStep=1e-4,
        numberOfIterations=iterations,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(shrink)
    method.SetSmoothingSigmasPerLevel([s / 2 if s > 1 else 0 for s in shrink])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(False)
    method.SetInitialTransform(start, inPlace=True)
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputError(
            f"the registration to the atlas failed ({reason}); check ras_input_orientation and give a start with "
            "--ras_initial_rotation"
        ) from None
    return sitk.Transform(start), float(method.GetMetricValue())


def register_to_template(
    template: Brain,
    subject: Brain,
    *,
    metric: Metric = "MI",
    kind: Literal["rigid", "affine"] = "rigid",
    max_iterations: int = 1000,
    initial: Matrix | None = None,
) -> AtlasFit:
    """Register a brain to a template.

    A coarse search over rotations gives the starts; each is refined on small images, the best one further over three
    resolutions (Mattes mutual information, mean squares or correlation; regular step gradient descent).

    Parameters
    ----------
    template, subject : Brain
        The two images, both in RAS.
    metric : {"MI", "MSE", "CC", "AntsCC"}
        What is optimised.
    kind : {"rigid", "affine"}
        Six or twelve parameters; the affine map starts from the rigid one.
    max_iterations : int
        Most iterations at each resolution.
    initial : ndarray, shape (3, 3), optional
        Known rotation (z, y, x) that the subject needs.

    Returns
    -------
    AtlasFit
        The pose and what tells whether it is right.

    Raises
    ------
    InputError
        If there is nothing to register, or the optimiser fails.
    """
    fixed, moving = _sitk_image(template), _sitk_image(subject)
    centre = template.centroid_mm
    smallest = min(*template.image.shape, *subject.image.shape)
    coarse = max(1, min(8, smallest // 12))
    rough: list[tuple[bool, float, Pose]] = []
    failure = InputError("the registration to the atlas failed")
    for start in search_start(template, subject, initial):
        transform = itk_transform(start, centre, "rigid")
        try:
            _, value = _refine(fixed, moving, transform, metric, [coarse], min(max_iterations, 100))
        except InputError as error:
            failure = error
            continue
        lost = _lost(template, subject, start, _pose(transform))
        # among starts whose refinement left the tissue, the search tells which is best
        rough.append((lost, len(rough) if lost else value, start if lost else _pose(transform)))
    if not rough:
        raise failure
    _, _, pose = min(rough, key=lambda item: item[:2])
    start_metric = _value(fixed, moving, pose, metric)
    shrink = [s for s in (4, 2, 1) if s <= max(1, coarse)]
    kinds = ["rigid"] if kind == "rigid" else ["rigid", "affine"]
    value = start_metric
    for step in kinds:
        transform = itk_transform(pose, centre, step)
        _refine(fixed, moving, transform, metric, shrink, max_iterations)
        refined = _pose(transform)
        new = _value(fixed, moving, refined, metric)
        # a refinement never makes it worse
        if new <= value and not _lost(template, subject, pose, refined):
            pose, value = refined, new
    flipped = {}
    for name, degrees in zip("xyz", _FLIPS, strict=True):
        turn = rotation_matrix(degrees)
        # about the centre of the template's tissue, so that the two still overlap
        other = Pose(pose.matrix @ turn, pose.offset + pose.matrix @ (centre - turn @ centre))
        flipped[name] = _value(fixed, moving, other, metric)
    overlap, correlation = _agreement(template, subject, pose)
    return AtlasFit(pose, value, start_metric, overlap, correlation, subject.tissue_mm3 / template.tissue_mm3, flipped)


def _lost(template: Brain, subject: Brain, before: Pose, after: Pose) -> bool:
    """Whether a refinement slid the brains apart: small images in a corner of each other look alike to a metric."""
    return _agreement(template, subject, after)[0] < 0.5 * _agreement(template, subject, before)[0]


def _value(fixed: Any, moving: Any, pose: Pose, metric: Metric) -> float:
    import SimpleITK as sitk  # noqa: N813

    method = _sampled(_method(metric), metric, fixed.GetNumberOfPixels())
    method.SetInitialTransform(sitk.AffineTransform(itk_transform(pose, kind="affine")))
    try:
        return float(method.MetricEvaluate(fixed, moving))
    except RuntimeError:  # no overlap at all
        return float("inf")


def _agreement(template: Brain, subject: Brain, pose: Pose) -> tuple[float, float]:
    """Return overlap of the tissue and correlation, on the template's grid."""
    from scipy import ndimage

    matrix = pose.matrix * np.asarray(template.spacing_mm) / np.asarray(subject.spacing_mm)[:, None]
    offset = pose.offset / subject.spacing_mm
    image = ndimage.affine_transform(subject.image, matrix, offset, template.image.shape, order=1)
    tissue = (
        ndimage.affine_transform(subject.tissue.astype(np.float32), matrix, offset, template.image.shape, order=1) > 0.5
    )
    smaller = min(template.tissue_mm3, subject.tissue_mm3) / float(np.prod(template.spacing_mm))
    overlap = float((tissue & template.tissue).sum() / max(smaller, 1.0))
    either = tissue | template.tissue
    a, b = image[either], template.image[either]
    spread = float(a.std() * b.std())
    correlation = float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else 0.0
    return min(overlap, 1.0), correlation
