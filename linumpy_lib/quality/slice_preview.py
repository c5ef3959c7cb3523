"""Side-by-side grey pictures of planes, for instance before and after a step: small files that start fast."""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.io.reduce import area_mean, source_span
from linumpy_lib.quality.scale_bar import length_text, round_length_um

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

Plane = npt.NDArray[Any]
Panel = tuple[str, Plane]

LARGEST_SIDE_PX = 640
"""Longest side of a panel."""
PERCENTILES = (0.5, 99.5)
"""Values shown black and white, of all finite pixels."""

_SMALLEST_SIDE_PX = 160
_PANELS_PER_ROW = {1: 1, 2: 2, 4: 2}
_MOST_PANELS_PER_ROW = 3
_MARGIN, _LINE, _BAR = 10, 18, 26
_BACKGROUND, _TEXT, _FAINT, _HATCH = 22, 236, 160, (34, 62)
# Rows of the input that are averaged at once: as float64, with the copies that averaging makes.
_STRIP_VALUES = 1 << 22


@dataclass(frozen=True)
class _Drawn:
    title: str
    values: Plane
    window: tuple[float, float] | None


def write_panels(
    path: Path,
    panels: Sequence[Panel],
    *,
    spacing_um: tuple[float, float] | Sequence[tuple[float, float]] | None = None,
    title: str = "",
    shared_range: bool = True,
) -> None:
    """Write grey panels side by side as one PNG, all at one physical scale, with a scale bar.

    Parameters
    ----------
    path : Path
        The picture.
    panels : sequence of (str, ndarray)
        Label and pixels (rows, columns) of each panel, of any real dtype. Pixels that are not finite are hatched; an
        empty or entirely absent plane is shown as such.
    spacing_um : (float, float), or one pair for each panel, optional
        Size of a pixel (rows, columns) [um]. Without it pixels are square and there is no scale bar.
    title : str
        Written above.
    shared_range : bool
        One grey scale for all panels, so that they can be compared; else one for each. A scale runs from the 0.5th to
        the 99.5th percentile of what is shown, and stands below the panel.

    Raises
    ------
    ValueError
        If there is no panel, an array is not two-dimensional, or a spacing is not positive.

    Notes
    -----
    Larger planes are averaged over areas, so no side of a panel exceeds 640 pixels and fine noise does not flicker.
    """
    if not panels:
        raise ValueError("a picture needs at least one panel")
    pairs = _spacings(spacing_um, len(panels))
    planes = [_plane(label, pixels) for label, pixels in panels]
    pixel_um = _pixel_size(planes, pairs)
    shown = [_resampled(plane, pair, pixel_um) for plane, pair in zip(planes, pairs, strict=True)]
    shared = _window(shown) if shared_range else None
    drawn = [
        _Drawn(_printable(label), values, shared if shared_range else _window([values]))
        for (label, _), values in zip(panels, shown, strict=True)
    ]
    _save(path, drawn, _printable(title), pixel_um if spacing_um is not None else None)


def _spacings(given: Any, count: int) -> list[tuple[float, float]]:
    if given is None:
        return [(1.0, 1.0)] * count
    pairs = np.asarray(given, dtype=float)
    pairs = np.broadcast_to(pairs, (count, 2)) if pairs.ndim == 1 else pairs
    if pairs.shape != (count, 2) or not (np.isfinite(pairs).all() and (pairs > 0).all()):
        raise ValueError(f"spacing_um={given} is no positive pixel size (rows, columns), or one for each panel")
    return [(float(rows), float(columns)) for rows, columns in pairs]


def _plane(label: str, pixels: Plane) -> Plane:
    plane = np.asarray(pixels)
    if plane.ndim != 2:
        raise ValueError(f"panel '{label}' has the shape {plane.shape}; a picture needs (rows, columns)")
    return plane.astype(np.uint8) if plane.dtype == bool else plane


def _pixel_size(planes: Sequence[Plane], spacings: Sequence[tuple[float, float]]) -> float:
    """Edge [um] of a square pixel of the picture: the finest of the inputs, in sizes that fit."""
    sides = [
        (n * s, s) for plane, pair in zip(planes, spacings, strict=True) for n, s in zip(plane.shape, pair, strict=True)
    ]
    longest = max(length for length, _ in sides)
    if longest == 0:
        return 1.0
    finest = min(s for _, s in sides)
    return float(min(max(finest, longest / LARGEST_SIDE_PX), longest / _SMALLEST_SIDE_PX))


def _resampled(plane: Plane, spacing: tuple[float, float], pixel_um: float) -> Plane:
    """Average a plane (rows, columns) over pixels of the picture; float32, NaN where nothing is finite."""
    if plane.size == 0:
        return np.full((1, 1), np.nan, np.float32)
    shape = tuple(max(1, round(n * s / pixel_um)) for n, s in zip(plane.shape, spacing, strict=True))
    factors = tuple(n / m for n, m in zip(plane.shape, shape, strict=True))
    out = np.empty(shape, np.float32)
    height = max(1, int(_STRIP_VALUES / max(1, plane.shape[1]) / max(1.0, factors[0])))
    for top in range(0, shape[0], height):
        bottom = min(shape[0], top + height)
        low, high = source_span(top, bottom, factors[0], plane.shape[0])
        strip = plane[low:high].astype(np.float64)
        strip[~np.isfinite(strip)] = np.nan
        region = (slice(0, 1), slice(top, bottom), slice(0, shape[1]))
        out[top:bottom] = area_mean(strip[np.newaxis], (0, low, 0), region, (1, *factors), (1, *plane.shape))[0]
    return out


def _window(planes: Sequence[Plane]) -> tuple[float, float] | None:
    values = np.concatenate([plane[np.isfinite(plane)] for plane in planes])
    if values.size == 0:
        return None
    low, high = (float(v) for v in np.percentile(values, PERCENTILES))
    return (low, high) if low < high else (float(values.min()), float(values.max()))


def _grey(drawn: _Drawn) -> npt.NDArray[np.uint8]:
    rows, columns = np.ogrid[: drawn.values.shape[0], : drawn.values.shape[1]]
    out = np.where((rows + columns) // 4 % 2, _HATCH[0], _HATCH[1]).astype(np.uint8)
    if drawn.window is not None:
        low, high = drawn.window
        finite = np.isfinite(drawn.values)
        scaled = (drawn.values[finite] - low) / (high - low) if high > low else np.full(int(finite.sum()), 0.5)
        out[finite] = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    return out


def _printable(text: str) -> str:
    """One line without control characters or parts of characters, whatever a name holds."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _save(path: Path, drawn: Sequence[_Drawn], title: str, pixel_um: float | None) -> None:
    from PIL import Image
    from PIL.ImageDraw import Draw

    columns = _PANELS_PER_ROW.get(len(drawn), _MOST_PANELS_PER_ROW)
    rows = math.ceil(len(drawn) / columns)
    width = max(_SMALLEST_SIDE_PX, *(panel.values.shape[1] for panel in drawn))
    heights = [max(panel.values.shape[0] for panel in drawn[r * columns : (r + 1) * columns]) for r in range(rows)]
    top = _MARGIN + (_LINE + 6 if title else 0)
    bar = _BAR if pixel_um is not None else 0
    size = (
        _MARGIN + columns * (width + _MARGIN),
        top + sum(h + 2 * _LINE + _MARGIN for h in heights) + bar,
    )
    image = Image.new("L", size, _BACKGROUND)
    draw = Draw(image)
    if title:
        _write(draw, (_MARGIN, _MARGIN), title, size[0] - 2 * _MARGIN, _TEXT, 15)
    y = top
    for row, height in enumerate(heights):
        for column, panel in enumerate(drawn[row * columns : (row + 1) * columns]):
            x = _MARGIN + column * (width + _MARGIN)
            _write(draw, (x, y), panel.title, width, _TEXT, 13)
            image.paste(Image.fromarray(_grey(panel)), (x, y + _LINE))
            window = "no values" if panel.window is None else f"grey {panel.window[0]:.4g} to {panel.window[1]:.4g}"
            _write(draw, (x, y + _LINE + height + 2), window, width, _FAINT, 11)
        y += height + 2 * _LINE + _MARGIN
    if pixel_um is not None:
        length_um = round_length_um(width * pixel_um)
        length_px = max(1, round(length_um / pixel_um))
        draw.rectangle((_MARGIN, y + 4, _MARGIN + length_px - 1, y + 8), fill=_TEXT)
        _write(draw, (_MARGIN + length_px + 8, y - 1), length_text(length_um), width, _TEXT, 12)
    image.save(path, format="PNG", optimize=True)


@functools.cache
def _font(size: int) -> FreeTypeFont:
    """Matplotlib's own font, found without importing matplotlib: Pillow's has no µ."""
    from PIL.ImageFont import Layout, truetype

    package = importlib.util.find_spec("matplotlib")
    assert package is not None
    assert package.origin is not None
    # The other layout depends on a library that some machines have: the same picture everywhere.
    font = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return truetype(font, size, layout_engine=Layout.BASIC)


def _write(draw: ImageDraw, place: tuple[int, int], text: str, width: int, grey: int, size: int) -> None:
    """Write one line, cut to a width."""
    font = _font(size)
    if draw.textlength(text, font) > width:
        while text and draw.textlength(text + "…", font) > width:
            text = text[:-1]
        text += "…"
    draw.text(place, text, fill=grey, font=font)
