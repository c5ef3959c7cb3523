"""Opening the slices of an acquisition, by id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from linumpy_lib.alignment.placement import SliceFacts
from linumpy_lib.errors import InputError
from linumpy_lib.io import Volume, open_volume
from linumpy_lib.io.slice_frame import slice_frame


def _stores(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir() and not (path / "zarr.json").exists() and not (path / ".zattrs").exists():
            inside = sorted(path.glob("slice_*.ome.zarr"))
            if not inside:
                raise InputError(f"{path}: holds no slice_*.ome.zarr; give the stores of the slices or their folder")
            found += inside
        else:
            found.append(path)
    return found


def open_slices(paths: Sequence[Path], corner: int | None = None) -> tuple[dict[int, Volume], dict[int, SliceFacts]]:
    """Open slices, ascending by id.

    Parameters
    ----------
    paths : sequence of Path
        Stores, or folders of stores.
    corner : int, optional
        Take this many voxels along each axis only, to try the wiring.

    Returns
    -------
    volumes : dict of int to Volume
    facts : dict of int to SliceFacts

    Raises
    ------
    InputError
        If a store is no slice volume, or two have the same id.
    """
    volumes: dict[int, Volume] = {}
    facts: dict[int, SliceFacts] = {}
    for path in _stores(paths):
        volume = open_volume(path)
        if volume.axes != "zyx":
            raise InputError(f"{path}: axes '{volume.axes}'; a slice has the axes z, y, x")
        frame = slice_frame(volume)
        if frame.slice_id in volumes:
            raise InputError(
                f"{path}: slice {frame.slice_id} is there twice, also as {volumes[frame.slice_id].name}; give one of "
                "them"
            )
        z, y, x = volume.require_spacing()
        if corner is not None:
            volume = replace(volume.corner(corner), path=path)
        volumes[frame.slice_id] = volume
        facts[frame.slice_id] = SliceFacts((volume.shape[0], volume.shape[1], volume.shape[2]), (z, y, x), frame)
    order = sorted(volumes)
    return {k: volumes[k] for k in order}, {k: facts[k] for k in order}
