"""Anatomical orientation of array axes: three-letter codes and their way to right, anterior, superior (RAS)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import ParameterError

_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
_TARGET = "SAR"
"""Where the axes z, y, x of a RAS volume point to."""


@dataclass(frozen=True)
class Orientation:
    """Where the axes (z, y, x) of an array point to.

    Attributes
    ----------
    code : str
        Three letters of R/L, A/P and S/I: the direction in which the index of each axis grows.
    """

    code: str

    def __post_init__(self) -> None:
        letters = self.code
        axes = {frozenset((letter, _OPPOSITE.get(letter, ""))) for letter in letters}
        if len(letters) != 3 or any(letter not in _OPPOSITE for letter in letters) or len(axes) != 3:
            raise ParameterError(
                f"orientation '{self.code}' is not allowed: give where the axes z, y, x point to, one letter each of "
                "R or L, A or P, S or I; for example PIR for coronal sections cut from front to back"
            )

    @classmethod
    def parse(cls, text: str) -> Orientation:
        """Read a code as typed; case does not matter.

        Raises
        ------
        ParameterError
            If it is not one of the 48 codes.
        """
        return cls(text.strip().upper())

    def to_ras(self) -> npt.NDArray[np.float64]:
        """Return the signed permutation (3, 3) that takes a direction along the array axes to (S, A, R)."""
        matrix = np.zeros((3, 3))
        for axis, letter in enumerate(self.code):
            for row, wanted in enumerate(_TARGET):
                if letter == wanted:
                    matrix[row, axis] = 1.0
                elif _OPPOSITE[letter] == wanted:
                    matrix[row, axis] = -1.0
        return matrix

    def transpose(self) -> tuple[int, int, int]:
        """Array axis behind each of the axes (S, A, R), for `numpy.transpose`."""
        z, y, x = (int(np.flatnonzero(row)[0]) for row in self.to_ras())
        return z, y, x

    def flips(self) -> tuple[bool, bool, bool]:
        """Whether each of the axes (S, A, R) runs against the array's index."""
        z, y, x = (bool(row.sum() < 0) for row in self.to_ras())
        return z, y, x

    def turned(self, rotation: npt.NDArray[np.float64]) -> Orientation:
        """Return the code after a turn by multiples of 90 degrees, given as a matrix (3, 3) in (S, A, R)."""
        matrix = np.rint(rotation) @ self.to_ras()
        letters = []
        for axis in range(3):
            row = int(np.flatnonzero(matrix[:, axis])[0])
            letters.append(_TARGET[row] if matrix[row, axis] > 0 else _OPPOSITE[_TARGET[row]])
        return Orientation("".join(letters))


def every_orientation() -> list[Orientation]:
    """List all 48 orientations.

    Examples
    --------
    >>> len(every_orientation())
    48
    """
    return [
        Orientation("".join(letters))
        for pairs in itertools.permutations(("RL", "AP", "SI"))
        for letters in itertools.product(*pairs)
    ]


def reorient(array: npt.NDArray[np.float32], orientation: Orientation) -> npt.NDArray[np.float32]:
    """Turn an array (z, y, x) around so that its axes point to superior, anterior, right; a view."""
    turned = np.transpose(array, orientation.transpose())
    index = tuple(slice(None, None, -1) if flip else slice(None) for flip in orientation.flips())
    result: npt.NDArray[np.float32] = turned[index]
    return result


def rotation_matrix(degrees: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Return the rotation (3, 3) in (S, A, R) by angles about the axes x (right), y (anterior), z (superior).

    Parameters
    ----------
    degrees : tuple of float
        Angles Rx, Ry, Rz, right-handed, applied to the body in this order about fixed axes.
    """
    a, b, c = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    xyz: npt.NDArray[np.float64] = about_z @ about_y @ about_x
    return xyz[::-1, ::-1]
