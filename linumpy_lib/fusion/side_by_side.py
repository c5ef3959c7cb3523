"""Two views that could not be registered, as channels of one array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.fusion.pair_views import FlippedReader


class SideBySide:
    """Source (c, z, y, x) for `write_volume`; channel 0 is the first view, channel 1 the second."""

    def __init__(self, readers: tuple[FlippedReader, FlippedReader]) -> None:
        self._readers = readers
        self.shape = (2, *readers[0].shape)
        self.dtype: np.dtype[Any] = np.result_type(*(r.volume.dtype for r in readers))
        self.chunks: tuple[int, ...] | None = None

    def read(self, region: tuple[slice, ...]) -> npt.NDArray[Any]:
        """Read a region of both views."""
        box = (region[1], region[2], region[3])
        return np.stack([np.asarray(self._readers[c](box), self.dtype) for c in range(2)[region[0]]])
