"""A corrected volume that is computed box by box as it is read: planes evened out, fields divided out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linumpy_lib.intensity.bspline import Floats
from linumpy_lib.intensity.field import BiasField
from linumpy_lib.intensity.z_intensity import PlaneCorrection

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class SectionField:
    """The bias field of planes `start` to `stop`; it knows nothing of the planes outside."""

    start: int
    stop: int
    field: BiasField


@dataclass(frozen=True)
class CorrectedVolume:
    """Lazy result of the corrections so far; indexed by three slices, or by one along z.

    Attributes
    ----------
    source : array_like, shape (z, y, x)
        The volume as it was, read in boxes.
    mask : array_like of bool, optional
        Tissue.
    planes : PlaneCorrection, optional
        Correction along z, applied to tissue.
    passes : sequence of sequences of SectionField
        Fields to divide by, pass after pass; the sections of a pass cover all planes.
    strength : float
        1 divides by the fields, 0 leaves what `planes` made, between they are mixed.
    zero_outside : bool
        Set voxels outside the mask to 0.
    """

    source: Any
    mask: Any | None = None
    planes: PlaneCorrection | None = None
    passes: Sequence[Sequence[SectionField]] = field(default_factory=tuple)
    strength: float = 1.0
    zero_outside: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Extents (z, y, x)."""
        z, y, x = self.source.shape
        return z, y, x

    def _box(self, key: slice | tuple[slice, ...]) -> Box:
        keys = key if isinstance(key, tuple) else (key,)
        z, y, x = (
            slice(*(keys[i] if i < len(keys) else slice(None)).indices(n)) for i, n in enumerate(self.source.shape)
        )
        return z, y, x

    def __getitem__(self, key: slice | tuple[slice, ...]) -> Floats:
        """Read and correct a box of contiguous voxels, float32."""
        box = self._box(key)
        raw = np.asarray(self.source[box])
        inside = None if self.mask is None else np.asarray(self.mask[box]) != 0
        block = raw.astype(np.float32)
        if self.planes is not None:
            for index, z in enumerate(range(box[0].start, box[0].stop)):
                block[index] = self.planes.apply(raw[index], z, None if inside is None else inside[index])
        if self.passes:
            before = block.copy() if self.strength < 1 else block
            for part, at, bias in self._parts(box):
                bias.correct(block[part], at, out=block[part])
            if self.strength < 1:
                block = np.float32(self.strength) * block + np.float32(1 - self.strength) * before
        if self.zero_outside and inside is not None:
            block[~inside] = 0
        return block

    def _parts(self, box: Box) -> list[tuple[slice, tuple[int, int, int], BiasField]]:
        parts = []
        for sections in self.passes:
            for section in sections:
                a, b = max(box[0].start, section.start), min(box[0].stop, section.stop)
                if a < b:
                    at = (a - section.start, box[1].start, box[2].start)
                    parts.append((slice(a - box[0].start, b - box[0].start), at, section.field))
        return parts

    def bias(self, key: slice | tuple[slice, ...]) -> Floats:
        """Return the product of the fields in a box, float32."""
        box = self._box(key)
        product = np.ones([s.stop - s.start for s in box], np.float32)
        for part, at, field_ in self._parts(box):
            gains = field_.correct(np.ones_like(product[part]), at)
            product[part] /= np.maximum(gains, np.float32(1e-30))
        return product


class Planes:
    """Planes `start` to `stop` of an array that is read in boxes."""

    def __init__(self, array: Any, start: int, stop: int) -> None:
        self._array, self._start = array, start
        self.shape = (stop - start, *array.shape[1:])

    def __getitem__(self, key: tuple[slice, slice, slice]) -> Any:
        """Read a box of contiguous voxels."""
        z = slice(key[0].start + self._start, key[0].stop + self._start)
        return self._array[z, key[1], key[2]]


class FieldView:
    """The field of a corrected volume, read in boxes."""

    def __init__(self, volume: CorrectedVolume) -> None:
        self._volume = volume
        self.shape = volume.shape

    def __getitem__(self, key: tuple[slice, slice, slice]) -> Floats:
        """Evaluate a box."""
        return self._volume.bias(key)
