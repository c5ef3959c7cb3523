"""Statistics of anisotropy maps, gathered while they stream by and equal however the volume was cut.

Everything that is accumulated is an integer, so sums do not depend on the order of the blocks; means, percentiles and
directions are derived from them at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.anisotropy.counting import (
    ORIENTATION_GRID,
    SPARE_CELL,
    TENSOR_PAIRS,
    VECTOR_ONE,
    count_kernels,
)
from linumpy_lib.anisotropy.plan import MEASURES
from linumpy_lib.anisotropy.summary import measure_summary, orientation_summary, tissue_summary
from linumpy_lib.errors import InputError
from linumpy_lib.io.npz_file import read_npz

_VALUES = 1 << 16
_FLUSH_AT = 1 << 31
_FORMAT = 1
_ARRAYS = ("histograms", "classes", "tensors", "cells", "counts")

Counts = npt.NDArray[np.int64]


class AnisotropyStatistics:
    """Histograms, mean orientation tensors and tissue shapes of anisotropy maps, inside their mask.

    Blocks may be added in any order and from several threads, and partial statistics merged in any order: the result is
    the same to the last digit.

    Examples
    --------
    >>> import numpy as np
    >>> statistics = AnisotropyStatistics()
    >>> vectors = np.zeros((3, 1, 1, 2), np.float16)
    >>> vectors[2] = 1
    >>> measures = np.full((6, 1, 1, 2), 0.5, np.float16)
    >>> statistics.add(measures, vectors, vectors, np.array([[[1, 0]]], np.uint8))
    >>> statistics.to_json()["measures"]["fa"]["mean"]
    0.5
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histograms: Counts = np.zeros((len(MEASURES), _VALUES), np.int64)
        self._classes: Counts = np.zeros(4, np.int64)
        self._tensors: Counts = np.zeros((4, len(TENSOR_PAIRS)), np.int64)
        self._cells: Counts = np.zeros(SPARE_CELL + 1, np.int64)
        self._counts: Counts = np.zeros(2, np.int64)  # voxels seen, non-finite voxels of the input
        self._narrow = np.zeros((len(MEASURES), _VALUES), np.uint32)
        self._narrow_cells = np.zeros((4, SPARE_CELL + 1), np.uint32)
        self._narrow_voxels = 0

    def add(
        self,
        measures: npt.NDArray[np.float16],
        principal_dir: npt.NDArray[np.float16],
        fibre_dir: npt.NDArray[np.float16],
        mask: npt.NDArray[np.uint8],
        *,
        nonfinite_input: int = 0,
    ) -> None:
        """Count one block.

        Parameters
        ----------
        measures : ndarray of float16, shape (6, z, y, x)
            fa, cl, cp, cs, cp_norm, lambda2_ratio.
        principal_dir, fibre_dir : ndarray of float16, shape (3, z, y, x)
            Unit eigenvectors of the largest and of the smallest eigenvalue, components in z, y, x order.
        mask : ndarray of uint8 or bool, shape (z, y, x)
            Voxels to count.
        nonfinite_input : int
            How many voxels of the input image in this block were NaN or infinite.

        Raises
        ------
        InputError
            If shapes or data types do not fit together.
        """
        wanted = {
            "measures": (measures, np.float16, (len(MEASURES), *mask.shape)),
            "principal_dir": (principal_dir, np.float16, (3, *mask.shape)),
            "fibre_dir": (fibre_dir, np.float16, (3, *mask.shape)),
        }
        for name, (array, dtype, shape) in wanted.items():
            if array.dtype != dtype or array.shape != shape:
                raise InputError(
                    f"{name}: is {array.dtype} {array.shape}; statistics need {np.dtype(dtype)} {shape} for this mask"
                )
        if mask.dtype not in (np.uint8, np.bool_):
            raise InputError(f"mask: is {mask.dtype}; statistics need uint8 or bool")
        count_values, count_directions = count_kernels()
        inside = np.ascontiguousarray(mask).view(np.uint8).reshape(-1)
        values, first, last = (
            np.ascontiguousarray(array).view(np.uint16).reshape(array.shape[0], -1)
            for array in (measures, principal_dir, fibre_dir)
        )
        with self._lock:
            if self._narrow_voxels + inside.size > _FLUSH_AT:
                self._flush()
            self._narrow_voxels += inside.size
            self._counts += (inside.size, nonfinite_input)
            count_values(values, inside, self._narrow)
            count_directions(values[1:4], first, last, inside, self._classes, self._tensors, self._narrow_cells)

    def _flush(self) -> None:
        # the 32-bit tables keep the hot part of the counting in the processor's first caches
        self._histograms += self._narrow
        self._cells += self._narrow_cells.sum(axis=0, dtype=np.int64)
        self._narrow[:] = 0
        self._narrow_cells[:] = 0
        self._narrow_voxels = 0

    def merge(self, other: AnisotropyStatistics) -> None:
        """Add what ``other`` has counted."""
        theirs = other.to_arrays()
        with self._lock:
            self._flush()
            for name in _ARRAYS:
                mine: Counts = getattr(self, f"_{name}")
                mine += theirs[name]

    def to_arrays(self) -> dict[str, Counts]:
        """Everything counted so far, as int64 arrays that `from_arrays` takes back."""
        with self._lock:
            self._flush()
            return {name: np.array(getattr(self, f"_{name}")) for name in _ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.ArrayLike]) -> AnisotropyStatistics:
        """Rebuild statistics from `to_arrays`."""
        statistics = cls()
        for name in _ARRAYS:
            mine: Counts = getattr(statistics, f"_{name}")
            mine += np.asarray(arrays[name], dtype=np.int64)
        return statistics

    def save(self, path: Path) -> None:
        """Write a partial result (NumPy archive, a few kilobytes to a few hundred) for a later `merge`."""
        with path.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, format=np.int64(_FORMAT), **self.to_arrays())

    @classmethod
    def load(cls, path: Path) -> AnisotropyStatistics:
        """Read a partial result.

        Raises
        ------
        InputError
            If the file is not one, or was written by another version.
        """
        arrays = read_npz(path, "it has to be a file of partial statistics; run the step again")
        form = arrays.get("format", np.int64(-1))
        if form.shape or form != _FORMAT or not set(_ARRAYS) <= set(arrays):
            raise InputError(f"{path}: was written by another version; run the step that makes it again")
        try:
            return cls.from_arrays(arrays)
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: holds no partial statistics ({error}); run the step again") from None

    def to_json(self, *, spacing_um: Sequence[float] | None = None) -> dict[str, Any]:
        """Summarise as plain JSON values.

        Parameters
        ----------
        spacing_um : sequence of 3 float, optional
            Voxel size (z, y, x) [um]; adds tissue volumes in mm3.

        Returns
        -------
        dict
            ``voxels``, ``tissue`` (shares of sheet-, fibre- and blob-like voxels by the largest of CL, CP and CS),
            ``measures`` (mean, standard deviation, percentiles, histogram of each) and ``orientation`` (mean tensors,
            dominant directions and order parameters of sheet normals and fibre axes, and their distribution on the
            hemisphere).
        """
        counted = self.to_arrays()
        total, nonfinite = (int(n) for n in counted["counts"])
        inside = int(counted["classes"].sum())
        voxel_um3 = None if spacing_um is None else float(np.prod(np.asarray(spacing_um, dtype=np.float64)))
        scale = 1.0 / (VECTOR_ONE * VECTOR_ONE)
        cells = counted["cells"][:SPARE_CELL].reshape(2, ORIENTATION_GRID, ORIENTATION_GRID)
        return {
            "voxels": {
                "total": total,
                "inside_mask": inside,
                "inside_mask_fraction": inside / total if total else 0.0,
                "nonfinite_input": nonfinite,
            },
            "spacing_um": None if spacing_um is None else [float(s) for s in spacing_um],
            "tissue": tissue_summary(counted["classes"], voxel_um3),
            "measures": {
                name: measure_summary(counts, ratio=name == "lambda2_ratio")
                for name, counts in zip(MEASURES, counted["histograms"], strict=True)
            },
            "orientation": {
                "principal_dir": {
                    "all": orientation_summary(counted["tensors"][0] * scale, inside),
                    "sheets": orientation_summary(counted["tensors"][1] * scale, int(counted["classes"][0])),
                },
                "fibre_dir": {
                    "all": orientation_summary(counted["tensors"][2] * scale, inside),
                    "fibres": orientation_summary(counted["tensors"][3] * scale, int(counted["classes"][1])),
                },
                "distribution": {
                    "grid": "octahedral, z >= 0: row = (y + x) / s, column = (y - x) / s, s = |z| + |y| + |x|",
                    "size": ORIENTATION_GRID,
                    "sheet_normals": cells[0].tolist(),
                    "fibre_axes": cells[1].tolist(),
                },
            },
        }
