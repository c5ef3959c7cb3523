"""A small brain with no symmetry, and the same brain after a known rigid movement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation


def asymmetric_brain(shape: tuple[int, int, int] = (32, 42, 36)) -> np.ndarray:
    """Return a body with a bulb at the front, a bright core on the left and a dark ventricle (z, y, x in RAS)."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    body = (z / 0.62) ** 2 + (y / 0.8) ** 2 + (x / 0.72) ** 2 < 1
    bulb = ((z + 0.15) / 0.25) ** 2 + ((y - 0.75) / 0.22) ** 2 + ((x - 0.1) / 0.3) ** 2 < 1
    stem = ((z + 0.5) / 0.3) ** 2 + ((y + 0.7) / 0.28) ** 2 + (x / 0.2) ** 2 < 1
    image = 100.0 * (body | bulb | stem)
    image += 60 * (((z - 0.2) / 0.2) ** 2 + ((y - 0.2) / 0.4) ** 2 + ((x + 0.3) / 0.2) ** 2 < 1)
    image -= 70 * (((z - 0.1) / 0.15) ** 2 + ((y + 0.3) / 0.3) ** 2 + ((x - 0.25) / 0.12) ** 2 < 1)
    return ndimage.gaussian_filter(image, 0.8).astype(np.float32)


@dataclass(frozen=True)
class Moved:
    """A moved image, and where template positions lie in it: ``subject = matrix @ template + offset`` (mm; z, y, x)."""

    image: np.ndarray
    matrix: np.ndarray
    offset: np.ndarray


def moved(
    image: np.ndarray,
    spacing_mm: tuple[float, float, float],
    *,
    degrees: float,
    voxels: float,
    seed: int,
    noise: float = 0.0,
    gain: float = 1.0,
) -> Moved:
    """Turn an image about a random axis and shift it in a random direction, with room around it."""
    rng = np.random.default_rng(seed)
    axis, direction = rng.normal(size=(2, 3))
    turn = Rotation.from_rotvec(np.deg2rad(degrees) * axis / np.linalg.norm(axis)).as_matrix()
    shift = voxels * direction / np.linalg.norm(direction) * np.asarray(spacing_mm)
    pad = int(voxels + 0.3 * max(image.shape))
    big = np.pad(image, pad)
    spacing = np.asarray(spacing_mm)
    centre = (np.asarray(big.shape) - 1) / 2 * spacing
    back = turn.T * spacing / spacing[:, None]
    result = ndimage.affine_transform(big, back, (centre - turn.T @ (centre + shift)) / spacing, order=1)
    result = gain * result + noise * rng.standard_normal(result.shape)
    offset = turn @ (pad * spacing - centre) + centre + shift
    return Moved(result.astype(np.float32), turn, offset)


def pose_errors(matrix, offset, truth: Moved, at_mm, spacing_mm) -> tuple[float, float]:
    """Return the angle (degrees) and the largest shift (voxels) between a pose and the truth at a place."""
    u, _, vt = np.linalg.svd(matrix @ truth.matrix.T)
    angle = np.rad2deg(np.arccos(np.clip((np.trace(u @ vt) - 1) / 2, -1, 1)))
    gap = (matrix @ at_mm + offset) - (truth.matrix @ at_mm + truth.offset)
    return float(angle), float(np.abs(gap / np.asarray(spacing_mm)).max())
