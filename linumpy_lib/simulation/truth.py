"""The truth file of a simulated OCT acquisition: what every effect did, by name, and the geometry that follows from it.

Lateral vectors are (x, y), as their names say; arrays and shapes are (z, y, x). Three frames, all in micrometres:

* *scan*: A-line and B-scan of one tile;
* *lab*: where the stage would be if it were perfect. A pixel lies at ``centre + D (a - a_c, b - b_c)`` of its tile;
* *world*: the truth volume's lateral axes, fixed to the sample. ``world = c + R (lab - c) + shift`` in each slice.

Depth is shared: the sample (depth index) `z` of a slice lies at ``face + (z - interface - curvature) * axial spacing``.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.io.npz_file import read_npz
from linumpy_lib.io.text_file import read_json

TRUTH_FILE = "truth.json"
OPTICS_FILE = "optics.npz"
FORMAT = "linumpy-oct-truth"
VERSION = 1

Pair = tuple[float, float]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TileTruth:
    """One tile: indices as in its folder's name, where it really was and what the stage recorded."""

    x: int
    y: int
    missing: bool
    jitter_xy_um: Pair
    centre_xy_um: Pair
    stage_mm: tuple[float, float, float]


@dataclass(frozen=True)
class SliceTruth:
    """One slice.

    Attributes
    ----------
    id, recorded
        Number in the tile names, and whether any tile was written.
    face_um
        World depth of the block face at the mosaic's centre.
    tiles_x, tiles_y, first_column, first_row
        Size of the grid, and the grid cell of tile 0,0 (negative where the mosaic has grown).
    drift_xy_um
        Position of the mosaic against the first slice's: real and recorded.
    rehoming_xy_um
        Sum of the re-homings so far: recorded, real if `Truth.rehoming_moves`.
    glitch_xy_um
        Encoder glitch: recorded, not real.
    shift_xy_um, rotation_deg
        Movement of the sample: real, not recorded.
    tilt_xy_deg
        Slope of the block face: it lies deeper towards +x (+y) if positive.
    galvo_shift_px
        A-lines by which the galvo return stands before the end; rolling the A-lines by this amount repairs it.
    camera_shift_px
        A-lines by which everything is rolled, galvo return included, after the galvo shift.
    gain, degraded
        Brightness factor, and whether the slice was spoilt.
    """

    id: int
    recorded: bool
    face_um: float
    tiles_x: int
    tiles_y: int
    first_column: int
    first_row: int
    drift_xy_um: Pair
    rehoming_xy_um: Pair
    glitch_xy_um: Pair
    shift_xy_um: Pair
    rotation_deg: float
    tilt_xy_deg: Pair
    galvo_shift_px: int
    camera_shift_px: int
    gain: float
    degraded: bool
    tiles: tuple[TileTruth, ...]

    def tile(self, x: int, y: int) -> TileTruth:
        """Return the tile with these indices."""
        for tile in self.tiles:
            if (tile.x, tile.y) == (x, y):
                return tile
        raise InputError(
            f"truth: slice {self.id} has no tile x={x}, y={y}; its grid is {self.tiles_x} x {self.tiles_y}"
        )


@dataclass(frozen=True)
class Truth:
    """Everything about a simulated acquisition.

    Attributes
    ----------
    parameters
        All parameters of `simulate_oct`, defaults included.
    spacing_um, tile_shape
        Voxel size and size of a tile (z, y, x), without the galvo return.
    interface_px
        Depth index of the block face at the mosaic's centre, before focal curvature.
    interval_um
        Distance of consecutive block faces.
    scan_xy
        Matrix D from scan to lab, both (x, y) in micrometres.
    centre_xy_um
        Point c around which slices rotate: world centre of the mosaic and of the truth volume.
    stage_xy, stage_origin_mm
        Recorded position = stage_xy · position / 1000 + stage_origin_mm, the position along the image axes
        (x, y) in micrometres; `stage_xy` is None without stage keys.
    rehoming_moves
        Whether re-homings move the field of view.
    volume
        The truth volume: ``name``, ``shape``, ``spacing_um`` (z, y, x), and the values ``low`` and ``high`` that became
        reflectivity 0 and 1.
    volume_from_world
        Rows of a 3 x 4 affine from world (z, y, x, 1) to truth volume position (z, y, x), micrometres.
    """

    parameters: dict[str, Any]
    spacing_um: tuple[float, float, float]
    tile_shape: tuple[int, int, int]
    interface_px: float
    interval_um: float
    scan_xy: tuple[Pair, Pair]
    centre_xy_um: Pair
    stage_xy: tuple[Pair, Pair] | None
    stage_origin_mm: Pair
    rehoming_moves: bool
    volume: dict[str, Any]
    volume_from_world: tuple[tuple[float, ...], ...]
    slices: tuple[SliceTruth, ...]

    def slice(self, slice_id: int) -> SliceTruth:
        """Return the slice with this id."""
        for item in self.slices:
            if item.id == slice_id:
                return item
        raise InputError(f"truth: no slice {slice_id}; there are {self.slices[0].id} to {self.slices[-1].id}")

    def moved_xy_um(self, slice_id: int) -> Array:
        """Real position of a slice's mosaic against the first slice's, lab frame, (x, y)."""
        item = self.slice(slice_id)
        moved: Array = np.array(item.drift_xy_um) + (np.array(item.rehoming_xy_um) if self.rehoming_moves else 0.0)
        return moved

    def recorded_xy_um(self, slice_id: int) -> Array:
        """Position of a slice's mosaic that the stage recorded, image axes (x, y)."""
        item = self.slice(slice_id)
        recorded: Array = np.array(item.drift_xy_um) + np.array(item.rehoming_xy_um) + np.array(item.glitch_xy_um)
        return recorded

    def lab_xy_um(self, tile: TileTruth, x: float, y: float) -> Array:
        """Lab position (x, y) of A-line `x`, B-scan `y` of a tile."""
        _, ny, nx = self.tile_shape
        _, step_y, step_x = self.spacing_um
        offset = np.array([(x - (nx - 1) / 2) * step_x, (y - (ny - 1) / 2) * step_y])
        result: Array = np.array(tile.centre_xy_um) + np.array(self.scan_xy) @ offset
        return result

    def slice_rotation(self, slice_id: int) -> Array:
        """Matrix R (x, y) of a slice's unrecorded rotation."""
        return rotation_xy(self.slice(slice_id).rotation_deg)

    def world_xy_um(self, slice_id: int, lab_xy_um: npt.ArrayLike) -> Array:
        """World position (x, y) of a lab position in a slice."""
        centre = np.array(self.centre_xy_um)
        turned = self.slice_rotation(slice_id) @ (np.asarray(lab_xy_um, dtype=float) - centre)
        result: Array = centre + turned + np.array(self.slice(slice_id).shift_xy_um)
        return result

    def world_z_um(self, slice_id: int, z: float, curvature_px: float = 0.0) -> float:
        """World depth of depth index `z` in a slice where the focal curvature is `curvature_px`."""
        return self.slice(slice_id).face_um + (z - self.interface_px - curvature_px) * self.spacing_um[0]

    def surface_px(self, slice_id: int, tile: TileTruth, x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
        """Depth index (y, x) of the block face at A-lines `x` and B-scans `y` of a tile, focal curvature left out."""
        origin = self.lab_xy_um(tile, 0, 0)
        slope = np.tan(np.radians(self.slice(slice_id).tilt_xy_deg)) / self.spacing_um[0]
        along_x, along_y = (slope @ (self.lab_xy_um(tile, *one) - origin) for one in ((1, 0), (0, 1)))
        across: Array = np.asarray(x, dtype=float)[None, :] * along_x + np.asarray(y, dtype=float)[:, None] * along_y
        across += self.interface_px + slope @ (origin - np.array(self.centre_xy_um))
        return across

    def step_matrix_px(self) -> Array:
        """Matrix A (Lefebvre et al. 2017): tile position = A (index x, index y), pixels (x, y), without jitter."""
        _, ny, nx = self.tile_shape
        _, step_y, step_x = self.spacing_um
        overlap = float(self.parameters["simulate_oct_overlap"])
        steps = np.diag([nx * step_x * (1 - overlap), ny * step_y * (1 - overlap)])
        result: Array = np.linalg.solve(np.array(self.scan_xy), steps) / np.array([[step_x], [step_y]])
        return result

    def tile_positions_px(self, slice_id: int) -> dict[tuple[int, int], Pair]:
        """Position (x, y) of every tile's first pixel in the scan frame, tile 0,0 of the slice at 0,0."""
        item = self.slice(slice_id)
        first = np.array(item.tile(0, 0).centre_xy_um)
        to_scan = np.linalg.inv(np.array(self.scan_xy))
        found = {}
        for tile in item.tiles:
            position = to_scan @ (np.array(tile.centre_xy_um) - first)
            found[tile.x, tile.y] = (float(position[0] / self.spacing_um[2]), float(position[1] / self.spacing_um[1]))
        return found

    def recorded_shifts_mm(self) -> dict[tuple[int, int], Pair]:
        """Return the recorded shift (x, y) of consecutive recorded slices, fixed minus moving, along the image axes."""
        ids = [item.id for item in self.slices if item.recorded]
        shifts = {}
        for fixed, moving in itertools.pairwise(ids):
            difference = (self.recorded_xy_um(fixed) - self.recorded_xy_um(moving)) / 1000
            shifts[fixed, moving] = (float(difference[0]), float(difference[1]))
        return shifts

    def content_offset_um(self, slice_id: int) -> Pair:
        """Where the world's centre lies in a slice, scan axes (x, y), against the middle of its nominal grid."""
        item = self.slice(slice_id)
        lab = -self.slice_rotation(slice_id).T @ np.array(item.shift_xy_um) - self.moved_xy_um(slice_id)
        offset = np.linalg.solve(np.array(self.scan_xy), lab)
        return float(offset[0]), float(offset[1])


def rotation_xy(angle_deg: float) -> Array:
    """Matrix that turns (x, y) from x towards y."""
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[cosine, -sine], [sine, cosine]])


def write_truth(folder: Path, truth: Truth, optics: dict[str, npt.NDArray[np.float32]]) -> None:
    """Write the truth file and, beside it, ``flat_field`` and ``curvature_px`` (y, x) and ``beam_profile`` (z)."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": FORMAT, "version": VERSION, **asdict(truth)}, indent=1, sort_keys=True)
    (folder / TRUTH_FILE).write_text(text + "\n", encoding="utf-8")
    np.savez(folder / OPTICS_FILE, allow_pickle=False, **optics)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def read_truth(folder: Path) -> Truth:
    """Read the truth of an acquisition.

    Parameters
    ----------
    folder : Path
        Folder that holds ``truth.json``, or that file.

    Raises
    ------
    InputError
        If it is absent or not a truth file.
    """
    path = folder / TRUTH_FILE if folder.is_dir() else folder
    if not path.is_file():
        raise InputError(f"{path}: no truth file; simulate_oct writes one beside its tiles")
    content = read_json(path, "simulate the acquisition again")
    if content.pop("format", None) != FORMAT or content.pop("version", None) != VERSION:
        raise InputError(f"{path}: not a truth file of version {VERSION}; simulate the acquisition again")
    try:
        return _truth(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a truth file of version {VERSION} ({error}); simulate again") from None


def _truth(content: dict[str, Any]) -> Truth:
    slices = []
    for item in content.pop("slices"):
        tiles = tuple(TileTruth(**{key: _tuples(value) for key, value in tile.items()}) for tile in item.pop("tiles"))
        slices.append(SliceTruth(tiles=tiles, **{key: _tuples(value) for key, value in item.items()}))
    plain = {key: value if key in ("parameters", "volume") else _tuples(value) for key, value in content.items()}
    return Truth(slices=tuple(slices), **plain)


def read_optics(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Read ``flat_field``, ``curvature_px`` (y, x) and ``beam_profile`` (z)."""
    path = folder / OPTICS_FILE
    if not path.is_file():
        raise InputError(f"{path}: no such file; simulate_oct writes it beside truth.json")
    return read_npz(path, "simulate the acquisition again")
