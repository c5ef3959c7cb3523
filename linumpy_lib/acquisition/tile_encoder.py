"""From a raw tile to the encoded chunks of its place in a mosaic; called from several threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.acquisition.raw_tile import Checksum, RawTile, prefetch
from linumpy_lib.acquisition.tile_image import TileFixes, read_tile, tile_shape
from linumpy_lib.acquisition.tile_info import TileInfo
from linumpy_lib.io.encoded import EncodedBox, chunk_parts, encode_box, encode_parts
from linumpy_lib.io.layout import LevelPlan
from linumpy_lib.io.mosaic_grid import MosaicGrid
from linumpy_lib.io.mosaic_tiles import MOSAIC_CODEC
from linumpy_lib.resample import resample, resampling_matrix

if TYPE_CHECKING:
    from linumpy_lib.device import Device

Array = npt.NDArray[Any]
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class EncodedTile:
    """Chunks of one tile of a mosaic.

    Attributes
    ----------
    boxes : tuple of EncodedBox
        In the order to store them.
    checksum : int or None
        CRC-32C of the raw bytes; None where the tile is missing and the chunks are black.
    """

    boxes: tuple[EncodedBox, ...]
    checksum: int | None


class TileEncoder:
    """Reads tiles, corrects, resamples and encodes them.

    Parameters
    ----------
    info : TileInfo
        Geometry of every tile of the slice.
    fixes : TileFixes
        Corrections.
    spacing_um : (tuple of float, tuple of float)
        Voxel size (z, y, x) of corrected tiles and of the mosaic; equal: voxels stay as they are.
    grid : MosaicGrid
        Tile grid of the mosaic.
    level : LevelPlan
        Layout of the store.
    device : Device, optional
        Where voxels are resampled; the CPU if absent.
    """

    def __init__(
        self,
        info: TileInfo,
        fixes: TileFixes,
        spacing_um: tuple[Spacing, Spacing],
        grid: MosaicGrid,
        level: LevelPlan,
        device: Any = None,
    ) -> None:
        self.info, self.fixes, self.grid, self.level, self.device = info, fixes, grid, level, device
        self.shape = tile_shape(info, fixes)
        self.depth: Array | None = None
        self.matrices: list[Any] = []
        if spacing_um[0] != spacing_um[1]:
            pairs = zip(self.shape, *spacing_um, strict=True)
            matrices = [resampling_matrix(n, spacing, target) for n, spacing, target in pairs]
            # Depth comes first and on the way in: it shrinks most, and B-scans lie with depth along their rows.
            self.depth = matrices[0]
            matrices[0] = np.eye(len(self.depth), dtype=np.float32)
            self.matrices = matrices
            self.placed = [] if device is None else [device.to_device(m) for m in matrices]

    def __call__(self, place: tuple[int, int], raw: RawTile | None, following: RawTile | None) -> EncodedTile:
        """Encode the tile at (row, column); the system reads the `following` one ahead meanwhile.

        Raises
        ------
        InputError
            If a tile cannot be read or holds NaN or infinite values.
        """
        if following is not None:
            prefetch(following)
        if raw is None:
            return EncodedTile(tuple(self._black(place)), None)
        checksum = Checksum()
        boxes = [encode_box(self.level, MOSAIC_CODEC, self.grid.box(*place), self._whole(raw, checksum))]
        return EncodedTile(tuple(boxes), checksum.value)

    def _rows(self, place: tuple[int, int]) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
        """B-scans of each row of chunks of a tile, and their box."""
        zs, ys, xs = self.grid.box(*place)
        step, ny = self.level.chunks[1], self.grid.tile_shape[1]
        for start in range(0, ny, step):
            stop = min(start + step, ny)
            yield start, stop, (zs, slice(ys.start + start, ys.start + stop), xs)

    def _black(self, place: tuple[int, int]) -> Iterator[EncodedBox]:
        for _, _, box in self._rows(place):
            yield encode_parts(self.level, MOSAIC_CODEC, box, chunk_parts(self.level, box), (0.0, 0.0))

    def _whole(self, raw: RawTile, checksum: Checksum) -> Array:
        planes = self.shape[0] if self.depth is None else len(self.depth)
        whole = np.empty((planes, *self.shape[1:]), np.float32)
        read_tile(raw, whole, self.fixes, checksum, self.depth)
        if not self.matrices:
            return whole
        if self.device is None:
            return np.asarray(resample(whole, self.matrices))
        from linumpy_lib.device_memory import or_on_cpu  # with it come the devices, which the CPU does not need

        def work(where: Device) -> Array:
            matrices = self.placed if where is self.device else self.matrices
            return where.to_numpy(resample(where.to_device(whole), matrices))

        return or_on_cpu(self.device, work)
