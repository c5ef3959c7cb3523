"""Resample a stored volume through an affine map, block by block, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.io import Volume

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AffineView:
    """A volume as it looks on another grid; read it by regions.

    Attributes
    ----------
    volume : Volume
        What is sampled, axes z, y, x.
    matrix : ndarray, shape (3, 3)
        Voxels of the volume per voxel of the grid.
    offset : ndarray, shape (3,)
        Where the grid's first voxel lies in the volume, voxels.
    shape : tuple of int
        Size (z, y, x) of the grid.
    """

    volume: Volume
    matrix: Matrix
    offset: Matrix
    shape: tuple[int, int, int]

    def read(self, region: tuple[slice, ...]) -> tuple[npt.NDArray[Any], Matrix, tuple[int, ...]] | tuple[int, ...]:
        """Read the voxels that a region needs, with its own offset; only the region's shape where it needs none."""
        start = np.array([box.start for box in region], float)
        shape = tuple(box.stop - box.start for box in region)
        corners = np.stack(np.meshgrid(*[(0.0, n - 1.0) for n in shape], indexing="ij")).reshape(3, -1)
        offset = self.offset + self.matrix @ start
        reach = self.matrix @ corners + offset[:, None]
        low = np.maximum(np.floor(reach.min(1)).astype(int), 0)
        high = np.minimum(np.ceil(reach.max(1)).astype(int) + 1, self.volume.shape)
        if np.any(low >= high):
            return shape
        block = self.volume.read(tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True)))
        return block, offset - low, shape

    def sample(self, fetched: Any) -> npt.NDArray[Any]:
        """Interpolate linearly; 0 outside the volume. Integers are rounded."""
        from scipy import ndimage

        dtype = self.volume.dtype
        if len(fetched) == 3 and isinstance(fetched[0], np.ndarray):
            block, offset, shape = fetched
            values = ndimage.affine_transform(
                np.nan_to_num(block.astype(np.float32)), self.matrix, offset, shape, order=1, prefilter=False
            )
            result: npt.NDArray[Any] = np.rint(values).astype(dtype) if dtype.kind in "ui" else values.astype(dtype)
            return result
        return np.zeros(fetched, dtype)

    def __getitem__(self, region: tuple[slice, ...]) -> npt.NDArray[Any]:
        """Read and interpolate one region."""
        return self.sample(self.read(region))
