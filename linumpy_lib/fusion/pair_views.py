"""Two views of a pair: names, readers with their flips, and the record that registration hands to fusion."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.fusion.transform import Box, Transform
from linumpy_lib.io.volume import Volume

FORMAT = "linumpy-registration"
Range = tuple[float, float]
ANY_VALUE: Range = (0.0, 65535.0)
_NAME = re.compile(r"SPM(\d+)_TM(\d+)(?:_ANG(\d+))?((?:_CM\d+)+)((?:_CHN\d+)+)")


@dataclass(frozen=True)
class ViewName:
    """Specimen, time point, cameras and channels of a view, as its file name tells."""

    specimen: int
    timepoint: int
    cameras: tuple[int, ...]
    channels: tuple[int, ...]


def view_name(text: str) -> ViewName:
    """Read the name of a corrected or fused view.

    Raises
    ------
    InputError
        If it is no such name.

    Examples
    --------
    >>> view_name("SPM00_TM000012_CM00_CM01_CHN00.ome.zarr").cameras
    (0, 1)
    """
    match = _NAME.search(text)
    if match is None:
        raise InputError(f"{text}: is no view; names look like SPM00_TM000000_CM00_CHN00")
    cameras = tuple(int(k) for k in re.findall(r"CM(\d+)", match[4]))
    return ViewName(int(match[1]), int(match[2]), cameras, tuple(int(k) for k in re.findall(r"CHN(\d+)", match[5])))


def pair_mode(reference: ViewName, moving: ViewName) -> Literal["camera", "channel"]:
    """Tell whether views differ in their camera or in their light sheet."""
    return "camera" if reference.cameras != moving.cameras else "channel"


class FlippedReader:
    """Reads boxes of a view, mirrored along x and y where that is asked for."""

    def __init__(self, volume: Volume, flip_h: bool = False, flip_v: bool = False) -> None:
        self.volume = volume
        z, y, x = volume.shape
        self.shape = (z, y, x)
        self._flips = (False, flip_v, flip_h)

    def __call__(self, box: Box) -> npt.NDArray[Any]:
        """Read a box (z, y, x)."""
        region = tuple(
            slice(n - s.stop, n - s.start) if flip else s
            for s, n, flip in zip(box, self.shape, self._flips, strict=True)
        )
        values = np.asarray(self.volume.read(region))
        axes = tuple(k for k, flip in enumerate(self._flips) if flip)
        return np.flip(values, axes) if axes else values


def require_pair(reference: Volume, moving: Volume) -> tuple[float, float, float]:
    """Return the voxel size of two views that can be fused.

    Raises
    ------
    InputError
        If a view is no (z, y, x) volume, its voxel size is unknown, or the two differ in shape or voxel size.
    """
    for volume in (reference, moving):
        if volume.axes != "zyx" or volume.spacing_um is None:
            raise InputError(f"{volume.name}: is no view (z, y, x) with a voxel size; give the stores of correct_view")
    if reference.shape != moving.shape:
        raise InputError(
            f"{moving.name}: has the shape {moving.shape}, {reference.name} has {reference.shape}; views of a pair "
            "need one shape: crop them alike (crop_*)"
        )
    assert reference.spacing_um is not None
    assert moving.spacing_um is not None
    if not np.allclose(reference.spacing_um, moving.spacing_um, rtol=1e-3):
        raise InputError(
            f"{moving.name}: has voxels of {moving.spacing_um} um, {reference.name} of {reference.spacing_um} um; "
            "correct one of them (pixel_spacing_z, detection_objective_mag)"
        )
    z, y, x = reference.spacing_um
    return z, y, x


def known_background(volume: Volume) -> float | None:
    """Background that the correction measured before it masked the view; None if it is not recorded."""
    if "fusion" in volume.provenance:
        return 0.0  # the fusion has subtracted it
    view = volume.provenance.get("view")
    values = view.get("min_intensity") if isinstance(view, dict) else None
    if isinstance(values, list) and values and isinstance(values[-1], int | float):
        return float(values[-1])
    return None


@dataclass(frozen=True)
class PairRecord:
    """What registration knows of a pair at one time point.

    Attributes
    ----------
    name : str
        Stem of the fused view.
    timepoint : int
        Time point.
    mode : {"camera", "channel"}
        What the views differ in.
    transform : Transform
        Motion of the moving view.
    factor : float
        Factor that brings the moving view to the reference's brightness.
    backgrounds : (float, float)
        Levels that are subtracted from reference and moving view.
    flips : (bool, bool)
        Whether the moving view is mirrored along x and y first.
    figures : dict
        Correlations, confidence and standard errors.
    refused : str
        Why the registration must not be used; empty if it may.
    source : str
        ``estimated``, ``smoothed`` or ``interpolated``.
    ranges : pair of (float, float)
        Smallest and largest value of reference and moving view; what is interpolated between voxels is kept within.
    """

    name: str
    timepoint: int
    mode: Literal["camera", "channel"]
    transform: Transform
    factor: float
    backgrounds: tuple[float, float]
    flips: tuple[bool, bool]
    figures: dict[str, Any]
    refused: str = ""
    source: str = "estimated"
    ranges: tuple[Range, Range] = (ANY_VALUE, ANY_VALUE)

    def write(self, path: Path) -> None:
        """Write as JSON."""
        document = {
            "format": FORMAT,
            "version": 1,
            "name": self.name,
            "timepoint": self.timepoint,
            "mode": self.mode,
            "transform": self.transform.as_json(),
            "factor": self.factor,
            "backgrounds": list(self.backgrounds),
            "flips": list(self.flips),
            "figures": self.figures,
            "refused": self.refused,
            "source": self.source,
            "ranges": [list(pair) for pair in self.ranges],
        }
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_record(path: Path) -> PairRecord:
    """Read a record.

    Raises
    ------
    InputError
        If the file is no registration.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a registration of register_views") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"{path}: is no registration; give the JSON file that register_views wrote")
    low, high = data["backgrounds"]
    return PairRecord(
        data["name"],
        data["timepoint"],
        data["mode"],
        Transform(**data["transform"]),
        data["factor"],
        (low, high),
        (data["flips"][0], data["flips"][1]),
        data["figures"],
        data["refused"],
        data["source"],
        _ranges(data.get("ranges")),
    )


def _ranges(found: Any) -> tuple[Range, Range]:
    """Ranges of a record; records of older versions have none."""
    if not found:
        return ANY_VALUE, ANY_VALUE
    (a, b), (c, d) = found
    return (float(a), float(b)), (float(c), float(d))


class WatchedReader:
    """Reads boxes of a view, and remembers the smallest and largest value that came by."""

    def __init__(self, read: Callable[[Box], npt.NDArray[Any]]) -> None:
        self._read = read
        self.low, self.high = math.inf, -math.inf

    def __call__(self, box: Box) -> npt.NDArray[Any]:
        """Read a box (z, y, x)."""
        values = self._read(box)
        if values.size:
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        return values
