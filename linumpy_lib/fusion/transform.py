"""Rigid motion of a view: three shifts and one rotation, applied with cubic splines in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Box = tuple[slice, slice, slice]
Plane = Literal["yx", "zx", "zy"]

# Planes and pixels around a box that a cubic spline needs to be the same as on the whole view, to single precision.
_MARGIN = 14
# Samples along an axis up to which each is a sum of weighted voxels.
_FEW = 2


@dataclass(frozen=True)
class Transform:
    """Where the content of a moving view goes.

    Attributes
    ----------
    z_offset, y_offset, x_offset : float
        Shift of the content towards larger indices [px].
    rotation : float
        Angle about the middle of the volume [degrees]: an output voxel takes the value found at the turned place
        (first axis: cos * first + sin * second, second axis: -sin * first + cos * second).
    plane : {"yx", "zx", "zy"}
        The two axes that turn into each other.
    scaling : float
        Distance of planes in lateral pixels; matters when z takes part in the rotation.
    """

    z_offset: float = 0.0
    y_offset: float = 0.0
    x_offset: float = 0.0
    rotation: float = 0.0
    plane: Plane = "yx"
    scaling: float = 1.0

    @property
    def offset(self) -> npt.NDArray[np.float64]:
        """Shifts (z, y, x) [px]."""
        return np.array([self.z_offset, self.y_offset, self.x_offset])

    def as_json(self) -> dict[str, Any]:
        """Return the attributes as plain data."""
        return asdict(self)

    def matrix(self) -> npt.NDArray[np.float64]:
        """Return the 3 x 3 matrix that turns output voxels (from the middle) to voxels of the moving view."""
        first, second = ("zyx".index(axis) for axis in self.plane)
        units = np.array([self.scaling, 1.0, 1.0])
        angle = np.deg2rad(self.rotation)
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = np.sin(angle), -np.sin(angle)
        turned: npt.NDArray[np.float64] = turn * units[None, :] / units[:, None]
        return turned

    def source(self, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return matrix M and start s such that output voxel r takes the moving view's value at M r + s."""
        matrix = self.matrix()
        centre = (np.array(shape, float) - 1) / 2
        return matrix, centre - matrix @ centre - self.offset


Read = Callable[[Box], npt.NDArray[Any]]


def sampled(
    read: Read, shape: tuple[int, int, int], transform: Transform, box: Box, order: int = 3
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return a box of the transformed view, and where it holds values of the view.

    Parameters
    ----------
    read : callable
        Gives the voxels of a box of the moving view.
    shape : (int, int, int)
        Shape of both views (z, y, x).
    transform : Transform
        Motion of the content.
    box : tuple of slice
        What is wanted.
    order : int
        Degree of the spline: 0, 1 or 3.

    Returns
    -------
    values : ndarray of float32
        Outside the view the nearest voxel's value.
    valid : ndarray of bool
        False outside the view.
    """
    from scipy import ndimage

    matrix, start = transform.source(shape)
    corner = np.array([s.start for s in box], float)
    size = tuple(s.stop - s.start for s in box)
    start = start + matrix @ corner
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in size], indexing="ij")).reshape(3, -1)
    places = matrix @ ends + start[:, None]
    low = np.clip(np.floor(places.min(1)).astype(int) - _MARGIN, 0, np.array(shape) - 1)
    high = np.clip(np.ceil(places.max(1)).astype(int) + _MARGIN + 1, low + 1, shape)
    view = read((slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])))
    values = _resample(np.asarray(view, np.float32), matrix, start - low, size, order, ndimage)
    valid = np.ones(size, bool)
    grids = [np.arange(n).reshape([-1 if k == axis else 1 for k in range(3)]) for axis, n in enumerate(size)]
    for axis in range(3):
        at = start[axis] + sum(matrix[axis, k] * grids[k] for k in range(3) if matrix[axis, k])
        valid &= (at >= -1e-6) & (at <= shape[axis] - 1 + 1e-6)
    return values, valid


def _resample(
    view: npt.NDArray[np.float32], matrix: Any, start: Any, size: tuple[int, ...], order: int, ndimage: Any
) -> npt.NDArray[np.float32]:
    if np.allclose(matrix, np.eye(3)):
        values = view
        for axis in range(3):
            values = _shifted(values, float(start[axis]), size[axis], axis, order, ndimage)
        return values
    if np.allclose(matrix[0], (1, 0, 0)) and np.allclose(matrix[:, 0], (1, 0, 0)):
        along = _shifted(view, float(start[0]), size[0], 0, order, ndimage)
        out = np.empty(size, np.float32)
        for k, plane in enumerate(along):
            ndimage.affine_transform(
                plane, matrix[1:, 1:], start[1:], output_shape=size[1:], output=out[k], order=order, mode="nearest"
            )
        return out
    moved: npt.NDArray[np.float32] = ndimage.affine_transform(
        view, matrix, start, output_shape=size, output=np.float32, order=order, mode="nearest"
    )
    return moved


def _shifted(
    values: npt.NDArray[np.float32], start: float, size: int, axis: int, order: int, ndimage: Any
) -> npt.NDArray[np.float32]:
    """Sample one axis at start, start + 1, ...: a spline along that axis only, four taps for a cubic one."""
    whole = int(np.floor(start + 1e-9))
    part = start - whole
    count = values.shape[axis]
    if part < 1e-9 or order == 0:
        places = np.clip(np.arange(size) + (whole if order else round(start)), 0, count - 1)
        return np.take(values, places, axis=axis)
    if order == 1:
        taps = [1 - part, part]
        first = 0
    elif size <= _FEW:
        # Few samples of a long axis: the spline of all of it would cost more than the samples' weights.
        return _weighted(values, whole, part, size, axis)
    else:
        values = ndimage.spline_filter1d(values, 3, axis=axis, output=np.float32, mode="nearest")
        # The nearest-voxel border of the spline's coefficients is the mirror's to within its decay.
        p = part
        taps = [(1 - p) ** 3 / 6, (4 - 6 * p**2 + 3 * p**3) / 6, (1 + 3 * p + 3 * p**2 - 3 * p**3) / 6, p**3 / 6]
        first = -1
    shape = list(values.shape)
    shape[axis] = size
    out = np.zeros(shape, np.float32)
    for k, tap in enumerate(taps):
        places = np.clip(np.arange(size) + whole + first + k, 0, count - 1)
        out += np.float32(tap) * np.take(values, places, axis=axis)
    return out


def _weighted(
    values: npt.NDArray[np.float32], whole: int, part: float, size: int, axis: int
) -> npt.NDArray[np.float32]:
    """Sample a cubic spline at few places by the weight that each voxel has in the sample."""
    # Coefficients are the voxels convolved with sqrt(3) r^|k|; a sample takes four of them.
    pole = np.sqrt(3) - 2
    p = part
    taps = [(1 - p) ** 3 / 6, (4 - 6 * p**2 + 3 * p**3) / 6, (1 + 3 * p + 3 * p**2 - 3 * p**3) / 6, p**3 / 6]
    steps = np.arange(-_MARGIN + 1, _MARGIN + 1)
    weights = np.sqrt(3) * sum(tap * pole ** np.abs(steps + 1 - k) for k, tap in enumerate(taps))
    weights /= weights.sum()
    count = values.shape[axis]
    lines = np.moveaxis(values, axis, 0)
    out = np.zeros((size, *lines.shape[1:]), np.float32)
    for k in range(size):
        for step, weight in zip(steps, weights, strict=True):
            out[k] += np.float32(weight) * lines[min(max(k + whole + int(step), 0), count - 1)]
    return np.moveaxis(out, 0, axis)


def apply_registration(volume: npt.NDArray[Any], transform: Transform, order: int = 3) -> npt.NDArray[np.float32]:
    """Move a view by a transform.

    Parameters
    ----------
    volume : ndarray
        Moving view (z, y, x), any real dtype.
    transform : Transform
        Motion of its content, for instance of `estimate_registration`.
    order : int
        Degree of the spline: 0, 1 or 3.

    Returns
    -------
    ndarray of float32
        The moved view, never beyond the range of its values; 0 where the view does not reach.

    Examples
    --------
    >>> import numpy as np
    >>> view = np.zeros((3, 5, 5), np.uint16)
    >>> view[1, 2, 2] = 9
    >>> int(apply_registration(view, Transform(x_offset=1.0))[1, 2, 3])
    9
    """
    shape = (int(volume.shape[0]), int(volume.shape[1]), int(volume.shape[2]))
    whole = (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))
    values, valid = sampled(lambda box: volume[box], shape, transform, whole, order)
    # A cubic spline swings beyond the values at steep edges; nothing brighter or darker than what was seen is made.
    np.clip(values, volume.min(), volume.max(), out=values)
    values[~valid] = 0
    return values
