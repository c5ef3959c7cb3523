"""How far a reconstructed volume is from the truth that its slices were cut from, seen in the images alone.

Nothing that the reconstruction wrote about positions is used but the planes that belong to each slice. Each slice is
registered to the truth at its true depth; what all slices have in common, the place and the turn of the whole volume,
is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.io import Volume
from linumpy_lib.simulation.truth import Truth

Array = npt.NDArray[np.float64]

_SMOOTH_PX = 1.5
"""Against speckle, before planes are compared."""
_FAR_PX, _NEAR_PX = 160, 12
"""How far a whole volume may lie from where the truth's middle is, and a slice from where it was found."""
_ITERATIONS = 30
_DEPTHS = np.arange(-6.0, 7.0)
_CLEAR = 0.004
"""Fall of the correlation two planes from its peak that makes a depth a finding."""
_LEAST_PIXELS = 400
_MOST_PIXELS = 300_000
_SECTION_PLANES = 48


@dataclass(frozen=True)
class SlicePlanes:
    """Planes of the volume that show one slice alone."""

    slice_id: int
    first_plane: int
    planes: tuple[int, ...]
    interpolated: bool


@dataclass(frozen=True)
class SliceFit:
    """Where a slice's tissue is in the volume, against the truth.

    Attributes
    ----------
    slice_id : int
        The slice.
    shift_px : tuple of float
        Displacement (y, x) of the truth's centre, pixels of the volume.
    rotation_deg : float
        Rotation from x towards y.
    depth_planes : float or None
        Depth at which the truth is most alike, minus the true depth, planes; None where the pictures do not tell.
    correlation : float
        Pearson correlation with the truth after all of it.
    interpolated : bool
        Whether the slice was made from its neighbours.
    """

    slice_id: int
    shift_px: tuple[float, float]
    rotation_deg: float
    depth_planes: float | None
    correlation: float
    interpolated: bool


class TruthPlanes:
    """The truth on the lateral grid of a volume, at any depth of the world.

    Parameters
    ----------
    truth : Truth
        The truth file.
    array : array
        The truth volume (z, y, x), read with slices.
    shape : (int, int)
        Pixels (y, x) of the volume's planes.
    spacing_um : (float, float)
        Their size.
    """

    def __init__(self, truth: Truth, array: Any, shape: tuple[int, int], spacing_um: tuple[float, float]) -> None:
        self.truth, self.array, self.shape, self.spacing_um = truth, array, shape, spacing_um

    def at(self, z_um: float, shift: Array, margin: int = _NEAR_PX) -> Array:
        """Reflectivity (y, x) of the plane at a depth of the world.

        Parameters
        ----------
        z_um : float
            Depth.
        shift : ndarray
            Whole pixels (y, x) by which the grid is moved against the truth's centre.
        margin : int
            Pixels more on every side.
        """
        from scipy import ndimage

        rows, columns = (
            np.arange(-margin, n + margin) + s - (n - 1) / 2 for n, s in zip(self.shape, shift[:2], strict=True)
        )
        y, x = np.meshgrid(rows * self.spacing_um[0], columns * self.spacing_um[1], indexing="ij")
        # pixels lie along A-lines and B-scans, as the tiles do
        place = np.array(self.truth.scan_xy) @ np.stack([x.ravel(), y.ravel()])
        place += np.array(self.truth.centre_xy_um)[:, None]
        world = np.stack([np.full(x.size, z_um), place[1], place[0], np.ones(x.size)])
        position = np.array(self.truth.volume_from_world) @ world
        index = position / np.array(self.truth.volume["spacing_um"])[:, None]
        size = np.array(self.array.shape)
        low = np.clip(np.floor(index.min(1)).astype(int) - 1, 0, size - 1)
        high = np.clip(np.ceil(index.max(1)).astype(int) + 2, low + 1, size)
        box = np.asarray(self.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], dtype=np.float32)
        plane = ndimage.map_coordinates(box, index - low[:, None], order=1, mode="nearest")
        outside = ((index < -0.5) | (index > size[:, None] - 0.5)).any(0)
        dark, bright = float(self.truth.volume["low"]), float(self.truth.volume["high"])
        shown = np.clip((plane - dark) / (bright - dark), 0, 1)
        shown[outside] = 0
        floor = float(self.truth.parameters["simulate_oct_agarose"])
        lit: Array = np.maximum(shown, floor).reshape(x.shape)
        return lit


def slice_planes(volume: Volume) -> list[SlicePlanes]:
    """Read from a stacked volume's provenance which planes show which slice alone."""
    records = [dict(one) for one in volume.provenance.get("slices", [])]
    records.sort(key=lambda one: one["first_plane"])
    steps = np.diff([one["first_plane"] for one in records])
    thickness = int(np.median(steps)) if steps.size else volume.shape[0]
    found = []
    for k, one in enumerate(records):
        # what a slice shares with its neighbours is blended
        start = records[k - 1]["first_plane"] + records[k - 1]["planes"] if k else one["first_plane"]
        stop = records[k + 1]["first_plane"] if k + 1 < len(records) else volume.shape[0]
        # the shallowest of them: deeper down there is less light, and the shadow of what lies above
        stop = min(stop, one["first_plane"] + one["planes"], max(start, one["first_plane"]) + max(3, thickness // 3))
        span = range(max(start, one["first_plane"]), max(start, stop))
        if not span:
            middle = one["first_plane"] + one["planes"] // 2
            span = range(middle, middle + 1)
        planes = tuple(sorted({span[int(len(span) * j / 4)] for j in (1, 2, 3)}))
        found.append(SlicePlanes(int(one["slice_id"]), int(one["first_plane"]), planes, bool(one["interpolated"])))
    return found


def fit_slice(volume: Volume, planes: TruthPlanes, item: SlicePlanes) -> SliceFit:
    """Register the planes of one slice to the truth, all of them by one motion.

    Parameters
    ----------
    volume : Volume
        The stacked volume.
    planes : TruthPlanes
        The truth on its grid.
    item : SlicePlanes
        The slice.
    """
    images = [volume.read((p, ...)).astype(np.float64) for p in item.planes]
    lit = _eroded(np.all([image > 0 for image in images], axis=0))
    seen = [_smooth(image) for image in images]
    depths = [world_z_um(volume, planes.truth, item, p) for p in item.planes]
    dz = volume.require_spacing()[0]
    far = [_smooth(planes.at(z, np.zeros(2), _FAR_PX)) for z in depths]
    origin = _coarse(np.mean(seen, axis=0), np.mean(far, axis=0))

    def true(deeper: float) -> list[Array]:
        """Take the same planes of the truth, so many planes deeper."""
        return [_smooth(planes.at(z + deeper * dz, origin)) for z in depths]

    motion = register(seen, true(0.0), lit, np.zeros(3))
    likeness = np.array([_likeness(seen, true(float(d)), lit, motion) for d in _DEPTHS])
    best = int(np.argmax(likeness))
    depth = float(_DEPTHS[best]) + _peak(likeness, best)
    motion = register(seen, true(depth), lit, motion)
    around = likeness[max(0, best - 2) : best + 3]
    clear = 1 < best < len(likeness) - 2 and likeness[best] - max(around[0], around[-1]) > _CLEAR
    return SliceFit(
        item.slice_id,
        (float(motion[0] + origin[0]), float(motion[1] + origin[1])),
        float(np.degrees(motion[2])),
        depth if clear else None,
        float(likeness[best]),
        item.interpolated,
    )


def world_z_um(volume: Volume, truth: Truth, item: SlicePlanes, plane: float) -> float:
    """Depth in the world of a plane (its middle) of the volume, where a slice begins at its true face."""
    return truth.slice(item.slice_id).face_um + (plane - item.first_plane + 0.5) * volume.require_spacing()[0]


def _smooth(plane: Array) -> Array:
    from scipy import ndimage

    out: Array = ndimage.gaussian_filter(plane, _SMOOTH_PX)
    return out


def _coarse(seen: Array, true: Array) -> Array:
    """Whole-pixel shift (y, x) of the truth on the plane, from their cross-correlation."""
    from scipy import fft

    size = tuple(true.shape)
    first = fft.rfft2(true - true.mean())
    second = fft.rfft2(seen - seen.mean(), s=size)
    product = first * np.conj(second)
    field = fft.irfft2(product, s=size)
    free = field[: 2 * _FAR_PX + 1, : 2 * _FAR_PX + 1]
    y, x = np.unravel_index(int(np.argmax(free)), free.shape)
    return np.array([float(y - _FAR_PX), float(x - _FAR_PX)])


def _warp(true: Array, motion: Array, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Truth as the volume would show it, moved; and each pixel's place (y, x) against the centre."""
    from scipy import ndimage

    y, x = np.indices(shape, dtype=np.float64)
    centre = (np.array(shape) - 1) / 2
    y -= centre[0]
    x -= centre[1]
    c, s = np.cos(motion[2]), np.sin(motion[2])
    rows = c * y + s * x + motion[0] + centre[0] + _NEAR_PX
    columns = -s * y + c * x + motion[1] + centre[1] + _NEAR_PX
    shown: Array = ndimage.map_coordinates(true, [rows, columns], order=3, mode="nearest")
    return shown, y, x


def register(seen: Sequence[Array], true: Sequence[Array], lit: npt.NDArray[np.bool_], motion: Array) -> Array:
    """Refine a motion by least squares; brightness and contrast of each plane are free (Gauss and Newton).

    Parameters
    ----------
    seen : sequence of ndarray, shape (y, x)
        Planes of the volume.
    true : sequence of ndarray, shape (y + margins, x + margins)
        The same planes of the truth.
    lit : ndarray of bool, shape (y, x)
        Pixels that count: away from the borders of the field, which would hold the picture in place.
    motion : ndarray
        Shift (y, x) [px] and rotation [rad] to begin with.

    Returns
    -------
    ndarray
        Shift of the truth's place (y, x) [px] and rotation [rad].
    """
    motion = motion.astype(np.float64)
    count = int(lit.sum())
    if count < _LEAST_PIXELS:
        return motion
    inside = np.flatnonzero(lit)[:: max(1, count // _MOST_PIXELS)]
    for _ in range(_ITERATIONS):
        normal, right = np.zeros((3, 3)), np.zeros(3)
        for plane, model in zip(seen, true, strict=True):
            shown, y, x = _warp(model, motion, plane.shape)
            down, across = (slope.ravel()[inside] for slope in np.gradient(shown))
            y, x = y.ravel()[inside], x.ravel()[inside]
            matrix = np.stack([down, across, down * x - across * y])
            matrix -= matrix.mean(1, keepdims=True)
            wanted, had = plane.ravel()[inside], shown.ravel()[inside]
            wanted, had = wanted - wanted.mean(), had - had.mean()
            gain = float(wanted @ had / (had @ had)) if had.any() else 0.0
            normal += gain**2 * matrix @ matrix.T
            right += gain * matrix @ (wanted - gain * had)
        if np.linalg.matrix_rank(normal) < len(normal):
            break
        step = np.clip(np.linalg.solve(normal, right), [-2, -2, -0.02], [2, 2, 0.02])
        motion = motion + step
        if np.abs(step[:2]).max() < 1e-4 and abs(step[2]) < 1e-6:
            break
    return motion


def _eroded(lit: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    from scipy import ndimage

    margin = int(np.ceil(3 * _SMOOTH_PX))
    out: npt.NDArray[np.bool_] = ndimage.binary_erosion(lit, iterations=margin)
    return out


def _likeness(seen: Sequence[Array], true: Sequence[Array], lit: npt.NDArray[np.bool_], motion: Array) -> float:
    """Correlation of the mean planes, in which speckle hides less of what changes along depth."""
    shown = _warp(np.mean(true, axis=0), motion, seen[0].shape)[0]
    return pearson(np.mean(seen, axis=0)[lit], shown[lit])


def pearson(a: Array, b: Array) -> float:
    """Pearson correlation; 0 where one of the two is constant or there is nothing."""
    if a.size < 2:
        return 0.0
    first, second = (v.ravel() - v.mean() for v in (a, b))
    lengths = np.sqrt(first @ first), np.sqrt(second @ second)
    # a constant plane differs from its mean by rounding alone
    if any(n <= 1e-9 * np.sqrt(v.size) * np.abs(v).max() for n, v in zip(lengths, (a, b), strict=True)):
        return 0.0
    return float(first @ second / (lengths[0] * lengths[1]))


def _peak(values: Array, best: int) -> float:
    """Peak of the parabola through the best value and its neighbours, in samples from it."""
    if not 0 < best < len(values) - 1:
        return 0.0
    left, middle, right = values[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return float(0.5 * (left - right) / bend) if bend < 0 else 0.0


@dataclass(frozen=True)
class Comparison:
    """A volume against its truth, after the place and turn that the whole volume has.

    Attributes
    ----------
    fits : tuple of SliceFit
        Each slice, errors against the mean of all recorded ones.
    position_rms_px, position_max_px : float
        Errors of the slices' positions, pixels of the volume.
    rotation_rms_deg : float
        Errors of their rotations.
    depth_rms_planes, depth_max_planes : float or None
        Errors of their depths, against the median, planes; None where the pictures tell no depth.
    total_depth_planes : float
        Distance of the first and last slice's faces, minus the true one, planes.
    correlation : float
        Pearson correlation of the volume's voxels with the truth.
    sections : tuple of ndarray
        Vertical section (z, x) of the volume and the truth, and a plane (y, x) of both.
    """

    fits: tuple[SliceFit, ...]
    position_rms_px: float
    position_max_px: float
    rotation_rms_deg: float
    depth_rms_planes: float | None
    depth_max_planes: float | None
    total_depth_planes: float
    correlation: float
    sections: tuple[Array, Array, Array, Array]


def compare(volume: Volume, truth: Truth, array: Any) -> Comparison:
    """Compare a stacked volume with the truth.

    Parameters
    ----------
    volume : Volume
        The volume (z, y, x) that `stack_slices` wrote.
    truth : Truth
        The truth file.
    array : array
        The truth volume.

    Raises
    ------
    InputError
        If the volume does not state its slices.
    """
    items = slice_planes(volume)
    if not items:
        raise InputError(f"{volume.name}: states no slices; give the volume that stack_slices wrote")
    dz, dy, dx = volume.require_spacing()
    planes = TruthPlanes(truth, array, (volume.shape[1], volume.shape[2]), (dy, dx))
    fits = [fit_slice(volume, planes, item) for item in items]
    sure = [fit for fit in fits if not fit.interpolated] or fits
    whole = np.mean([[*fit.shift_px, np.radians(fit.rotation_deg)] for fit in sure], axis=0)
    told = [fit.depth_planes for fit in sure if fit.depth_planes is not None]
    depth = float(np.median(told)) if told else 0.0
    errors = tuple(
        SliceFit(
            fit.slice_id,
            (fit.shift_px[0] - float(whole[0]), fit.shift_px[1] - float(whole[1])),
            fit.rotation_deg - float(np.degrees(whole[2])),
            None if fit.depth_planes is None else fit.depth_planes - depth,
            fit.correlation,
            fit.interpolated,
        )
        for fit in fits
    )
    known = [error for error in errors if not error.interpolated] or list(errors)
    lengths = np.array([np.hypot(*error.shift_px) for error in known])
    turns = np.array([error.rotation_deg for error in known])
    depths = np.array([error.depth_planes for error in known if error.depth_planes is not None])
    first, last = items[0], items[-1]
    true_planes = (truth.slice(last.slice_id).face_um - truth.slice(first.slice_id).face_um) / dz
    correlation, sections = _voxels(volume, planes, items, whole, depth)
    return Comparison(
        errors,
        _rms(lengths),
        float(lengths.max()),
        _rms(turns),
        _rms(depths) if depths.size else None,
        float(np.abs(depths).max()) if depths.size else None,
        last.first_plane - first.first_plane - true_planes,
        correlation,
        sections,
    )


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _voxels(
    volume: Volume, planes: TruthPlanes, items: list[SlicePlanes], whole: Array, depth: float
) -> tuple[float, tuple[Array, Array, Array, Array]]:
    """Correlation over planes of the whole volume, moved as one; and sections of both."""
    first = items[0]
    seen_rows, true_rows, pairs = [], [], []
    middle = volume.shape[1] // 2
    origin = np.round(whole[:2])
    chosen = np.unique(np.linspace(0, volume.shape[0] - 1, _SECTION_PLANES).round().astype(int))
    face = (np.empty((0, 0)), np.empty((0, 0)))
    for plane in chosen:
        seen = volume.read((int(plane), ...)).astype(np.float64)
        true = planes.at(world_z_um(volume, planes.truth, first, float(plane) + depth), origin)
        shown = _warp(true, whole - [*origin, 0.0], seen.shape)[0]
        lit = np.flatnonzero(seen > 0)
        lit = lit[:: max(1, lit.size // _MOST_PIXELS * len(chosen))]
        pairs.append(np.stack([seen.ravel()[lit], shown.ravel()[lit]]))
        seen_rows.append(seen[middle])
        true_rows.append(shown[middle])
        if plane <= volume.shape[0] // 2:
            face = seen, shown
    a, b = np.concatenate(pairs, axis=1)
    return pearson(a, b), (np.stack(seen_rows), np.stack(true_rows), *face)
