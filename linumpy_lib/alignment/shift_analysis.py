"""How the slices drifted, as text and picture: recorded shifts, outliers among them, the path that they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.io.shift_table import Shift

Array = npt.NDArray[Any]

_WINDOW = 2


@dataclass(frozen=True)
class Analysis:
    """What a table of shifts says.

    Attributes
    ----------
    limit_mm : float
        Length from which on a shift is an outlier.
    outliers : tuple of int
        Rows of the table that are.
    filtered : tuple of Shift
        The table with each outlier replaced by the median of its neighbours that are none. For looking at, not for
        placing slices.
    """

    limit_mm: float
    outliers: tuple[int, ...]
    filtered: tuple[Shift, ...]


def analyse(shifts: Sequence[Shift], iqr_multiplier: float) -> Analysis:
    """Find outliers: lengths above Q3 + `iqr_multiplier` · (Q3 - Q1).

    Parameters
    ----------
    shifts : sequence of Shift
        In the order of the slices.
    iqr_multiplier : float
        Multiple of the interquartile range.
    """
    lengths = np.array([shift.length_mm for shift in shifts])
    if not len(lengths):
        return Analysis(0.0, (), ())
    low, high = np.percentile(lengths, [25, 75])
    limit = float(high + iqr_multiplier * (high - low))
    outliers = tuple(int(k) for k in np.flatnonzero(lengths > limit))
    calm = [k for k in range(len(shifts)) if k not in outliers]
    filtered = list(shifts)
    for k in outliers:
        x, y = local_median(shifts, k, calm, _WINDOW)
        filtered[k] = replace(shifts[k].moved(x, y), reliable=False)
    return Analysis(limit, outliers, tuple(filtered))


def local_median(shifts: Sequence[Shift], at: int, usable: Sequence[int], window: int) -> tuple[float, float]:
    """Median shift (x, y) in millimetres for one interval, times the intervals of row `at`.

    The rows of `usable` that lie at most `window` rows away count; without any, all of them; without any at all, 0.
    """
    near = [k for k in usable if 0 < abs(k - at) <= window] or [k for k in usable if k != at]
    if not near:
        return 0.0, 0.0
    each = np.array([(shifts[k].x_mm, shifts[k].y_mm) for k in near]) / [[shifts[k].interval] for k in near]
    x, y = (np.median(each, axis=0) * shifts[at].interval).tolist()
    return x, y


def path_mm(shifts: Sequence[Shift]) -> Array:
    """Positions (n + 1, 2) of the slices, (x, y) in millimetres, the middle one at the origin.

    A shift is the fixed position minus the moving one, so that positions fall as shifts grow.
    """
    steps = np.array([(shift.x_mm, shift.y_mm) for shift in shifts]).reshape(-1, 2)
    positions: Array = np.concatenate([np.zeros((1, 2)), -np.cumsum(steps, axis=0)])
    positions -= positions[len(positions) // 2].copy()
    return positions


def slice_ids(shifts: Sequence[Shift]) -> list[int]:
    """Ids of the slices along the table."""
    return [shifts[0].fixed_id, *(shift.moving_id for shift in shifts)] if shifts else []


def analysis_text(shifts: Sequence[Shift], analysis: Analysis) -> str:
    """Write the analysis as plain text, one line for each shift."""
    lengths = np.array([shift.length_mm for shift in shifts]) * 1000
    lines = [f"shifts between slices: {len(shifts)}"]
    if len(lengths):
        path = path_mm(shifts) * 1000
        extent = np.ptp(path, axis=0)
        lines += [
            f"length [um]: median {np.median(lengths):.1f}, mean {lengths.mean():.1f}, largest {lengths.max():.1f}",
            f"extent of the path [um]: x {extent[0]:.1f}, y {extent[1]:.1f}",
            f"first to last slice [um]: x {path[-1, 0] - path[0, 0]:.1f}, y {path[-1, 1] - path[0, 1]:.1f}",
            f"outliers, longer than {analysis.limit_mm * 1000:.1f} um: {len(analysis.outliers)}",
            f"unreliable: {sum(not shift.reliable for shift in shifts)}",
            "",
            f"{'fixed':>6} {'moving':>6} {'x [um]':>10} {'y [um]':>10} {'length':>10}  remarks",
        ]
    for k, shift in enumerate(shifts):
        remarks = [
            text
            for text, applies in (
                ("outlier", k in analysis.outliers),
                ("unreliable", not shift.reliable),
                (f"over {shift.interval - 1} missing", shift.interval > 1),
            )
            if applies
        ]
        lines.append(
            f"{shift.fixed_id:6d} {shift.moving_id:6d} {shift.x_mm * 1000:10.1f} {shift.y_mm * 1000:10.1f} "
            f"{shift.length_mm * 1000:10.1f}  {', '.join(remarks)}".rstrip()
        )
    return "\n".join(lines) + "\n"
