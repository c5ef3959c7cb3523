"""Real tiles of a mouse brain section, with vignetting, as a mosaic; and where they belong."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from linumpy_lib.io import write_volume
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid

_ARCHIVE = Path(__file__).resolve().parents[3] / "shared" / "data" / "basicpy_wsi_brain.zip"
_LINE = re.compile(r"^(\S+\.tif);\s*;\s*\(([-\d.]+),\s*([-\d.]+)\)", re.M)
EDGE, PIXEL_UM = 512, 2.58


@dataclass(frozen=True)
class BrainSection:
    """A mosaic store, its grid, and the corner (y, x) of each tile in pixels as another program registered them."""

    path: Path
    grid: MosaicGrid
    registered: dict[tuple[int, int], tuple[float, float]]

    def tile(self, voxels: npt.NDArray[np.float32], place: tuple[int, int]) -> npt.NDArray[np.float32]:
        return voxels[self.grid.box(*place)][0]


def brain_section(folder: Path) -> BrainSection:
    """Write the mosaic, one plane deep; skip the test where the data are not."""
    if not _ARCHIVE.is_file():
        pytest.skip(f"needs {_ARCHIVE.name} in ../shared/data")
    import tifffile

    with zipfile.ZipFile(_ARCHIVE) as archive:
        texts = {Path(n).name: archive.read(n).decode() for n in archive.namelist() if n.endswith(".txt")}
        nominal, registered = (
            {name: (float(y), float(x)) for name, x, y in _LINE.findall(texts[file])}
            for file in ("TileConfiguration.txt", "TileConfiguration.registered.txt")
        )
        rows, columns = (sorted({corner[k] for corner in nominal.values()}) for k in (0, 1))
        places = {name: (rows.index(y), columns.index(x)) for name, (y, x) in nominal.items()}
        stage = {places[name]: (y * PIXEL_UM / 1000, x * PIXEL_UM / 1000) for name, (y, x) in nominal.items()}
        grid = MosaicGrid(
            1,
            (1, EDGE, EDGE),
            (len(rows), len(columns)),
            missing=tuple(
                sorted({(r, c) for r in range(len(rows)) for c in range(len(columns))} - set(places.values()))
            ),
            stage_mm=stage,
            field_of_view_um=(EDGE * PIXEL_UM,) * 2,
        )
        voxels = np.zeros(grid.shape, np.float32)
        folder_name = next(n for n in archive.namelist() if n.endswith(".tif")).rsplit("/", 1)[0]
        for name, place in places.items():
            voxels[grid.box(*place)] = tifffile.imread(BytesIO(archive.read(f"{folder_name}/{name}")))
    path = folder / "section.ome.zarr"
    write_volume(path, voxels, spacing_um=(PIXEL_UM,) * 3, levels=1, provenance={KEY: grid.as_json()})
    return BrainSection(path, grid, {places[name]: corner for name, corner in registered.items()})
