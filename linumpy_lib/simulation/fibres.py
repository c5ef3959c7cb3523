"""A phantom of fibrous tissue: bundles, a crossing, layers and grains whose directions are known at every voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import ParameterError
from linumpy_lib.simulation.tissue_regions import (
    ArcBundle,
    Array,
    CrossingBundles,
    FibreLattice,
    Granules,
    Lamellae,
    Region,
    StraightBundle,
    TissueClass,
    unit,
)

_GROUND_LEVEL = 0.10
_MATRIX_GRAIN = 0.8
_EMPTY_LEVEL = 0.004
_PLANES_AT_ONCE = 8


@dataclass(frozen=True)
class FibrePhantom:
    """A simulated volume and the truth behind it.

    Attributes
    ----------
    volume : ndarray of uint8 or uint16, shape (Z, Y, X)
        The image.
    direction : ndarray of float32, shape (Z, Y, X, 3)
        Unit vectors (z, y, x) in physical space: the fibre axis in fibres and in the crossing (of the brighter fibre),
        the normal in sheets, zero elsewhere. The sign is arbitrary.
    labels : ndarray of uint8, shape (Z, Y, X)
        `TissueClass` of each voxel; gaps between the fibres of a bundle belong to the bundle.
    spacing_um : tuple of float
        Voxel size (z, y, x) [um].
    """

    volume: npt.NDArray[np.uint8 | np.uint16]
    direction: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    spacing_um: tuple[float, float, float]

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Voxels that are tissue."""
        tissue: npt.NDArray[np.bool_] = self.labels != TissueClass.BACKGROUND
        return tissue


def simulate_fibres(
    shape: Sequence[int] = (96, 128, 128),
    *,
    seed: int = 0,
    spacing_um: Sequence[float] = (1.0, 1.0, 1.0),
    fibre_radius_um: float | None = None,
    blur_um: float | None = None,
    noise: float = 0.03,
    dtype: npt.DTypeLike = np.uint8,
) -> FibrePhantom:
    """Simulate a block of tissue with fibre bundles, layers and grains of known directions.

    A rounded block of dim, finely grained matrix holds an outer band of layers, an arched bundle beneath it, a bundle
    that runs through the planes, a nucleus of round grains, an oblique bundle and two bundles that cross. Positions
    scale with the volume; fibres keep their thickness, so a larger volume holds more of them.

    Parameters
    ----------
    shape : sequence of 3 int
        Size (z, y, x) [voxels].
    seed : int
        Equal seeds give equal volumes.
    spacing_um : sequence of 3 float
        Voxel size (z, y, x) [um]. Shapes and directions are physical: coarser planes only sample them more coarsely.
    fibre_radius_um : float, optional
        Mean fibre radius [um]; 2 voxels (geometric mean of the spacing) unless given.
    blur_um : float, optional
        Standard deviation of the isotropic point spread function [um]; 0.6 voxels unless given, 0 for none.
    noise : float
        Standard deviation of the noise at full brightness, as a fraction of it; falls with the square root of the
        brightness as photon noise does. 0 for none.
    dtype : dtype
        uint8 or uint16.

    Returns
    -------
    FibrePhantom
        Volume and truth.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> phantom = simulate_fibres((16, 24, 24), seed=3)
    >>> phantom.volume.shape, phantom.volume.dtype.name, phantom.direction.shape
    ((16, 24, 24), 'uint8', (16, 24, 24, 3))
    """
    size = tuple(int(n) for n in _three_positive("shape", shape))
    spacing = _three_positive("spacing_um", spacing_um)
    voxel_um = float(np.prod(spacing) ** (1 / 3))
    radius_um = 2.0 * voxel_um if fibre_radius_um is None else float(fibre_radius_um)
    psf_um = 0.6 * voxel_um if blur_um is None else float(blur_um)
    output: type[np.uint8] | type[np.uint16]
    if np.dtype(dtype) == np.uint8:
        output = np.uint8
    elif np.dtype(dtype) == np.uint16:
        output = np.uint16
    else:
        raise ParameterError(f"dtype={np.dtype(dtype).name} is not supported; use uint8 or uint16")
    if not (np.isfinite(radius_um) and radius_um > 0.0):
        raise ParameterError(f"fibre_radius_um={radius_um} must be above zero")
    for name, value in (("blur_um", psf_um), ("noise", noise)):
        if not (np.isfinite(value) and value >= 0.0):
            raise ParameterError(f"{name}={value} must be zero or above")

    extent = np.asarray(size) * np.asarray(spacing)
    regions = _lay_out(extent, radius_um, seed)
    volume = np.empty(size, dtype=output)
    labels = np.zeros(size, dtype=np.uint8)
    direction = np.zeros((*size, 3), dtype=np.float32)
    halo = int(np.ceil(3.0 * psf_um / spacing[0]))
    for start in range(0, size[0], _PLANES_AT_ONCE):
        stop = min(start + _PLANES_AT_ONCE, size[0])
        first, last = max(0, start - halo), min(size[0], stop + halo)
        light, tissue, axes = _paint((first, last), size, spacing, extent, regions, seed)
        light = _blurred(light, psf_um, spacing)[start - first : stop - first]
        labels[start:stop] = tissue[start - first : stop - first]
        direction[start:stop] = axes[start - first : stop - first]
        for plane in range(start, stop):
            volume[plane] = _digitise(light[plane - start], noise, np.random.default_rng([seed, 7, plane]), output)
    return FibrePhantom(volume, direction, labels, (spacing[0], spacing[1], spacing[2]))


def _three_positive(name: str, values: Sequence[float]) -> tuple[float, ...]:
    numbers = tuple(float(v) for v in values)
    if len(numbers) != 3 or not all(np.isfinite(n) and n > 0 for n in numbers):
        raise ParameterError(f"{name}={tuple(values)} must be three positive numbers in (z, y, x) order")
    return numbers


def _lay_out(extent: npt.NDArray[np.float64], radius_um: float, seed: int) -> list[Region]:
    """Place the regions; the first that contains a point owns it."""
    half_z, half_y, half_x = (float(e) / 2.0 for e in extent)
    small = min(half_y, half_x)
    pitch_um = 2.7 * radius_um

    def rng(stream: int) -> np.random.Generator:
        return np.random.default_rng([seed, stream])

    def straight(stream: int, centre: tuple[float, float, float], axis: Array, widths: tuple[float, float]) -> Region:
        lattice = FibreLattice(pitch_um, radius_um, widths, rng(stream))
        return StraightBundle(centre, axis, lattice, widths, 0.25 * pitch_um, 2.2 * small)

    bend = 0.60 * small
    arch_widths = (0.15 * small, 0.75 * half_z)
    layers_centre = (0.0, 3.0 * half_y, 0.0)
    layers_radii = (3.0 * half_y + 0.50 * half_y, 3.0 * half_y + 0.86 * half_y)
    layer_pitch_um = 3.0 * radius_um
    layer_count = int((layers_radii[1] - layers_radii[0]) / layer_pitch_um) + 2
    meeting = (0.0, 0.66 * half_y, 0.22 * half_x)
    crossing_widths = (0.14 * small, 0.55 * half_z)
    one, two = unit((0.0, 0.12, 1.0)), unit((0.0, -0.85, 0.65))
    ribbons = [
        StraightBundle(
            meeting,
            axis,
            FibreLattice(pitch_um, radius_um, crossing_widths, rng(stream)),
            crossing_widths,
            0.0,
            2.2 * small,
        )
        for stream, axis in ((4, one), (5, two))
    ]
    tract = unit((0.93, 0.20, -0.30))
    oblique = unit((0.55, 0.55, 0.63))
    nucleus = (0.05 * half_z, 0.02 * half_y, 0.20 * half_x)
    return [
        Lamellae(
            layers_centre,
            layers_radii,
            0.80 * half_x,
            layer_pitch_um,
            rng(1).uniform(0.55, 1.0, layer_count).astype(np.float32),
        ),
        ArcBundle(
            (0.0, 0.30 * half_y, 0.0),
            unit((1.0, 0.0, 0.0)),
            unit((0.0, -1.0, 0.0)),
            0.3,
            bend,
            FibreLattice(pitch_um, radius_um, arch_widths, rng(2)),
            arch_widths,
        ),
        straight(3, (0.0, 0.08 * half_y, -0.22 * half_x), tract, (0.17 * small, 0.17 * small)),
        CrossingBundles(ribbons[0], ribbons[1]),
        straight(6, (0.0, 0.55 * half_y, -0.62 * half_x), oblique, (0.15 * small, 0.15 * small)),
        Granules.draw(nucleus, (0.75 * half_z, 0.24 * half_y, 0.24 * half_x), 2.6 * radius_um, radius_um, rng(8)),
    ]


def _paint(
    planes: tuple[int, int],
    size: tuple[int, ...],
    spacing: tuple[float, ...],
    extent: npt.NDArray[np.float64],
    regions: list[Region],
    seed: int,
) -> tuple[Array, npt.NDArray[np.uint8], Array]:
    """Noise-free brightness, tissue classes and directions of some planes."""
    ranges = [np.arange(*planes), np.arange(size[1]), np.arange(size[2])]
    centred = [((r + 0.5) * s - e / 2.0).astype(np.float32) for r, s, e in zip(ranges, spacing, extent, strict=True)]
    grid = np.meshgrid(*centred, indexing="ij")
    points = np.stack([g.ravel() for g in grid], axis=1)
    # A superellipse in the plane leaves empty corners, which a mask has to find.
    scaled = np.abs(points[:, 1:] / (0.47 * extent[1:]).astype(np.float32))
    owned = np.where((scaled**3).sum(axis=1) <= 1.0, 0, 255).astype(np.uint8)
    light = np.where(owned == 0, _GROUND_LEVEL, _EMPTY_LEVEL).astype(np.float32)
    axes = np.zeros_like(points)
    for region in regions:
        free = np.flatnonzero(owned == 0)
        painted = region.paint(points[free])
        hit = painted.tissue > 0
        where = free[hit]
        owned[where] = painted.tissue[hit]
        light[where] += painted.brightness[hit]
        axes[where] = painted.direction[hit]
    shape = grid[0].shape
    grain = np.concatenate(
        [np.random.default_rng([seed, 11, z]).standard_normal(size[1:], np.float32) for z in range(*planes)]
    )
    matrix = owned == 0
    light[matrix] *= np.maximum(1.0 + _MATRIX_GRAIN * grain.ravel()[matrix], 0.0)
    owned[matrix] = TissueClass.MATRIX
    owned[owned == 255] = TissueClass.BACKGROUND
    return light.reshape(shape), owned.reshape(shape), axes.reshape(*shape, 3)


def _blurred(light: Array, psf_um: float, spacing: tuple[float, ...]) -> Array:
    if psf_um == 0.0:
        return light
    from scipy.ndimage import gaussian_filter

    sigma = [psf_um / s for s in spacing]
    result: Array = gaussian_filter(light, sigma, mode="nearest", truncate=3.0)
    return result


def _digitise(
    light: Array, noise: float, rng: np.random.Generator, dtype: type[np.uint8] | type[np.uint16]
) -> npt.NDArray[np.uint8 | np.uint16]:
    """Add signal-dependent noise and convert to integers; full brightness is 85 % of the range."""
    top = float(np.iinfo(dtype).max)
    grain = rng.standard_normal(light.shape, dtype=np.float32)
    noisy = light + np.float32(noise) * np.sqrt(np.maximum(light, 0.0)) * grain
    counts = np.clip(np.rint(noisy * np.float32(0.85 * top)), 0.0, top)
    return counts.astype(np.uint8) if dtype is np.uint8 else counts.astype(np.uint16)
