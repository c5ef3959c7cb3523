"""What a person needs to align slices by hand: small pictures of slices and pairs, and the transforms there are."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.pair_folder import PairRecord
from linumpy_lib.io.slice_config import slice_name
from linumpy_lib.io.volume import Volume

Image = npt.NDArray[np.float32]

PAIR_PLANES = 20
"""Most planes of the reduced slices that a picture of a pair averages."""

_BAND = 256


@dataclass(frozen=True)
class Reduced:
    """A slice at a coarser level.

    Attributes
    ----------
    values : ndarray, float32
        (z, y, x), averages over cubes of ``2**level`` voxels.
    spacing_um : tuple of float
        Voxel size (z, y, x) at that level.
    """

    values: npt.NDArray[np.float32]
    spacing_um: tuple[float, float, float]


def reduced(volume: Volume, level: int) -> Reduced:
    """Average a slice over cubes of ``2**level`` voxels; cubes at the end may be cut short.

    Parameters
    ----------
    volume : Volume
        Slice (z, y, x); read band by band.
    level : int
        0 is the slice itself.
    """
    f = 2**level
    depth, height, width = volume.shape
    shape = tuple(-(-n // f) for n in volume.shape)
    out = np.empty(shape, np.float32)
    step = max(f, _BAND // f * f)
    for top in range(0, height, step):
        rows = slice(top, min(height, top + step))
        part = volume.read((slice(0, depth), rows, slice(0, width))).astype(np.float32)
        for axis in range(3):
            starts = np.arange(0, part.shape[axis], f)
            counts = np.diff(np.append(starts, part.shape[axis])).astype(np.float32)
            sizes = [1, 1, 1]
            sizes[axis] = -1
            part = np.asarray(np.add.reduceat(part, starts, axis=axis) / counts.reshape(sizes), np.float32)
        out[:, top // f : top // f + part.shape[1]] = part
    z, y, x = (s * f for s in volume.require_spacing())
    return Reduced(out, (z, y, x))


def pair_depths(record: PairRecord | None, interval_planes: float, level: int) -> tuple[float, float]:
    """Planes of the reduced fixed and moving slice that show the same depth.

    Offsets of a pair count full-resolution voxels, so they are divided by the level's factor.
    """
    f = 2**level
    if record is None:
        return interval_planes / f, 0.0
    return record.fixed_plane / f, record.moving_plane / f


def _mean_planes(values: npt.NDArray[np.float32], start: float) -> Image:
    first = min(max(0, round(start)), values.shape[0] - 1)
    picture: Image = values[first : first + PAIR_PLANES].mean(axis=0, dtype=np.float32)
    return picture


def pair_pictures(fixed: Reduced, moving: Reduced, depths: tuple[float, float]) -> tuple[Image, Image]:
    """Averages of planes that both slices show, at most `PAIR_PLANES`, from the matching ones down.

    Slices that share no depth show their nearest planes: the deepest and the first.
    """
    starts = [round(depth) for depth in depths]
    count = min(PAIR_PLANES, fixed.values.shape[0] - max(0, starts[0]), moving.values.shape[0] - max(0, starts[1]))
    if count < 1:
        few = min(PAIR_PLANES, 3)
        deepest: Image = fixed.values[-few:].mean(axis=0, dtype=np.float32)
        return deepest, _mean_planes(moving.values[:few], 0)
    pictures = [
        one.values[max(0, s) : max(0, s) + count].mean(axis=0, dtype=np.float32)
        for one, s in zip((fixed, moving), starts, strict=True)
    ]
    return pictures[0], pictures[1]


def centroid(picture: Image) -> tuple[int, int]:
    """Pixel (y, x) at the centre of what is bright: weights are intensities squared."""
    weight = picture.astype(np.float64) ** 2
    total = float(weight.sum())
    if total <= 0:
        return picture.shape[0] // 2, picture.shape[1] // 2
    y = float(weight.sum(axis=1) @ np.arange(picture.shape[0])) / total
    x = float(weight.sum(axis=0) @ np.arange(picture.shape[1])) / total
    return round(y), round(x)


def save_picture(path: Path, picture: Image, spacing_um: Sequence[float], centre: Sequence[float]) -> None:
    """Write one picture: ``aip`` (float32), ``scale`` (mm, rows and columns), ``center_pos`` (row, column).

    Equal pictures give equal bytes, unlike NumPy's own archives.
    """
    arrays: dict[str, npt.NDArray[Any]] = {
        "aip": picture.astype(np.float32, copy=False),
        "scale": np.array(spacing_um, np.float64) / 1000,
        "center_pos": np.array(centre, np.float64),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(values), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())


def write_slice_views(folder: Path, slice_id: int, one: Reduced) -> None:
    """Write the three averages of a slice: along z, and vertical sections through its bright centre, deepest first."""
    aip: Image = one.values.mean(axis=0, dtype=np.float32)
    y, x = centroid(aip)
    name = f"slice_z{slice_name(slice_id)}.npz"
    z_um, y_um, x_um = one.spacing_um
    save_picture(folder / "aips" / name, aip, (y_um, x_um), (y, x))
    depth = one.values.shape[0]
    save_picture(folder / "aips_xz" / name, one.values[::-1, y, :], (z_um, x_um), (depth / 2, x))
    save_picture(folder / "aips_yz" / name, one.values[::-1, :, x], (z_um, y_um), (depth / 2, y))


def write_pair_views(
    folder: Path, ids: tuple[int, int], fixed: Reduced, moving: Reduced, depths: tuple[float, float]
) -> None:
    """Write how two neighbours look where they should match, from above and from two sides.

    The vertical sections cut both slices at the mean of their bright centres, so that they show the same tissue.
    """
    pictures = pair_pictures(fixed, moving, depths)
    centres = [centroid(picture) for picture in pictures]
    y, x = (round((a + b) / 2) for a, b in zip(*centres, strict=True))
    name = f"pair_z{slice_name(ids[0])}_z{slice_name(ids[1])}"
    z_um, y_um, x_um = fixed.spacing_um
    for label, picture, one in zip(("fixed", "moving"), pictures, (fixed, moving), strict=True):
        depth = one.values.shape[0]
        save_picture(folder / "aips" / f"{name}_{label}.npz", picture, (y_um, x_um), (y, x))
        xz, yz = one.values[::-1, y, :], one.values[::-1, :, x]
        save_picture(folder / "aips_xz" / f"{name}_{label}.npz", xz, (z_um, x_um), (depth / 2, x))
        save_picture(folder / "aips_yz" / f"{name}_{label}.npz", yz, (z_um, y_um), (depth / 2, y))


def write_metadata(
    path: Path, level: int, files: Mapping[int, str], interpolated: Sequence[int], transforms: int
) -> None:
    """Write ``manual_align_metadata.json``: what is in the package."""
    document = {
        "pyramid_level": level,
        "cross_section_level": level,
        "n_slices": len(files),
        "slice_ids": list(files),
        "slice_filenames": list(files.values()),
        "axis_views": ["xy", "xz", "yz"],
        "n_transforms": transforms,
        "interpolated_slice_ids": list(interpolated),
        "slices_remote_dir": "",
        "slice_remote_paths": [],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
