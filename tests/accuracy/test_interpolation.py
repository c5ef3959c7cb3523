"""Interpolated slices against the truth: closer than either neighbour and than averaging."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from linumpy_lib.alignment.steps.interpolate_slice import STEP
from linumpy_lib.cli import execute
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.slice_frame import SliceFrame, slice_frame

BRAIN = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "brainreg_mouse_brain.zip"


def mouse_brain() -> np.ndarray:
    if not BRAIN.is_file():
        pytest.skip(f"{BRAIN}: the real mouse brain is not there")
    import tifffile

    with zipfile.ZipFile(BRAIN) as files:
        names = sorted(name for name in files.namelist() if name.endswith(".tif"))
        return np.stack([tifffile.imread(io.BytesIO(files.read(name))) for name in names]).astype(np.float32)


def phantom() -> np.ndarray:
    from linumpy_lib.simulation.brain_phantom import BrainPhantom

    brain = BrainPhantom((600.0, 1200.0, 1400.0), 10.0, 3)
    return np.asarray(brain.read(tuple(slice(0, n) for n in brain.shape)), np.float32)


def posed(planes: np.ndarray, shift: tuple[float, float], degrees: float) -> np.ndarray:
    """Move the tissue of every plane: the unrecorded motion of the sample in one slice."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.array([[c, s], [-s, c]])
    centre = (np.array(planes.shape[1:]) - 1) / 2
    offset = centre - matrix @ (centre + np.array(shift))
    return np.stack([ndimage.affine_transform(p, matrix, offset, order=1) for p in planes])


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def cut(volume: np.ndarray, folder: Path, top: int, interval: int, depth: int, motion: float) -> np.ndarray:
    """Write the slices above and below the one whose first plane is `top`; return that one."""
    for slice_id, k, sign in ((3, -1, -0.5), (5, 1, 0.5)):
        first = top + k * interval
        planes = posed(volume[first : first + depth], (sign * 2 * motion, -sign * motion), sign * motion)
        frame = SliceFrame(slice_id, (0.0, 0.0, 0.0), None, interval * 10.0)
        write_volume(
            folder / f"slice_z{slice_id:02d}_common.ome.zarr",
            planes,
            spacing_um=(10, 10, 10),
            levels=1,
            provenance={"slice": frame.as_json()},
            overwrite=True,
        )
    return volume[top : top + depth]


def interpolate(folder: Path, method: str, *words: str) -> np.ndarray | None:
    out = folder / method
    given = [f"--{name}={folder / f'slice_z{k:02d}_common.ome.zarr'}" for name, k in (("before", 3), ("after", 5))]
    execute(STEP, [*given, "--output", str(out), "--quiet", "--interpolation_method", method, *words])
    path = out / "slice_z04_interpolated.ome.zarr"
    if not path.exists():
        return None
    assert slice_frame(open_volume(path)).interpolated
    assert slice_frame(open_volume(path)).slice_id == 4
    return open_volume(path).read()


CASES = {
    # interval and depth in planes; motion in pixels and degrees
    "thin": (4, 4, 3.0),
    "aligned": (4, 4, 0.0),
    "half covered": (4, 6, 3.0),
    "covered": (4, 9, 3.0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("source", ["mouse", "phantom"])
def test_closer_to_the_truth_than_neighbours_and_averaging(tmp_path: Path, source: str, case: str) -> None:
    volume = mouse_brain()[:, :, :] if source == "mouse" else phantom()
    interval, depth, motion = CASES[case]
    top = volume.shape[0] // 2
    truth = cut(volume, tmp_path, top, interval, depth, motion)
    made = {method: interpolate(tmp_path, method) for method in ("zmorph", "weighted", "average")}
    scores = {name: correlation(planes, truth) for name, planes in made.items() if planes is not None}
    neighbours = [correlation(open_volume(tmp_path / f"slice_z{k:02d}_common.ome.zarr").read(), truth) for k in (3, 5)]
    print(f"{source}, {case}: {scores}, neighbours {neighbours}")
    assert set(scores) == set(made)
    assert scores["zmorph"] > max(neighbours)
    if motion:
        assert scores["zmorph"] > max(scores["average"], scores["weighted"])
    else:
        assert scores["zmorph"] > scores["average"]
    told = json.loads((tmp_path / "zmorph" / "slice_z04_interpolated_diagnostics.json").read_text())
    assert told["planes_shown_by_a_neighbour"] == {4: 0, 6: 4, 9: 9}[depth]
