"""Makes the samples of one tile from the truth: geometry, optics, galvo and camera, speckle, noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.simulation.oct_kernel import render_kernel
from linumpy_lib.simulation.oct_plan import stream
from linumpy_lib.simulation.truth import SliceTruth, TileTruth, Truth
from linumpy_lib.simulation.truth_volume import TruthVolume

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

OVEREXPOSED = 4.0
"""First A-line of the first B-scan against the brightest light, with a camera shift."""

DEGRADED_LIGHT = 0.3
DEGRADED_NOISE = 4.0
DEGRADED_BLUR_PX = 2.0
DEGRADED_LOST = 0.2
_LOST_LIGHT = 0.05


def _quadratic(x: Float64, y: Float64, centre: tuple[float, float], flatness: float) -> Float64:
    """0 at a centre off the tile's middle, 1 in the corner farthest from it; x, y in -1..1."""
    value = (x - centre[0]) ** 2 + flatness * (y - centre[1]) ** 2
    result: Float64 = value / ((1 + abs(centre[0])) ** 2 + flatness * (1 + abs(centre[1])) ** 2)
    return result


@dataclass(frozen=True)
class Optics:
    """Effects that are the same in every tile."""

    truth: Truth

    def _value(self, name: str) -> Any:
        return self.truth.parameters[f"simulate_oct_{name}"]

    def _unit(self, lines: Float64, frames: Float64) -> tuple[Float64, Float64]:
        _, n_y, n_x = self.truth.tile_shape
        x = 2 * lines / max(1, n_x - 1) - 1
        y = 2 * frames / max(1, n_y - 1) - 1
        return x[None, :], y[:, None]

    def flat_field(self, lines: Float64, frames: Float64) -> Float32:
        """Vignetting at A-lines and B-scans, 1 where the light is brightest."""
        x, y = self._unit(lines, frames)
        field: Float32 = (1 - self._value("vignetting") * _quadratic(x, y, (0.12, -0.20), 0.8)).astype(np.float32)
        return field

    def curvature_px(self, lines: Float64, frames: Float64) -> Float32:
        """Depth samples by which focal curvature lowers A-lines."""
        x, y = self._unit(lines, frames)
        depth = self._value("curvature_um") / self.truth.spacing_um[0]
        lowered: Float32 = (depth * _quadratic(x, y, (-0.15, 0.10), 0.7)).astype(np.float32)
        return lowered

    def beam_profile(self) -> Float32:
        """Axial sensitivity at each depth sample: the confocal function 1 / (1 + ((z - focus) / Rayleigh length)^2)."""
        rayleigh = self._value("rayleigh_um")
        depth = np.arange(self.truth.tile_shape[0]) * self.truth.spacing_um[0]
        if rayleigh == 0:
            return np.ones(len(depth), dtype=np.float32)
        profile: Float32 = (1 / (1 + ((depth - self._value("focus_um")) / rayleigh) ** 2)).astype(np.float32)
        return profile

    def arrays(self) -> dict[str, Float32]:
        """Everything for the truth file."""
        _, n_y, n_x = self.truth.tile_shape
        lines, frames = np.arange(n_x, dtype=float), np.arange(n_y, dtype=float)
        return {
            "flat_field": self.flat_field(lines, frames),
            "curvature_px": self.curvature_px(lines, frames),
            "beam_profile": self.beam_profile(),
        }

    def recorded_lines(self, item: SliceTruth) -> tuple[Float64, Float64]:
        """Position in the tile and brightness of each recorded A-line, galvo return and shifts included."""
        n_x, n_extra = self.truth.tile_shape[2], int(self._value("n_extra"))
        # the mirror flies back over the whole tile while n_extra lines are recorded
        back = (n_x - 1) * (1 - (np.arange(n_extra) + 1) / (n_extra + 1))
        position = np.concatenate([np.arange(n_x, dtype=float), back])
        brightness = np.concatenate([np.ones(n_x), np.full(n_extra, self._value("galvo_band"))])
        roll = item.camera_shift_px - item.galvo_shift_px
        return np.roll(position, roll), np.roll(brightness, roll)


def tile_to_volume(truth: Truth, item: SliceTruth, tile: TileTruth) -> Float64:
    """Affine (3, 4): voxel (z, y, x) of the truth volume = affine . (depth index - curvature, A-line, B-scan, 1)."""
    step_z = truth.spacing_um[0]
    origin = truth.world_xy_um(item.id, truth.lab_xy_um(tile, 0, 0))
    along_line = truth.world_xy_um(item.id, truth.lab_xy_um(tile, 1, 0)) - origin
    along_frame = truth.world_xy_um(item.id, truth.lab_xy_um(tile, 0, 1)) - origin
    world = np.zeros((4, 4))
    world[0] = (step_z, 0, 0, item.face_um - truth.interface_px * step_z)
    world[1] = (0, along_line[1], along_frame[1], origin[1])
    world[2] = (0, along_line[0], along_frame[0], origin[0])
    world[3, 3] = 1
    result: Float64 = np.array(truth.volume_from_world) @ world / np.array(truth.volume["spacing_um"])[:, None]
    return result


def _region(volume: TruthVolume, affine: Float64, corners: Float64, margin: int) -> tuple[Float32, Float64]:
    """Read what a tile can see; return it and where it starts."""
    reached = affine @ corners
    shape = np.array(volume.shape)
    start = np.clip(np.floor(reached.min(axis=1)).astype(int) - margin, 0, shape)
    stop = np.clip(np.ceil(reached.max(axis=1)).astype(int) + margin + 1, 0, shape)
    if np.any(stop - start < 2):
        return np.zeros((1, 1, 1), dtype=np.float32), np.full(3, np.inf)
    return volume.reflectivity(start, stop), start.astype(float)


def render_tile(truth: Truth, volume: TruthVolume, item: SliceTruth, tile: TileTruth) -> Iterator[Float32]:
    """Make one tile, file by file.

    Parameters
    ----------
    truth : Truth
        The acquisition.
    volume : TruthVolume
        What it looks at.
    item, tile : SliceTruth, TileTruth
        Which tile.

    Yields
    ------
    float32 array, shape (B-scans, A-lines + galvo return, depth)
        B-scans of one file, each repeated `n_repeat` times.
    """
    value, optics, seed = truth.parameters, Optics(truth), int(truth.parameters["simulate_oct_seed"])
    n_z, n_y, n_x = truth.tile_shape
    lines, line_brightness = optics.recorded_lines(item)
    affine = tile_to_volume(truth, item, tile)
    sag = value["simulate_oct_curvature_um"] / truth.spacing_um[0]
    depths = (-max(sag, 0.0), n_z - 1 - min(sag, 0.0))
    corners = np.array([(z, a, b, 1) for z in depths for a in (0, n_x - 1) for b in (0, n_y - 1)]).T
    blur = DEGRADED_BLUR_PX * truth.spacing_um[2] / np.array(truth.volume["spacing_um"][1:]) if item.degraded else None
    margin = 1 if blur is None else 1 + math.ceil(4 * blur.max())
    region, start = _region(volume, affine, corners, margin)
    affine[:, 3] -= start
    if blur is not None:
        from scipy.ndimage import gaussian_filter

        region = gaussian_filter(region, (0, *blur))
    counts = value["simulate_oct_counts"]
    light = counts * item.gain * (DEGRADED_LIGHT if item.degraded else 1.0)
    noise = counts * value["simulate_oct_noise"] * (DEGRADED_NOISE if item.degraded else 1.0)
    place = (item.id, tile.x - item.first_column, tile.y)
    speckle_stream, noise_stream, lost_stream = (stream(seed, name, *place) for name in ("speckle", "noise", "lost"))
    beam, kernel = optics.beam_profile(), render_kernel()
    contrast = np.float32(value["simulate_oct_speckle"])
    n_repeat, per_file = value["simulate_oct_n_repeat"], value["simulate_oct_frames_per_file"]
    total = n_y * n_repeat
    for first in range(0, total, per_file):
        recorded = np.arange(first, min(first + per_file, total))
        scans, repeats = np.unique(recorded // n_repeat, return_counts=True)
        frames = scans.astype(float)
        curvature = optics.curvature_px(lines, frames)
        surface = (truth.surface_px(item.id, tile, lines, frames) + curvature).astype(np.float32)
        bright = (light * line_brightness[None] * optics.flat_field(lines, frames)).astype(np.float32)
        if item.degraded:
            bright[lost_stream.random(len(frames)) < DEGRADED_LOST] *= np.float32(_LOST_LIGHT)
        out = np.empty((len(frames), len(lines), n_z), dtype=np.float32)
        kernel(
            region,
            affine,
            lines,
            frames,
            curvature,
            surface,
            bright,
            beam,
            value["simulate_oct_agarose"],
            value["simulate_oct_water"],
            value["simulate_oct_attenuation_per_mm"] * truth.spacing_um[0] / 1000,
            out,
        )
        out = np.repeat(out, repeats, axis=0) if n_repeat > 1 else out
        if contrast > 0:
            grain = speckle_stream.standard_exponential(out.shape, dtype=np.float32)
            grain *= contrast
            grain += 1 - contrast
            out *= grain
        if noise > 0:
            grain = noise_stream.standard_normal(out.shape, dtype=np.float32)
            grain += 3
            grain *= np.float32(noise)
            out += grain
            np.maximum(out, 0, out=out)
        if item.camera_shift_px > 0 and first == 0:
            # where the reader looks for the first A-line: everything before it is rolled to the end
            out[0, item.camera_shift_px] = np.float32(OVEREXPOSED * counts)
        yield out
