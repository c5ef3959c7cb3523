"""Mosaics that other microscopes took, as stores of this program: adapters for tests and benchmarks."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.mosaic_grid import KEY, MosaicGrid, mosaic_grid

Array = npt.NDArray[Any]
Positions = dict[tuple[int, int], Array]

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
BRAIN_SECTION = DATA / "basicpy_wsi_brain.zip"
TWO_TILES = DATA / "multiview_stitcher" / "mosaic_test.czi"
_LINE = re.compile(r"^(\S+); ; \(([-\d.eE]+), ([-\d.eE]+)\)")


@dataclass(frozen=True)
class RealMosaic:
    """A mosaic store, and positions (y, x) in pixels that others state for its tiles."""

    path: Path
    stage: Positions
    registered: Positions


def _configuration(text: str) -> dict[str, Array]:
    found = (_LINE.match(line) for line in text.splitlines())
    return {m[1]: np.array([float(m[3]), float(m[2])]) for m in found if m}


def brain_section(path: Path, rows: slice = slice(None), columns: slice = slice(None)) -> RealMosaic:
    """Write some tiles of the brain section of BaSiC (6 x 9 tiles of 512 x 512, 2.58 um) as a mosaic."""
    import tifffile

    with zipfile.ZipFile(BRAIN_SECTION) as archive:
        names = {Path(name).name: name for name in archive.namelist()}
        stage, registered = (
            _configuration(archive.read(names[f"TileConfiguration{word}.txt"]).decode()) for word in ("", ".registered")
        )
        whole = {name: tuple(int(v) for v in np.rint(position / 460)) for name, position in stage.items()}
        wanted = [range(6)[rows], range(9)[columns]]
        places = {
            name: (row - wanted[0][0], column - wanted[1][0])
            for name, (row, column) in whole.items()
            if row in wanted[0] and column in wanted[1]
        }
        voxels = np.zeros((1, 512 * len(wanted[0]), 512 * len(wanted[1])), np.float32)
        for name, (row, column) in places.items():
            image = tifffile.imread(io.BytesIO(archive.read(names[name])))
            voxels[0, 512 * row : 512 * (row + 1), 512 * column : 512 * (column + 1)] = image
    by_place = [{places[name]: found[name] for name in places} for found in (stage, registered)]
    _write(path, voxels, by_place[0], (512, 512), 2.58)
    return RealMosaic(path, *by_place)


def two_tiles(path: Path) -> RealMosaic:
    """Write the CZI file of two tiles of 624 x 924 (1.0833 um) as a mosaic; its stage positions are whole pixels."""
    import czifile

    with czifile.CziFile(TWO_TILES) as file:
        blocks = sorted(file.filtered_subblock_directory, key=lambda block: block.mosaic_index)
        starts = [block.start[-2] for block in blocks]
        images = [np.squeeze(block.data_segment().data()).astype(np.float32) for block in blocks]
    stage = {(0, k): np.array([0.0, start]) for k, start in enumerate(starts)}
    _write(path, np.concatenate(images, axis=1)[None], stage, images[0].shape, 1.0833)  # type: ignore[arg-type]
    return RealMosaic(path, stage, stage)


def _write(path: Path, voxels: Array, stage: Positions, tile: tuple[int, int], pixel_um: float) -> None:
    grid = MosaicGrid(
        slice_id=0,
        tile_shape=(voxels.shape[0], *tile),
        grid=(voxels.shape[1] // tile[0], voxels.shape[2] // tile[1]),
        stage_mm={
            place: (
                float(position[0] + (tile[0] - 1) / 2) * pixel_um / 1000,
                float(position[1] + (tile[1] - 1) / 2) * pixel_um / 1000,
            )
            for place, position in stage.items()
        },
        field_of_view_um=(tile[0] * pixel_um, tile[1] * pixel_um),
    )
    write_volume(path, voxels, spacing_um=(pixel_um,) * 3, levels=1, provenance={KEY: grid.as_json()})


def overlap_correlations(path: Path, positions: Positions, pairs: list[tuple[Any, Any]]) -> Array:
    """Pearson correlation of every pair's overlap at given positions, both tiles interpolated half-way (cubic).

    NaN where fewer than ten rows or columns overlap.
    """
    volume = open_volume(path)
    grid = mosaic_grid(volume)
    result = []
    for first, second in pairs:
        a, b = (volume.read(grid.box(*place)).mean(axis=0).astype(np.float64) for place in (first, second))
        displacement = positions[second] - positions[first]
        whole = np.rint(displacement).astype(int)
        if min(n - abs(d) for n, d in zip(a.shape, whole, strict=True)) < 10:
            result.append(np.nan)
            continue
        half = (displacement - whole) / 2
        # a at +half and b at -half show the same place once b is moved by whole pixels
        a, b = ndimage.shift(a, -half, order=3, mode="nearest"), ndimage.shift(b, half, order=3, mode="nearest")
        parts = [
            (slice(max(0, d), min(n, n + d)), slice(max(0, -d), min(n, n - d)))
            for n, d in zip(a.shape, whole, strict=True)
        ]
        one = a[parts[0][0], parts[1][0]][1:-1, 1:-1].ravel()
        other = b[parts[0][1], parts[1][1]][1:-1, 1:-1].ravel()
        result.append(np.corrcoef(one, other)[0, 1])
    return np.array(result)
