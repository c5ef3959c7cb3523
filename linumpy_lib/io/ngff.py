"""Read OME-Zarr 0.4 and 0.5 images and plain Zarr arrays, whoever wrote them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Literal

from linumpy_lib.errors import InputError
from linumpy_lib.io.lazy import LazyArray
from linumpy_lib.io.store import ArchiveStore, DirectoryStore, Store, read_document
from linumpy_lib.io.units import known_spacing, micrometres_per
from linumpy_lib.io.volume import CANONICAL_AXES, SPATIAL_AXES, Level, Volume, canonical
from linumpy_lib.io.zarr_array import open_array

ATTRIBUTE = "linumpy"
_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


def find_root(path: Path) -> tuple[Store, str] | None:
    """Store and node path for `path`, or None if no Zarr is there.

    The store root is the outermost Zarr node above `path`, so that ``store.zarr/0`` finds the metadata of its image.
    """
    if path.is_file():
        return (ArchiveStore(path), "") if path.suffix == ".zip" else None
    if not any((path / mark).is_file() for mark in _MARKS):
        return None
    root = path.absolute()
    while any((root.parent / mark).is_file() for mark in _MARKS):
        root = root.parent
    inside = path.absolute().relative_to(root).as_posix()
    if inside == ".":
        return DirectoryStore(path), ""
    return DirectoryStore(path.parents[len(PurePosixPath(inside).parts) - 1]), inside


def open_zarr(store: Store, node: str, path: Path, level: int, strict: bool | None, threads: int | None) -> Volume:
    """Open the image or array at `node` of `store`.

    Raises
    ------
    InputError
        If metadata are missing, corrupt, contradictory or describe no image.
    """
    kind, attributes, zarr_format = _node(store, node)
    if kind == "array":
        parent = PurePosixPath(node).parent.as_posix() if "/" in node else ""
        if node and (image := _multiscale(store, parent, missing_ok=True)) is not None:
            paths = [str(entry["path"]) for entry in image["datasets"]]
            name = PurePosixPath(node).name
            if name in paths:
                return _image(store, parent, image, path, paths.index(name), strict, threads)
        return _plain(store, node, zarr_format, path, strict, threads)
    image = _multiscale(store, node, missing_ok=True)
    if image is None and "bioformats2raw.layout" in attributes.get("ome", attributes):
        node = f"{node}/0".lstrip("/")
        image = _multiscale(store, node, missing_ok=True)
    if image is None:
        arrays = [name for name in store.names(node) if _kind_of(store, f"{node}/{name}".lstrip("/")) is not None]
        hint = (
            f"open one of its members instead: {', '.join(arrays[:8])}"
            if arrays
            else "check that it is the right folder"
        )
        raise InputError(f"{path}: a Zarr group without OME-Zarr image metadata; {hint}")
    return _image(store, node, image, path, level, strict, threads)


def _kind_of(store: Store, node: str) -> str | None:
    start = f"{node}/" if node else ""
    if store.exists(f"{start}zarr.json"):
        return "zarr.json"
    return next((mark for mark in (".zarray", ".zgroup", ".zattrs") if store.exists(start + mark)), None)


def _node(store: Store, node: str) -> tuple[str, dict[str, Any], Literal[2, 3]]:
    """Return ("array" or "group", attributes, Zarr format) of `node`."""
    start = f"{node}/" if node else ""
    mark = _kind_of(store, node)
    if mark is None:
        raise InputError(f"{store.label}: no Zarr metadata at '{node or '/'}'; check the path or write the store again")
    if mark == "zarr.json":
        document = read_document(store, f"{start}zarr.json") or {}
        if document.get("node_type") not in ("array", "group"):
            raise InputError(f"{store.label}: {start}zarr.json names no node_type; restore or write the store again")
        attributes = document.get("attributes") or {}
        return document["node_type"], attributes if isinstance(attributes, dict) else {}, 3
    attributes = read_document(store, f"{start}.zattrs") or {}
    return ("array" if mark == ".zarray" else "group"), attributes, 2


def _multiscale(store: Store, node: str, *, missing_ok: bool) -> dict[str, Any] | None:
    """First multiscales entry of a group with its context, checked for the shape that the readers rely on."""
    if missing_ok and _kind_of(store, node) is None:
        return None
    _, attributes, zarr_format = _node(store, node)
    ome: Any = attributes.get("ome", attributes)
    entries = ome.get("multiscales") if isinstance(ome, dict) else None
    if entries is None and missing_ok:
        return None
    where = f"{store.label}: OME-Zarr metadata of '{node or '/'}'"
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
        raise InputError(f"{where}: 'multiscales' is not a list of images; write the store again")
    entry = entries[0]
    version = str(ome.get("version", entry.get("version", "0.4")))
    if not version.startswith(("0.4", "0.5")):
        raise InputError(f"{where}: version {version} cannot be read; convert the store to OME-Zarr 0.4 or 0.5")
    datasets = entry.get("datasets")
    if (
        not isinstance(datasets, list)
        or not datasets
        or not all(isinstance(item, dict) and isinstance(item.get("path"), str) for item in datasets)
    ):
        raise InputError(f"{where}: 'datasets' lists no levels with a path; write the store again")
    axes = entry.get("axes")
    if not isinstance(axes, list) or not all(isinstance(axis, dict) and "name" in axis for axis in axes):
        raise InputError(f"{where}: 'axes' is missing or not a list of named axes; write the store again")
    return {**entry, "omero": ome.get("omero"), "zarr_format": zarr_format, ATTRIBUTE: attributes.get(ATTRIBUTE)}


def _image(
    store: Store, node: str, image: dict[str, Any], path: Path, level: int, strict: bool | None, threads: int | None
) -> Volume:
    datasets = image["datasets"]
    if not -len(datasets) <= level < len(datasets):
        raise InputError(f"{path}: has levels 0 to {len(datasets) - 1}, not {level}; choose one of them")
    level %= len(datasets)
    names = [str(axis["name"]).lower() for axis in image["axes"]]
    where = f"{store.label}: level '{datasets[level]['path']}'"
    own: dict[str, Any] = image[ATTRIBUTE] if isinstance(image.get(ATTRIBUTE), dict) else {}
    complete = bool(own.get("complete")) if strict is None else strict
    prefix = f"{node}/{datasets[level]['path']}".lstrip("/")
    source = open_array(store, prefix, image["zarr_format"], complete=complete, threads=threads)
    if any(len(name) != 1 or name not in CANONICAL_AXES for name in names):
        raise InputError(f"{path}: axes {names} are not supported; rename them to a subset of t, c, z, y, x")
    lazy, axes, order = canonical(source, "".join(names), where)
    base = image.get("coordinateTransformations")
    transforms = [_transform(item.get("coordinateTransformations"), base, len(names), where) for item in datasets]
    units = [image["axes"][k].get("unit") for k in order]
    scale, shift = transforms[level]
    spatial = [position for position, axis in enumerate(axes) if axis in SPATIAL_AXES]
    spacing = known_spacing(
        [scale[order[k]] for k in spatial], [units[k] for k in spatial], f"{path} level '{datasets[level]['path']}'"
    )
    origin = tuple(shift[order[k]] * (micrometres_per(units[k]) or 1.0) for k in spatial)
    channels = _channels(image.get("omero"))
    return Volume(
        array=LazyArray(lazy),
        axes=axes,
        spacing_um=spacing,
        origin_um=origin if spacing is not None else (0.0,) * len(spatial),
        channel_names=tuple(str(item.get("label", "")) for item in channels),
        window=tuple(item["window"] for item in channels if isinstance(item.get("window"), dict)),
        provenance=own.get("provenance") or {},
        path=path,
        levels=tuple(
            Level(item["path"], tuple(steps[k] for k in order))
            for item, (steps, _) in zip(datasets, transforms, strict=True)
        ),
        level_index=level,
        _opener=lambda index: _image(store, node, image, path, index, strict, threads),
    )


def _channels(omero: Any) -> list[dict[str, Any]]:
    found = omero.get("channels") if isinstance(omero, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _transform(own: Any, base: Any, count: int, where: str) -> tuple[list[float], list[float]]:
    """Scale and translation of a level, after the transformation that all levels share."""
    scale, shift = [1.0] * count, [0.0] * count
    steps: list[Any] = []
    for part in (own or [], base or []):
        steps.extend(part if isinstance(part, list) else [part])
    for step in steps:
        kind = step.get("type") if isinstance(step, dict) else None
        if kind == "identity":
            continue
        values = step.get(kind) if kind in ("scale", "translation") else None
        if (
            not isinstance(values, list)
            or len(values) != count
            or not all(type(value) in (int, float) for value in values)
        ):
            raise InputError(
                f"{where}: coordinateTransformations hold {step!r}, not {count} numbers; write the store again"
            )
        if kind == "scale":
            scale = [a * b for a, b in zip(scale, values, strict=True)]
            shift = [a * b for a, b in zip(shift, values, strict=True)]
        else:
            shift = [a + b for a, b in zip(shift, values, strict=True)]
    return scale, shift


def _dimension_names(store: Store, node: str, zarr_format: int) -> list[Any]:
    document = read_document(store, f"{node}/zarr.json".lstrip("/")) if zarr_format == 3 else None
    names = (document or {}).get("dimension_names")
    return names if isinstance(names, list) else []


def _plain(
    store: Store, node: str, zarr_format: Literal[2, 3], path: Path, strict: bool | None, threads: int | None
) -> Volume:
    """Open an array without image metadata: the last three axes are z, y, x, a fourth is c, a fifth t."""
    source = open_array(store, node, zarr_format, complete=bool(strict), threads=threads)
    count = len(source.shape)
    if count > len(CANONICAL_AXES) or count == 0:
        raise InputError(f"{path}: a Zarr array of {count} axes is no volume; 3 to 5 axes (t, c, z, y, x) can be read")
    names = [str(name or "").lower() for name in _dimension_names(store, node, zarr_format)]
    known = len(names) == count and len(set(names)) == count and all(len(n) == 1 and n in CANONICAL_AXES for n in names)
    lazy, axes, _ = canonical(source, "".join(names) if known else CANONICAL_AXES[-count:], str(path))
    return Volume(
        array=LazyArray(lazy),
        axes=axes,
        origin_um=(0.0,) * sum(axis in SPATIAL_AXES for axis in axes),
        path=path,
        levels=(Level(node, (1.0,) * count),),
    )
