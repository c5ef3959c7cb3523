"""The real mouse brain that is not part of the project, for tests and benchmarks that skip where it is absent."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import tifffile

ARCHIVE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "brainreg_mouse_brain.zip"
ORIENTATION = "AIR"
SPACING_MM = (0.05, 0.04, 0.04)


def mouse_brain() -> np.ndarray | None:
    """Return 270 coronal planes of 193 x 271 voxels, cut from back to front; None where the file is absent."""
    if not ARCHIVE.is_file():
        return None
    with zipfile.ZipFile(ARCHIVE) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".tif"))
        return np.stack([tifffile.imread(io.BytesIO(archive.read(name))) for name in names])


def averaged(volume: np.ndarray, factor: int) -> np.ndarray:
    """Average cubes of voxels; what is left over at the far faces is dropped."""
    cut = volume[tuple(slice(0, n // factor * factor) for n in volume.shape)]
    split = [part for n in cut.shape for part in (n // factor, factor)]
    return cut.reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)
