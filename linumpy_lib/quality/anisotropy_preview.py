"""One picture of a volume's anisotropy: three planes by nine maps, with colour bars and scale."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.quality.planes import PLANE_NAMES, Geometry, Image3D, read_plane, same_size
from linumpy_lib.quality.scale_bar import length_text, round_length_um

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = ("fa", "cl", "cp", "cs", "cp_norm", "lambda2_ratio")
_BACKGROUND, _TEXT, _FAINT, _PANEL = "#14161b", "#eceef2", "#9aa1ad", "#000000"
_HIGHEST_RATIO = 100.0
_COLUMN_INCHES, _LOWEST_ROW_INCHES, _DPI = 1.75, 0.75, 125
_LONGEST_NAME = 60
_MARGINS = {"left": 0.52, "right": 0.12, "top": 1.02, "bottom": 1.06}
_GAP = 0.07


@dataclass(frozen=True)
class MapStyle:
    """How one measure is shown."""

    title: str
    meaning: str
    colours: str


STYLES = {
    "fa": MapStyle("FA", "fractional anisotropy", "inferno"),
    "cl": MapStyle("CL", "high in sheets", "magma"),
    "cp": MapStyle("CP", "high in fibres", "cividis"),
    "cs": MapStyle("CS", "high in grains", "viridis"),
    "cp_norm": MapStyle("CPnorm", "0 fibre, 1 sheet", "plasma"),
    "lambda2_ratio": MapStyle("λ2/λ3", "logarithmic", "YlGnBu_r"),
}


def direction_colours(vectors: npt.NDArray[Any], weight: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Colour directions: |x| red, |y| green, |z| blue, brightness by a weight.

    Parameters
    ----------
    vectors : ndarray, shape (3, rows, columns)
        Components z, y, x; any length, any sign.
    weight : ndarray, shape (rows, columns)
        0 (black) to 1.

    Returns
    -------
    ndarray of float32, shape (rows, columns, 3)
        RGB in 0..1.
    """
    zyx = np.abs(np.nan_to_num(np.asarray(vectors, dtype=np.float32)))
    zyx /= np.maximum(np.sqrt((zyx * zyx).sum(axis=0)), np.float32(1e-6))
    # The square root lifts weak but real alignment out of the dark.
    brightness = np.sqrt(np.clip(np.nan_to_num(np.asarray(weight, dtype=np.float32)), 0.0, 1.0))
    return np.moveaxis(zyx[::-1] * brightness, 0, -1)


def anisotropy_preview(
    original: Image3D | None,
    measures: Image3D,
    principal_dir: Image3D,
    fibre_dir: Image3D,
    mask: Image3D,
    spacing_um: tuple[float, float, float],
    *,
    name: str = "",
    cut: tuple[int, int, int] | None = None,
    max_px: int = 1024,
    dpi: int = _DPI,
) -> bytes:
    """Draw the maps on three planes as a PNG.

    Only the planes are read, of a coarser pyramid level where they exceed ``max_px``.

    Parameters
    ----------
    original : Volume, array-like or None
        The image (z, y, x); its column is left out if None.
    measures : Volume or array-like, shape (6, z, y, x)
        fa, cl, cp, cs, cp_norm, lambda2_ratio.
    principal_dir, fibre_dir : Volume or array-like, shape (3, z, y, x)
        Components in z, y, x order.
    mask : Volume or array-like, shape (z, y, x)
        Nonzero where the measures hold; elsewhere the maps are black.
    spacing_um : tuple of float
        Voxel size (z, y, x) [um].
    name : str
        Heading.
    cut : tuple of int, optional
        Voxel (z, y, x) that the planes pass through; the middle by default.
    max_px : int
        Largest side of a plane that is read [pixels].
    dpi : int
        Resolution of the picture.

    Returns
    -------
    bytes
        The PNG; equal maps give equal bytes with the same version of matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    geometry = Geometry.of(measures, spacing_um, cut)
    keys = ([] if original is None else ["original"]) + [*MEASURES, "fibre_dir", "principal_dir"]
    (heights, stretches), column = _row_heights(geometry), _COLUMN_INCHES
    width = _MARGINS["left"] + _MARGINS["right"] + len(keys) * column + (len(keys) - 1) * _GAP
    height = _MARGINS["top"] + _MARGINS["bottom"] + sum(heights) + 2 * _GAP
    figure = Figure(figsize=(width, height), dpi=dpi, facecolor=_BACKGROUND)
    FigureCanvasAgg(figure)

    def place(column_index: int, top: float, panel_height: float, inset: float = 0.0) -> Axes:
        left = _MARGINS["left"] + column_index * (column + _GAP) + inset
        bottom = height - top - panel_height
        box = (left / width, bottom / height, (column - 2.0 * inset) / width, panel_height / height)
        axes: Axes = figure.add_axes(box, facecolor=_PANEL)
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    top = _MARGINS["top"]
    for normal, row_height in enumerate(heights):
        images = _row_images(original, measures, principal_dir, fibre_dir, mask, geometry, normal, max_px)
        rows_um, columns_um = geometry.plane_extent_um(normal)
        for index, key in enumerate(keys):
            axes = place(index, top, row_height)
            _show(axes, key, images[key], (rows_um, columns_um), stretches[normal])
            if normal == 0:
                _head(axes, key)
            if index == 0:
                _label_plane(axes, geometry, normal, stretches[normal])
                _scale_bar(figure, axes, columns_um)
        top += row_height + _GAP
    for index, key in enumerate(keys):
        _legend(key, place, index, top)
    depth, rows, columns = geometry.shape
    spacing = " × ".join(f"{s:g}" for s in geometry.spacing_um)
    note = f"{depth} × {rows} × {columns} voxels (z, y, x) of {spacing} µm   ·   black: outside the mask"
    title_height = 1.0 - 0.26 / height
    title: dict[str, Any] = {"x": _MARGINS["left"] / width, "size": 14, "weight": "bold", "color": _TEXT}
    figure.text(y=title_height, s=_shortened(name or "Anisotropy"), va="center", parse_math=False, **title)
    figure.text(1.0 - _MARGINS["right"] / width, title_height, note, color=_FAINT, size=9, va="center", ha="right")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor=_BACKGROUND, metadata={"Software": None})
    return stream.getvalue()


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _row_heights(geometry: Geometry) -> tuple[list[float], list[float]]:
    """Heights of the three rows [inch], and how much each is stretched so that thin volumes stay visible."""
    scale = _COLUMN_INCHES / max(geometry.plane_extent_um(normal)[1] for normal in range(3))
    true = [geometry.plane_extent_um(normal)[0] * scale for normal in range(3)]
    shown = [float(np.clip(h, _LOWEST_ROW_INCHES, 2.5 * _COLUMN_INCHES)) for h in true]
    return shown, [max(1.0, s / t) for s, t in zip(shown, true, strict=True)]


def _row_images(
    original: Image3D | None,
    measures: Image3D,
    principal_dir: Image3D,
    fibre_dir: Image3D,
    mask: Image3D,
    geometry: Geometry,
    normal: int,
    max_px: int,
) -> dict[str, npt.NDArray[Any]]:
    values = read_plane(measures, geometry, normal, max_px).astype(np.float32)
    inside = same_size(read_plane(mask, geometry, normal, max_px), values) != 0
    images: dict[str, npt.NDArray[Any]] = {
        key: np.where(inside, values[channel], np.nan) for channel, key in enumerate(MEASURES)
    }
    for key, vectors, weight in (("fibre_dir", fibre_dir, "cp"), ("principal_dir", principal_dir, "cl")):
        plane = same_size(read_plane(vectors, geometry, normal, max_px), values)
        images[key] = direction_colours(plane, images[weight])
    if original is not None:
        images["original"] = read_plane(original, geometry, normal, max_px).astype(np.float32)
    return images


def _show(axes: Axes, key: str, image: npt.NDArray[Any], size_um: tuple[float, float], stretch: float) -> None:
    import matplotlib
    from matplotlib.colors import LogNorm, Normalize

    options: dict[str, Any] = {}
    if key == "original":
        finite = image[np.isfinite(image)]
        low, high = np.percentile(finite, (0.5, 99.7)) if finite.size else (0.0, 1.0)
        options = {"cmap": "gray", "norm": Normalize(low, max(high, low + 1e-6))}
    elif key in STYLES:
        colours = matplotlib.colormaps[STYLES[key].colours].with_extremes(bad=_PANEL)
        log = key == "lambda2_ratio"
        options = {"cmap": colours, "norm": LogNorm(1.0, _HIGHEST_RATIO, clip=True) if log else Normalize(0.0, 1.0)}
        image = np.maximum(image, 1.0) if log else image
    extent = (0.0, size_um[1], size_um[0], 0.0)
    axes.imshow(
        image, extent=extent, aspect=stretch, interpolation="antialiased", interpolation_stage="data", **options
    )


def _head(axes: Axes, key: str) -> None:
    titles = {
        "original": ("Original", "0.5 to 99.7 percentile"),
        "fibre_dir": ("Fibre direction", "brightness: CP"),
        "principal_dir": ("Sheet normal", "brightness: CL"),
    }
    title, meaning = titles[key] if key in titles else (STYLES[key].title, STYLES[key].meaning)
    place: dict[str, Any] = {
        "xy": (0.5, 1.0),
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "ha": "center",
    }
    axes.annotate(title, xytext=(0, 17), color=_TEXT, size=11, weight="bold", **place)
    axes.annotate(meaning, xytext=(0, 6), color=_FAINT, size=8, **place)


def _label_plane(axes: Axes, geometry: Geometry, normal: int, stretch: float) -> None:
    position = (geometry.cut[normal] + 0.5) * geometry.spacing_um[normal]
    stretched = f" (z ×{stretch:.2g})" if stretch > 1.0 else ""
    text = f"{PLANE_NAMES[normal]}{stretched}\n{'zyx'[normal]} = {length_text(float(f'{position:.3g}'))}"
    place: dict[str, Any] = {
        "xy": (0, 0.5),
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "xytext": (-6, 0),
    }
    axes.annotate(text, **place, color=_TEXT, size=8, rotation=90, va="center", ha="right", multialignment="center")


def _scale_bar(figure: Figure, axes: Axes, columns_um: float) -> None:
    """Draw a bar of a round length in the lower left corner, along the columns (which are never stretched)."""
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import blended_transform_factory, offset_copy

    length = round_length_um(columns_um)
    base = blended_transform_factory(axes.transData, axes.transAxes)
    bar, label = (offset_copy(base, figure, x=6, y=y, units="points") for y in (6, 9))
    ends = ([0.0, length], [0.0, 0.0])
    axes.plot(*ends, transform=bar, color="black", linewidth=4.5, solid_capstyle="projecting")
    axes.plot(*ends, transform=bar, color="white", linewidth=2.5, solid_capstyle="butt")
    outline = [withStroke(linewidth=2.5, foreground="black")]
    axes.text(0.0, 0.0, length_text(length), transform=label, color="white", size=7.5, path_effects=outline)


def _legend(key: str, place: Callable[..., Axes], index: int, top: float) -> None:
    if key == "original":
        return
    if key in STYLES:
        _colour_bar(place(index, top + 0.16, 0.11, 0.08), key)
        return
    size = 0.70
    axes = place(index, top + 0.1, size)
    axes.set_facecolor("none")
    _direction_disc(axes)


def _colour_bar(axes: Axes, key: str) -> None:
    log = key == "lambda2_ratio"
    axes.imshow(np.linspace(0.0, 1.0, 256)[None], cmap=STYLES[key].colours, aspect="auto", extent=(0.0, 1.0, 0.0, 1.0))
    axes.set_xticks([0.0, 0.5, 1.0], ["1", "10", "≥100"] if log else ["0", "0.5", "1"])
    axes.tick_params(axis="x", length=2, pad=2, labelsize=8, colors=_TEXT)
    first, _, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")


def _direction_disc(axes: Axes) -> None:
    """Draw the hemisphere of directions seen along z: x to the right, y down as in the XY plane."""
    grid = np.linspace(-1.0, 1.0, 161)
    y, x = np.meshgrid(grid, grid, indexing="ij")
    square = 1.0 - x * x - y * y
    rgb = direction_colours(np.stack([np.sqrt(np.maximum(square, 0.0)), y, x]), np.ones_like(x))
    alpha = np.clip(square / 0.03, 0.0, 1.0)
    axes.imshow(np.dstack([rgb, alpha]), extent=(-1.0, 1.0, 1.0, -1.0), interpolation="bilinear")
    axes.set(xlim=(-1.0, 1.0), ylim=(1.0, -1.0))
    for text, where, side in (("x", (1.08, 0.0), "left"), ("y", (0.0, 1.2), "center"), ("z", (0.0, 0.0), "center")):
        axes.text(*where, text, color="white", size=8, ha=side, va="center", clip_on=False)
