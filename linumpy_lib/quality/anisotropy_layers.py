"""Anisotropy results as layers of a viewer: maps read lazily from the pyramid, directions as sparse vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.io import Volume, open_volume

STORES = ("measures", "principal_dir", "fibre_dir", "mask")
_ENDING = "_{}.ome.zarr"
_ORIGINAL_ENDINGS = (
    ".ome.zarr",
    ".zarr",
    ".ome.zarr.zip",
    ".ome.tiff",
    ".ome.tif",
    ".tiff",
    ".tif",
    ".nrrd",
    ".klb",
    ".nii.gz",
)
_MAPS = {"fa": "inferno", "cl": "magma", "cp": "cividis", "cs": "viridis"}
_TITLES = {
    "fa": "Fractional (FA)",
    "cl": "Linear (CL): sheets",
    "cp": "Planar (CP): fibres",
    "cs": "Spherical (CS): grains",
}
_MOST_VECTORS = 100_000
_PLANES_AT_ONCE = 16


@dataclass(frozen=True)
class AnisotropyResults:
    """The stores of one volume's results.

    Attributes
    ----------
    name : str
        Name of the volume.
    measures, principal_dir, fibre_dir, mask : Volume
        The maps.
    original : Volume or None
        The image that they were computed from, (z, y, x), where it was found.
    """

    name: str
    measures: Volume
    principal_dir: Volume
    fibre_dir: Volume
    mask: Volume
    original: Volume | None


@dataclass(frozen=True)
class LayerSpecification:
    """What one napari layer is made of: pass ``data`` and ``options`` to ``viewer.add_image`` or ``add_vectors``."""

    kind: Literal["image", "vectors"]
    data: Any
    options: dict[str, Any]


def find_results(path: Path, *, name: str | None = None, original: Path | None = None) -> AnisotropyResults:
    """Open the stores of a result.

    Parameters
    ----------
    path : Path
        The folder with the results, the output folder above it, or one of the stores.
    name : str, optional
        Name of the volume where a folder holds results of several.
    original : Path, optional
        The image; else ``{name}`` with a usual ending is looked for in the folder, beside it and above it.

    Raises
    ------
    InputError, ParameterError
        If stores are missing, several results are found, or the image does not have the size of the maps.
    """
    folder, chosen = path, name
    for store in STORES:
        ending = _ENDING.format(store)
        if path.name.endswith(ending):
            folder, chosen = path.parent, path.name.removesuffix(ending)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give the folder with the anisotropy results")
    ending = _ENDING.format("measures")
    if not list(folder.glob(f"*{ending}")) and (folder / "anisotropy").is_dir():
        folder = folder / "anisotropy"
    names = sorted(store.name.removesuffix(ending) for store in folder.glob(f"*{ending}"))
    if not names:
        raise InputError(f"{folder}: holds no *{ending}; give the folder with the anisotropy results")
    if chosen is None and len(names) > 1:
        raise ParameterError(f"{folder}: holds results of {', '.join(names)}; choose one with --name")
    chosen = chosen or names[0]
    opened = {}
    for store in STORES:
        place = folder / f"{chosen}{_ENDING.format(store)}"
        if not place.exists():
            raise InputError(f"{place}: is missing; run the anisotropy workflow again")
        opened[store] = open_volume(place)
    image = _open_original(original or _search_original(folder, chosen), opened["mask"], required=original is not None)
    return AnisotropyResults(chosen, original=image, **opened)


def _search_original(folder: Path, name: str) -> Path | None:
    places = [folder, folder.parent, *sorted(p for p in folder.parent.iterdir() if p.is_dir())]
    candidates = (place / f"{name}{ending}" for place in places for ending in _ORIGINAL_ENDINGS)
    return next((candidate for candidate in candidates if candidate.exists()), None)


def _open_original(path: Path | None, mask: Volume, *, required: bool) -> Volume | None:
    if path is None:
        return None
    volume = open_volume(path)
    for axis in "tc":
        if axis in volume.axes:
            volume = volume.pick(**{axis: 0})
    if volume.shape == mask.shape:
        return volume
    if required:
        raise InputError(
            f"{path}: is {volume.shape} voxels, the maps are {mask.shape}; give the image they were made from"
        )
    return None


def anisotropy_layers(
    results: AnisotropyResults, *, every_px: int = 8, threshold: float = 0.3, most: int = _MOST_VECTORS
) -> list[LayerSpecification]:
    """Describe the layers; nothing but the sparse vectors is read.

    Parameters
    ----------
    results : AnisotropyResults
        Opened stores.
    every_px : int
        Distance between vectors [voxels]; grows where there would be more than ``most``.
    threshold : float
        Lowest CP of a shown fibre axis and lowest CL of a shown sheet normal.
    most : int
        Most vectors in a layer.

    Returns
    -------
    list of LayerSpecification
        Original, FA, CL, CP, CS, principal direction, fibre direction, from back to front.

    Raises
    ------
    ParameterError
        If a number is out of range.
    """
    if every_px < 1 or most < 1:
        raise ParameterError(f"--every {every_px}: give a whole number above zero")
    if not 0.0 <= threshold <= 1.0:
        raise ParameterError(f"--threshold {threshold}: give a number from 0 to 1")
    spacing = spacing_of(results.measures)
    placed: dict[str, Any] = {"scale": spacing, "units": ("um", "um", "um")}
    layers = []
    if results.original is not None:
        limits = _display_range(results.original)
        options: dict[str, Any] = {"name": "Original", "colormap": "gray", "contrast_limits": limits}
        layers.append(_image(_pyramid(results.original), options | placed))
    for key, colours in _MAPS.items():
        options = {"name": _TITLES[key], "colormap": colours, "contrast_limits": (0.0, 1.0), "visible": key == "fa"}
        if results.original is not None:
            options |= {"blending": "translucent", "opacity": 0.6}
        layers.append(_image(_pyramid(results.measures.channel(key)), options | placed))
    step = max(every_px, int(np.ceil((np.prod(results.mask.shape) / most) ** (1.0 / 3.0))))
    for title, field, weight, visible in (
        ("Principal direction (sheet normal)", results.principal_dir, "cl", False),
        ("Fibre direction", results.fibre_dir, "cp", True),
    ):
        data = sparse_vectors(field, results.measures.channel(weight), results.mask, step, threshold)
        lengths = data[:, 1] * spacing
        colours_rgb = np.abs(lengths[:, ::-1]) / np.maximum(np.linalg.norm(lengths, axis=1, keepdims=True), 1e-9)
        options = {
            "name": title,
            "visible": visible,
            "edge_color": np.column_stack([colours_rgb, np.ones(len(data))]) if len(data) else "white",
            "edge_width": 0.12 * step,
            "opacity": 1.0,
            "vector_style": "line",
            "projection_mode": "all",
        }
        layers.append(LayerSpecification("vectors", data, options | placed))
    return layers


def sparse_vectors(
    field: Volume, weight: Volume, mask: Volume, step_px: int, threshold: float
) -> npt.NDArray[np.float32]:
    """Pick every n-th direction where a measure is high enough.

    Parameters
    ----------
    field : Volume, (3, z, y, x)
        Unit vectors in physical space.
    weight, mask : Volume, (z, y, x)
        Measure that decides, and where it holds.
    step_px : int
        Distance of the samples [voxels of the finest level]; of the pyramid, the coarsest level is read whose voxels
        are not larger.
    threshold : float
        Lowest weight.

    Returns
    -------
    ndarray of float32, shape (n, 2, 3)
        Start and extent of each vector in voxels (z, y, x), as napari's Vectors take them. On a layer with the volume's
        ``scale`` they point in the true direction and are nearly as long as the samples are apart.
    """
    spacing = spacing_of(field)
    level = _sampling_level(field, step_px)
    directions, weights, inside = field.level(level), weight.level(level), mask.level(level)
    ratio = np.asarray(spacing_of(directions)) / spacing
    stride = [max(1, round(step_px / r)) for r in ratio]
    length_um = 0.9 * min(s * r * d for s, r, d in zip(stride, ratio, spacing, strict=True))
    shift = (np.asarray(directions.origin_um) - np.asarray(field.origin_um)) / spacing
    depth = directions.shape[1]
    found = []
    first = [s // 2 if s // 2 < n else 0 for s, n in zip(stride, directions.shape[1:], strict=True)]
    for z in range(first[0], depth, stride[0]):
        across = (slice(first[1], None, stride[1]), slice(first[2], None, stride[2]))
        kept = (inside.read((z, *across)) != 0) & (weights.read((z, *across)).astype(np.float32) >= threshold)
        if not kept.any():
            continue
        vectors = directions.read((slice(None), z, *across)).astype(np.float32)[:, kept].T
        rows, columns = np.nonzero(kept)
        index = np.column_stack([np.full(len(rows), z), rows * stride[1] + first[1], columns * stride[2] + first[2]])
        size = np.linalg.norm(vectors, axis=1, keepdims=True)
        whole = size[:, 0] > 0.1
        extent = vectors[whole] / size[whole] * (length_um / np.asarray(spacing))
        found.append(np.stack([index[whole] * ratio + shift, extent], axis=1).astype(np.float32))
    return np.concatenate(found) if found else np.empty((0, 2, 3), np.float32)


def _sampling_level(volume: Volume, step_px: int) -> int:
    finest = np.asarray(spacing_of(volume))
    fitting = [
        index
        for index in range(max(1, len(volume.levels)))
        if (np.asarray(spacing_of(volume.level(index))) / finest).max() <= step_px
    ]
    return max(fitting)


def spacing_of(volume: Volume) -> tuple[float, ...]:
    """Voxel size [um], 1 where the file does not tell it."""
    return tuple(volume.spacing_um) if volume.spacing_um is not None else (1.0, 1.0, 1.0)


def _pyramid(volume: Volume) -> list[Any]:
    return [volume.level(index).array for index in range(max(1, len(volume.levels)))]


def _image(levels: list[Any], options: dict[str, Any]) -> LayerSpecification:
    several = len(levels) > 1
    return LayerSpecification(
        "image", levels if several else levels[0], {"multiscale": several, "rgb": False} | options
    )


def _display_range(volume: Volume) -> tuple[float, float]:
    """Range of the middle planes of the coarsest level: reading the whole image would take minutes."""
    coarse = volume.level(-1)
    middle = coarse.shape[0] // 2
    half = _PLANES_AT_ONCE // 2
    sample = coarse.read(slice(max(0, middle - half), middle + half))[:, ::2, ::2]
    finite = sample[np.isfinite(sample)]
    low, high = (float(v) for v in np.percentile(finite, (0.5, 99.8))) if finite.size else (0.0, 1.0)
    return low, max(high, low + 1e-6)
