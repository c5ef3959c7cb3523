"""Draws every effect of a simulated OCT acquisition before anything is written; the result is the truth itself."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import ParameterError
from linumpy_lib.params import as_json
from linumpy_lib.simulation.oct_parameters import SimulateOctParameters
from linumpy_lib.simulation.truth import Pair, SliceTruth, TileTruth, Truth, rotation_xy

STAGE_ORIGIN_MM = (25.0, 17.5)
_AXES = {"x+": (1.0, 0.0), "x-": (-1.0, 0.0), "y+": (0.0, 1.0), "y-": (0.0, -1.0)}


def stream(seed: int, effect: str, *place: int) -> np.random.Generator:
    """Return the random stream of one effect at one place, so that effects do not disturb one another."""
    return np.random.default_rng([seed, zlib.crc32(effect.encode()), *place])


def tile_shape(parameters: SimulateOctParameters) -> tuple[int, int, int]:
    """Size (z, y, x) of a tile without its galvo return."""
    z, y, x = (int(part) for part in parameters.simulate_oct_tile_shape.split(","))
    return z, y, x


def mosaic_extent_um(parameters: SimulateOctParameters) -> tuple[float, float, float]:
    """Size (z, y, x) of what all slices together cover, growth and drift left out."""
    n_z, n_y, n_x = tile_shape(parameters)
    pixel, keep = parameters.simulate_oct_pixel_um, 1 - parameters.simulate_oct_overlap
    growth = parameters.simulate_oct_growth
    return (
        (parameters.simulate_oct_slices - 1) * parameters.simulate_oct_interval_um
        + n_z * parameters.simulate_oct_axial_um
        - parameters.simulate_oct_interface_um,
        n_y * pixel * (1 + (parameters.simulate_oct_tiles_y - 1 + growth) * keep),
        n_x * pixel * (1 + (parameters.simulate_oct_tiles_x - 1 + growth) * keep),
    )


def _ids(text: str, known: range, name: str) -> set[int]:
    ids = {int(part) for part in text.split(",") if part}
    unknown = sorted(ids - set(known))
    if unknown:
        raise ParameterError(
            f"parameter '{name}': there is no slice {unknown[0]}; ids go from {known[0]} to {known[-1]}"
        )
    return ids


def _missing_tiles(parameters: SimulateOctParameters, known: range) -> set[tuple[int, int, int]]:
    found = set()
    for text in filter(None, parameters.simulate_oct_missing_tiles.split(",")):
        x, y, z = (int(part) for part in text.split("_"))
        growth = parameters.simulate_oct_growth
        if (
            z not in known
            or x >= parameters.simulate_oct_tiles_x + growth
            or y >= parameters.simulate_oct_tiles_y + growth
        ):
            raise ParameterError(f"parameter 'simulate_oct_missing_tiles': there is no tile {text}; names are x_y_z")
        found.add((x, y, z))
    return found


def _direction(generator: np.random.Generator, length: float) -> npt.NDArray[np.float64]:
    angle = generator.uniform(0, 2 * math.pi)
    return length * np.array([math.cos(angle), math.sin(angle)])


def _pair(values: npt.ArrayLike) -> Pair:
    x, y = np.asarray(values, dtype=float)
    # adding 0 turns -0.0, which some stage conventions produce, into 0.0
    return float(x) + 0.0, float(y) + 0.0


def _galvo_shift(parameters: SimulateOctParameters, slice_id: int) -> int:
    n_x, n_extra = tile_shape(parameters)[2], parameters.simulate_oct_n_extra
    wanted = parameters.simulate_oct_galvo_shift_px
    if n_extra == 0 or wanted == 0:
        return 0
    if wanted > n_x:
        raise ParameterError(
            f"parameter 'simulate_oct_galvo_shift_px': {wanted} is not allowed: a tile has {n_x} A-lines only"
        )
    generator = stream(parameters.simulate_oct_seed, "galvo", slice_id)
    hit = generator.random() < parameters.simulate_oct_galvo_fraction
    # in the middle half, where nobody takes the band for the end of the B-scan
    drawn = int(generator.integers(n_x // 4, max(n_x // 4 + 1, 3 * n_x // 4 - n_extra)))
    if not hit:
        return 0
    return wanted if wanted > 0 else n_x - drawn


def _scan_matrix(parameters: SimulateOctParameters) -> npt.NDArray[np.float64]:
    shear = np.array([[1.0, math.tan(math.radians(parameters.simulate_oct_scan_shear_deg))], [0.0, 1.0]])
    matrix: npt.NDArray[np.float64] = rotation_xy(parameters.simulate_oct_scan_rotation_deg) @ shear
    return matrix


def _volume_from_world(
    parameters: SimulateOctParameters, extent_um: npt.NDArray[np.float64]
) -> tuple[tuple[float, ...], ...]:
    """Turn around the volume's centre, from z towards x and half as much from z towards y: no two axes look alike."""
    angle = math.radians(parameters.simulate_oct_oblique_deg)
    cosine, sine = math.cos(angle), math.sin(angle)
    about_y = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    cosine, sine = math.cos(angle / 2), math.sin(angle / 2)
    about_x = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    turn = about_y @ about_x
    centre = extent_um / 2
    offset = centre - turn @ centre
    return tuple(tuple(float(v) + 0.0 for v in (*row, add)) for row, add in zip(turn, offset, strict=True))


def plan_acquisition(parameters: SimulateOctParameters, volume: Mapping[str, Any]) -> Truth:
    """Draw everything that happens in an acquisition.

    Parameters
    ----------
    parameters : SimulateOctParameters
        Instrument and effects.
    volume : mapping
        ``name``, ``shape``, ``spacing_um``, ``low`` and ``high`` of the truth volume.

    Returns
    -------
    Truth
        What the tiles are made from, and what the truth file holds.

    Raises
    ------
    ParameterError
        If a list names slices or tiles that do not exist, or a shift does not fit into a tile.
    """
    p, seed = parameters, parameters.simulate_oct_seed
    ids = range(p.simulate_oct_first_id, p.simulate_oct_first_id + p.simulate_oct_slices)
    missing, degraded, glitched, rehomed = (
        _ids(getattr(p, f"simulate_oct_{name}_slices"), ids, f"simulate_oct_{name}_slices")
        for name in ("missing", "degraded", "glitch", "rehoming")
    )
    missing_tiles = _missing_tiles(p, ids)
    n_z, n_y, n_x = tile_shape(p)
    if p.simulate_oct_camera_shift_px >= n_x:
        raise ParameterError(f"parameter 'simulate_oct_camera_shift_px': must be below {n_x}, the A-lines of a tile")
    step = np.array([n_x, n_y]) * p.simulate_oct_pixel_um * (1 - p.simulate_oct_overlap)
    extent = (np.array(volume["shape"]) - 1) * np.array(volume["spacing_um"])
    centre = extent[:0:-1] / 2
    stage = None
    if p.simulate_oct_stage_axes != "none":
        axes = p.simulate_oct_stage_axes
        stage = np.array([_AXES[axes[:2]], _AXES[axes[2:]]])
    drift, rehoming = np.zeros(2), np.zeros(2)
    slices = []
    for index, slice_id in enumerate(ids):
        if index:
            drift = drift + p.simulate_oct_drift_um * stream(seed, "drift", slice_id).standard_normal(2)
        if slice_id in rehomed:
            rehoming = rehoming + _direction(stream(seed, "rehoming", slice_id), p.simulate_oct_rehoming_um)
        glitch = np.zeros(2)
        if slice_id in glitched:
            glitch = _direction(stream(seed, "glitch", slice_id), p.simulate_oct_glitch_um)
        growth = p.simulate_oct_growth if 2 * index >= p.simulate_oct_slices else 0
        columns = range(-growth, p.simulate_oct_tiles_x)
        rows = range(p.simulate_oct_tiles_y + growth)
        tiles = []
        for row in rows:
            for column in columns:
                middle = np.array([(p.simulate_oct_tiles_x - 1) / 2, (p.simulate_oct_tiles_y - 1) / 2])
                nominal = (np.array([column, row]) - middle) * step
                # a tile's jitter belongs to its grid cell, so that growth does not change the other tiles
                jitter = p.simulate_oct_jitter_um * stream(
                    seed, "jitter", slice_id, column + 1000, row
                ).standard_normal(2)
                real = drift + (rehoming if p.simulate_oct_rehoming_moves else 0.0)
                recorded = (nominal + drift + rehoming + glitch) / 1000
                shown = STAGE_ORIGIN_MM + (recorded if stage is None else stage @ recorded)
                x, y = column - columns[0], row
                tiles.append(
                    TileTruth(
                        x=x,
                        y=y,
                        missing=slice_id in missing or (x, y, slice_id) in missing_tiles,
                        jitter_xy_um=_pair(jitter),
                        centre_xy_um=_pair(centre + nominal + real + jitter),
                        # what is written has nine decimals, and so has the truth
                        stage_mm=(
                            round(float(shown[0]), 9),
                            round(float(shown[1]), 9),
                            round(index * p.simulate_oct_interval_um / 1000, 9),
                        ),
                    )
                )
        slices.append(
            SliceTruth(
                id=slice_id,
                recorded=not all(tile.missing for tile in tiles),
                face_um=p.simulate_oct_start_um + index * p.simulate_oct_interval_um,
                tiles_x=len(columns),
                tiles_y=len(rows),
                first_column=columns[0],
                first_row=rows[0],
                drift_xy_um=_pair(drift),
                rehoming_xy_um=_pair(rehoming),
                glitch_xy_um=_pair(glitch),
                shift_xy_um=_pair(p.simulate_oct_shift_um * stream(seed, "shift", slice_id).standard_normal(2)),
                rotation_deg=p.simulate_oct_rotation_deg * float(stream(seed, "rotation", slice_id).standard_normal()),
                tilt_xy_deg=_pair(p.simulate_oct_tilt_deg * stream(seed, "tilt", slice_id).standard_normal(2)),
                galvo_shift_px=_galvo_shift(p, slice_id),
                camera_shift_px=p.simulate_oct_camera_shift_px,
                gain=math.exp(p.simulate_oct_gain_drift * float(stream(seed, "gain", slice_id).standard_normal())),
                degraded=slice_id in degraded,
                tiles=tuple(tiles),
            )
        )
    scan = _scan_matrix(p)
    return Truth(
        parameters=as_json(p),
        spacing_um=(p.simulate_oct_axial_um, p.simulate_oct_pixel_um, p.simulate_oct_pixel_um),
        tile_shape=(n_z, n_y, n_x),
        interface_px=p.simulate_oct_interface_um / p.simulate_oct_axial_um,
        interval_um=p.simulate_oct_interval_um,
        scan_xy=(_pair(scan[0]), _pair(scan[1])),
        centre_xy_um=_pair(centre),
        stage_xy=None if stage is None else (_pair(stage[0]), _pair(stage[1])),
        stage_origin_mm=STAGE_ORIGIN_MM,
        rehoming_moves=p.simulate_oct_rehoming_moves,
        volume=dict(volume),
        volume_from_world=_volume_from_world(p, extent),
        slices=tuple(slices),
    )
