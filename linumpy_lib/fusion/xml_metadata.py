"""The XML files of an IsoView recording: ``push_config`` with ``info`` elements whose attributes hold everything."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from linumpy_lib.errors import InputError

MAX_BYTES = 4_000_000
CAMERA_PIXEL_UM = 6.5
_WHOLE = ("time_point", "planes")
_NUMBERS = ("angle", "exposure_time", "z_step", "y_step", "axial_step")
_SIZE = re.compile(r"\s*(\d+)\s*[xX]\s*(\d+)(?:\s*[xX]\s*(\d+))?\s*")


def read_xml_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what the microscope was set to.

    Parameters
    ----------
    path : path-like
        XML file. Any attribute may stand in any ``info`` element; where several elements name one with different
        values, these are joined by commas.

    Returns
    -------
    dict
        The attributes as text, but ``time_point`` as int; ``angle``, ``exposure_time`` (ms), ``z_step`` (um) as float;
        ``dimensions`` as a list of (width, height, depth), depth 0 where it is not told; ``camera_index`` as a list of
        int. Added where they follow: ``zplanes``, ``fps``, ``vps``, ``objective_mag``, ``camera_pixel_size_um``,
        ``pixel_resolution_um``.

    Raises
    ------
    InputError
        If the file is missing, larger than 4 MB, no XML, declares entities or a document type, or holds a value that is
        not what its name says.
    """
    path = Path(path)
    texts = _attributes(path)
    found: dict[str, Any] = dict(texts)
    for name in (*_WHOLE, *_NUMBERS):
        if name in texts:
            found[name] = _number(path, name, texts[name], whole=name in _WHOLE)
    if "dimensions" in texts:
        found["dimensions"] = _dimensions(path, texts["dimensions"])
    if "camera_index" in texts:
        numbers = re.findall(r"\d+", texts["camera_index"])
        found["camera_index"] = [int(number) for number in numbers if len(number) <= 4]
    return {**found, **_derived(found)}


def _attributes(path: Path) -> dict[str, str]:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        with path.open("rb") as handle:
            text = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if len(text) > MAX_BYTES:
        raise InputError(f"{path}: is larger than {MAX_BYTES} bytes, no microscope writes that; check the file")
    try:
        root = fromstring(text, forbid_dtd=True)
    except DefusedXmlException:
        raise InputError(
            f"{path}: declares a document type or entities, which no microscope writes; do not trust this file"
        ) from None
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{path}: is no valid XML ({error}); copy it again") from None
    found: dict[str, list[str]] = {}
    for element in root.iter("info"):
        for name, value in element.attrib.items():
            values = found.setdefault(name, [])
            if value.strip() not in values:
                values.append(value.strip())
    if not found:
        raise InputError(f"{path}: holds no 'info' element with attributes; give the XML file of the acquisition")
    return {name: ", ".join(values) for name, values in found.items()}


def _number(path: Path, name: str, text: str, *, whole: bool) -> float | int:
    try:
        value = float(text.split(",")[0])
        if value - value == 0:
            return int(value) if whole else value
    except ValueError:
        pass
    raise InputError(f"{path}: {name} is {text[:40]!r}, not a number; correct the file")


def _dimensions(path: Path, text: str) -> list[tuple[int, int, int]]:
    sizes = []
    for part in text.split(","):
        match = _SIZE.fullmatch(part)
        if match is None or len(part) > 64:
            raise InputError(f"{path}: dimensions are {text[:60]!r}, not width x height x depth; correct the file")
        width, height, depth = (int(group or 0) for group in match.groups())
        if not (0 < width < 1 << 24 and 0 < height < 1 << 24 and depth < 1 << 31):
            raise InputError(f"{path}: dimensions {text[:60]!r} cannot be those of a camera; correct the file")
        sizes.append((width, height, depth))
    return sizes


def _derived(found: Mapping[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {}
    depth = found["dimensions"][0][2] if found.get("dimensions") else 0
    if depth:
        more["zplanes"] = depth
    if found.get("exposure_time", 0) > 0:
        more["fps"] = 1000.0 / found["exposure_time"]
        if depth:
            more["vps"] = more["fps"] / depth
    match = re.search(r"(\d{1,6}(?:\.\d{1,6})?)\s*x", str(found.get("detection_objective", "")))
    if match and float(match[1]) > 0:
        more["objective_mag"] = float(match[1])
        more["camera_pixel_size_um"] = CAMERA_PIXEL_UM
        more["pixel_resolution_um"] = CAMERA_PIXEL_UM / more["objective_mag"]
    return more


def of_camera(metadata: Mapping[str, Any], camera: int, cameras: Sequence[int] = ()) -> tuple[int, int, int]:
    """Size (width, height, depth) of one camera's view.

    Parameters
    ----------
    metadata : mapping
        From `read_xml_metadata`.
    camera : int
        Number of the camera.
    cameras : sequence of int
        Cameras that the file describes, where it has no ``camera_index`` itself.

    Raises
    ------
    InputError
        If the sizes do not tell which is this camera's.
    """
    sizes = metadata.get("dimensions") or []
    order = list(metadata.get("camera_index") or cameras)
    if len(sizes) == 1 or (sizes and len(set(sizes)) == 1):
        size: tuple[int, int, int] = sizes[0]
        return size
    if len(sizes) == len(order) and camera in order:
        chosen: tuple[int, int, int] = sizes[order.index(camera)]
        return chosen
    raise InputError(
        f"dimensions {sizes or 'missing'} with camera_index {order or 'missing'} do not tell the size of "
        f"camera {camera}"
    )


def merge_metadata(parts: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """Join the XML files of a recording: what all agree on, and what differs, by the number of the camera.

    Returns
    -------
    common : dict
        Entries that every file has with the same value.
    per_camera : dict of int to dict
        Entries that differ, for each camera that a file's ``camera_index`` names.
    """
    common = {
        name: value
        for name, value in (parts[0] if parts else {}).items()
        if all(part.get(name) == value for part in parts)
    }
    per_camera: dict[int, dict[str, Any]] = {}
    for part in parts:
        for camera in part.get("camera_index") or []:
            per_camera.setdefault(camera, {}).update({k: v for k, v in part.items() if k not in common})
    return common, per_camera
