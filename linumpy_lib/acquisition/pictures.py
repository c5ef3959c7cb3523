"""Pictures of a mosaic for a quick look: depth average and centre planes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.blocks import grid as boxes
from linumpy_lib.io import Volume
from linumpy_lib.io.mosaic_grid import MosaicGrid, mosaic_grid

Array = npt.NDArray[Any]

AIP_PERCENTILES = (0.1, 99.9)
_SECTION_SHAPE, _MAX_STRETCH = 0.45, 10
_SIDE_PX = 2400


def average_projection(volume: Volume, threads: int = 1) -> Array:
    """Average a mosaic over depth, tile by tile.

    Parameters
    ----------
    volume : Volume
        A mosaic with a tile grid.
    threads : int
        Tiles to read at once.

    Returns
    -------
    ndarray of float32, shape (y, x)
    """
    from linumpy_lib.blocks import stream

    tiles = mosaic_grid(volume)
    out = np.zeros(tiles.shape[1:], np.float32)

    def keep(region: tuple[slice, ...], plane: Array) -> None:
        out[region[1:]] = plane

    stream(
        [tiles.box(*place) for place in tiles.places()],
        volume.read,
        lambda block: block.mean(axis=0, dtype=np.float32),
        keep,
        threads=max(1, min(threads, 2)),
        queue=1,
        progress=False,
    )
    return out


def present(tiles: MosaicGrid) -> Array:
    """Mask (y, x) of the pixels of a mosaic that hold a tile."""
    mask = np.zeros(tiles.shape[1:], bool)
    for place in tiles.places():
        mask[tiles.box(*place)[1:]] = True
    return mask


def to_uint16(plane: Array, mask: Array) -> Array:
    """Scale the 0.1st to 99.9th percentile of the masked pixels to the whole range of 16 bits.

    Parameters
    ----------
    plane : ndarray, shape (y, x)
        Brightness.
    mask : ndarray of bool, shape (y, x)
        Pixels that count; the others become 0.

    Returns
    -------
    ndarray of uint16, shape (y, x)
    """
    low, high = np.percentile(plane[mask], AIP_PERCENTILES) if mask.any() else (0.0, 1.0)
    scaled = (plane - low) / (high - low) if high > low else np.zeros_like(plane)
    return np.where(mask, np.rint(np.clip(scaled, 0, 1) * 65535), 0).astype(np.uint16)


def write_png16(path: Path, plane: Array) -> None:
    """Write a 16-bit grey PNG.

    Parameters
    ----------
    path : Path
        The file.
    plane : ndarray of uint16, shape (y, x)
        Pixels.
    """
    from PIL import Image

    Image.fromarray(plane).save(path, format="PNG")


def centre_planes(volume: Volume) -> tuple[Array, Array, Array]:
    """Centre planes of a mosaic, thinned to what a picture can show.

    Parameters
    ----------
    volume : Volume
        (z, y, x).

    Returns
    -------
    xy, xz, yz : ndarray
        Planes (y, x), (z, x) and (z, y).
    """
    nz, ny, nx = volume.shape
    planes = []
    for axis, (n, kept) in enumerate(((nz, (1, 2)), (ny, (0, 2)), (nx, (0, 1)))):
        region: list[slice] = [slice(None)] * 3
        region[axis] = slice(n // 2, n // 2 + 1)
        step = [max(1, volume.shape[k] // _SIDE_PX) for k in kept]
        planes.append(_read(volume, region).squeeze(axis)[:: step[0], :: step[1]])
    return planes[0], planes[1], planes[2]


def _read(volume: Volume, region: list[slice]) -> Array:
    shape = tuple(r.stop - r.start if r.stop is not None else n for r, n in zip(region, volume.shape, strict=True))
    out = np.empty(shape, np.float32)
    start = [r.start or 0 for r in region]
    for box in boxes(shape, tuple(min(n, 512) for n in shape)):
        out[box] = volume.read(tuple(slice(b.start + s, b.stop + s) for b, s in zip(box, start, strict=True)))
    return out


def write_preview(path: Path, volume: Volume, title: str) -> None:
    """Write a picture of the three centre planes, bright in magma from 0 to the 99.9th percentile of what is not 0.

    Parameters
    ----------
    path : Path
        PNG file.
    volume : Volume
        Mosaic (z, y, x).
    title : str
        Written above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    planes = centre_planes(volume)
    lit = np.concatenate([plane[plane > 0].ravel() for plane in planes])
    top = float(np.percentile(lit, 99.9)) if lit.size else 1.0
    spacing = volume.require_spacing()
    figure = Figure(figsize=(24, 10), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes: dict[str, Any] = figure.subplot_mosaic([["xy", "xz"], ["xy", "yz"]])
    image = None
    for name, plane, (down, across) in zip(("xy", "xz", "yz"), planes, ((1, 2), (0, 2), (0, 1)), strict=True):
        extent_mm = [volume.shape[k] * spacing[k] / 1000 for k in (across, down)]
        image = axes[name].imshow(
            plane,
            cmap="magma",
            vmin=0,
            vmax=top,
            extent=(0, extent_mm[0], extent_mm[1], 0),
            interpolation="auto",
        )
        # A slice is thin: its sections are stretched in depth until they can be seen, in whole numbers, and say so.
        stretch = 1 if name == "xy" else int(np.clip(_SECTION_SHAPE * extent_mm[0] / extent_mm[1], 1, _MAX_STRETCH))
        stretched = f", depth stretched {stretch} times" if stretch > 1 else ""
        axes[name].set(
            title=f"{name.upper()}, centre{stretched}",
            aspect=stretch,
            xlabel=f"{'zyx'[across]} (mm)",
            ylabel=f"{'zyx'[down]} (mm)",
        )
    if image is not None:
        figure.colorbar(image, ax=list(axes.values()), label="intensity", shrink=0.8)
    figure.suptitle(title)
    figure.savefig(path, metadata={"Software": None})
