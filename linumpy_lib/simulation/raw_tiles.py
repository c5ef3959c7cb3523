"""Writes OCT tiles the way the microscope does: a folder with `info.txt` and `image_*.bin`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

TOP_Z = 30  # the microscope crops its depth samples; readers must use the difference


def tile_folder(x: int, y: int, slice_id: int) -> str:
    """Name of a tile's folder."""
    return f"tile_x{x:02d}_y{y:02d}_z{slice_id:02d}"


def _text(value: float) -> str:
    """Whole numbers without a point, as the microscope writes them, others with what is needed."""
    return str(int(value)) if float(value).is_integer() else f"{value:.9f}".rstrip("0")


def scan_info(
    *,
    tile_shape: tuple[int, int, int],
    spacing_um: tuple[float, float, float],
    n_extra: int,
    n_repeat: int,
    focus_px: float,
    stage_mm: tuple[float, float, float] | None,
) -> str:
    """Text of a tile's info.txt.

    Parameters
    ----------
    tile_shape, spacing_um
        Size and voxel size (z, y, x) without the galvo return; the axial spacing has no place in the file.
    n_extra, n_repeat
        A-lines of the galvo return, and recordings of each B-scan.
    focus_px
        Depth index of the focus.
    stage_mm
        Recorded stage position (x, y, z), None for instruments that write none.
    """
    n_z, n_y, n_x = tile_shape
    values: dict[str, float] = {
        "nx": n_x,
        "ny": n_y,
        "n_repeat": n_repeat,
        "width": n_x * spacing_um[2],
        "height": n_y * spacing_um[1],
        "n_extra": n_extra,
        "line_rate": 62500,
        "exposure": 12.5,
        "alinerepeat": 1,
        "top_z": TOP_Z,
        "bottom_z": TOP_Z + n_z - 1,
        "focus_z": TOP_Z + round(focus_px),
    }
    if stage_mm is not None:
        values |= dict(zip(("stage_x_pos_mm", "stage_y_pos_mm", "stage_z_pos_mm"), stage_mm, strict=True))
    return "".join(["Scan info\n", *(f"{key}: {_text(value)}\n" for key, value in values.items())])


def write_tile(folder: Path, info: str, parts: Iterable[npt.NDArray[np.float32]]) -> None:
    """Write one tile.

    Parameters
    ----------
    folder : Path
        The tile's folder.
    info : str
        Text of info.txt.
    parts : iterable of float32 array, shape (B-scans, A-lines, depth), C order
        One for each image_*.bin; on disk that is (depth, A-line, B-scan) in Fortran order.
    """
    folder.mkdir(parents=True)
    (folder / "info.txt").write_text(info, encoding="ascii")
    for index, part in enumerate(parts):
        part.tofile(folder / f"image_{index:05d}.bin")
