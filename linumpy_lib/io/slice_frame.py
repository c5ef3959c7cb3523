"""Where a slice's voxels lie: stated in each slice store, so that no later step has to guess it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from linumpy_lib.errors import InputError
from linumpy_lib.io.volume import Volume

KEY = "slice"


@dataclass(frozen=True)
class SliceFrame:
    """Identity and place of one slice volume (z, y, x).

    Attributes
    ----------
    slice_id : int
        Slice that the volume shows; ids that are absent between two slices are gaps in z.
    origin_um : tuple of float
        Centre of voxel (0, 0, 0) along (z, y, x), micrometres. z is counted from the mosaic's first depth sample,
        y and x from the centre of the first voxel of the tile at row 0, column 0 of the nominal grid.
    stage_origin_mm : tuple of float or None
        Stage position of that tile's first voxel along the image axes (y, x), millimetres; None if unknown.
    interval_um : float or None
        Distance in z of the tops of slices with consecutive ids, micrometres; known from `align_common_space` on
        (y and x of `origin_um` count from the common canvas then).
    interpolated : bool
        Whether the voxels were made from neighbours because the slice is missing.
    """

    slice_id: int
    origin_um: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stage_origin_mm: tuple[float, float] | None = None
    interval_um: float | None = None
    interpolated: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain JSON form; goes into a store's provenance under `KEY`."""
        return {
            "slice_id": self.slice_id,
            "origin_um": list(self.origin_um),
            "stage_origin_mm": None if self.stage_origin_mm is None else list(self.stage_origin_mm),
            "interval_um": self.interval_um,
            "interpolated": self.interpolated,
        }


def slice_frame(volume: Volume) -> SliceFrame:
    """Read the place of a slice volume.

    Parameters
    ----------
    volume : Volume
        A slice store, opened.

    Raises
    ------
    InputError
        If the store does not state it, or states it malformed.
    """
    data = volume.provenance.get(KEY)
    if not isinstance(data, Mapping):
        raise InputError(f"{volume.name}: its metadata state no slice; make slices with stitch_slice of this program")
    try:
        z, y, x = (float(n) for n in data["origin_um"])
        stage = data.get("stage_origin_mm")
        return SliceFrame(
            slice_id=int(data["slice_id"]),
            origin_um=(z, y, x),
            stage_origin_mm=None if stage is None else (float(stage[0]), float(stage[1])),
            interval_um=None if data.get("interval_um") is None else float(data["interval_um"]),
            interpolated=bool(data.get("interpolated", False)),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{volume.name}: its place is malformed ({error!r}); make the slice again") from None
