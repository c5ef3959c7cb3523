"""Places along a line from differences between neighbours and a weak belief that none lies far off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROUNDS = 8
_TUNING = 3.0
# Contradictions that tell the noise, at least; and how far from what is expected it may be.
_TELLING = 8
_TIMES = 10.0


@dataclass(frozen=True)
class Difference:
    """A measured ``x[second] - x[first]`` with its weight (1 is a measurement of the noise that is stated)."""

    first: int
    second: int
    value: float
    weight: float = 1.0


def solve_line(
    count: int, differences: Sequence[Difference], noise: float, least_spread: float, *, fixed_spread: bool = False
) -> Floats:
    """Estimate the values of a sequence from differences of some of its members.

    Minimises ``sum w r^2 / noise^2 + sum x^2 / spread^2`` (r: residual of a difference), with weights that fall for
    residuals far beyond the rest (Cauchy). The second term keeps what the differences leave open, and sums of their
    errors, from running off; its spread is that of the solution without it, so that it never outweighs what was
    measured. Where there are more differences than values, their contradictions tell how exact they are, and ``noise``
    is only what is expected of them.

    Parameters
    ----------
    count : int
        Members of the sequence.
    differences : sequence of Difference
        What was measured; members without one stay at 0.
    noise : float
        Standard deviation of a difference of weight 1, as long as contradictions do not tell another.
    least_spread : float
        Spread of the values that is believed in any case.
    fixed_spread : bool
        Believe no other spread, whatever was measured: slow drifts are then kept out.

    Returns
    -------
    ndarray, shape (count,)

    Examples
    --------
    >>> solve_line(3, [Difference(0, 1, 1.0), Difference(1, 2, 1.0)], 0.001, 1.0).round(2).tolist()
    [-1.0, 0.0, 1.0]
    """
    used = [d for d in differences if d.weight > 0]
    if not used:
        return np.zeros(count)
    first = np.array([d.first for d in used])
    second = np.array([d.second for d in used])
    value = np.array([d.value for d in used])
    weight = np.array([d.weight for d in used])
    touched = np.zeros(count, bool)
    touched[first] = touched[second] = True

    def solve(factor: Floats, spread: float) -> Floats:
        matrix = np.zeros((count, count))
        right = np.zeros(count)
        w = weight * factor / noise**2
        np.add.at(matrix, (first, first), w)
        np.add.at(matrix, (second, second), w)
        np.add.at(matrix, (first, second), -w)
        np.add.at(matrix, (second, first), -w)
        np.add.at(right, second, w * value)
        np.add.at(right, first, -w * value)
        matrix[np.diag_indices(count)] += 1 / spread**2
        solution: Floats = np.asarray(np.linalg.solve(matrix, right), np.float64)
        return solution

    factor = np.ones(len(used))
    spread = least_spread if fixed_spread else 100 * (least_spread + float(np.abs(value).max()))
    for step in range(_ROUNDS):
        x = solve(factor, spread)
        residual = np.abs(x[second] - x[first] - value)
        scale = max(noise, 1.4826 * float(np.median(residual)))
        factor = np.asarray(1 / (1 + (residual / (_TUNING * scale)) ** 2), np.float64)
        if step == _ROUNDS // 2 and not fixed_spread:
            inner = x[touched]
            spread = max(least_spread, float(np.sqrt(np.mean((inner - np.median(inner)) ** 2))))
            noise = _noise(noise, float((weight * factor * residual**2).sum()), len(used) - len(inner) + 1)
    return solve(factor, spread)


def _noise(expected: float, squares: float, telling: int) -> float:
    """Return the noise that weighted squares of `telling` independent contradictions show."""
    if telling < _TELLING:
        return expected
    return float(np.clip(np.sqrt(squares / telling), expected / _TIMES, expected * _TIMES))
