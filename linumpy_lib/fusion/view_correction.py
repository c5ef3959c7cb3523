"""The corrections of one view in slabs of planes: three passes over it, memory bounded by the slab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.fusion.bands import Bands
from linumpy_lib.fusion.dead_pixels import PixelMoments, find_dead_pixels, replace_dead_pixels
from linumpy_lib.fusion.percentiles import percentile_of_counts
from linumpy_lib.fusion.segmentation import (
    CoordinateSums,
    Counts,
    CountTable,
    Mask,
    Smoothing,
    mask_above,
    smooth_planes,
)
from linumpy_lib.fusion.view_geometry import TurnedView
from linumpy_lib.io.volume import Volume

SLAB_BYTES = 1 << 27
KEEP_BYTES = 1 << 29


@dataclass(frozen=True)
class CorrectionChoices:
    """How a view is corrected; the names are those of the step's parameters.

    Attributes
    ----------
    median_kernel : tuple of int
        Window (y, x) of the dead pixels' median; empty leaves them.
    background_value : float or None
        Dark level of the camera; None takes the 3rd percentile of the view itself.
    """

    median_kernel: tuple[int, ...] = (3, 3)
    background_value: float | None = None
    background_percentile: float = 5.0
    mask_percentile: float = 1.0
    subsample_factor: int = 100
    gauss_kernel: int = 5
    gauss_sigma: float = 2.0
    segment_threshold: float = 0.4
    splitting: int = 10
    scaling: float = 1.0
    segment: bool = True


@dataclass
class Slab:
    """Corrected planes of a view.

    Attributes
    ----------
    first : int
        Number of the first plane.
    planes : ndarray of uint16
        (z, y, x).
    mask : ndarray of uint8 or None
        Foreground, where the view is segmented.
    """

    first: int
    planes: Counts
    mask: Mask | None


@dataclass
class Findings:
    """What the passes over a view found.

    Attributes
    ----------
    background_value : float
        Dark level that dead pixels were judged by.
    dead_pixels : ndarray of bool or None
        (y, x), None where they were not looked for.
    mask_minimum, level : float or None
        Darkest value of the smoothed view, and the level above which foreground begins.
    background : float
        Percentile of the corrected voxels above zero.
    foreground : int
        Voxels of the mask.
    """

    background_value: float = 0.0
    dead_pixels: npt.NDArray[np.bool_] | None = None
    mask_minimum: float | None = None
    level: float | None = None
    background: float = 0.0
    foreground: int = 0
    coordinates: CoordinateSums | None = None
    projections: dict[str, Counts] = field(default_factory=dict)


class ViewCorrection:
    """Corrects a view slab by slab.

    Parameters
    ----------
    view : TurnedView
        The view, cropped, turned and mirrored.
    choices : CorrectionChoices
        What to do.
    rows : Bands
        Threads.
    masks : sequence of Volume
        Masks to apply, joined, in place of an own one.

    Notes
    -----
    The first pass sums every pixel over the planes, which tells the dead ones. The second smooths the view and counts
    its values, which tells the level of the foreground. The third hands out slabs. A view that is small enough is kept
    between second and third.

    Raises
    ------
    InputError
        If a mask has another shape than the view.
    """

    def __init__(self, view: TurnedView, choices: CorrectionChoices, rows: Bands, masks: Sequence[Volume] = ()) -> None:
        self.view, self.choices, self.rows, self.masks = view, choices, rows, list(masks)
        self.found = Findings()
        depth, height, width = view.shape
        for mask in self.masks:
            if mask.shape != view.shape:
                raise InputError(
                    f"{mask.name}: has the shape {mask.shape}, the view {view.shape}; give masks of views that are "
                    "cropped and turned alike"
                )
        plane = 2 * height * width
        self.step = max(1, min(-(-depth // choices.splitting), SLAB_BYTES // plane))
        self._smoothing = Smoothing.choose(choices.gauss_kernel, choices.gauss_sigma, choices.scaling)
        keep = 2 * plane * depth <= KEEP_BYTES
        self._kept = np.empty(view.shape, np.uint16) if keep else None
        self._kept_smooth = np.empty(view.shape, np.uint16) if keep and self._segments else None
        self._window: tuple[int, Counts] | None = None

    @property
    def _segments(self) -> bool:
        return self.choices.segment and not self.masks

    @property
    def masked(self) -> bool:
        """Whether slabs come with a mask."""
        return self.choices.segment or bool(self.masks)

    def examine(self) -> Findings:
        """Look at the whole view: dead pixels, background, level of the foreground."""
        choices, found = self.choices, self.found
        depth = self.view.shape[0]
        if choices.median_kernel:
            self._find_dead_pixels()
        counts, smoothed = CountTable(choices.subsample_factor), CountTable(choices.subsample_factor)
        for first, last in self._spans(0, depth):
            planes, below = self._corrected(first, last)
            own = planes[below : below + last - first]
            counts.add(own, first)
            if self._kept is not None:
                self._kept[first:last] = own
            if self._segments:
                smooth = smooth_planes(
                    planes, below, planes.shape[0] - below - (last - first), self._smoothing, self.rows
                )
                smoothed.add(smooth, first, self.rows)
                if self._kept_smooth is not None:
                    self._kept_smooth[first:last] = smooth
        counts.sample[0] = 0
        found.background = percentile_of_counts(counts.sample, choices.background_percentile)
        if self._segments:
            found.mask_minimum, found.level = smoothed.level(choices.mask_percentile, choices.segment_threshold)
        self._window = None
        return found

    def _find_dead_pixels(self) -> None:
        moments = PixelMoments.of_shape(*self.view.shape[1:])
        counts = CountTable(self.choices.subsample_factor)
        for first, last in self._spans(0, self.view.shape[0]):
            planes = self.view.planes(first, last)
            moments.add(planes, self.rows)
            if self.choices.background_value is None:
                counts.add(planes, first)
        counts.sample[0] = 0
        known = self.choices.background_value
        self.found.background_value = percentile_of_counts(counts.sample, 3.0) if known is None else known
        self.found.dead_pixels = find_dead_pixels(moments, self.found.background_value, self.choices.median_kernel)

    def _spans(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        for start in range(first, last, self.step):
            yield start, min(start + self.step, last)

    def _corrected(self, first: int, last: int) -> tuple[Counts, int]:
        """Read planes without dead pixels, with the neighbours that smoothing needs; and the number of those in front.

        Planes that the call before returned are not read again.
        """
        reach = self._smoothing.reach if self._segments else 0
        begin, end = max(0, first - reach), min(self.view.shape[0], last + reach)
        parts, at = [], begin
        if self._window is not None:
            start, before = self._window
            stop = start + before.shape[0]
            if start <= begin < stop <= end:
                parts.append(before[begin - start :])
                at = stop
        if at < end:
            fresh = self.view.planes(at, end)
            bad = self.found.dead_pixels
            if bad is not None:
                replace_dead_pixels(fresh, bad, self.choices.median_kernel, self.rows)
            parts.append(fresh)
        planes = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._window = begin, planes
        return planes, first - begin

    def slabs(self, thickness: int) -> Iterator[Slab]:
        """Yield the corrected view and its mask in slabs of `thickness` planes; call `examine` first.

        What the mask covers is summed up in `found` as slabs pass by: foreground, coordinates and projections.
        """
        depth, height, width = self.view.shape
        found = self.found
        found.projections = {
            "xy": np.zeros((height, width), np.uint16),
            "xz": np.zeros((depth, width), np.uint16),
            "yz": np.zeros((depth, height), np.uint16),
        }
        found.coordinates = CoordinateSums.of_shape(self.view.shape) if self.masked else None
        for begin in range(0, depth, thickness):
            end = min(begin + thickness, depth)
            planes = np.empty((end - begin, height, width), np.uint16)
            mask = np.empty(planes.shape, np.uint8) if self.masked else None
            for first, last in self._spans(begin, end):
                inner = slice(first - begin, last - begin)
                self._fill(first, last, planes[inner], None if mask is None else mask[inner])
            yield Slab(begin, planes, mask)
        self._window = None

    def _fill(self, first: int, last: int, planes: Counts, mask: Mask | None) -> None:
        from linumpy_lib.fusion.view_kernels import mask_rows

        found, height = self.found, planes.shape[1]
        if self._kept is not None:
            planes[...] = self._kept[first:last]
        else:
            window, below = self._corrected(first, last)
            planes[...] = window[below : below + last - first]
        if mask is not None:
            mask[...] = self._mask(first, last)
            self.rows.run(height, lambda low, high: mask_rows(planes, mask, low, high))
            assert found.coordinates is not None
            found.coordinates.add(mask, first, self.rows)
            found.foreground += int(np.count_nonzero(mask))
        self._project(planes, first)

    def _mask(self, first: int, last: int) -> Mask:
        if self.masks:
            joined = self.masks[0].read(slice(first, last)) != 0
            for other in self.masks[1:]:
                joined |= other.read(slice(first, last)) != 0
            return np.asarray(joined, np.uint8)
        assert self.found.level is not None
        if self._kept_smooth is not None:
            return mask_above(self._kept_smooth[first:last], self.found.level, self.rows)
        window, below = self._corrected(first, last)
        above = window.shape[0] - below - (last - first)
        return mask_above(smooth_planes(window, below, above, self._smoothing, self.rows), self.found.level, self.rows)

    def _project(self, planes: Counts, first: int) -> None:
        from linumpy_lib.fusion.view_kernels import project_rows

        found, last = self.found.projections, first + planes.shape[0]
        yz = found["yz"][first:last]

        def work(low: int, high: int) -> Counts:
            part = np.zeros((planes.shape[0], planes.shape[2]), np.uint16)
            project_rows(planes, low, high, found["xy"], part, yz)
            return part

        xz = found["xz"][first:last]
        for part in self.rows.run(planes.shape[1], work):
            np.maximum(xz, part, out=xz)
