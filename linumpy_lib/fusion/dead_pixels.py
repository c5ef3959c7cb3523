"""Pixels of a camera that are dead or hot: found in the whole view, replaced plane by plane.

A pixel is bad if its standard deviation over the planes, or its mean above the dark level, differs from the median of
its neighbours by more than most do. "Most" ends at the knee of the sorted differences: the point that is farthest from
the line between the first and the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import ParameterError
from linumpy_lib.fusion.bands import Bands, bands, counts_of

Counts = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]
_MOST_SAMPLES = 50_000


def knee(values: npt.NDArray[Any], most_samples: int = _MOST_SAMPLES) -> float:
    """Return the value at the knee of the sorted values.

    Parameters
    ----------
    values : ndarray
        Differences, sorted or not.
    most_samples : int
        Of more than these every n-th is looked at.

    Examples
    --------
    >>> knee(np.array([0.0, 0.0, 0.0, 0.0, 5.0, 9.0]))
    0.0
    """
    ordered = np.sort(np.asarray(values).ravel())
    if ordered.size > most_samples:
        ordered = ordered[:: round(ordered.size / most_samples)]
    steps = np.arange(ordered.size, dtype=float)
    rise, run = float(ordered[-1]) - float(ordered[0]), float(ordered.size - 1)
    # Distance from the line, without the factor that is the same for all.
    distance = np.abs(rise * steps - run * (ordered.astype(float) - float(ordered[0])))
    return float(ordered[int(np.argmax(distance))])


@dataclass
class PixelMoments:
    """Sums over the planes of a view, of every pixel: exact, so independent of how the planes are read.

    Attributes
    ----------
    total, squares : ndarray of int64
        Sum and sum of squares (y, x).
    planes : int
        Planes that were added.
    """

    total: npt.NDArray[np.int64]
    squares: npt.NDArray[np.int64]
    planes: int = 0

    @classmethod
    def of_shape(cls, height: int, width: int) -> PixelMoments:
        """Begin with no plane."""
        return cls(np.zeros((height, width), np.int64), np.zeros((height, width), np.int64))

    def add(self, planes: Counts, rows: Bands) -> None:
        """Add planes (z, y, x)."""
        from linumpy_lib.fusion.view_kernels import add_moments

        rows.run(planes.shape[1], lambda first, last: add_moments(planes, first, last, self.total, self.squares))
        self.planes += planes.shape[0]

    def mean(self) -> Floats:
        """Return the mean of each pixel."""
        return self.total / self.planes

    def deviation(self) -> Floats:
        """Return the standard deviation of each pixel (of the planes as they are, not of a larger population)."""
        count = self.planes
        # whole numbers up to here, so that equal pixels have equal deviations; 40 000 planes of white still fit
        return np.sqrt((count * self.squares - self.total * self.total) / (count * count))


def check_kernel(kernel: Sequence[int]) -> tuple[int, int]:
    """Return a median window (y, x).

    Raises
    ------
    ParameterError
        If it is not two odd sizes.
    """
    sizes = tuple(int(n) for n in kernel)
    if len(sizes) != 2 or min(sizes) < 1 or any(n % 2 == 0 for n in sizes):
        raise ParameterError(f"median_kernel = {kernel!r}: give two odd sizes (y, x)")
    return sizes[0], sizes[1]


def find_dead_pixels(moments: PixelMoments, background: float, kernel: Sequence[int] = (3, 3)) -> npt.NDArray[np.bool_]:
    """Tell which pixels are bad.

    Parameters
    ----------
    moments : PixelMoments
        Of the whole view.
    background : float
        Dark level of the camera.
    kernel : (int, int)
        Window (y, x) of the median that a pixel is compared with.

    Returns
    -------
    ndarray of bool
        (y, x), True where bad.

    Notes
    -----
    The mean is compared in relation to the local mean above the dark level. Where that is less than the noise of a
    typical pixel, or than one count, that takes its place: a dark level equal to the floor of the picture would
    otherwise make every ratio there arbitrarily large and hide pixels that are really hot.
    """
    from scipy import ndimage

    size = check_kernel(kernel)
    deviation = moments.deviation()
    apart = np.abs(deviation - ndimage.median_filter(deviation, size=size, mode="reflect"))
    mean = moments.mean() - background
    local = ndimage.median_filter(mean, size=size, mode="reflect")
    noise = max(float(np.median(deviation)), 1.0)
    ratio = np.abs(mean - local) / np.maximum(np.abs(local), noise)
    bad: npt.NDArray[np.bool_] = (apart > knee(apart)) | (ratio > knee(ratio))
    return bad


def replace_dead_pixels(planes: Counts, bad: npt.NDArray[np.bool_], kernel: Sequence[int], rows: Bands) -> None:
    """Replace bad pixels in place by the median around them in the same plane.

    Parameters
    ----------
    planes : ndarray of uint16
        Planes (z, y, x), changed in place.
    bad : ndarray of bool
        (y, x).
    kernel : (int, int)
        Window (y, x); beyond a border the pixels before it count in mirrored order.
    rows : Bands
        Threads.
    """
    from linumpy_lib.fusion.view_kernels import replace_pixels

    size = check_kernel(kernel)
    places = np.argwhere(bad)
    if places.size == 0:
        return
    dy, dx = (np.arange(n) - n // 2 for n in size)
    offsets_y, offsets_x = np.repeat(dy, dx.size), np.tile(dx, dy.size)
    rows.each(planes.shape[0], lambda first, last: replace_pixels(planes, first, last, places, offsets_y, offsets_x))


def correct_dead_pixels(
    volume: npt.NDArray[Any], background_value: float, kernel: Sequence[int] = (3, 3), *, threads: int | None = None
) -> Counts:
    """Find dead and hot pixels of a view and replace them by the median around them.

    Parameters
    ----------
    volume : ndarray
        View (z, y, x) in counts of 0 to 65535.
    background_value : float
        Dark level of the camera, for instance the 3rd percentile of a picture taken in the dark.
    kernel : (int, int)
        Window (y, x) of the median, odd sizes.
    threads : int, optional
        Threads, all processors by default; the result does not depend on it.

    Returns
    -------
    ndarray of uint16
        The corrected view.

    Raises
    ------
    InputError
        If voxels are no counts.
    ParameterError
        If a size of the window is even.

    Examples
    --------
    >>> view = np.random.default_rng(0).poisson(100, (20, 16, 16)).astype(np.uint16)
    >>> view[:, 5, 7] = 4000
    >>> bool(correct_dead_pixels(view, 80)[:, 5, 7].max() < 200)
    True
    """
    planes: Counts = counts_of(volume).copy()
    with bands(threads) as rows:
        moments = PixelMoments.of_shape(*planes.shape[1:])
        moments.add(planes, rows)
        replace_dead_pixels(planes, find_dead_pixels(moments, background_value, kernel), kernel, rows)
    return planes
