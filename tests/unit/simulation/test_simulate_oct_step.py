"""The step simulate_oct: results under their final names, the truth volume, stub, one line for errors."""

import json

import numpy as np
import pytest

from linumpy_lib.cli import execute
from linumpy_lib.errors import ParameterError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.simulation.steps.simulate_oct import STEP
from linumpy_lib.simulation.truth import read_truth

TINY = ["--stub", "--quiet", "--name", "t", "--simulate_oct_phantom_um", "20"]


def test_results_and_truth_volume(tmp_path):
    execute(STEP, [*TINY, "--output", str(tmp_path), "--simulate_oct_missing_tiles", "9_9_9"])
    assert {path.name for path in tmp_path.iterdir()} == {"t_raw", "t_truth", "t_simulate_oct_metrics.json"}
    truth = read_truth(tmp_path / "t_truth")
    volume = open_volume(tmp_path / "t_truth" / "volume.ome.zarr")
    assert list(volume.shape) == truth.volume["shape"]
    assert volume.spacing_um == (20, 20, 20)
    assert volume.dtype == np.float32
    assert len(list((tmp_path / "t_raw").iterdir())) == 8
    metrics = json.loads((tmp_path / "t_simulate_oct_metrics.json").read_text())["metrics"]
    assert metrics["tiles"]["value"] == 8


def test_a_given_volume_is_used_and_not_copied(tmp_path):
    z, y, x = np.indices((30, 40, 50))
    write_volume(tmp_path / "v.ome.zarr", (z + 2 * y + 3 * x).astype(np.uint16), spacing_um=(20, 10, 10))
    execute(STEP, ["--quiet", "--truth", str(tmp_path / "v.ome.zarr"), "--output", str(tmp_path / "out"), *_SMALL])
    truth = read_truth(tmp_path / "out" / "v_truth")
    assert truth.volume["spacing_um"] == [20, 10, 10]
    assert truth.volume["high"] > truth.volume["low"] > 0
    assert not (tmp_path / "out" / "v_truth" / "volume.ome.zarr").exists()


_SMALL = ["--simulate_oct_slices", "1", "--simulate_oct_tile_shape", "16,20,20", "--simulate_oct_n_extra", "4"]


def test_an_error_leaves_nothing_behind(tmp_path):
    with pytest.raises(ParameterError, match="no slice 9"):
        execute(STEP, ["--quiet", "--output", str(tmp_path / "out"), "--simulate_oct_missing_slices", "9"])
    assert not list(tmp_path.rglob("*"))
