"""Every parameter of simulate_oct is alive: another value gives other bytes."""

import hashlib
import json

import numpy as np
import pytest

from linumpy_lib.params import fields
from linumpy_lib.simulation.oct import PREFIX, simulate_oct
from linumpy_lib.simulation.oct_parameters import SimulateOctParameters

BASE = {
    "slices": 2,
    "tiles_x": 2,
    "tiles_y": 1,
    "tile_shape": "16,12,24",
    "n_extra": 4,
    "interval_um": 40,
    "interface_um": 20,
    "galvo_fraction": 1,
    "glitch_slices": "1",
    "rehoming_slices": "1",
    "truth_spacing_um": 10,
    "start_um": 100,
    "frames_per_file": 5,
}
OTHER = {
    "tile_shape": "16,13,24",
    "layout": "nested",
    "overlap": 0.3,
    "stage_axes": "x-y+",
    "truth_spacing_um": 11,
    "rehoming_moves": False,
    "galvo_shift_px": 5,
    "galvo_fraction": 0,
    "missing_tiles": "0_0_1",
    "missing_slices": "1",
    "degraded_slices": "0",
    "glitch_slices": "0",
    "rehoming_slices": "0",
}
PARAMETERS = {name.removeprefix(PREFIX): info.default for name, info in fields(SimulateOctParameters)}


def digest(folder, volume, choices) -> str:
    """Digest of names and contents, the list of parameters in the truth file left out."""
    simulate_oct(volume, output=folder, **choices)
    truth = json.loads((folder / "truth" / "truth.json").read_text())
    del truth["parameters"]
    (folder / "truth" / "truth.json").write_text(json.dumps(truth, sort_keys=True))
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        total.update(str(path.relative_to(folder)).encode())
        total.update(path.read_bytes() if path.is_file() else b"")
    return total.hexdigest()


@pytest.fixture(scope="module")
def volume():
    z, y, x = np.indices((40, 30, 60), dtype=np.float32)
    return 0.2 + 0.3 * np.sin(x / 5) ** 2 + 0.2 * np.sin(y / 4) ** 2 + 0.2 * np.sin(z / 3) ** 2


@pytest.fixture(scope="module")
def plain(volume, tmp_path_factory):
    return digest(tmp_path_factory.mktemp("plain") / "a", volume, BASE)


@pytest.mark.parametrize("name", sorted(set(PARAMETERS) - {"phantom_um"}))
def test_changes_the_acquisition(tmp_path, volume, plain, name):
    value = BASE.get(name, PARAMETERS[name])
    if name in OTHER:
        other = OTHER[name]
    elif isinstance(value, int):
        other = value + 1
    else:
        other = value * 0.5 + 0.1
    assert digest(tmp_path / "b", volume, {**BASE, name: other}) != plain


def test_phantom_um_changes_the_phantom(tmp_path):
    assert digest(tmp_path / "a", None, BASE) != digest(tmp_path / "b", None, {**BASE, "phantom_um": 12})
