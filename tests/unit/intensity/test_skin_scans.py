"""The depth corrections on real B-scans of skin and of a homogeneous phantom (not part of the project)."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linumpy_lib.cli import execute
from linumpy_lib.intensity.interface import find_interface
from linumpy_lib.intensity.slice_columns import bin_slice, slice_volume
from linumpy_lib.intensity.steps import compensate_attenuation, correct_beam_profile, crop_interface
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.slice_frame import SliceFrame

ARCHIVE = Path(__file__).resolve().parents[4] / "shared" / "data" / "oct_skin_axsun.zip"
AXIAL_UM = 5.75
FIRST = 300
"""Planes above are left out: they show the instrument's own reflections."""

MARKS = {
    "Other_locations/Backhand_relaxed": (562, 552, 547, 555, 565),
    "Other_locations/Inner Forearm_relaxed": (558, 552, 549, 557, 566),
    "Other_locations/Inner Forearm_suction": (440, 413, 406, 415, 447),
}
"""Sample at which the skin begins, read off the pictures at A-lines 700, 1000, 1300, 1600 and 1900."""

pytestmark = pytest.mark.skipif(not ARCHIVE.is_file(), reason="shared/data is not beside the repository")


def scan(name: str) -> np.ndarray:
    """One B-scan (depth, A-line), float32."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        raw = np.frombuffer(archive.read(f"oct_skin_axsun/{name}"), np.uint8)
    return raw.reshape(-1, 1024).T.astype(np.float32)


def store(path: Path, voxels: np.ndarray) -> Path:
    frame = SliceFrame(0, origin_um=(0.0, 0.0, 0.0))
    write_volume(path, voxels, spacing_um=(AXIAL_UM, 10, 10), levels=1, provenance={"slice": frame.as_json()})
    return path


def run(step: Any, source: Path, folder: Path, *words: str) -> dict[str, Any]:
    execute(step.STEP, ["--input", str(source), "--output", str(folder), "--name", "z00", "--quiet", *words])
    found: dict[str, Any] = json.loads((folder / f"z00_{step.STEP.name}_metrics.json").read_text())["metrics"]
    return found


@pytest.mark.parametrize("name", MARKS)
def test_the_surface_of_skin_is_found(tmp_path: Path, name: str) -> None:
    voxels = np.repeat(scan(name)[FIRST:, None], 4, axis=1)
    binned = bin_slice(slice_volume(open_volume(store(tmp_path / "skin.ome.zarr", voxels))))
    face = find_interface(binned)
    assert face.reliable.mean() > 0.7
    depth = np.where(face.reliable, face.depth, np.nan)[0] + FIRST
    place = np.arange(depth.size) * binned.width
    seen = [np.nanmedian(depth[np.abs(place - line) < 30]) for line in (700, 1000, 1300, 1600, 1900)]
    np.testing.assert_allclose(seen, MARKS[name], atol=3)


def test_the_phantom_comes_out_flatter(tmp_path: Path) -> None:
    """PDMS is homogeneous: what is left of its decay is the error of the steps, and of the display's scale."""
    voxels = scan("PDMS_phantom/thick_rel_001")[FIRST:800, 400:2200].reshape(500, 4, 450)
    source = store(tmp_path / "pdms.ome.zarr", voxels)
    beam = run(correct_beam_profile, source, tmp_path)
    assert beam["psf_reference"]["value"] == "tissue"
    # the bright reflection of the face is not taken for a focus
    assert beam["psf_max"]["value"] < 1
    run(crop_interface, tmp_path / "slice_z00_axial_corr.ome.zarr", tmp_path, "--crop_interface_out_depth", "1400")
    cropped = tmp_path / "slice_z00_crop_interface.ome.zarr"
    drop = {}
    for method in ("smith", "liu", "li"):
        words = ["--compensate_attenuation_k", "60", "--compensate_attenuation_zshift", "20"]
        found = run(compensate_attenuation, cropped, tmp_path, "--compensate_attenuation_method", method, *words)
        drop[method] = found["depth_drop_after"]["value"]
        assert found["depth_drop_before"]["value"] > 0.5
        if method == "smith":
            line = open_volume(tmp_path / "slice_z00_attn_corr.ome.zarr").read()[25:].mean(axis=(1, 2))
            assert line.std() / line.mean() < 0.1
            # exp(-2 mu z) falls to 0.43 over two thirds of 1.4 mm where mu is 0.45
            assert 0.3 < found["attenuation"]["value"] < 0.7
    assert abs(drop["smith"]) < 0.05
    assert drop["liu"] < 0.4
    assert drop["li"] < 0.4
