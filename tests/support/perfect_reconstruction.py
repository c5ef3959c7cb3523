"""The best volume that the samples of a simulated acquisition allow: every effect undone by the truth file.

The truth passes through the simulator's intensity model, speckle, noise floor and noise of every raw sample included,
and back through its exact inverse: floor subtracted, divided by gain, flat field, beam and attenuation as they really
were, put where it really was recorded, with the depth resolution and the blending of a reconstruction. What such a
volume still lacks is noise; its correlation with the truth is the most that any reconstruction of single voxels
without smoothing can reach.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from linumpy_lib.simulation.oct_render import Optics, render_tile
from linumpy_lib.simulation.truth import SliceTruth, TileTruth, Truth
from linumpy_lib.simulation.truth_volume import TruthVolume

World = tuple[np.ndarray, np.ndarray, float]
"""From pixels (y, x) of a volume to the world: matrix, offset, and the world depth of its first plane; micrometres."""

Placed = dict[int, tuple[int, int, tuple[int, int]]]
"""First plane, number of planes, and the planes between which a slice takes over from the one above, by slice."""

PLAIN = {
    "simulate_oct_speckle": 0.0,
    "simulate_oct_noise": 0.0,
    "simulate_oct_attenuation_per_mm": 0.0,
    "simulate_oct_vignetting": 0.0,
    "simulate_oct_rayleigh_um": 0.0,
}


def _tile(truth: Truth, volume: TruthVolume, item: SliceTruth, tile: TileTruth) -> np.ndarray:
    """Samples (z, y, x) of a tile as the microscope sees it, without the galvo return."""
    straight = replace(item, galvo_shift_px=0, camera_shift_px=0)
    scans = np.concatenate(list(render_tile(truth, volume, straight, tile)))
    return np.moveaxis(scans[:, : truth.tile_shape[2]], 2, 0)


def reflectivity(truth: Truth, volume: TruthVolume, item: SliceTruth, tile: TileTruth) -> np.ndarray:
    """Reflectivity that the noisy samples of a tile tell; float32 (z, y, x)."""
    noise = truth.parameters["simulate_oct_noise"] * truth.parameters["simulate_oct_counts"]
    recorded = _tile(truth, volume, item, tile) - np.float32(3 * noise)
    silent = {"simulate_oct_speckle": 0.0, "simulate_oct_noise": 0.0}
    light = _tile(replace(truth, parameters={**truth.parameters, **silent}), volume, item, tile)
    plain = replace(truth, parameters={**truth.parameters, **PLAIN})
    real = _tile(plain, volume, replace(item, gain=1.0), tile) / np.float32(truth.parameters["simulate_oct_counts"])
    return recorded * real / np.maximum(light, np.float32(1e-6))


def _to_tile(truth: Truth, item: SliceTruth, tile: TileTruth) -> tuple[np.ndarray, np.ndarray]:
    """Affine from the world (y, x), micrometres, to (B-scan, A-line) of a tile."""
    corner, line, scan = (truth.world_xy_um(item.id, truth.lab_xy_um(tile, *at)) for at in ((0, 0), (1, 0), (0, 1)))
    forward = np.column_stack([(scan - corner)[::-1], (line - corner)[::-1]])
    back = np.linalg.inv(forward)
    return back, -back @ corner[::-1]


def _planes(seen: np.ndarray, depth: np.ndarray, lowered: np.ndarray, binned: int) -> np.ndarray:
    """Planes (depth, y, x) of a tile, focal surface flat: means of the `binned` samples nearest to depth indices."""
    first = np.round(depth[:, None, None] + lowered - (binned - 1) / 2).astype(int)
    taken = [np.take_along_axis(seen, np.clip(first + n, 0, len(seen) - 1), axis=0) for n in range(binned)]
    return np.mean(taken, axis=0, dtype=np.float32)


def perfect(
    truth: Truth,
    volume: TruthVolume,
    shape: tuple[int, int, int],
    to_world: World,
    planes: Placed,
    spacing_um: float,
) -> np.ndarray:
    """Assemble the perfect volume.

    Parameters
    ----------
    truth, volume : Truth, TruthVolume
        The acquisition, and what it looked at.
    shape : (int, int, int)
        Of the volume to make.
    to_world : World
        Where it lies.
    planes : Placed
        The slices, as they were stacked.
    spacing_um : float
        Distance of its planes.
    """
    matrix, offset, first = to_world
    binned = round(spacing_um / truth.spacing_um[0])
    pixels = np.stack(np.meshgrid(*(np.arange(n, dtype=float) for n in shape[1:]), indexing="ij"))
    world = np.tensordot(matrix, pixels, axes=1) + offset[:, None, None]
    out, there = np.zeros(shape, np.float32), np.zeros(shape, bool)
    _, ny, nx = truth.tile_shape
    lowered = Optics(truth).curvature_px(np.arange(nx, dtype=float), np.arange(ny, dtype=float))
    for k, (top, count, ramp) in planes.items():
        item = truth.slice(k)
        heights = first + (top + np.arange(count)) * spacing_um
        depth = (heights - item.face_um) / truth.spacing_um[0] + truth.interface_px
        total, weight = np.zeros((count, *shape[1:]), np.float32), np.zeros(shape[1:], np.float32)
        for tile in item.tiles:
            back, start = _to_tile(truth, item, tile)
            at = np.tensordot(back, world, axes=1) + start[:, None, None]
            inside = (at[0] >= 0) & (at[0] <= ny - 1) & (at[1] >= 0) & (at[1] <= nx - 1)
            if not inside.any():
                continue
            box = tuple(slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(inside))
            place = at[:, *box]
            # tiles fade into one another
            edge = np.minimum.reduce([place[0], ny - 1 - place[0], place[1], nx - 1 - place[1]]) + 1
            share = np.where(inside[box], edge, 0).astype(np.float32)
            flat = _planes(reflectivity(truth, volume, item, tile), depth, lowered, binned)
            for plane, picture in zip(total, flat, strict=True):
                plane[box] += share * ndimage.map_coordinates(picture, place, order=3, mode="nearest")
            weight[box] += share
        held = weight > 0
        mean = total / np.maximum(weight, np.float32(1e-9))
        for z in range(max(0, top), min(shape[0], top + count)):
            begin, end = ramp
            mix = (
                0.0 if z < begin else 1.0 if z >= end else 0.5 * (1 - np.cos(np.pi * (z - begin + 0.5) / (end - begin)))
            )
            share = (np.where(there[z], mix, 1.0) * held).astype(np.float32)
            out[z] += share * (mean[z - top] - out[z])
            there[z] |= held
    return out
