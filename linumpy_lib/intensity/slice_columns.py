"""Slices as columns: full-depth blocks to stream, and mean A-lines of lateral bins to measure on.

Depth corrections treat A-lines one by one, so a slice is read and written in blocks of whole A-lines. What they need to
know of a slice before (its interface, its agarose, its decay) is measured on means over small lateral bins: few enough
to hold, and free of most speckle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError

if TYPE_CHECKING:
    from linumpy_lib.io import Volume
    from linumpy_lib.step import Task

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

SMALLEST_BIN = 4
BINS_BYTES = 48 * 2**20
BLOCK_BYTES = 64 * 2**20
_CHUNK = 64


def slice_volume(volume: Volume) -> Volume:
    """Return a slice with axes z, y, x.

    Raises
    ------
    InputError
        If it has several channels or time points, no voxel size, or fewer than 4 planes.
    """
    for axis in "tc":
        if axis in volume.axes and volume.shape[volume.axes.index(axis)] == 1:
            volume = volume.pick(**{axis: 0})
    if volume.axes != "zyx":
        raise InputError(f"{volume.name}: axes are '{volume.axes}'; give a slice of one channel with axes z, y, x")
    if volume.shape[0] < 4:
        raise InputError(f"{volume.name}: has {volume.shape[0]} planes; a slice needs at least 4 to see its depth")
    volume.require_spacing()
    return volume


@dataclass
class Defects:
    """Voxels that were no intensities, counted over the whole slice."""

    not_finite: int = 0
    negative: int = 0

    def tell(self, task: Task, name: str) -> None:
        """Note what was found."""
        for count, text in ((self.not_finite, "not finite"), (self.negative, "negative")):
            if count:
                task.note(f"{name}: {count} voxels are {text} and count as 0")


def clean(block: npt.NDArray[Any], defects: Defects | None = None) -> Floats:
    """Return intensities as float32 of at least 0; what is not finite or negative becomes 0 and is counted."""
    values: Floats = np.array(block, np.float32, copy=True)
    with np.errstate(invalid="ignore"):
        good = values >= 0
    good &= values < np.inf
    if not good.all():
        if defects is not None:
            missing = int(np.count_nonzero(~np.isfinite(values)))
            defects.not_finite += missing
            defects.negative += int(good.size - np.count_nonzero(good)) - missing
        values[~good] = 0
    return values


def block_width(depth: int) -> int:
    """Voxels along y and x of a block of whole A-lines."""
    width = 4 * _CHUNK
    while width > _CHUNK and depth * width * width * 4 > BLOCK_BYTES:
        width //= 2
    return width


@dataclass(frozen=True)
class BinnedSlice:
    """Mean A-lines of lateral bins.

    Attributes
    ----------
    lines : ndarray of float32, shape (z, bins along y, bins along x)
        Mean intensity of each bin at each depth; columns without data (0 at every depth) are left out.
    filled : ndarray of float32, shape (bins along y, bins along x)
        Fraction of each bin's columns that hold data.
    width : int
        Voxels along y and x of a bin; the last ones are cut at the slice's edge.
    shape : tuple of int
        Voxels (z, y, x) of the slice.
    spacing_um : tuple of float
        Voxel size (z, y, x).
    highest : float
        Highest intensity of the slice.
    """

    lines: Floats
    filled: Floats
    width: int
    shape: tuple[int, int, int]
    spacing_um: tuple[float, float, float]
    highest: float
    defects: Defects = field(default_factory=Defects)

    @property
    def known(self) -> Bools:
        """Bins of which at least half hold data, shape (bins along y, bins along x)."""
        found: Bools = self.filled >= 0.5
        return found

    def expand(self, plane: npt.NDArray[Any], region: tuple[slice, ...]) -> Floats:
        """Interpolate a map of bins linearly to the columns of a region (its last two axes are y and x)."""
        along = []
        for box, extent, bins in zip(region[-2:], self.shape[1:], plane.shape, strict=True):
            centres = np.array([(k * self.width + min((k + 1) * self.width, extent) - 1) / 2 for k in range(bins)])
            position = np.interp(np.arange(box.start, box.stop), centres, np.arange(bins))
            low = np.minimum(position.astype(np.int64), max(0, bins - 2))
            along.append((low, np.minimum(low + 1, bins - 1), (position - low).astype(np.float32)))
        (y0, y1, fy), (x0, x1, fx) = along
        values = np.asarray(plane, np.float32)
        rows = values[y0] * (1 - fy[:, None]) + values[y1] * fy[:, None]
        result: Floats = rows[:, x0] * (1 - fx) + rows[:, x1] * fx
        return result


def bin_width(shape: tuple[int, ...]) -> int:
    """Width of the bins of a slice: small, and as few as fit `BINS_BYTES`."""
    width = SMALLEST_BIN
    while shape[0] * math.ceil(shape[1] / width) * math.ceil(shape[2] / width) * 4 > BINS_BYTES:
        width *= 2
    return width


def bin_slice(volume: Volume, task: Task | None = None) -> BinnedSlice:
    """Measure the mean A-lines of lateral bins in one pass over a slice.

    Parameters
    ----------
    volume : Volume
        The slice (z, y, x).
    task : Task, optional
        Gives threads and progress; defects are noted there.

    Raises
    ------
    InputError
        If no voxel holds a positive intensity.
    """
    from linumpy_lib.blocks import grid, stream

    nz, ny, nx = (int(n) for n in volume.shape)
    z_um, y_um, x_um = volume.require_spacing()
    width = bin_width((nz, ny, nx))
    size = max(block_width(nz) // width, 1) * width
    lines = np.zeros((nz, math.ceil(ny / width), math.ceil(nx / width)), np.float32)
    filled = np.zeros(lines.shape[1:], np.float32)
    highest, defects = 0.0, Defects()

    def measure(block: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Floats, float, Defects]:
        found = Defects()
        values = clean(block, found)
        lit = values.any(axis=0)
        starts = [np.arange(0, n, width) for n in values.shape[1:]]
        # y first, plane by plane: adding whole rows is what memory is fastest at
        sums = np.add.reduceat(np.add.reduceat(values, starts[0], axis=1), starts[1], axis=2, dtype=np.float64)
        counts = np.add.reduceat(np.add.reduceat(lit.astype(np.float64), starts[0], axis=0), starts[1], axis=1)
        sizes = np.outer(*(np.diff([*s, n]) for s, n in zip(starts, values.shape[1:], strict=True)))
        mean = sums / np.maximum(counts, 1)
        return mean.astype(np.float32), (counts / sizes).astype(np.float32), float(values.max()), found

    def keep(region: tuple[slice, ...], found: tuple[npt.NDArray[Any], Floats, float, Defects]) -> None:
        nonlocal highest
        y, x = (slice(box.start // width, math.ceil(box.stop / width)) for box in region[1:])
        lines[:, y, x], filled[y, x] = found[0], found[1]
        highest = max(highest, found[2])
        defects.not_finite += found[3].not_finite
        defects.negative += found[3].negative

    stream(
        list(grid((nz, ny, nx), (nz, size, size))),
        volume.read,
        measure,
        keep,
        threads=1 if task is None else task.threads,
        queue=1,
        description="measure",
        progress=task is not None and task.progress,
    )
    if task is not None:
        defects.tell(task, volume.name)
    if not highest > 0:
        raise InputError(
            f"{volume.name}: holds no positive intensity; leave the slice out (use=false in slice_config.csv), or make "
            "it again"
        )
    return BinnedSlice(lines, filled, width, (nz, ny, nx), (z_um, y_um, x_um), highest, defects)


def write_columns(
    volume: Volume,
    task: Task,
    pattern: str,
    change: Callable[[Floats, tuple[slice, ...]], npt.NDArray[Any]],
    *,
    provenance: Mapping[str, Any],
    planes: tuple[int, int] | None = None,
) -> None:
    """Write a slice, changed block by block.

    Parameters
    ----------
    volume : Volume
        The slice (z, y, x).
    task : Task
        Where it goes.
    pattern : str
        File name pattern of the result.
    change : callable
        ``change(block, region) -> block``; float32 blocks of whole A-lines and their box in the slice.
    provenance : mapping
        Goes into the store.
    planes : (int, int), optional
        First plane to keep and the one after the last.
    """
    from linumpy_lib.blocks import stream
    from linumpy_lib.io import VolumeWriter

    first, last = planes or (0, int(volume.shape[0]))
    depth = last - first
    width = block_width(depth)
    origin = list(volume.origin_um)
    origin[0] += first * volume.require_spacing()[0]

    def read(region: tuple[slice, ...]) -> tuple[Floats, tuple[slice, ...]]:
        box = (slice(first, last), *region[1:])
        return volume.read(box), box

    with VolumeWriter(
        task.path(pattern),
        shape=(depth, *volume.shape[1:]),
        dtype="float32",
        spacing_um=volume.require_spacing(),
        origin_um=origin,
        provenance=provenance,
        chunks=(_CHUNK, _CHUNK, _CHUNK),
        shards=(math.ceil(depth / _CHUNK) * _CHUNK, width, width),
        levels=1,
        threads=task.threads,
    ) as writer:
        stream(
            writer.regions(),
            read,
            lambda found: change(clean(found[0]), found[1]),
            writer.write,
            threads=task.threads,
            queue=1,
            description=f"write {writer.name}",
            progress=task.progress,
        )
