"""How far a reconstructed volume is from the simulated acquisition that it was made of."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from linumpy_lib.alignment.rigid import Rigid, image_centre
from linumpy_lib.io import Volume, open_volume
from linumpy_lib.io.slice_frame import slice_frame
from linumpy_lib.simulation.truth import Truth
from linumpy_lib.simulation.truth_volume import TruthVolume
from tests.support.perfect_reconstruction import Placed, World, perfect

FIRST_PLANE = 4
"""Default of `stack_first_plane`."""


@dataclass(frozen=True)
class Likeness:
    """Correlation of the volume with the truth where there is tissue (1.5 times as bright as agarose).

    Attributes
    ----------
    voxels, blurred : float
        With the truth's reflectivity: single voxels, noise and all; and both blurred by a Gaussian of one voxel, which
        takes most of the speckle out.
    modelled_voxels, modelled : float
        The same with the truth passed through the known intensity model of finished slices: agarose is 0 and the 99th
        percentile of a slice's tissue is 1 (what `normalize_slice` promises), slices blended where the stack blends
        them.
    ceiling_voxels, ceiling : float
        What the perfect volume of the very samples reaches (`perfect_reconstruction`), compared with the reflectivity;
        nan where it was not asked for.
    """

    voxels: float
    blurred: float
    modelled_voxels: float
    modelled: float
    ceiling_voxels: float
    ceiling: float


@dataclass(frozen=True)
class Reconstruction:
    """Errors after the whole volume's own offset and rotation; lengths in voxels of the volume.

    `tile_rms` is what stitching left: errors of tiles that no motion of whole slices mends. For the correlations see
    `Likeness`.
    """

    position_rms: float
    position_max: float
    rotation_rms: float
    depth_rms: float
    depth_max: float
    drift: float
    tile_rms: float
    planes: int
    expected_planes: int
    likeness: Likeness
    of_slice: dict[int, tuple[float, float, float, float]]


def _rows(path: Path) -> dict[int, dict[str, str]]:
    with path.open() as stream:
        return {int(row["slice_id"]): row for row in csv.DictReader(stream)}


def slice_to_world(
    truth: Truth, stitched: Volume, tiles: Path, row: dict[str, str], slice_id: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Affine from a pixel of a slice on the canvas to the world, fitted to where its tiles were put and really lay.

    Tiles count as much as they hold tissue: where an empty one lies, nobody can see.

    Returns
    -------
    matrix, offset : ndarray
        For (y, x), micrometres.
    residual : float
        Of the tiles, rms, micrometres: what no motion of the whole slice can mend.
    """
    origin = np.array(slice_frame(stitched).origin_um[1:]) / np.array(stitched.require_spacing()[1:])
    corner = np.array([float(row["y_px"]), float(row["x_px"])])
    item = truth.slice(slice_id)
    half = np.array(truth.tile_shape[1:]) * np.array(truth.spacing_um[1:]) / 2
    pixels, places, weights = [], [], []
    plane = stitched.read(stitched.shape[0] // 3)
    bright = plane > 0.3 * np.percentile(plane, 98)
    size = np.round(2 * half / np.array(stitched.require_spacing()[1:])).astype(int)
    with tiles.open() as stream:
        for tile in csv.DictReader(stream):
            if tile["status"] == "used":
                middle = half / np.array(stitched.require_spacing()[1:])
                put = np.array([float(tile["y_px"]), float(tile["x_px"])]) + middle - 0.5
                pixels.append(put - origin + corner)
                y, x = np.maximum(0, np.round(put - middle + 0.5 - origin).astype(int))
                weights.append(float(bright[y : y + size[0], x : x + size[1]].mean()))
                lab = np.array(item.tile(int(tile["column"]), int(tile["row"])).centre_xy_um)
                places.append(truth.world_xy_um(slice_id, lab)[::-1])
    model = np.column_stack([np.array(pixels), np.ones(len(pixels))])
    share = np.sqrt(np.array(weights))[:, None]
    fit = np.linalg.lstsq(share * model, share * np.array(places), rcond=None)[0]
    residual = share * (np.array(places) - model @ fit)
    return fit[:2].T, fit[2], float(np.sqrt((residual**2).sum() / sum(weights)))


def compare(
    truth: Truth,
    reference: Volume,
    stitched: dict[int, Volume],
    tiles: dict[int, Path],
    common: Volume,
    positions: Path,
    stack: Path,
    name: str,
    *,
    ceiling: bool = False,
) -> Reconstruction:
    """Compare a stacked volume with the truth.

    Parameters
    ----------
    truth : Truth
        The acquisition.
    reference : Volume
        The truth volume.
    stitched : dict of int to Volume
        Slices before they were brought to the common canvas.
    tiles : dict of int to Path
        slice_*_tile_positions.csv.
    common : Volume
        Any slice on the canvas.
    positions : Path
        common_space.csv.
    stack : Path
        Folder of the stack.
    name : str
        Name of the volume.
    ceiling : bool
        Make the perfect volume too; it takes as long as simulating the acquisition three times.
    """
    canvas, placed = _rows(positions), _rows(stack / "stacking_decisions.csv")
    volume = open_volume(stack / f"{name}.ome.zarr")
    spacing = np.array(volume.require_spacing())
    corner = np.round(np.array(volume.origin_um)[1:] / spacing[1:])
    centre = image_centre((common.shape[1], common.shape[2]))
    middle = np.array([volume.shape[1], volume.shape[2]]) / 2
    maps, depths, residuals = {}, {}, []
    for k, store in stitched.items():
        matrix, offset, rest = slice_to_world(truth, store, tiles[k], canvas[k], k)
        row = placed[k]
        pose = Rigid(
            math.radians(float(row["rotation_deg"])), (float(row["shift_y_px"]), float(row["shift_x_px"])), centre
        )
        turn, shift = pose.affine()
        whole = matrix @ turn
        residuals.append(rest / spacing[1])
        maps[k] = whole, matrix @ (turn @ corner + shift) + offset
        first = truth.world_z_um(k, slice_frame(store).origin_um[0] / truth.spacing_um[0])
        depths[k] = (first - int(row["first_plane"]) * spacing[0]) / spacing[0]
    ids = sorted(maps)
    places = np.array([(maps[k][0] @ middle + maps[k][1]) / spacing[1:] for k in ids])
    angles = np.array(
        [math.degrees(math.atan2(maps[k][0][0, 1] - maps[k][0][1, 0], np.trace(maps[k][0]))) for k in ids]
    )
    errors = places - places.mean(axis=0)
    turns = angles - angles.mean()
    deep = np.array([depths[k] for k in ids])
    deep -= np.median(deep)
    lengths = np.hypot(*errors.T)
    matrix = np.mean([maps[k][0] for k in ids], axis=0)
    offset = np.mean([maps[k][1] for k in ids], axis=0)
    first = float(np.median([depths[k] for k in ids])) * spacing[0]
    extents = {k: (int(placed[k]["first_plane"]), stitched[k].shape[0]) for k in ids}
    world = matrix, offset, first
    likeness = _likeness(truth, reference, volume, world, _ramps(extents), ceiling=ceiling)
    thick = open_volume(stitched[ids[-1]].path).shape[0]  # type: ignore[arg-type]
    expected = round((truth.slice(ids[-1]).face_um - truth.slice(ids[0]).face_um) / spacing[0])
    return Reconstruction(
        position_rms=float(np.sqrt(np.mean(lengths**2))),
        position_max=float(lengths.max()),
        rotation_rms=float(np.sqrt(np.mean(turns**2))),
        depth_rms=float(np.sqrt(np.mean(deep**2))),
        depth_max=float(np.abs(deep).max()),
        drift=float(np.hypot(*(errors[-1] - errors[0]))),
        tile_rms=float(np.sqrt(np.mean(np.square(residuals)))),
        planes=volume.shape[0],
        expected_planes=expected + thick,
        likeness=likeness,
        of_slice={
            k: (float(e[0]), float(e[1]), float(t), float(d))
            for k, e, t, d in zip(ids, errors, turns, deep, strict=True)
        },
    )


def _ramps(extents: dict[int, tuple[int, int]]) -> Placed:
    """First plane, planes, and the planes over which each slice takes over, as `stack_slices` does by default."""
    found, bottom = {}, 0
    for k, (top, planes) in extents.items():
        start = min(top + FIRST_PLANE, max(top, bottom))
        found[k] = top, planes, (start, max(start, bottom))
        bottom = max(bottom, top + planes)
    return found


def _true_volume(truth: Truth, reference: Volume, shape: tuple[int, ...], world: World, step_um: float) -> np.ndarray:
    """Reflectivity at every voxel of a volume."""
    source = np.asarray(reference.read(), np.float32)
    low, high = truth.volume["low"], truth.volume["high"]
    source = np.clip((source - low) / (high - low), 0, 1)
    matrix, offset, first_um = world
    linear = np.zeros((3, 3))
    linear[0, 0], linear[1:, 1:] = step_um, matrix
    start = np.array([first_um, *offset])
    rows = np.array(truth.volume_from_world)
    step = np.array(truth.volume["spacing_um"])
    affine = rows[:, :3] @ linear / step[:, None]
    found: np.ndarray = ndimage.affine_transform(
        source, affine, (rows[:, :3] @ start + rows[:, 3]) / step, output_shape=shape, order=1
    )
    return found


def _modelled(true: np.ndarray, tissue: np.ndarray, agarose: float, placed: Placed) -> np.ndarray:
    """Scale the truth slice by slice as `normalize_slice` does, and blend as `stack_slices` does."""
    out = np.zeros_like(true)
    there = -1
    for top, planes, (begin, end) in placed.values():
        part = slice(max(0, top), min(len(true), top + planes))
        level = np.percentile(true[part][tissue[part]], 99) - agarose
        for z in range(part.start, part.stop):
            value = np.maximum(true[z] - agarose, 0) / level
            share = 1.0 if z > there or z >= end else 0.0
            if z <= there and begin <= z < end:
                share = 0.5 * (1 - math.cos(math.pi * (z - begin + 0.5) / (end - begin)))
            out[z] += share * (value - out[z])
        there = max(there, part.stop - 1)
    return out


def _likeness(
    truth: Truth, reference: Volume, volume: Volume, world: World, placed: Placed, *, ceiling: bool
) -> Likeness:
    data = volume.read()
    true = _true_volume(truth, reference, data.shape, world, volume.require_spacing()[0])
    agarose = float(truth.parameters["simulate_oct_agarose"])
    tissue = true > 1.5 * agarose
    lit = (ndimage.minimum_filter(data, (1, 3, 3)) > 0) & tissue
    modelled = _modelled(true, tissue, agarose, placed)

    def alike(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        soft = [ndimage.gaussian_filter(one, 1.0) for one in (a, b)]
        return float(np.corrcoef(a[lit], b[lit])[0, 1]), float(np.corrcoef(soft[0][lit], soft[1][lit])[0, 1])

    best = (math.nan, math.nan)
    if ceiling:
        low, high = truth.volume["low"], truth.volume["high"]
        looked_at = TruthVolume(reference.read(), tuple(truth.volume["spacing_um"]), low, high, "truth")
        best = alike(perfect(truth, looked_at, data.shape, world, placed, volume.require_spacing()[0]), true)
    return Likeness(*alike(data, true), *alike(data, modelled), *best)
