"""Foreground of a view: what is brighter than a level between its darkest value and its mean, after smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.fusion.bands import Bands, bands, counts_of
from linumpy_lib.fusion.filters import gauss_taps
from linumpy_lib.fusion.percentiles import COUNTS, percentile_of_counts

Counts = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Smoothing:
    """Weights of the Gaussian before the segmentation, along z and along y and x."""

    axial: npt.NDArray[np.float64]
    lateral: npt.NDArray[np.float64]

    @property
    def reach(self) -> int:
        """Planes to either side that a smoothed plane depends on."""
        return self.axial.size // 2

    @classmethod
    def choose(cls, kernel_size: float, kernel_sigma: float, scaling: float) -> Smoothing:
        """Return the weights for a window and width [px] in the plane, and planes `scaling` pixels apart."""
        axial = gauss_taps(max(1, int(kernel_size / scaling)), max(1.0, kernel_sigma / scaling))
        return cls(axial, gauss_taps(kernel_size, kernel_sigma))


def smooth_planes(planes: Counts, below: int, above: int, smoothing: Smoothing, rows: Bands) -> Counts:
    """Smooth planes of a view.

    Parameters
    ----------
    planes : ndarray of uint16
        Planes (z, y, x) with their neighbours: at the ends of the view fewer, the outermost are repeated there.
    below, above : int
        Neighbours in front and behind, which are not returned.
    smoothing : Smoothing
        Weights.
    rows : Bands
        Threads.

    Returns
    -------
    ndarray of uint16
        Smoothed counts, rounded half to even.
    """
    from linumpy_lib.fusion.view_kernels import smooth_rows

    depth, height, width = planes.shape
    out = np.empty((depth - below - above, height, width), np.uint16)
    axial, lateral = smoothing.axial, smoothing.lateral
    rows.run(height, lambda first, last: smooth_rows(planes, below, first, last, axial, lateral, lateral, out))
    return out


@dataclass
class CountTable:
    """How often each count occurs: of all voxels, and of one voxel of so many.

    Attributes
    ----------
    subsample : int
        Of how many voxels (in C order of the whole view) one is a sample.
    every, sample : ndarray of int64
        Occurrences of each count of 0 to 65535.
    """

    subsample: int
    every: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(COUNTS, np.int64))
    sample: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(COUNTS, np.int64))

    def add(self, planes: Counts, first_plane: int, rows: Bands | None = None) -> None:
        """Count planes (z, y, x); only the samples if no threads are given."""
        height, width = planes.shape[1:]
        phase = -first_plane * height * width % self.subsample
        self.sample += np.bincount(planes.reshape(-1)[phase :: self.subsample], minlength=COUNTS)
        if rows is None:
            return
        from linumpy_lib.fusion.view_kernels import count_values

        flat = planes.reshape(-1)

        def count(first: int, last: int) -> npt.NDArray[np.int64]:
            tables = np.zeros((2, COUNTS), np.int64)
            count_values(flat[first:last], tables)
            total: npt.NDArray[np.int64] = tables.sum(0)
            return total

        for table in rows.each(flat.size, count):
            self.every += table

    def level(self, percent: float, threshold: float) -> tuple[float, float]:
        """Return the darkest value and the level above which foreground begins."""
        darkest = percentile_of_counts(self.sample, percent)
        values = np.arange(COUNTS)
        above = values > darkest
        count = int(self.every[above].sum())
        mean = float((self.every * values)[above].sum()) / count if count else darkest
        return darkest, darkest + (mean - darkest) * threshold


def mask_above(smooth: Counts, level: float, rows: Bands) -> Mask:
    """Return 1 where a smoothed view is above the level, 0 elsewhere."""
    from linumpy_lib.fusion.view_kernels import threshold_rows

    mask = np.empty(smooth.shape, np.uint8)
    rows.run(smooth.shape[1], lambda first, last: threshold_rows(smooth, first, last, level, mask))
    return mask


def segment_foreground(
    volume: npt.NDArray[Any],
    kernel_sigma: float = 2.0,
    kernel_size: int = 5,
    threshold: float = 0.4,
    mask_percentile: float = 1.0,
    scaling: float = 1.0,
    splitting: int = 10,
    subsample_factor: int = 100,
    *,
    threads: int | None = None,
) -> Mask:
    """Tell foreground from background.

    Parameters
    ----------
    volume : ndarray
        View (z, y, x) in counts of 0 to 65535.
    kernel_sigma, kernel_size : float, int
        Width and window of the Gaussian in the plane [px]; along z both are divided by `scaling`, to 1 at least.
    threshold : float
        Where between darkest value and mean of what is above it the foreground begins, 0 to 1.
    mask_percentile : float
        Percentile of the smoothed view that is its darkest value.
    scaling : float
        Distance of planes in pixels.
    splitting : int
        Number of slabs that are smoothed one after the other; the result does not depend on it.
    subsample_factor : int
        The percentile looks at one voxel of this many.
    threads : int, optional
        Threads, all processors by default; the result does not depend on it.

    Returns
    -------
    ndarray of uint8
        1 in the foreground, 0 elsewhere; all 0 for a view of one value.

    Raises
    ------
    InputError
        If voxels are no counts.

    Examples
    --------
    >>> view = np.full((8, 16, 16), 100, np.uint16)
    >>> view[2:6, 4:12, 4:12] = 1000
    >>> mask = segment_foreground(view, subsample_factor=1)
    >>> int(mask[4, 8, 8]), int(mask[0, 0, 0])
    (1, 0)
    """
    planes = counts_of(volume)
    smoothing = Smoothing.choose(kernel_size, kernel_sigma, scaling)
    table = CountTable(subsample_factor)
    smooth = np.empty(planes.shape, np.uint16)
    step = max(1, -(-planes.shape[0] // max(1, splitting)))
    with bands(threads) as rows:
        for first in range(0, planes.shape[0], step):
            last = min(first + step, planes.shape[0])
            begin, end = max(0, first - smoothing.reach), min(planes.shape[0], last + smoothing.reach)
            smooth[first:last] = smooth_planes(planes[begin:end], first - begin, end - last, smoothing, rows)
        table.add(smooth, 0, rows)
        return mask_above(smooth, table.level(mask_percentile, threshold)[1], rows)


def fuse_masks(masks: Sequence[npt.NDArray[Any]]) -> Mask:
    """Join masks: foreground is where any of them has it.

    Parameters
    ----------
    masks : sequence of ndarray
        Masks of one shape, not zero in the foreground.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    InputError
        If there is none, or their shapes differ.

    Examples
    --------
    >>> fuse_masks([np.array([0, 1, 0]), np.array([0, 1, 2])]).tolist()
    [0, 1, 1]
    """
    if not masks:
        raise InputError("fuse_masks: no mask was given; give one at least")
    shapes = {np.shape(mask) for mask in masks}
    if len(shapes) > 1:
        raise InputError(f"fuse_masks: the masks have different shapes, {sorted(shapes)}; crop the views alike")
    joined = np.asarray(masks[0]) != 0
    for mask in masks[1:]:
        joined |= np.asarray(mask) != 0
    return np.asarray(joined, np.uint8)


@dataclass
class CoordinateSums:
    """Sums from which coordinate masks follow, collected slab by slab.

    Attributes
    ----------
    count, depth : ndarray
        Foreground voxels of each (y, x), and the sum of their planes.
    row_count, row_place : ndarray
        Foreground voxels of each (y, z), and the sum of their columns.
    """

    count: npt.NDArray[np.int32]
    depth: npt.NDArray[np.int64]
    row_count: npt.NDArray[np.int64]
    row_place: npt.NDArray[np.int64]

    @classmethod
    def of_shape(cls, shape: Sequence[int]) -> CoordinateSums:
        """Begin with no voxel of a view (z, y, x)."""
        z, y, x = shape
        return cls(
            np.zeros((y, x), np.int32),
            np.zeros((y, x), np.int64),
            np.zeros((y, z), np.int64),
            np.zeros((y, z), np.int64),
        )

    def add(self, mask: Mask, first_plane: int, rows: Bands) -> None:
        """Add planes (z, y, x) of a mask of 0 and 1."""
        from linumpy_lib.fusion.view_kernels import coordinate_rows

        span = slice(first_plane, first_plane + mask.shape[0])
        row_count = np.zeros((mask.shape[1], mask.shape[0]), np.int64)
        row_place = np.zeros_like(row_count)
        rows.run(
            mask.shape[1],
            lambda first, last: coordinate_rows(
                mask, first_plane, first, last, self.count, self.depth, row_count, row_place
            ),
        )
        self.row_count[:, span] = row_count
        self.row_place[:, span] = row_place

    def masks(self) -> tuple[Counts, Counts]:
        """Return the coordinate masks (y, z) of x and (y, x) of z."""
        return _places(self.row_count, self.row_place), _places(self.count, self.depth)


def _places(count: npt.NDArray[Any], total: npt.NDArray[np.int64]) -> Counts:
    mean = np.rint(total / np.maximum(count, 1)) + 1
    return np.where(count > 0, mean, 0).astype(np.uint16)


def create_coordinate_masks(
    mask: npt.NDArray[Any], splitting: int = 10, *, threads: int | None = None
) -> tuple[Counts, Counts]:
    """Tell where along x and along z the foreground lies.

    Parameters
    ----------
    mask : ndarray
        Mask (z, y, x), not zero in the foreground.
    splitting : int
        Number of slabs that are looked at one after the other; the result does not depend on it.
    threads : int, optional
        Threads, all processors by default.

    Returns
    -------
    xz_mask : ndarray of uint16
        (y, z), the mean column of the foreground voxels of each row, from 1; 0 where there is none.
    xy_mask : ndarray of uint16
        (y, x), the mean plane of the foreground voxels of each column, from 1; 0 where there is none.

    Notes
    -----
    Counting begins with 1, as in the acquisition's original software, so that 0 can say that there is no foreground.

    Examples
    --------
    >>> mask = np.zeros((4, 2, 3))
    >>> mask[1:4, 0, 2] = 1
    >>> xz, xy = create_coordinate_masks(mask)
    >>> xz[0].tolist(), xy[0].tolist()
    ([0, 3, 3, 3], [0, 0, 3])
    """
    inside = (np.asarray(mask) != 0).astype(np.uint8)
    sums = CoordinateSums.of_shape(inside.shape)
    step = max(1, -(-inside.shape[0] // max(1, splitting)))
    with bands(threads) as rows:
        for first in range(0, inside.shape[0], step):
            sums.add(inside[first : first + step], first, rows)
    return sums.masks()
