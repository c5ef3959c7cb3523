"""What a camera of a light-sheet microscope sees of a sample: direction, depth, movement, light, sensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.uint16]
Matrix = npt.NDArray[np.float64]


def view_axes(camera: int) -> int:
    """Axis of the sample that a camera looks along: z for cameras 0 and 1, y for 2 and 3."""
    return 0 if camera < 2 else 1


def turn(truth: Floats, camera: int) -> Floats:
    """Turn the sample by 90 degrees about x for the cameras that look along y."""
    return truth if view_axes(camera) == 0 else np.ascontiguousarray(truth[::-1].transpose(1, 0, 2))


def turn_matrix(shape: Sequence[int], camera: int) -> Matrix:
    """Index in the sample of an index in the turned sample, as a 4x4 matrix on (z, y, x, 1)."""
    if view_axes(camera) == 0:
        return np.eye(4)
    return np.array([[0, -1, 0, shape[0] - 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float)


def movement_matrix(shape: Sequence[int], shift_zyx: Sequence[float], rotation_deg: float, mirrored: bool) -> Matrix:
    """Index in the turned sample of an index in the view: content moves by +shift after its rotation from x to y."""
    angle = np.deg2rad(rotation_deg)
    back = np.eye(4)
    back[1, 1:3] = np.cos(angle), np.sin(angle)
    back[2, 1:3] = -np.sin(angle), np.cos(angle)
    centre = (np.asarray(shape, float) - 1) / 2
    back[:3, 3] = centre - back[:3, :3] @ (centre + np.asarray(shift_zyx, float))
    if mirrored:
        mirror = np.eye(4)
        mirror[2, 2:] = -1, shape[2] - 1
        back = back @ mirror
    return back


def light(
    sample: Floats,
    *,
    from_far_side: bool,
    blur_px: tuple[float, float],
    attenuation: float,
    sheet: tuple[float, bool] | None,
) -> Floats:
    """Blur and weaken each plane with its depth, and along x where a light sheet enters from one side.

    Parameters
    ----------
    sample : ndarray of float32
        (z, y, x), z along the camera's axis.
    from_far_side : bool
        Whether the camera stands beyond the last plane.
    blur_px : (float, float)
        Sigma of the nearest and the farthest plane.
    attenuation : float
        Exponent over the whole depth.
    sheet : (float, bool), optional
        Exponent along x, and whether the sheet enters at high x.
    """
    from scipy import ndimage

    depth = np.linspace(0, 1, len(sample))[:: -1 if from_far_side else 1]
    across = np.ones(sample.shape[2], np.float32)
    if sheet is not None:
        way = np.linspace(0, 1, sample.shape[2])[:: -1 if sheet[1] else 1]
        across = np.exp(-sheet[0] * way).astype(np.float32)
    seen = np.empty_like(sample)
    for k, d in enumerate(depth):
        sigma = blur_px[0] + (blur_px[1] - blur_px[0]) * d
        ndimage.gaussian_filter(sample[k], sigma, output=seen[k])
        seen[k] *= np.float32(np.exp(-attenuation * d)) * across
    return seen


def move(view: Floats, matrix: Matrix) -> Floats:
    """Sample a volume at ``matrix @ index``, cubic; beyond the edge its outermost voxels go on."""
    if np.array_equal(matrix, np.eye(4)):
        return view
    from scipy import ndimage

    moved = ndimage.affine_transform(view, matrix[:3, :3], matrix[:3, 3], order=3, mode="nearest")
    moved_light: Floats = np.maximum(moved, 0)
    return moved_light


@dataclass(frozen=True)
class Sensor:
    """A camera's sensor; stuck pixels are those of one (y, x) place in every plane.

    Attributes
    ----------
    offset, read_noise : float
        Mean and standard deviation of a dark pixel.
    shot_noise : bool
        Whether photons arrive at random.
    extra : ndarray of float32
        (y, x) counts that stuck pixels add; 0 elsewhere.
    unsteady : ndarray of float32
        (y, x) additional noise of unstable pixels.
    """

    offset: float
    read_noise: float
    shot_noise: bool
    extra: Floats
    unsteady: Floats

    def record(self, photons: Floats, rng: np.random.Generator) -> Counts:
        """Turn mean photons (z, y, x) into counts, plane by plane."""
        counts = np.empty(photons.shape, np.uint16)
        noise = np.hypot(self.read_noise, self.unsteady)
        for plane, target in zip(photons, counts, strict=True):
            seen = rng.poisson(plane).astype(np.float64) if self.shot_noise else plane.astype(np.float64)
            seen += self.offset + self.extra + noise * rng.standard_normal(plane.shape)
            target[...] = np.clip(np.rint(seen), 0, 65535)
        return counts

    def dark_frame(self, rng: np.random.Generator) -> Counts:
        """Record one plane without light."""
        frame: Counts = self.record(np.zeros((1, *self.extra.shape), np.float32), rng)[0]
        return frame

    def stuck(self) -> list[list[int]]:
        """List the (y, x) places of stuck and unstable pixels."""
        return [[int(y), int(x)] for y, x in np.argwhere((self.extra != 0) | (self.unsteady != 0))]


def make_sensor(
    frame: tuple[int, int], offset: float, read_noise: float, shot_noise: bool, fraction: float, seed: int
) -> Sensor:
    """Draw a sensor with a share of bright and of unstable pixels."""
    rng = np.random.default_rng(seed)
    count = round(fraction * frame[0] * frame[1])
    places = rng.choice(frame[0] * frame[1], size=count, replace=False)
    extra, unsteady = np.zeros(frame, np.float32), np.zeros(frame, np.float32)
    bright = rng.random(count) < 0.7
    extra.flat[places[bright]] = rng.uniform(800, 4000, int(bright.sum()))
    unsteady.flat[places[~bright]] = rng.uniform(200, 800, int((~bright).sum()))
    return Sensor(offset, read_noise, shot_noise, extra, unsteady)
