"""Stores of corrected views: one OME-Zarr image with its labels and projections inside.

``labels/segmentation`` is the mask; ``labels/xy_coords`` and ``labels/xz_coords`` tell where along z and x its
foreground lies (from 1, 0 is nowhere); ``labels/dead_pixels`` the replaced pixels; ``projections/xy``, ``xz`` and
``yz`` are maxima. Each is an image (z, y, x) with an extent of 1 along the axis that it has lost, so it lies in the
space of the view.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.fusion.bands import Bands
from linumpy_lib.fusion.segmentation import CoordinateSums
from linumpy_lib.fusion.view_correction import ViewCorrection
from linumpy_lib.io import Volume, VolumeWriter, open_volume, write_volume
from linumpy_lib.io.metadata import write_document

CODECS = {"blosc-zstd": "zstd-bitshuffle", "blosc-lz4": "lz4-bitshuffle", "zstd": "zstd", "none": "none"}
LABELS = ("segmentation", "xy_coords", "xz_coords", "dead_pixels")
PROJECTIONS = ("xy", "xz", "yz")
# Planes of a shard: all shards of a slab are held while it is written.
_THICKEST_SLAB = 1 << 29
_LOST_AXIS = {"xy_coords": 0, "dead_pixels": 0, "xy": 0, "xz": 1, "yz": 2, "xz_coords": 2}


def slab_thickness(shape: Sequence[int], chunk: int, shard: int) -> int:
    """Return the planes of a shard: a whole number of chunks, fewer where whole slabs of a view are large.

    Examples
    --------
    >>> slab_thickness((543, 2048, 2048), 64, 256), slab_thickness((100, 512, 512), 64, 256)
    (64, 256)
    """
    plane = 2 * int(shape[1]) * int(shape[2])
    return max(chunk, min(shard, _THICKEST_SLAB // plane // chunk * chunk))


def write_corrected_view(
    path: Path,
    correction: ViewCorrection,
    *,
    spacing_um: Sequence[float],
    provenance: Mapping[str, Any],
    codec: str,
    chunk: int,
    shard: int,
    threads: int,
    mask_only: bool = False,
) -> None:
    """Write a view, or its mask alone, with labels and projections; `correction.examine` was called.

    Raises
    ------
    OutputError
        If the disk is full or not writable.
    """
    shape = correction.view.shape
    thickness = slab_thickness(shape, chunk, shard)
    common: dict[str, Any] = {
        "shape": shape,
        "spacing_um": spacing_um,
        "chunks": chunk,
        "shards": (thickness, shard, shard),
        "threads": threads,
        "provenance": provenance,
    }
    beside = path.with_name(f"{path.name}.segmentation")
    with ExitStack() as stack:
        image = None if mask_only else stack.enter_context(VolumeWriter(path, dtype=np.uint16, codec=codec, **common))
        labels = None
        if correction.masked:
            place = path if mask_only else beside
            labels = stack.enter_context(VolumeWriter(place, dtype=np.uint8, kind="labels", **common))
        writers = [writer for writer in (image, labels) if writer is not None]
        for slab in correction.slabs(writers[0].plans[0].shards[0]):
            if image is not None:
                write_slab(image, slab.first, slab.planes)
            if labels is not None and slab.mask is not None:
                write_slab(labels, slab.first, slab.mask)
    names = []
    if labels is not None and not mask_only:
        names.append("segmentation")
        _adopt(path, beside, "labels/segmentation", {0: (0, 0, 0, 0), 1: (0, 255, 0, 128)})
    _write_flat(path, correction, spacing_um, provenance, names, mask_only)


def write_slab(writer: VolumeWriter, first: int, planes: npt.NDArray[Any]) -> None:
    """Write all shards of a view that begin at plane `first`."""
    for region in writer.regions():
        if region[0].start == first:
            writer.write(region, planes[:, region[1], region[2]])


def _write_flat(
    path: Path,
    correction: ViewCorrection,
    spacing_um: Sequence[float],
    provenance: Mapping[str, Any],
    names: list[str],
    mask_only: bool,
) -> None:
    found = correction.found
    images: dict[str, npt.NDArray[Any]] = {}
    if found.coordinates is not None:
        images |= _coordinate_images(found.coordinates)
    if found.dead_pixels is not None and not mask_only:
        images["labels/dead_pixels"] = found.dead_pixels.astype(np.uint8)
    if not mask_only:
        images |= {f"projections/{name}": found.projections[name] for name in PROJECTIONS}
    write_inside(path, images, spacing_um=spacing_um, provenance=provenance, names=names)


def _coordinate_images(sums: CoordinateSums) -> dict[str, npt.NDArray[Any]]:
    xz, xy = sums.masks()
    return {"labels/xy_coords": xy, "labels/xz_coords": np.ascontiguousarray(xz.T)}


def write_inside(
    path: Path,
    images: Mapping[str, npt.NDArray[Any]],
    *,
    spacing_um: Sequence[float],
    provenance: Mapping[str, Any],
    names: Sequence[str] = (),
) -> None:
    """Add flat labels and projections to a store.

    Parameters
    ----------
    path : Path
        The store.
    images : mapping of str to ndarray
        Planes by their place, ``labels/xy_coords`` or ``projections/xz``.
    names : sequence of str
        Labels that it has already.
    """
    names = list(names)
    for inner, plane in images.items():
        folder, name = inner.split("/")
        beside = path.with_name(f"{path.name}.{name}")
        kind = "mask" if folder == "labels" else "intensity"
        shaped = np.expand_dims(plane, _LOST_AXIS[name])
        write_volume(beside, shaped, spacing_um=spacing_um, kind=kind, levels=1, name=name, provenance=provenance)
        _adopt(path, beside, inner, {} if folder == "labels" else None)
        if folder == "labels":
            names.append(name)
    for folder, ome in (("labels", {"version": "0.5", "labels": names}), ("projections", None)):
        if (path / folder).is_dir():
            group: dict[str, Any] = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome} if ome else {}}
            write_document(path / folder / "zarr.json", group)


def _adopt(path: Path, beside: Path, inner: str, colors: Mapping[int, Sequence[int]] | None) -> None:
    """Move a store into another; with colors it becomes a label image of it."""
    place = path / inner
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(beside, place)
    if colors is None:
        return
    document = json.loads((place / "zarr.json").read_text(encoding="utf-8"))
    label: dict[str, Any] = {"source": {"image": "../../"}}
    if colors:
        label["colors"] = [{"label-value": value, "rgba": list(rgba)} for value, rgba in colors.items()]
    document["attributes"]["ome"]["image-label"] = label
    document["attributes"]["ome"].pop("omero", None)
    write_document(place / "zarr.json", document)


def write_joined_mask(
    path: Path,
    masks: Sequence[Volume],
    rows: Bands,
    *,
    provenance: Mapping[str, Any],
    chunk: int = 64,
    shard: int = 256,
    progress: bool = False,
) -> tuple[int, CoordinateSums]:
    """Write the union of masks, with its coordinate masks.

    Returns
    -------
    foreground : int
        Voxels of the union.
    sums : CoordinateSums
        What the coordinate masks were made of.

    Raises
    ------
    InputError
        If the masks differ in shape, or the first does not tell its voxel size.
    """
    from linumpy_lib.blocks import Progress

    shape, spacing = masks[0].shape, masks[0].require_spacing()
    for mask in masks:
        if mask.shape != shape or mask.axes != "zyx":
            raise InputError(
                f"{mask.name}: has the shape {mask.shape}, {masks[0].name} has {shape}; give masks of views that are "
                "cropped and turned alike"
            )
    sums, foreground = CoordinateSums.of_shape(shape), 0
    thickness = slab_thickness(shape, chunk, shard)
    with VolumeWriter(
        path,
        shape=shape,
        dtype=np.uint8,
        spacing_um=spacing,
        kind="labels",
        chunks=chunk,
        shards=(thickness, shard, shard),
        provenance=provenance,
        threads=rows.threads,
    ) as writer:
        thickness = writer.plans[0].shards[0]
        firsts = range(0, shape[0], thickness)
        with Progress(len(firsts) * len(masks), "masks", shown=progress) as bar:
            for first in firsts:
                joined = np.zeros((min(thickness, shape[0] - first), *shape[1:]), np.uint8)
                for mask in masks:
                    np.maximum(joined, mask.read(slice(first, first + thickness)) != 0, out=joined)
                    bar.advance()
                write_slab(writer, first, joined)
                sums.add(joined, first, rows)
                foreground += int(np.count_nonzero(joined))
    write_inside(path, _coordinate_images(sums), spacing_um=spacing, provenance=provenance)
    return foreground, sums


def open_inside(path: Path, folder: str, name: str) -> Volume:
    """Open a label or a projection of a corrected view.

    Raises
    ------
    InputError
        If the store has none of that name.
    """
    place = Path(path) / folder / name
    if not (place / "zarr.json").is_file():
        inside = sorted(p.parent.name for p in (Path(path) / folder).glob("*/zarr.json"))
        raise InputError(f"{path}: has no {folder}/{name}; there are {', '.join(inside) or 'none'}")
    return open_volume(place)


def read_plane(path: Path, folder: str, name: str) -> npt.NDArray[Any]:
    """Read a label or projection as it is computed.

    Coordinates of x are (y, z), planes come without the axis that they lost, masks are (z, y, x).
    """
    values = np.asarray(open_inside(path, folder, name).read())
    if name in _LOST_AXIS:
        values = values.squeeze(_LOST_AXIS[name])
    return np.ascontiguousarray(values.T) if name == "xz_coords" else values


def open_mask(path: Path) -> Volume:
    """Open the mask of a corrected view's store, or a store that is a mask itself.

    Raises
    ------
    InputError
        If there is none.
    """
    inside = Path(path) / "labels" / "segmentation"
    volume = open_volume(inside if inside.is_dir() else path, ndim=3)
    if not inside.is_dir() and volume.dtype != np.uint8:
        raise InputError(
            f"{path}: holds no labels/segmentation and is no mask itself; correct it with segment_mode 1 or 2"
        )
    return volume
