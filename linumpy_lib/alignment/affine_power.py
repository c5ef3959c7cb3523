"""Fractional powers of affine maps: the way from one slice to the next, gone a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Affine:
    """An affine map of the plane, ``p -> matrix @ p + offset`` with p = (y, x)."""

    matrix: Array
    offset: Array

    @classmethod
    def identity(cls) -> Affine:
        """Return the map that leaves all points in place."""
        return cls(np.eye(2), np.zeros(2))

    @property
    def determinant(self) -> float:
        """Factor by which areas grow; zero or negative is no deformation of tissue."""
        return float(np.linalg.det(self.matrix))

    def apply(self, points: npt.ArrayLike) -> Array:
        """Map points (..., 2)."""
        result: Array = np.asarray(points, dtype=np.float64) @ self.matrix.T + self.offset
        return result

    def displacement(self, shape: tuple[int, int]) -> float:
        """Largest distance that a corner of a picture of this shape moves, pixels."""
        corners = np.array([(y, x) for y in (0, shape[0] - 1) for x in (0, shape[1] - 1)], dtype=float)
        return float(np.linalg.norm(self.apply(corners) - corners, axis=1).max())

    def shifted(self, before: npt.ArrayLike, after: npt.ArrayLike) -> Affine:
        """Return the map between other origins: of its values (`before`) and of its arguments (`after`)."""
        return Affine(self.matrix, self.offset + np.asarray(before) - self.matrix @ np.asarray(after))

    def scaled(self, factor: float) -> Affine:
        """Return the same map for pixels that are `factor` times finer."""
        half = (factor - 1) / 2
        return Affine(self.matrix, self.offset * factor).shifted((half, half), (half, half))


def affine_power(affine: Affine, fraction: float) -> tuple[Affine, float]:
    """Raise an affine map to a real power.

    The power of the homogeneous 3 x 3 matrix is the exponential of a multiple of its logarithm. That equals the
    fractional matrix power M^a with the translation (I - M^a)(I - M)^-1 t, and needs no special case where M is the
    identity: there the translation is a t.

    Parameters
    ----------
    affine : Affine
        A map with a positive determinant.
    fraction : float
        The power; 0 gives the identity, 1 the map, -1 its inverse.

    Returns
    -------
    power : Affine
    imaginary : float
        Largest imaginary part that was dropped, relative to the largest entry; 0 unless the map turns by half a turn.

    Raises
    ------
    ValueError
        If the determinant is not positive.
    """
    from scipy.linalg import expm, logm

    if affine.determinant <= 0:
        raise ValueError(f"determinant {affine.determinant:g}: a reflection has no fractional power")
    homogeneous = np.eye(3)
    homogeneous[:2, :2], homogeneous[:2, 2] = affine.matrix, affine.offset
    power = expm(fraction * np.asarray(logm(homogeneous)))
    imaginary = float(np.abs(np.imag(power)).max() / np.abs(power).max())
    real = np.real(power)
    return Affine(real[:2, :2], real[:2, 2]), imaginary
