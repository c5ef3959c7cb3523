"""With every effect on, the truth file alone is enough to bring each sample back to its place in the truth volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from linumpy_lib.simulation import simulate_oct
from linumpy_lib.simulation.oct_parameters import SimulateOctParameters
from linumpy_lib.simulation.truth import read_optics, read_truth
from linumpy_lib.simulation.truth_volume import truth_volume

EVERYTHING = {
    "slices": 12,
    "tiles_x": 2,
    "tiles_y": 2,
    "tile_shape": "48,40,56",
    "n_extra": 10,
    "interval_um": 100,
    "first_id": 95,
    "seed": 11,
    "growth": 1,
    "glitch_slices": "98",
    "glitch_um": 400,
    "rehoming_slices": "103",
    "rehoming_um": 90,
    "missing_slices": "100",
    "missing_tiles": "0_0_96,1_1_104",
    "degraded_slices": "105",
    "camera_shift_px": 5,
    "galvo_fraction": 0.6,
    "stage_axes": "y-x+",
    "oblique_deg": 6,
    "layout": "nested",
}
TOP, DEPTH = 4, 8


def near_the_surface(folder: Path, truth, item, optics) -> np.ndarray:
    """Reflectivity (B-scan, A-line) averaged below the surface, everything but attenuation and speckle undone."""
    n_z, n_y, n_x = truth.tile_shape
    value = truth.parameters
    parts = [np.fromfile(file, np.float32) for file in sorted(folder.glob("image_*.bin"))]
    tile = np.concatenate(parts).reshape(n_y, n_x + value["simulate_oct_n_extra"], n_z)
    tile = np.roll(tile, -item.camera_shift_px, axis=1)
    tile[0, 0] = tile[0, 1]
    tile = np.roll(tile, item.galvo_shift_px, axis=1)[:, :n_x]
    tile = (tile - 3 * value["simulate_oct_noise"] * value["simulate_oct_counts"]) / (
        value["simulate_oct_counts"] * item.gain * optics["beam_profile"] * optics["flat_field"][..., None]
    )
    start = int(truth.interface_px) + TOP
    return tile[..., start : start + DEPTH].mean(axis=2)


def expected(volume, truth, item, tile, optics) -> np.ndarray:
    """Look up the same samples in the truth volume."""
    _, n_y, n_x = truth.tile_shape
    at_xy = [truth.world_xy_um(item.id, truth.lab_xy_um(tile, *pixel)) for pixel in ((0, 0), (1, 0), (0, 1))]
    b, a = np.indices((n_y, n_x))
    along_line, along_frame = at_xy[1] - at_xy[0], at_xy[2] - at_xy[0]
    lateral = at_xy[0] + a[..., None] * along_line + b[..., None] * along_frame
    index = int(truth.interface_px) + TOP + np.arange(DEPTH)[:, None, None]
    world = np.ones((4, DEPTH, n_y, n_x))
    world[0] = item.face_um + (index - truth.interface_px - optics["curvature_px"]) * truth.spacing_um[0]
    world[1], world[2] = lateral[..., 1], lateral[..., 0]
    at = np.tensordot(np.array(truth.volume_from_world), world, axes=1)
    at /= np.array(truth.volume["spacing_um"])[:, None, None, None]
    values = map_coordinates(volume, at, order=1, mode="constant", cval=0.0)
    return np.maximum(values, truth.parameters["simulate_oct_agarose"]).mean(axis=0)


@pytest.mark.parametrize(("speckle", "noise", "alike"), [(0.4, 0.004, 0.8), (0, 0, 0.995)])
def test_every_effect_together_is_undone_by_the_truth_file(tmp_path, speckle, noise, alike):
    simulate_oct(output=tmp_path, speckle=speckle, noise=noise, **EVERYTHING)
    truth, optics = read_truth(tmp_path / "truth"), read_optics(tmp_path / "truth")
    source = truth_volume(None, SimulateOctParameters.parse(truth.parameters))
    volume = source.reflectivity((0, 0, 0), source.shape)
    assert not list((tmp_path / "raw").rglob("*_z100"))
    for item in truth.slices:
        if not item.recorded or item.degraded:
            continue
        seen, wanted = [], []
        for tile in item.tiles:
            folder = tmp_path / "raw" / f"z{item.id:02d}" / f"tile_x{tile.x:02d}_y{tile.y:02d}_z{item.id:02d}"
            assert folder.is_dir() != tile.missing
            if not tile.missing:
                seen.append(near_the_surface(folder, truth, item, optics))
                wanted.append(expected(volume, truth, item, tile, optics))
        correlation = np.corrcoef(np.ravel(seen), np.ravel(wanted))[0, 1]
        assert correlation > alike, f"slice {item.id}: {correlation:.3f}"
        # the same comparison one A-line off is clearly worse: the geometry is right to less than a pixel
        off = np.corrcoef(np.ravel(np.roll(seen, 1, axis=2)), np.ravel(wanted))[0, 1]
        assert off < correlation - 0.01, f"slice {item.id}: {off:.3f} against {correlation:.3f}"
