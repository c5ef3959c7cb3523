"""Volumes on disk: lazy reading of many formats, streaming writing of OME-Zarr 0.5."""

from linumpy_lib.io.archive import zip_store
from linumpy_lib.io.destination import check_output
from linumpy_lib.io.fingerprint import content_digest, fingerprint
from linumpy_lib.io.gather import gather_slabs
from linumpy_lib.io.lazy import LazyArray
from linumpy_lib.io.opening import open_volume
from linumpy_lib.io.volume import Level, Volume
from linumpy_lib.io.writer import VolumeWriter
from linumpy_lib.io.writing import write_volume

__all__ = [
    "LazyArray",
    "Level",
    "Volume",
    "VolumeWriter",
    "check_output",
    "content_digest",
    "fingerprint",
    "gather_slabs",
    "open_volume",
    "write_volume",
    "zip_store",
]
