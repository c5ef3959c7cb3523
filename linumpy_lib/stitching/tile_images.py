"""Few-plane images of tiles for matching: means over bands of depth, brightness made comparable."""

from __future__ import annotations

import functools
import itertools
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.io.mosaic_grid import MosaicGrid
from linumpy_lib.io.volume import Volume
from linumpy_lib.stitching.layout import Place

Array = npt.NDArray[Any]

BANDS = 4
SMOOTHING_PX = 1.0
_BLOCK_BYTES = 48 << 20
# Share of a tile's shorter side over which brightness is levelled before tiles are correlated, and its bounds.
_LEVELLING = 0.1
_LEVELLING_PX = (6.0, 24.0)
# Below this share of a band's typical brightness differences are noise, not structure.
_FLOOR = 0.1


class TileImages:
    """Images of every tile of a mosaic, kept in an unnamed file, so that memory does not grow with the slice.

    Two versions of each are kept: *log*, the logarithm of the brightness; and *level*, the same smoothed by one pixel,
    less its mean over a wide neighbourhood.

    Parameters
    ----------
    volume : Volume
        Mosaic (z, y, x).
    grid : MosaicGrid
        Its tiles.
    folder : Path
        Where the unnamed file may live.
    places : iterable of (row, column), optional
        Tiles to look at, by default all.
    threads : int
        Threads that read.
    advance : callable, optional
        Called for each tile.

    Attributes
    ----------
    places : list of (row, column)
        Tiles that hold anything; the others are holes.
    empty : list of (row, column)
        Tiles that the grid lists but whose voxels are all zero.
    saturated : float
        Largest share of a tile's voxels that equal the tile's maximum.

    Raises
    ------
    InputError
        If a voxel is not a number, or infinite.
    """

    def __init__(
        self,
        volume: Volume,
        grid: MosaicGrid,
        folder: Path,
        *,
        places: Iterable[Place] | None = None,
        threads: int = 1,
        advance: Callable[[], None] | None = None,
    ) -> None:
        self.tile = (grid.tile_shape[1], grid.tile_shape[2])
        self.bands = band_edges(grid.tile_shape[0])
        self._volume, self._grid = volume, grid
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this object
        self._slots: dict[Place, int] = {}
        self.empty: list[Place] = []
        self.saturated = 0.0
        self.negative = False
        try:
            self._make(list(grid.places() if places is None else places), threads, advance)
        except BaseException:
            self.close()
            raise

    def _make(self, listed: list[Place], threads: int, advance: Callable[[], None] | None) -> None:
        typical = []
        with ThreadPoolExecutor(max(1, threads)) as pool:
            projected = in_order(pool, self._project, listed, threads + 1)
            for place, (mean, saturated, low) in zip(listed, projected, strict=True):
                if mean is None:
                    self.empty.append(place)
                else:
                    self._slots[place] = len(self._slots)
                    self._write(place, 0, mean)
                    typical.append([float(np.median(np.abs(band))) for band in mean])
                    self.saturated = max(self.saturated, saturated)
                    self.negative = self.negative or low < 0
                if advance is not None:
                    advance()
            self.places = list(self._slots)
            floor = _FLOOR * np.median(typical, axis=0) if typical else np.ones(len(self.bands))
            floor = np.maximum(floor, 1e-6 * max(float(floor.max(initial=0.0)), 1e-30))
            made = in_order(pool, lambda place: _versions(self._read(place, 0), floor), self.places, threads + 1)
            for place, versions in zip(self.places, made, strict=True):
                for version, images in enumerate(versions):
                    self._write(place, version, images)

    def log(self, place: Place) -> Array:
        """Logarithm of the brightness: float32 (bands, y, x)."""
        return self._read(place, 0)

    def level(self, place: Place) -> Array:
        """`log`, smoothed, less its wide neighbourhood's mean: float32 (bands, y, x)."""
        return self._read(place, 1)

    @functools.cached_property
    def background_level(self) -> float:
        """Otsu's threshold of the logarithms of all tiles, mean over depth: what lies below is background."""
        values = np.concatenate([self.log(place).mean(axis=0)[::4, ::4].ravel() for place in self.places])
        return otsu(values)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    @property
    def _n_bytes(self) -> int:
        return 4 * len(self.bands) * self.tile[0] * self.tile[1]

    def _write(self, place: Place, version: int, images: Array) -> None:
        data = np.ascontiguousarray(images, np.float32)
        os.pwrite(self._file.fileno(), data.data, (2 * self._slots[place] + version) * self._n_bytes)

    def _read(self, place: Place, version: int) -> Array:
        data = os.pread(self._file.fileno(), self._n_bytes, (2 * self._slots[place] + version) * self._n_bytes)
        return np.frombuffer(data, np.float32).reshape(len(self.bands), *self.tile)

    def _project(self, place: Place) -> tuple[Array | None, float, float]:
        """Mean over each band of depth, share of voxels at the maximum, minimum; None for a tile of zeros."""
        _, ys, xs = self._grid.box(*place)
        means = np.empty((len(self.bands), *self.tile), np.float32)
        high, low, at_high, filled = -np.inf, np.inf, 0, False
        step = max(1, _BLOCK_BYTES // (4 * self.tile[0] * self.tile[1]))
        for band, (first, last) in enumerate(self.bands):
            total = np.zeros(self.tile)
            for z in range(first, last, step):
                block = self._volume.read((slice(z, min(z + step, last)), ys, xs))
                part = block.sum(axis=0, dtype=np.float64)
                if not np.isfinite(part).all():
                    raise InputError(
                        f"{self._volume.name}: tile at row {place[0]}, column {place[1]} holds voxels that are not "
                        "finite; mend or leave out that tile and make the mosaic again"
                    )
                total += part
                top, bottom = float(block.max()), float(block.min())
                filled = filled or top != 0 or bottom != 0
                low = min(low, bottom)
                if top > high:
                    high, at_high = top, 0
                if top == high:
                    at_high += int(np.count_nonzero(block == high))
            means[band] = total / (last - first)
        if not filled:
            return None, 0.0, 0.0
        voxels = self._grid.tile_shape[0] * self.tile[0] * self.tile[1]
        return means, at_high / voxels if high > low else 1.0, low


def otsu(values: Array) -> float:
    """Threshold that parts values into two classes with the largest variance between them.

    Examples
    --------
    >>> 1 < otsu(np.array([0.0, 1.0, 9.0, 10.0])) < 9
    True
    """
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    best = np.flatnonzero(between == np.nanmax(between)) if np.isfinite(between).any() else np.array([0])
    # Between two classes that are far apart every bin is as good: take the middle one.
    return float(edges[1 + best].mean())


def band_edges(depth: int) -> list[tuple[int, int]]:
    """Split the depth into bands of about equal thickness.

    Examples
    --------
    >>> band_edges(10)
    [(0, 2), (2, 5), (5, 7), (7, 10)]
    """
    count = min(BANDS, depth)
    edges = [depth * k // count for k in range(count + 1)]
    return list(itertools.pairwise(edges))


def _versions(mean: Array, floor: Array) -> tuple[Array, Array]:
    from scipy import ndimage

    logs, level = np.empty_like(mean), np.empty_like(mean)
    wide = float(np.clip(_LEVELLING * min(mean.shape[1:]), *_LEVELLING_PX))
    # Averages near the border are those of what exists: a mirrored border would look different in the other tile.
    share = ndimage.gaussian_filter(np.ones(mean.shape[1:]), wide, mode="constant", truncate=3)
    for band, image in enumerate(mean):
        log = np.log(np.maximum(image, 0).astype(np.float64) + floor[band])
        logs[band] = log
        level[band] = ndimage.gaussian_filter(log, SMOOTHING_PX, mode="nearest")
        level[band] -= ndimage.gaussian_filter(log, wide, mode="constant", truncate=3) / share
    return logs, level


X = TypeVar("X")
Y = TypeVar("Y")


def in_order(pool: ThreadPoolExecutor, function: Callable[[X], Y], items: Iterable[X], ahead: int) -> Iterator[Y]:
    """Results of `function` in the order of `items`, with at most `ahead` calls under way."""
    waiting: deque[Future[Y]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
