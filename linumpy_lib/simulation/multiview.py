"""Simulated multi-view light-sheet recordings: opposing and orthogonal cameras, channels, time, exact truth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError, OutputError
from linumpy_lib.simulation import multiview_optics as optics
from linumpy_lib.simulation.multiview_parameters import SimulateMultiviewParameters, with_preset
from linumpy_lib.simulation.nuclei import nuclei

PREFIX = "simulate_multiview_"
PIXEL_UM = 6.5


def _zyx(text: str) -> tuple[float, float, float]:
    z, y, x = (float(part) for part in text.split(","))
    return z, y, x


@dataclass(frozen=True)
class SimulatedView:
    """One recording: which it is, what it holds, and where its content lies.

    Attributes
    ----------
    timepoint, camera, channel : int
        Which recording.
    volume : ndarray of uint16
        Counts (z, y, x), z along the camera's axis.
    truth_from_view : ndarray
        4x4 matrix that takes an index (z, y, x, 1) of the view to the index in the truth of what is seen there.
    shift_zyx_px, rotation_deg, gain
        How the view's content lies and shines against that of the pair's first camera.
    """

    timepoint: int
    camera: int
    channel: int
    volume: npt.NDArray[np.uint16]
    truth_from_view: npt.NDArray[np.float64]
    shift_zyx_px: tuple[float, float, float]
    rotation_deg: float
    gain: float


@dataclass(frozen=True)
class Movement:
    """How the second camera's view of a pair differs at one time point."""

    shift_zyx_px: tuple[float, float, float]
    rotation_deg: float
    gain: float


class MultiviewScene:
    """A sample and the cameras that look at it; views are made when they are asked for.

    Attributes
    ----------
    truth : ndarray of float32
        The sample (z, y, x), about 0 to 1.
    spacing_um : tuple of float
        Voxel size of the truth and of every view (z, y, x).
    parameters : SimulateMultiviewParameters
        What was chosen.
    timepoints, cameras : list of int
        What is recorded.
    """

    def __init__(self, truth: Any, parameters: SimulateMultiviewParameters) -> None:
        self.parameters = with_preset(parameters)
        p = self.parameters
        lateral = PIXEL_UM / p.simulate_multiview_magnification
        self.spacing_um = (p.simulate_multiview_z_step_um, lateral, lateral)
        self.truth = _truth(truth, p)
        if min(self.truth.shape) < 4:
            raise InputError(f"truth: shape {self.truth.shape} is too small for a view; give 4 voxels or more per axis")
        self.cameras = [int(c) for c in p.simulate_multiview_cameras.split(",")]
        missing = {int(t) for t in p.simulate_multiview_missing_timepoints.split(",") if t}
        self.timepoints = [t for t in range(p.simulate_multiview_timepoints) if t not in missing]
        if not self.timepoints:
            raise InputError("simulate_multiview_missing_timepoints: names all time points, nothing is left to record")

    def channels(self, camera: int) -> list[int]:
        """Channels that a camera records."""
        if self.parameters.simulate_multiview_wiring == "pairs":
            return [camera // 2]
        return list(range(self.parameters.simulate_multiview_channels))

    def keys(self) -> Iterator[tuple[int, int, int]]:
        """List (time point, camera, channel) of every view."""
        for timepoint in self.timepoints:
            for camera in self.cameras:
                for channel in self.channels(camera):
                    yield timepoint, camera, channel

    def movement(self, timepoint: int, camera: int) -> Movement:
        """Tell how a camera's view lies against that of the first camera of its pair."""
        if camera % 2 == 0:
            return Movement((0.0, 0.0, 0.0), 0.0, 1.0)
        p = self.parameters
        rng = np.random.default_rng([p.simulate_multiview_seed, 1, timepoint, camera])
        jitter = p.simulate_multiview_jitter_px * rng.standard_normal(3)
        start, drift = np.array(_zyx(p.simulate_multiview_shift_px)), np.array(_zyx(p.simulate_multiview_drift_px))
        z, y, x = (float(v) for v in start + timepoint * drift + jitter)
        return Movement(
            (z, y, x),
            p.simulate_multiview_rotation_deg + timepoint * p.simulate_multiview_rotation_drift_deg,
            p.simulate_multiview_gain * (1 + p.simulate_multiview_gain_drift) ** timepoint,
        )

    def sensor(self, camera: int) -> optics.Sensor:
        """Sensor of a camera, the same at all time points."""
        p = self.parameters
        _z, y, x = self.truth.shape
        frame = (y, x) if optics.view_axes(camera) == 0 else (self._planes_as_rows, x)
        return optics.make_sensor(
            frame,
            p.simulate_multiview_offset,
            p.simulate_multiview_read_noise,
            p.simulate_multiview_shot_noise,
            p.simulate_multiview_dead_pixels,
            p.simulate_multiview_seed * 16 + camera + 7,
        )

    @property
    def _planes_as_rows(self) -> int:
        """Rows of a view along y: the truth's depth in units of the lateral pixel."""
        return max(4, round(float(self.truth.shape[0] * self.spacing_um[0] / self.spacing_um[1])))

    def background(self, camera: int) -> npt.NDArray[np.uint16]:
        """Dark frame (y, x) of a camera."""
        rng = np.random.default_rng([self.parameters.simulate_multiview_seed, 2, camera])
        return self.sensor(camera).dark_frame(rng)

    @cached_property
    def _orthogonal(self) -> tuple[optics.Floats, npt.NDArray[np.float64]]:
        """Turned sample on the grid of a view along y, and its index matrix into the truth."""
        turned, matrix = optics.turn(self.truth, 2), optics.turn_matrix(self.truth.shape, 2)
        ratio = self.spacing_um[0] / self.spacing_um[1]
        if math.isclose(ratio, 1.0):
            return turned, matrix
        from scipy import ndimage

        shape = (max(4, round(turned.shape[0] / ratio)), self._planes_as_rows, turned.shape[2])
        scale = np.diag([ratio, 1 / ratio, 1.0, 1.0])
        resampled = ndimage.affine_transform(
            turned, scale[:3, :3], output_shape=shape, order=1, mode="nearest", output=np.float32
        )
        return resampled, matrix @ scale

    def view(self, timepoint: int, camera: int, channel: int = 0) -> SimulatedView:
        """Record one view."""
        p = self.parameters
        along_z = optics.view_axes(camera) == 0
        sample, turned = (self.truth, np.eye(4)) if along_z else self._orthogonal
        second = camera % 2 == 1
        two_sheets = p.simulate_multiview_wiring == "all" and p.simulate_multiview_channels == 2
        seen = optics.light(
            sample,
            from_far_side=second,
            blur_px=(p.simulate_multiview_blur_px, p.simulate_multiview_depth_blur_px),
            attenuation=p.simulate_multiview_attenuation,
            sheet=(p.simulate_multiview_sheet_attenuation, channel == 1) if two_sheets else None,
        )
        how = self.movement(timepoint, camera)
        matrix = optics.movement_matrix(
            sample.shape, how.shift_zyx_px, how.rotation_deg, second and p.simulate_multiview_mirror
        )
        photons = optics.move(seen, matrix) * np.float32(how.gain * p.simulate_multiview_counts)
        rng = np.random.default_rng([p.simulate_multiview_seed, 3, timepoint, camera, channel])
        counts = self.sensor(camera).record(photons, rng)
        return SimulatedView(
            timepoint, camera, channel, counts, turned @ matrix, how.shift_zyx_px, how.rotation_deg, how.gain
        )

    def views(self) -> Iterator[SimulatedView]:
        """Record every view, one after the other."""
        for key in self.keys():
            yield self.view(*key)


def _truth(truth: Any, p: SimulateMultiviewParameters) -> optics.Floats:
    if truth is None:
        shape = [int(n) for n in p.simulate_multiview_shape.split(",")]
        return nuclei(shape, p.simulate_multiview_fill, p.simulate_multiview_seed)
    name = str(getattr(truth, "path", None) or "truth")
    values = np.asarray(getattr(truth, "array", truth)[...], dtype=np.float32)
    if values.ndim != 3:
        raise InputError(f"{name}: has shape {values.shape}; a truth volume has three axes (z, y, x)")
    if not np.isfinite(values).all():
        raise InputError(f"{name}: holds NaN or infinite values; replace them before simulating from it")
    low, high = float(values.min()), float(np.percentile(values, 99.9))
    if high <= low:
        raise InputError(f"{name}: is the same everywhere, nothing can be simulated from it; give another volume")
    return np.ascontiguousarray((values - low) / np.float32(high - low), np.float32)


def simulate_multiview(
    truth: Any = None,
    *,
    output: str | Path | None = None,
    parameters: SimulateMultiviewParameters | None = None,
    **choices: object,
) -> MultiviewScene:
    """Simulate a multi-view light-sheet recording, in memory or on disk.

    Parameters
    ----------
    truth : array_like or Volume, optional
        The sample (z, y, x), on the grid of cameras 0 and 1; by default nuclei in a dim haze.
    output : path-like, optional
        Folder to make: ``raw/`` gets the recording, ``truth/`` what is known of it.
    parameters : SimulateMultiviewParameters, optional
        Microscope and effects.
    **choices
        Single parameters by name, the prefix ``simulate_multiview_`` left out.

    Returns
    -------
    MultiviewScene
        Its ``view(timepoint, camera, channel)`` records a view; equal calls give equal voxels.

    Raises
    ------
    ParameterError
        If a parameter is unknown or not allowed.
    InputError
        If the truth cannot be used.
    OutputError
        If the output folder is there already.

    Examples
    --------
    >>> scene = simulate_multiview(shape=(12, 24, 20), cameras="0,1")
    >>> first, second = scene.views()
    >>> second.shift_zyx_px, second.volume.dtype.name
    ((2.6, -5.2, 7.4), 'uint16')
    """
    base = (parameters or SimulateMultiviewParameters()).model_dump()
    chosen = SimulateMultiviewParameters.parse(
        {**base, **{f"{PREFIX}{name}": value for name, value in choices.items()}}
    )
    scene = MultiviewScene(truth, chosen)
    if output is not None:
        from linumpy_lib.simulation.raw_views import write_recording

        folder = Path(output)
        if folder.exists() and any(folder.iterdir()):
            raise OutputError(f"{folder}: exists and is not empty; give a new folder")
        write_recording(scene, folder / "raw", folder / "truth")
    return scene
