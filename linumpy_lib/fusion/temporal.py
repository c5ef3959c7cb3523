"""Parameters over time: robust local regression, moving averages, missing time points, one static set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float64]
_ROBUST_PASSES = 5


def smooth_parameters_rloess(
    timepoints: npt.ArrayLike, params: npt.ArrayLike, window: int = 100, passes: int = _ROBUST_PASSES
) -> Table:
    """Smooth by robust local quadratic regression.

    Parameters
    ----------
    timepoints : array_like
        Times (T,).
    params : array_like
        Parameters (T,) or (T, P); NaN is missing and stays so.
    window : int
        Nearest samples that each regression looks at.
    passes : int
        Robust passes.

    Returns
    -------
    ndarray of float64
        Same shape.

    Notes
    -----
    Tricube weights over the `window` nearest samples; each further pass weighs samples by the bisquare of their
    residual, zero beyond six median absolute residuals (Cleveland 1979). A quadratic drift passes unchanged.
    """
    time = np.asarray(timepoints, float)
    given = np.asarray(params, float)
    table = given.reshape(len(time), -1)
    out = np.full_like(table, np.nan)
    for column in range(table.shape[1]):
        known = np.isfinite(table[:, column])
        if known.sum() < 4:
            out[known, column] = table[known, column]
        else:
            out[known, column] = _rloess(time[known], table[known, column], window, passes)
    return out.reshape(given.shape)


def _rloess(time: Table, values: Table, window: int, passes: int) -> Table:
    count = len(time)
    nearest = min(max(window, 4), count)
    distance = np.abs(time[:, None] - time[None, :])
    reach = np.sort(distance, axis=1)[:, nearest - 1]
    # Where all samples are looked at, the outermost still counts.
    reach = reach * (1.0 if nearest < count else 1.0 + 1.0 / count) + 1e-12
    tricube = np.clip(1 - (distance / reach[:, None]) ** 3, 0, None) ** 3
    trust = np.ones(count)
    fitted = values
    for _ in range(1 + passes):
        weights = tricube * trust[None, :]
        fitted = np.array([_local(time - time[k], values, weights[k]) for k in range(count)])
        residual = np.abs(values - fitted)
        scale = 6 * float(np.median(residual))
        if scale <= 1e-12 * max(1.0, float(np.abs(values).max())):
            break
        trust = np.clip(1 - (residual / scale) ** 2, 0, None) ** 2
    return fitted


def _local(time: Table, values: Table, weights: Table) -> float:
    scale = float(np.abs(time).max()) or 1.0
    root = np.sqrt(weights)
    design = np.stack([np.ones_like(time), time / scale, (time / scale) ** 2], axis=1)
    degree = min(3, int((weights > 1e-9).sum()))
    if degree == 0:
        return float(np.median(values))
    solution = np.linalg.lstsq(design[:, :degree] * root[:, None], values * root, rcond=None)[0]
    return float(solution[0])


def moving_average(
    values: npt.ArrayLike, half_width: int, method: Literal["median", "mean"] = "median", *, ends: str = "shrink"
) -> Table:
    """Average over a window of 2 n + 1 samples.

    Parameters
    ----------
    values : array_like
        Samples (T,); NaN does not count.
    half_width : int
        n; 0 leaves the samples as they are.
    method : {"median", "mean"}
        What is taken of the window.
    ends : {"shrink", "truncate"}
        At the ends the window stays symmetric and shrinks, so that a drift is not bent; or it is cut off on one side.
    """
    samples = np.asarray(values, float)
    if half_width <= 0:
        return samples.copy()
    take = np.nanmedian if method == "median" else np.nanmean
    out = np.full(len(samples), np.nan)
    for k in range(len(samples)):
        room = min(half_width, k, len(samples) - 1 - k) if ends == "shrink" else half_width
        part = samples[max(0, k - room) : k + room + 1]
        if np.isfinite(part).any():
            out[k] = take(part)
    return out


def apply_temporal_averaging(
    params: npt.ArrayLike,
    offset_range: int = 10,
    angle_range: int = 10,
    intensity_range: int = 5,
    method: Literal["median", "mean"] = "median",
    parameter_types: Sequence[str] = ("offset", "offset", "offset", "angle", "intensity"),
    *,
    ends: str = "shrink",
) -> Table:
    """Average parameters over time, each kind over its own window.

    Parameters
    ----------
    params : array_like
        Parameters (T, P).
    offset_range, angle_range, intensity_range : int
        Half widths of the windows.
    method : {"median", "mean"}
        What is taken of a window.
    parameter_types : sequence of str
        Kind of each column: offset, angle or intensity; others stay as they are.
    ends : {"shrink", "truncate"}
        See `moving_average`.
    """
    table = np.asarray(params, float)
    widths = {"offset": offset_range, "angle": angle_range, "intensity": intensity_range}
    columns = [
        moving_average(table[:, k], widths.get(kind, 0), method, ends=ends) for k, kind in enumerate(parameter_types)
    ]
    return np.stack(columns, axis=1)


def interpolate_missing_timepoints(timepoints: npt.ArrayLike, params: npt.ArrayLike) -> Table:
    """Fill missing parameters (NaN) linearly between their neighbours in time, at the ends with the nearest."""
    time, table = np.asarray(timepoints, float), np.array(params, float)
    for column in table.reshape(len(time), -1).T:
        known = np.isfinite(column)
        if known.any():
            column[~known] = np.interp(time[~known], time[known], column[known])
    return table


def compute_static_parameters(params: npt.ArrayLike) -> Table:
    """Replace parameters (T, P) by their mean over time."""
    table = np.asarray(params, float)
    mean = np.nanmean(table, axis=0, keepdims=True)
    return np.broadcast_to(mean, table.shape).copy()


def create_lookup_table(
    timepoints: Sequence[int], params: npt.ArrayLike, names: Sequence[str]
) -> list[dict[str, float | int]]:
    """Return one row for each time point: its number and its parameters by name."""
    table = np.asarray(params, float)
    return [
        {"timepoint": int(t), **{name: float(v) for name, v in zip(names, row, strict=True)}}
        for t, row in zip(timepoints, table, strict=True)
    ]


def smoothed(timepoints: Sequence[int], raw: Table, choices: Mapping[str, Any], kinds: Sequence[str]) -> Table:
    """Smooth a table (T, P) as `TemporalParameters` say; the logarithm of intensity factors is what is averaged."""
    table = raw.copy()
    intensity = [k for k, kind in enumerate(kinds) if kind == "intensity"]
    table[:, intensity] = np.log(table[:, intensity])
    if choices["fusion_temporal_smoothing"]:
        table = smooth_parameters_rloess(timepoints, table, choices["fusion_smoothing_window"])
    if choices["fusion_temporal_interpolation"]:
        table = interpolate_missing_timepoints(timepoints, table)
    if choices["fusion_temporal_smoothing"]:
        table = apply_temporal_averaging(
            table,
            choices["fusion_offset_averaging_range"],
            choices["fusion_angle_averaging_range"],
            choices["fusion_intensity_averaging_range"],
            choices["fusion_averaging"],
            kinds,
        )
        # Averaging may not invent what interpolation was not asked for.
        table[~np.isfinite(raw) & (not choices["fusion_temporal_interpolation"])] = np.nan
    if choices["fusion_static"] and np.isfinite(table).any():
        known = np.isfinite(table)
        table = np.where(known | choices["fusion_temporal_interpolation"], compute_static_parameters(table), np.nan)
    table[:, intensity] = np.exp(table[:, intensity])
    return table
