"""A fused view that is computed where it is read: region by region, in bounded memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.fusion.blending import Method, as_dtype, blend_adaptive, blend_average, blend_wavelet
from linumpy_lib.fusion.pair_views import FlippedReader, PairRecord
from linumpy_lib.fusion.quality_model import Quality, estimate_noise, estimate_quality
from linumpy_lib.fusion.quality_weighting import HOP, REACH, blend_quality
from linumpy_lib.fusion.transform import sampled

Floats = npt.NDArray[np.float32]
Region = tuple[slice, ...]
Reader = Callable[[tuple[slice, slice, slice]], npt.NDArray[Any]]
_MODEL_SIDE = 512
_MODEL_PLANES = 64


@dataclass(frozen=True)
class FusionChoices:
    """How a pair is joined: the method, planes on each side of the transition, which view is better at low indices."""

    method: Method
    blending_range: int
    first_is_low: bool


class FusedView:
    """Source of a fused view for `write_volume`.

    Attributes
    ----------
    shape : tuple of int
        Shape of both views (z, y, x).
    dtype : dtype
        That of the reference.
    readers : pair of callable
        Give the voxels of a box of the first and the second view.
    backgrounds : (float, float)
        Levels that are subtracted from them.
    quality : Quality or None
        What quality weighting measured.
    """

    def __init__(
        self,
        reference: FlippedReader,
        moving: FlippedReader,
        record: PairRecord,
        topology: Floats,
        choices: FusionChoices,
        threads: int = 1,
    ) -> None:
        if record.refused:
            raise InputError(
                f"{record.name}: the registration was refused ({record.refused}); there is nothing to fuse"
            )
        self.readers: tuple[Reader, Reader] = reference, moving
        self.backgrounds = record.backgrounds
        self._record = record
        self._choices = choices
        self._threads = threads
        self._axis = 0 if record.mode == "camera" else 2
        self.shape = reference.shape
        self.first_is_low = choices.first_is_low
        self.dtype: np.dtype[Any] = np.dtype(reference.volume.dtype)
        self.chunks: tuple[int, ...] | None = None
        extent = self.shape[self._axis]
        self.reach = max(0, min(choices.blending_range, (extent - 1) // 2))
        self.topology = self._columns(topology)
        # The dimmer view is brightened, so counts are never lost.
        self.gains = (1.0, record.factor) if record.factor >= 1 else (1 / max(record.factor, 1e-6), 1.0)
        self.quality = self._model() if choices.method == "quality_weighted" else None

    def _columns(self, small: Floats) -> npt.NDArray[np.int32]:
        """Topology of every column in full pixels, within what the transition needs."""
        sides = [n for k, n in enumerate(self.shape) if k != self._axis]
        index = [np.minimum(np.arange(n) * m // n, m - 1) for n, m in zip(sides, small.shape, strict=True)]
        full = small[np.ix_(*index)]
        extent = self.shape[self._axis]
        if self._choices.method == "geometric":
            full = np.full(sides, np.floor(extent / 2 + 0.5))
        low, high = max(1, self.reach), max(1, extent - self.reach)
        places = np.where(full > 0, np.clip(np.floor(full + 0.5), low, max(low, high)), 0)
        columns: npt.NDArray[np.int32] = places.astype(np.int32)
        return columns

    def pair(
        self, box: tuple[slice, slice, slice]
    ) -> tuple[Floats, Floats, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Read both views of a box, moved onto each other, without background; and where each holds no value."""
        first = np.asarray(self.readers[0](box), np.float32)
        second, valid = sampled(self.readers[1], self.shape, self._record.transform, box)
        # A cubic spline swings beyond the values at steep edges; nothing brighter or darker than was seen is made.
        np.clip(second, *self._record.ranges[1], out=second)
        # Segmented views are 0 where there is no foreground, which is not a measurement.
        missing = first == 0, ~valid | (second <= 0)
        one, two = (v - np.float32(b) for v, b in zip((first, second), self.backgrounds, strict=True))
        return one, two, missing[0], missing[1]

    def _model(self) -> Quality:
        z, y, x = self.shape
        inner = [slice(max(0, (n - _MODEL_SIDE) // 2), min(n, (n + _MODEL_SIDE) // 2)) for n in (y, x)]
        planes = np.unique(np.linspace(0, z - 1, min(z, _MODEL_PLANES)).round().astype(int))
        first, second, raw = [], [], []
        for k in planes:
            one, two, gone, away = self.pair((slice(int(k), int(k) + 1), inner[0], inner[1]))
            first.append(np.where(gone, 0, one)[0])
            second.append(np.where(away, 0, two)[0])
            seen = np.asarray(self.readers[1]((slice(int(k), int(k) + 1), inner[0], inner[1])), np.float32)[0]
            raw.append(np.where(seen > 0, seen - self.backgrounds[1], 0))
        one, two = np.stack(first), np.stack(second)
        noise = estimate_noise(one), estimate_noise(np.stack(raw))
        few = estimate_quality(one, two, first_is_low=self._choices.first_is_low, noise=noise)
        # Planes of the subset to planes of the view.
        step = (z - 1) / max(1, len(planes) - 1)
        ratio = few.log_ratio[0] / max(step, 1e-9), few.log_ratio[1]
        return Quality(noise, ratio, few.blur_slope / max(step, 1e-9), few.first_is_low, z)

    def with_readers(self, first: Reader, second: Reader) -> FusedView:
        """Return this view, fused from other voxels in the same way."""
        other = copy.copy(self)
        other.readers = first, second
        return other

    def read(self, region: Region) -> npt.NDArray[Any]:
        """Return a region of the fused view."""
        fused, low, high = self._computed(region)
        return as_dtype(fused, self.dtype, min(low, 0.0), high)

    def joined(self, region: Region) -> Floats:
        """Return a region of the fused view before it is rounded to the data type."""
        return self._computed(region)[0]

    def _computed(self, region: Region) -> tuple[Floats, float, float]:
        box = (region[0], region[1], region[2])
        method = self._choices.method
        if method == "quality_weighted":
            fused, low, high = self._quality(box)
        else:
            if method == "wavelet":
                box = (box[0], slice(0, self.shape[1]), slice(0, self.shape[2]))
            one, two, gone, away = self.pair(box)
            one, two = (np.maximum(v, 0) * np.float32(g) for v, g in zip((one, two), self.gains, strict=True))
            # Where one view has nothing, the other stands alone.
            one, two = np.where(gone & ~away, two, one), np.where(away & ~gone, one, two)
            low, high = (f(f(one), f(two)) for f in (_smallest, _largest))
            fused = self._joined(one, two, box)
            fused[gone & away] = 0
            if method == "wavelet":
                fused = fused[:, region[1], region[2]]
        return fused, low, high

    def _joined(self, one: Floats, two: Floats, box: tuple[slice, slice, slice]) -> Floats:
        if self._choices.method == "average":
            return blend_average(one, two)
        if self._choices.method == "wavelet":
            return blend_wavelet(one, two)
        columns = self.topology[tuple(s for k, s in enumerate(box) if k != self._axis)]
        return blend_adaptive(
            one,
            two,
            columns,
            axis=self._axis,
            blending_range=self.reach,
            first_is_low=self._choices.first_is_low,
            start=box[self._axis].start,
        )

    def _quality(self, box: tuple[slice, slice, slice]) -> tuple[Floats, float, float]:
        assert self.quality is not None
        # Blocks lie on multiples of 16 of the whole view; one block around the region decides on its voxels too.
        wide = tuple(
            slice(max(0, (s.start // HOP - 1) * HOP - REACH), min(n, (-(-s.stop // HOP) + 1) * HOP + REACH))
            for s, n in zip(box, self.shape, strict=True)
        )
        inner = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box, wide, strict=True))
        one, two, gone, away = self.pair((wide[0], wide[1], wide[2]))
        one, two = np.where(gone, 0, one), np.where(away, 0, two)
        fused = blend_quality(
            one,
            two,
            self.quality,
            start=(wide[0].start, wide[1].start, wide[2].start),
            missing=(gone, away),
            inner=inner,
            limits=self._limits(),
            threads=self._threads,
        )
        fused[(gone & away)[inner]] = 0
        part = np.maximum(fused, 0)
        return part, 0.0, float(part.max()) if part.size else 0.0

    def _limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Range of both views without their background."""
        (a, b), (c, d) = self._record.ranges
        one, two = self.backgrounds
        return (a - one, b - one), (c - two, d - two)


def _smallest(*values: Any) -> float:
    return float(min(np.min(v) for v in values))


def _largest(*values: Any) -> float:
    return float(max(np.max(v) for v in values))
