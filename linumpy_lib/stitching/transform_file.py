"""The file of a pooled transform: how far tiles step along rows and columns, one answer for all slices."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.io.text_file import read_json
from linumpy_lib.stitching.layout import Layout

Array = npt.NDArray[Any]


def write_transform(path: Path, step_um: Array, facts: Mapping[str, Any]) -> None:
    """Write the displacement (y, x) of the next row and of the next column, micrometres, shape (2, 2), in columns."""
    data = {"step_um": [[float(v) for v in row] for row in step_um], **facts}
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_transform(path: Path) -> Array:
    """Read `step_um`, NaN in columns that nothing told.

    Raises
    ------
    InputError
        If the file is no such file.
    """
    try:
        step = np.array(read_json(path, "make it with estimate_global_transform")["step_um"], dtype=float)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is no pooled transform ({error!r}); make it with estimate_global_transform"
        ) from None
    if step.shape != (2, 2):
        raise InputError(
            f"{path}: step_um has the shape {step.shape}, not (2, 2); make it with estimate_global_transform"
        )
    return step


def layout_steps(layout: Layout) -> Array:
    """Median displacement of the next row and of the next column in a layout, pixels; NaN where there is none."""
    steps = np.full((2, 2), math.nan)
    for axis in (0, 1):
        step = layout.step(axis)
        if step is not None:
            steps[:, axis] = step
    return steps


def matrix_from_steps(step_px: Array, layout: Layout) -> Array:
    """Linear map of a layout that gives its neighbours the steps; directions that either lacks stay as they are."""
    have, want = layout_steps(layout), step_px.copy()
    for axis in (0, 1):
        if not (np.isfinite(have[:, axis]).all() and np.isfinite(want[:, axis]).all()):
            have[:, axis] = want[:, axis] = np.eye(2)[axis] * layout.tile[axis]
    result: Array = want @ np.linalg.inv(have)
    return result
