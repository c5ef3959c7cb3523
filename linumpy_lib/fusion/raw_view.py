"""A recorded view, opened: its voxels, its voxel size and the dark level of its camera."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.errors import InputError
from linumpy_lib.fusion.discovery import RawView
from linumpy_lib.fusion.percentiles import percentile
from linumpy_lib.io import Volume, open_volume
from linumpy_lib.io.text_file import read_json

DARK_PERCENTILE = 3.0
_LARGEST_FRAME = 1 << 28


def read_view_file(path: Path, recording: Path) -> RawView:
    """Read a view's JSON file, as `discover_views` writes it.

    Parameters
    ----------
    path : Path
        The file.
    recording : Path
        Folder of the recording, which its paths begin at.

    Raises
    ------
    InputError
        If it is no such file, or names a file outside the recording.
    """
    data = read_json(path, "give a view's JSON file of discover_views")
    names = {item.name for item in fields(RawView)}
    if not names <= set(data):
        raise InputError(f"{path}: describes no view; give a view's JSON file of discover_views")
    values: dict[str, Any] = {name: data[name] for name in names}
    for name in ("stack", "background"):
        if values[name] is None and name == "background":
            continue
        if not isinstance(values[name], str) or Path(values[name]).is_absolute() or ".." in Path(values[name]).parts:
            raise InputError(
                f"{path}: {name} is {values[name]!r}, no path inside the recording; run discover_views again"
            )
        values[name] = recording / values[name]
    for name in ("specimen", "timepoint", "camera", "channel", "width", "height", "xml_depth"):
        if not isinstance(values[name], int) or values[name] < 0:
            raise InputError(f"{path}: {name} is {values[name]!r}, not a number; run discover_views again")
    if not isinstance(values["metadata"], dict):
        raise InputError(f"{path}: metadata are no table; run discover_views again")
    return RawView(**values)


def open_view(view: RawView, threads: int | None = None) -> tuple[Volume, str]:
    """Open the voxels of a view.

    Returns
    -------
    volume : Volume
        (z, y, x).
    note : str
        What differs from the XML; empty if nothing does.

    Raises
    ------
    InputError
        If the file is missing, damaged, or has planes of another size than the XML tells.
    """
    from linumpy_lib.fusion.raw_stack import open_stack

    if view.stack.suffix.lower() == ".stack":
        volume = Volume(open_stack(view.stack, view.width, view.height), "zyx", path=view.stack)
    else:
        volume = open_volume(view.stack, ndim=3, threads=threads)
    depth, height, width = volume.shape
    if view.width and (view.width, view.height) != (width, height):
        raise InputError(
            f"{view.stack}: has planes of {width} x {height} pixels, its XML tells {view.width} x {view.height}; "
            "correct 'dimensions' or give the file of this camera"
        )
    if view.xml_depth and view.xml_depth != depth:
        return volume, f"{view.stack.name}: holds {depth} planes, its XML tells {view.xml_depth}; all {depth} are used"
    return volume, ""


def voxel_size_um(
    view: RawView, volume: Volume, pixel_spacing_z: float, detection_objective_mag: float, pixel_spacing_camera: float
) -> tuple[float, float, float]:
    """Return the voxel size (z, y, x): as given, else as the XML tells it, else as the file does.

    Parameters
    ----------
    view, volume
        The view and its voxels.
    pixel_spacing_z : float
        Distance of planes [um]; 0 looks it up.
    detection_objective_mag : float
        Magnification; 0 looks it up.
    pixel_spacing_camera : float
        Pixel of the sensor [um].

    Raises
    ------
    InputError
        If it is told nowhere.
    """
    z = pixel_spacing_z or _positive(view.metadata.get("z_step"))
    magnification = detection_objective_mag or _positive(view.metadata.get("objective_mag"))
    if volume.spacing_um is not None:
        z = z or volume.spacing_um[0]
        if not magnification:
            return z, volume.spacing_um[1], volume.spacing_um[2]
    missing = [
        f"{what} (set {name})"
        for what, name, value in (
            ("the distance of planes", "pixel_spacing_z", z),
            ("the magnification", "detection_objective_mag", magnification),
        )
        if not value
    ]
    if missing:
        raise InputError(f"{view.stack}: neither its XML nor the file tells {' and '.join(missing)}")
    lateral = pixel_spacing_camera / magnification
    return z, lateral, lateral


def _positive(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < float("inf") else 0.0


def dark_level(path: Path) -> float:
    """Return the 3rd percentile of a camera's dark frame.

    Raises
    ------
    InputError
        If the file is no picture.
    """
    from linumpy_lib.io.tiff import open_tiff

    try:
        frame = open_tiff(path).array
        values = frame[...] if frame.size <= _LARGEST_FRAME else None
    except InputError as error:
        raise InputError(f"{error}; or take the file away, so that the dark level is taken from the views") from None
    if values is None or values.dtype.kind not in "uif" or not np.all(np.isfinite(values)):
        raise InputError(f"{path}: shape {frame.shape}, {frame.dtype}: give counts that the camera took in the dark")
    return percentile(values.ravel(), DARK_PERCENTILE)
