"""TIFF stacks: memory-mapped when contiguous and uncompressed, else decoded tile by tile or strip by strip."""

from __future__ import annotations

import itertools
import logging
import math
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import Array, ArraySource, LazyArray, Region, Source
from linumpy_lib.io.units import check_spacing, known_spacing, micrometres_per
from linumpy_lib.io.volume import SPATIAL_AXES, Level, Volume, canonical

# What tifffile raises on damaged files.
TIFF_ERRORS = (
    *(OSError, ValueError, IndexError, KeyError, TypeError, RuntimeError, AttributeError),
    *(ArithmeticError, MemoryError, struct.error),
)


def open_tiff(path: Path) -> Volume:
    """Open the first image series of a TIFF, OME-TIFF, ImageJ TIFF or BigTIFF.

    Raises
    ------
    InputError
        If the file is truncated, damaged, compressed in a way that needs a missing library, or no volume.
    """
    tif, series, pages, complaints = _load(path)
    try:
        source = _source(path, tif, series, pages, complaints)
        spacing = physical_spacing(path, tif)
        axes = _axes(path, series)
    finally:
        tif.close()
    lazy, axes, _ = canonical(source, axes, str(path))
    return Volume(
        array=LazyArray(lazy),
        axes=axes,
        spacing_um=spacing if all(axis in axes for axis in SPATIAL_AXES) else None,
        origin_um=(0.0,) * sum(axis in SPATIAL_AXES for axis in axes),
        path=path,
        levels=(Level("", (1.0,) * len(axes)),),
    )


def _load(path: Path) -> tuple[Any, Any, list[Any], list[str]]:
    """Open file, its first series, that series' pages, and what tifffile complained about."""
    import tifffile

    tif: Any = None
    try:
        with tifffile_messages() as complaints:
            tif = tifffile.TiffFile(path)
            series = tif.series[0]
            return tif, series, list(series.pages), complaints
    except (tifffile.TiffFileError, *TIFF_ERRORS) as error:
        if tif is not None:
            tif.close()
        reason = first_line(error)
        raise InputError(f"{path}: not a readable TIFF ({reason}); it may be truncated, copy it again") from None


def first_line(error: BaseException) -> str:
    """First line of an error message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def tifffile_messages() -> Iterator[list[str]]:
    """Collect what tifffile logs instead of raising (a broken chain of pages, for one)."""
    seen: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    logger, handler = logging.getLogger("tifffile"), Collect(logging.WARNING)
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield seen
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def is_broken(complaints: list[str]) -> bool:
    """Whether tifffile met a chain of pages that leads out of the file."""
    return any(
        word in text
        for text in complaints
        for word in ("IFD", "invalid page offset", "invalid value offset", "corrupt")
    )


def _source(path: Path, tif: Any, series: Any, pages: list[Any], complaints: list[str]) -> Source:
    size = path.stat().st_size
    shape = tuple(int(n) for n in series.shape)
    if 0 in shape:
        raise InputError(f"{path}: the image is empty, shape {shape}; export it again")
    # tifffile lists a page that it cannot reach as None and reads it as zeros.
    if any(page is None for page in pages):
        raise InputError(f"{path}: {sum(p is None for p in pages)} of {len(pages)} planes are missing; export it again")
    truncated = f"{path}: the file is truncated; copy or export it again"
    if is_broken(complaints):
        raise InputError(truncated)
    if series.dataoffset is not None:
        if series.dataoffset + math.prod(shape) * series.dtype.itemsize > size:
            raise InputError(truncated)
        order = series.keyframe.parent.byteorder
        mapped: Array = np.memmap(path, series.dtype.newbyteorder(order), "r", series.dataoffset, shape)
        return ArraySource(mapped)
    sizes: dict[str, int] = {}
    for page in pages:
        # The planes of an OME-TIFF may lie in other files of the set.
        file = page.parent.filehandle.path
        size = sizes.setdefault(file, Path(file).stat().st_size)
        if any(start + count > size for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)):
            raise InputError(truncated)
    return PagesSource(path, series, pages)


def _axes(path: Path, series: Any) -> str:
    """Axes letters of this package for those of tifffile."""
    axes = series.axes.upper()
    if len(axes) != len(series.shape):
        raise InputError(f"{path}: axes {axes} do not describe shape {series.shape}; export it again")
    names = {"Z": "z", "Y": "y", "X": "x", "C": "c", "S": "c", "T": "t"}
    unknown = [axis for axis in axes if axis not in names]
    if "Z" not in axes and len(unknown) == 1:
        # Plain multi-page files do not say what follows from page to page: planes of a stack.
        names[unknown[0]] = "z"
    result = "".join(names.get(axis, "?") for axis in axes)
    if len(set(result)) != len(result) or "?" in result:
        raise InputError(f"{path}: axes {axes} are not supported; export it as a plain stack with z, y and x")
    return result


def physical_spacing(path: Path, tif: Any) -> tuple[float, ...] | None:
    """(z, y, x) in micrometres from OME-XML or ImageJ metadata, None if any is unknown."""
    if tif.is_ome and tif.ome_metadata:
        return _ome_spacing(path, tif.ome_metadata)
    if tif.is_imagej and tif.imagej_metadata:
        page, info = tif.pages[0], tif.imagej_metadata
        unit = str(info.get("unit", "")).replace("\\u00B5", "µ")
        steps = [info.get("spacing"), _pixel(page.tags.get("YResolution")), _pixel(page.tags.get("XResolution"))]
        if micrometres_per(unit) is None or any(step is None for step in steps):
            return None
        # ImageJ writes a negative spacing for stacks that are displayed from the last plane on.
        return known_spacing([abs(float(step)) for step in steps if step is not None], [unit] * 3, str(path))
    return None


def _pixel(tag: Any) -> float | None:
    """Size of a pixel from a resolution tag (pixels per unit)."""
    if tag is None or tag.value[0] == 0:
        return None
    return float(tag.value[1] / tag.value[0])


def _ome_spacing(path: Path, text: str) -> tuple[float, ...] | None:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(text, forbid_dtd=True)
    except DefusedXmlException:
        raise InputError(
            f"{path}: the OME-XML header declares a document type or entities; do not trust this file"
        ) from None
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{path}: the OME-XML header is corrupt ({error}); export the file again") from None
    pixels = next((node for node in root.iter() if node.tag.rpartition("}")[2] == "Pixels"), None)
    if pixels is None:
        return None
    scale: list[float] = []
    for axis in "ZYX":
        value = pixels.get(f"PhysicalSize{axis}")
        factor = micrometres_per(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if value is None or factor is None:
            return None
        try:
            scale.append(float(value) * factor)
        except ValueError:
            raise InputError(
                f"{path}: PhysicalSize{axis} is {value!r}, no number; correct the OME-XML header"
            ) from None
    return check_spacing(scale, str(path))


class PagesSource:
    """Planes that are stored compressed or scattered: only the segments that a box touches are decoded."""

    def __init__(self, path: Path, series: Any, pages: list[Any]) -> None:
        self._path, self._pages = path, pages
        self._page_shape: tuple[int, ...] = tuple(int(n) for n in pages[0].shape)
        self.shape: tuple[int, ...] = tuple(int(n) for n in series.shape)
        self._lead = self.shape[: len(self.shape) - len(self._page_shape)]
        self.dtype: np.dtype[Any] = np.dtype(series.dtype).newbyteorder("=")
        self.chunks: tuple[int, ...] | None = (1,) * len(self._lead) + self._page_shape
        self._lock = threading.Lock()
        if math.prod(self._lead) != len(pages) or self.shape[len(self._lead) :] != self._page_shape:
            raise InputError(
                f"{path}: {len(pages)} planes do not make up shape {self.shape}; export it as a plain stack"
            )

    def read(self, region: Region) -> Array:
        """Box of the stack.

        Raises
        ------
        InputError
            If a segment does not decode.
        """
        lead, inside = region[: len(self._lead)], region[len(self._lead) :]
        out = np.empty([box.stop - box.start for box in region], self.dtype)
        for at in np.ndindex(*out.shape[: len(lead)]):
            index = tuple(box.start + k for box, k in zip(lead, at, strict=True))
            number = int(np.ravel_multi_index(index, self._lead)) if self._lead else 0
            out[at] = self._plane(number, inside)
        return out

    def _plane(self, number: int, inside: Region) -> Array:
        page = self._pages[number]
        missing = f"{self._path}: plane {number}"
        try:
            if len(self._page_shape) != 2 or page.keyframe.samplesperpixel != 1:
                handle = page.parent.filehandle
                with self._lock:
                    handle.open()
                    try:
                        whole: Array = page.asarray()
                    finally:
                        handle.close()
                return whole[inside]
            return self._segments(page, inside)
        except (*TIFF_ERRORS, EOFError, zlib.error) as error:
            if "imagecodecs" in str(error):
                raise InputError(
                    f"{missing} is compressed with {page.keyframe.compression.name}; install 'imagecodecs'"
                ) from None
            raise InputError(f"{missing} is damaged ({first_line(error)}); export the file again") from None

    def _segments(self, page: Any, inside: Region) -> Array:
        rows, columns = inside
        layout = page.keyframe
        height, width = (
            (layout.tilelength, layout.tilewidth) if layout.is_tiled else (layout.rowsperstrip, layout.imagewidth)
        )
        across = math.ceil(layout.imagewidth / width)
        out = np.full([rows.stop - rows.start, columns.stop - columns.start], layout.nodata, self.dtype)
        downs = range(rows.start // height, math.ceil(rows.stop / height))
        rights = range(columns.start // width, math.ceil(columns.stop / width))
        # Opened per plane: a folder of thousands of planes must not hold thousands of files open.
        with Path(page.parent.filehandle.path).open("rb") as handle:
            for down, right in itertools.product(downs, rights):
                number = down * across + right
                handle.seek(page.dataoffsets[number])
                data = handle.read(page.databytecounts[number])
                decoded, _, _ = layout.decode(data, number, jpegtables=page.jpegtables)
                if decoded is None:
                    continue
                segment = decoded.reshape(decoded.shape[-3:-1])
                top, left = down * height, right * width
                a, b = max(rows.start, top), min(rows.stop, top + segment.shape[0])
                c, d = max(columns.start, left), min(columns.stop, left + segment.shape[1])
                piece = segment[a - top : b - top, c - left : d - left]
                out[a - rows.start : b - rows.start, c - columns.start : d - columns.start] = piece
        return out


def open_tiff_plane(path: Path) -> Source:
    """Open a file with one 2-D plane.

    Raises
    ------
    InputError
        If the file is damaged or holds anything else.
    """
    tif, series, pages, complaints = _load(path)
    if len(pages) != 1 or len(series.shape) != 2:
        tif.close()
        raise InputError(
            f"{path}: has shape {tuple(series.shape)}, one 2-D plane per file is needed; split or remove it"
        )
    try:
        return _source(path, tif, series, pages, complaints)
    finally:
        tif.close()
