"""NIfTI volumes: memory-mapped when uncompressed, read whole on first use when gzipped."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import Array, LazyArray, Region
from linumpy_lib.io.units import known_spacing
from linumpy_lib.io.volume import Level, Volume, canonical

# Bytes that one byte of a deflated file can become.
_MOST_GROWTH = 1032
# NIfTI orders x, y, z, t, then components of vectors.
_AXES = "xyztc"
_UNITS = {"meter": "m", "mm": "mm", "micron": "um"}


def open_nifti(path: Path) -> Volume:
    """Open a NIfTI file (.nii, .nii.gz), axes reversed to z, y, x; scaled data become float32.

    The affine's rotation is not applied.

    Raises
    ------
    InputError
        If the header is corrupt, the data are shorter than it says, or it is no volume.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image: Any = nibabel.load(path)
        source = NiftiSource(path, image)
        zooms = [float(step) for step in image.header.get_zooms()]
        unit = _UNITS.get(image.header.get_xyzt_units()[0])
    except (ImageFileError, *_DATA_ERRORS) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable NIfTI file ({reason}); export it again") from None
    if len(source.shape) > len(_AXES):
        raise InputError(f"{path}: {len(source.shape)} axes are no volume; export x, y, z")
    lazy, axes, _ = canonical(source, _AXES[: len(source.shape)][::-1], str(path))
    spatial = min(3, len(zooms))
    return Volume(
        array=LazyArray(lazy),
        axes=axes,
        spacing_um=None if unit is None else known_spacing(zooms[:spatial][::-1], [unit] * spatial, str(path)),
        origin_um=(0.0,) * spatial,
        path=path,
        levels=(Level("", (1.0,) * len(axes)),),
    )


_DATA_ERRORS = (ValueError, OSError, EOFError, KeyError, TypeError, OverflowError, zlib.error)


class NiftiSource:
    """Voxels of a NIfTI file with its axes reversed."""

    def __init__(self, path: Path, image: Any) -> None:
        self._path, self._proxy = path, image.dataobj
        self.shape: tuple[int, ...] = tuple(int(n) for n in image.shape)[::-1]
        header = image.header
        self._scaled = (self._proxy.slope, self._proxy.inter) != (1.0, 0.0)
        stored = np.dtype(header.get_data_dtype()).newbyteorder("=")
        self.dtype: np.dtype[Any] = np.dtype(np.float32) if self._scaled and stored.kind in "uif" else stored
        self.chunks: tuple[int, ...] | None = None
        self._values: Array | None = None
        need = self._proxy.offset + math.prod(self.shape) * stored.itemsize
        if need > path.stat().st_size * (_MOST_GROWTH if path.suffix == ".gz" else 1):
            raise InputError(f"{path}: the file is truncated, {need} bytes are needed; copy or export it again")

    def read(self, region: Region) -> Array:
        """Box of the array.

        Raises
        ------
        InputError
            If the data do not decode.
        """
        try:
            if self._path.suffix == ".gz":
                # A gzip stream has no random access; every slice would decode the file from its start.
                if self._values is None:
                    self._values = self._load(())
                return np.array(self._values[region], order="C")
            return np.ascontiguousarray(self._load(region[::-1]))
        except _DATA_ERRORS as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{self._path}: the data are damaged ({reason}); export the file again") from None

    def _load(self, box: Region) -> Array:
        values = self._proxy[box] if self._scaled else self._unscaled(box)
        return np.asarray(values, dtype=self.dtype).T

    def _unscaled(self, box: Region) -> Array:
        whole: Array = self._proxy.get_unscaled()
        return whole[box] if box else whole
