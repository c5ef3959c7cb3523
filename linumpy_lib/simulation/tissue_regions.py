"""Building blocks of the fibre phantom: bundles, lamellae and granules placed in physical space.

Each region is a coordinate chart. A fibre bundle maps a point to its two distances across the bundle; there the fibres
are spots on a jittered lattice, so that any number of fibres costs the same per voxel and every tangent is known in
closed form. Points and directions are (z, y, x) in micrometres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Vector = tuple[float, float, float]


class TissueClass(IntEnum):
    """What a voxel of the phantom is made of."""

    BACKGROUND = 0
    MATRIX = 1
    FIBRE = 2
    CROSSING = 3
    SHEET = 4
    GRANULAR = 5


@dataclass(frozen=True)
class Painted:
    """What one region adds at a list of points.

    Attributes
    ----------
    tissue : ndarray of uint8, shape (n,)
        `TissueClass` of the points that belong to the region, 0 elsewhere.
    brightness : ndarray of float32, shape (n,)
        0 (gap between the structures) to about 1.
    direction : ndarray of float32, shape (n, 3)
        Fibre axis or sheet normal as a unit vector (z, y, x); zero where the region has none.
    """

    tissue: npt.NDArray[np.uint8]
    brightness: Array
    direction: Array


class Region(Protocol):
    """A part of the phantom."""

    def paint(self, points: Array) -> Painted:
        """Brightness and direction at ``points``, shape (n, 3), in micrometres from the centre of the volume."""


def unit(vector: Sequence[float] | npt.NDArray[np.floating]) -> Array:
    """Scale a vector to length one."""
    values = np.asarray(vector, dtype=np.float64)
    return (values / np.linalg.norm(values)).astype(np.float32)


def frame_across(axis: Array) -> tuple[Array, Array]:
    """Two unit vectors that complete ``axis`` to an orthonormal frame."""
    helper = np.zeros(3)
    helper[int(np.argmin(np.abs(axis)))] = 1.0
    first = unit(np.cross(axis, helper))
    return first, unit(np.cross(axis, first))


def _fill(inside: npt.NDArray[np.bool_], tissue: TissueClass) -> npt.NDArray[np.uint8]:
    return np.where(inside, np.uint8(tissue), np.uint8(0))


def _in_ellipse(u: Array, v: Array, half_widths_um: tuple[float, float]) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (u / half_widths_um[0]) ** 2 + (v / half_widths_um[1]) ** 2 <= 1.0
    return inside


def _smooth_step(value: Array) -> Array:
    clipped = np.clip(value, 0.0, 1.0)
    return clipped * clipped * (3.0 - 2.0 * clipped)


class FibreLattice:
    """Cross-section of a bundle: one fibre in each cell of a square lattice, off-centre by a random amount.

    Parameters
    ----------
    pitch_um : float
        Mean distance between neighbouring fibres [um].
    radius_um : float
        Mean fibre radius [um]; at most 0.42 pitches, so that neighbours never merge.
    half_widths_um : tuple of float
        Half axes of the elliptic cross-section of the bundle [um]. Fibres whose centre lies outside are left out, so no
        fibre is ever cut lengthwise.
    rng : numpy.random.Generator
        Draws centres, radii, brightness and beading.
    """

    def __init__(
        self, pitch_um: float, radius_um: float, half_widths_um: tuple[float, float], rng: np.random.Generator
    ) -> None:
        self.pitch_um = pitch_um
        self._reach = [int(np.ceil(half / pitch_um)) + 2 for half in half_widths_um]
        shape = (2 * self._reach[0] + 1, 2 * self._reach[1] + 1)
        jitter = max(0.0, 0.55 - radius_um / pitch_um)
        row, column = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
        centre_u = (row + rng.uniform(-jitter, jitter, shape)) * pitch_um
        centre_v = (column + rng.uniform(-jitter, jitter, shape)) * pitch_um
        kept = (centre_u / half_widths_um[0]) ** 2 + (centre_v / half_widths_um[1]) ** 2 <= 1.0
        level = np.where(kept, rng.uniform(0.65, 1.0, shape), 0.0)
        radius = radius_um * rng.uniform(0.85, 1.15, shape)
        phase = rng.uniform(0.0, 2.0 * np.pi, shape)
        self._table = np.stack([centre_u, centre_v, radius, level, phase]).astype(np.float32)

    def brightness(self, u: Array, v: Array, along: Array, row_weights: tuple[Array, Array] | None = None) -> Array:
        """Brightness at the distances ``u`` and ``v`` across and ``along`` the bundle [um].

        ``row_weights`` fades the fibres of the even and of the odd lattice columns, which lets two bundles interleave.
        """
        row = np.rint(u / self.pitch_um).astype(np.int32) + self._reach[0]
        column = np.rint(v / self.pitch_um).astype(np.int32) + self._reach[1]
        highest_row, highest_column = (n - 1 for n in self._table.shape[1:])
        brightest = np.zeros_like(u)
        beads = np.float32(2.0 * np.pi / (6.0 * self.pitch_um)) * along
        for row_step in (-1, 0, 1):
            i = np.clip(row + row_step, 0, highest_row)
            for column_step in (-1, 0, 1):
                j = np.clip(column + column_step, 0, highest_column)
                centre_u, centre_v, radius, level, phase = self._table[:, i, j]
                distance = np.hypot(u - centre_u, v - centre_v) / radius
                spot = level * _smooth_step(1.7 - distance)
                near = spot > 0.0
                spot[near] *= 1.0 + np.float32(0.12) * np.sin(beads[near] + phase[near])
                if row_weights is not None:
                    even, odd = row_weights
                    spot *= np.where(j % 2 == 0, even, odd)
                np.maximum(brightest, spot, out=brightest)
        return brightest


@dataclass(frozen=True)
class StraightBundle:
    """Parallel fibres along ``axis`` that meander together.

    The meander shifts the whole cross-section along its first direction by meander_um * sin(2 pi s / wavelength_um), so
    the tangent at distance s along the axis is axis + slope(s) * first, normalised.
    """

    centre: Vector
    axis: Array
    lattice: FibreLattice
    half_widths_um: tuple[float, float]
    meander_um: float
    wavelength_um: float

    def chart(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """Distances along and across, and the slope of the meander, at points (n, 3)."""
        first, second = frame_across(self.axis)
        offset = points - np.asarray(self.centre, dtype=np.float32)
        along, u, v = offset @ self.axis, offset @ first, offset @ second
        wave_number = np.float32(2.0 * np.pi / self.wavelength_um)
        u = u - np.float32(self.meander_um) * np.sin(wave_number * along)
        return along, u, v, np.float32(self.meander_um) * wave_number * np.cos(wave_number * along)

    def depth(self, points: Array) -> Array:
        """1 on the bundle's centre line, 0 on its surface, negative outside."""
        _, u, v, _ = self.chart(points)
        depth: Array = 1.0 - np.hypot(u / self.half_widths_um[0], v / self.half_widths_um[1])
        return depth

    def paint(self, points: Array) -> Painted:
        """See `Region.paint`."""
        return self.paint_woven(points, None)

    def paint_woven(self, points: Array, row_weights: tuple[Array, Array] | None) -> Painted:
        """Paint with the even and odd fibre rows faded by the given weights."""
        along, u, v, slope = self.chart(points)
        inside = _in_ellipse(u, v, self.half_widths_um)
        first, _ = frame_across(self.axis)
        tangent = self.axis[None, :] + slope[:, None] * first[None, :]
        tangent /= np.sqrt(1.0 + slope * slope)[:, None]
        brightness = np.zeros_like(u)
        if row_weights is not None:
            row_weights = (row_weights[0][inside], row_weights[1][inside])
        brightness[inside] = self.lattice.brightness(u[inside], v[inside], along[inside], row_weights)
        return Painted(_fill(inside, TissueClass.FIBRE), brightness, tangent)


@dataclass(frozen=True)
class ArcBundle:
    """Fibres along circles around ``axis`` through ``centre``: an arch that turns through most angles of a plane.

    The arch is symmetric about the direction ``top`` and ends, fading, where the cosine to it falls under minus
    ``open_cosine``.
    """

    centre: Vector
    axis: Array
    top: Array
    open_cosine: float
    bend_radius_um: float
    lattice: FibreLattice
    half_widths_um: tuple[float, float]

    def paint(self, points: Array) -> Painted:
        """See `Region.paint`."""
        offset = points - np.asarray(self.centre, dtype=np.float32)
        v = offset @ self.axis
        radial = offset - v[:, None] * self.axis
        distance = np.maximum(np.sqrt((radial * radial).sum(axis=1)), np.float32(1e-3))
        radial /= distance[:, None]
        u = distance - np.float32(self.bend_radius_um)
        tangent = np.cross(np.broadcast_to(self.axis, radial.shape), radial).astype(np.float32)
        reach = np.float32(self.bend_radius_um) * (radial @ self.top + np.float32(self.open_cosine))
        inside = _in_ellipse(u, v, self.half_widths_um) & (reach > 0.0)
        u, v, reach, ray = u[inside], v[inside], reach[inside], radial[inside]
        along = np.float32(self.bend_radius_um) * np.arctan2(ray @ np.cross(self.axis, self.top), ray @ self.top)
        brightness = np.zeros_like(distance)
        fade = _smooth_step(reach / self.half_widths_um[0])
        brightness[inside] = self.lattice.brightness(u, v, along.astype(np.float32)) * fade
        return Painted(_fill(inside, TissueClass.FIBRE), brightness, tangent)


@dataclass(frozen=True)
class CrossingBundles:
    """Two straight bundles that run through each other, in alternating rows where they meet.

    Both lattices share their second direction (the normal of the two axes), which makes their rows parallel.
    """

    first: StraightBundle
    second: StraightBundle

    def paint(self, points: Array) -> Painted:
        """See `Region.paint`."""
        weight = [_smooth_step(4.0 * bundle.depth(points) + 0.5) for bundle in (self.first, self.second)]
        whole = np.ones_like(weight[0])
        one = self.first.paint_woven(points, (whole, 1.0 - weight[1]))
        two = self.second.paint_woven(points, (1.0 - weight[0], whole))
        tissue = np.maximum(one.tissue, two.tissue)
        tissue[(one.tissue > 0) & (two.tissue > 0)] = TissueClass.CROSSING
        first_wins = (two.tissue == 0) | ((one.tissue > 0) & (one.brightness >= two.brightness))
        direction = np.where(first_wins[:, None], one.direction, two.direction)
        return Painted(tissue, np.maximum(one.brightness, two.brightness), direction)


@dataclass(frozen=True)
class Lamellae:
    """Layers on concentric spheres: sheets whose normal is the radius."""

    centre: Vector
    radii_um: tuple[float, float]
    half_width_um: float
    pitch_um: float
    levels: Array

    def paint(self, points: Array) -> Painted:
        """See `Region.paint`."""
        offset = points - np.asarray(self.centre, dtype=np.float32)
        distance = np.sqrt((offset * offset).sum(axis=1))
        normal = offset / np.maximum(distance, np.float32(1e-3))[:, None]
        height = distance - np.float32(self.radii_um[0])
        layer = np.clip((height / self.pitch_um).astype(np.int32), 0, self.levels.size - 1)
        wave = 0.5 - 0.5 * np.cos(np.float32(2.0 * np.pi / self.pitch_um) * height)
        inside = (height >= 0.0) & (distance <= self.radii_um[1]) & (np.abs(points[:, 2]) <= self.half_width_um)
        return Painted(_fill(inside, TissueClass.SHEET), self.levels[layer] * wave, normal)


@dataclass(frozen=True)
class Granules:
    """Round grains on a jittered cubic lattice inside an ellipsoid: no preferred direction.

    ``table`` holds centre (z, y, x), radius and brightness of the grain of each cell, shape (5, nz, ny, nx).
    """

    centre: Vector
    half_axes_um: Vector
    pitch_um: float
    table: Array

    @classmethod
    def draw(
        cls,
        centre: Vector,
        half_axes_um: Vector,
        pitch_um: float,
        radius_um: float,
        rng: np.random.Generator,
    ) -> Granules:
        """Place the grains."""
        shape = tuple(2 * (int(np.ceil(half / pitch_um)) + 1) + 1 for half in half_axes_um)
        index = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
        jittered = [(axis + rng.uniform(-0.35, 0.35, shape)) * pitch_um for axis in index]
        radius = radius_um * rng.uniform(0.75, 1.25, shape)
        level = rng.uniform(0.4, 1.0, shape)
        return cls(centre, half_axes_um, pitch_um, np.stack([*jittered, radius, level]).astype(np.float32))

    def paint(self, points: Array) -> Painted:
        """See `Region.paint`."""
        offset = points - np.asarray(self.centre, dtype=np.float32)
        scaled = offset / np.asarray(self.half_axes_um, dtype=np.float32)
        inside = (scaled * scaled).sum(axis=1) <= 1.0
        brightness = np.zeros(len(points), dtype=np.float32)
        brightness[inside] = self._grains(offset[inside])
        return Painted(_fill(inside, TissueClass.GRANULAR), brightness, np.zeros_like(offset))

    def _grains(self, offset: Array) -> Array:
        cell = np.rint(offset / self.pitch_um).astype(np.int32)
        cell += np.asarray(self.table.shape[1:], dtype=np.int32) // 2
        limits = np.asarray(self.table.shape[1:], dtype=np.int32) - 1
        brightest = np.zeros(len(offset), dtype=np.float32)
        for step in np.ndindex(3, 3, 3):
            index = np.clip(cell + (np.asarray(step, dtype=np.int32) - 1), 0, limits)
            z, y, x, radius, level = self.table[:, index[:, 0], index[:, 1], index[:, 2]]
            square = (offset[:, 0] - z) ** 2 + (offset[:, 1] - y) ** 2 + (offset[:, 2] - x) ** 2
            np.maximum(brightest, level * _smooth_step(1.6 - np.sqrt(square) / radius), out=brightest)
        return brightest
