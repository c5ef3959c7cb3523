"""Rigid motions of the plane, and their form as ITK transform files."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.io.text_file import read_text

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rigid:
    """Rotation about a centre, then a translation: ``p -> R (p - centre) + centre + shift``.

    Between two slices it maps a pixel of the fixed slice to the pixel of the moving slice that shows the same tissue,
    as resampling needs it: a positive shift along x moves the moving slice's content to the left.

    Attributes
    ----------
    angle_rad : float
        Rotation; positive turns the x axis (last) towards the y axis.
    shift : tuple of float
        Translation along (y, x), pixels.
    centre : tuple of float
        What stays in place under the rotation, (y, x), pixels; pixel centres are whole numbers.
    """

    angle_rad: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    centre: tuple[float, float] = (0.0, 0.0)

    @property
    def angle_deg(self) -> float:
        """Rotation in degrees."""
        return math.degrees(self.angle_rad)

    @property
    def length(self) -> float:
        """Length of the translation, pixels."""
        return math.hypot(*self.shift)

    def matrix(self) -> Floats:
        """Rotation matrix for (y, x) columns, shape (2, 2)."""
        c, s = math.cos(self.angle_rad), math.sin(self.angle_rad)
        return np.array([[c, s], [-s, c]])

    def affine(self) -> tuple[Floats, Floats]:
        """Matrix and offset such that ``p -> matrix @ p + offset``, for (y, x)."""
        matrix, centre = self.matrix(), np.array(self.centre)
        return matrix, centre + np.array(self.shift) - matrix @ centre

    def apply(self, points: npt.ArrayLike) -> Floats:
        """Map points (..., 2) given as (y, x)."""
        matrix, offset = self.affine()
        result: Floats = np.asarray(points, dtype=np.float64) @ matrix.T + offset
        return result

    def inverse_apply(self, points: npt.ArrayLike) -> Floats:
        """Map points (..., 2) back."""
        matrix, offset = self.affine()
        result: Floats = (np.asarray(points, dtype=np.float64) - offset) @ matrix
        return result

    def after(self, first: Rigid) -> Rigid:
        """Return the motion that applies `first`, then this one; its centre is that of `first`.

        Examples
        --------
        >>> Rigid(0.0, (1.0, 0.0)).after(Rigid(0.0, (0.0, 2.0))).shift
        (1.0, 2.0)
        """
        y, x = (self.apply(first.apply(first.centre)) - np.array(first.centre)).tolist()
        return Rigid(self.angle_rad + first.angle_rad, (y, x), first.centre)

    def inverse(self) -> Rigid:
        """Return the motion back."""
        y, x = (-(self.matrix().T @ np.array(self.shift))).tolist()
        return Rigid(-self.angle_rad, (y, x), self.centre)


def between(low: Rigid, high: Rigid, fraction: float) -> Rigid:
    """Return the motion a fraction of the way from one to the other; both have the same centre."""
    y, x = (a + fraction * (b - a) for a, b in zip(low.shift, high.shift, strict=True))
    return Rigid(low.angle_rad + fraction * (high.angle_rad - low.angle_rad), (y, x), low.centre)


def image_centre(shape: tuple[int, int]) -> tuple[float, float]:
    """Centre (y, x) about which slices are rotated: half the extents, as other programs have it."""
    return shape[0] / 2, shape[1] / 2


def write_tfm(path: Path, motion: Rigid) -> None:
    """Write an ITK transform file: Euler3D about z, in pixels, from the fixed to the moving slice."""
    numbers = (0.0, 0.0, motion.angle_rad, motion.shift[1], motion.shift[0], 0.0)
    path.write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: Euler3DTransform_double_3_3\n"
        f"Parameters: {' '.join(repr(float(n)) for n in numbers)}\n"
        f"FixedParameters: {motion.centre[1]!r} {motion.centre[0]!r} 0 0\n",
        encoding="utf-8",
    )


def read_tfm(path: Path) -> Rigid:
    """Read an ITK transform file of a rotation about z or of a translation, in pixels.

    Raises
    ------
    InputError
        If it is absent, of another kind, or rotates about x or y.
    """
    try:
        text = read_text(path, "register the pair again")
    except OSError as error:
        raise InputError(f"{path}: no readable transform ({error}); register the pair again") from None
    kind = re.search(r"^Transform:\s*(\w+?)_", text, re.MULTILINE)
    rows = [re.search(rf"^{key}:(.*)$", text, re.MULTILINE) for key in ("Parameters", "FixedParameters")]
    try:
        numbers, fixed = ([float(word) for word in (row[1].split() if row else [])] for row in rows)
    except ValueError:
        raise InputError(f"{path}: holds words where numbers belong; write the transform again") from None
    name = kind[1] if kind else "no transform"
    if not all(math.isfinite(n) for n in (*numbers, *fixed)):
        raise InputError(f"{path}: holds numbers that are not finite; write the transform again")
    if name == "Euler3DTransform" and len(numbers) == 6 and len(fixed) >= 3:
        if max(abs(numbers[0]), abs(numbers[1])) > 1e-6:
            raise InputError(f"{path}: rotates about x or y; slices can be turned about z only")
        return Rigid(numbers[2], (numbers[4], numbers[3]), (fixed[1], fixed[0]))
    if name == "Euler2DTransform" and len(numbers) == 3 and len(fixed) >= 2:
        return Rigid(numbers[0], (numbers[2], numbers[1]), (fixed[1], fixed[0]))
    if name == "TranslationTransform" and len(numbers) in (2, 3):
        return Rigid(0.0, (numbers[1], numbers[0]))
    raise InputError(f"{path}: is a {name}; give an Euler3DTransform, Euler2DTransform or TranslationTransform")
