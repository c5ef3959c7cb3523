"""The cost that `--check` tells of a run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.check import check_run
from linumpy_lib.costs import RATES, Work, cost_line, reconstruction_work, slice_memory_bytes
from linumpy_lib.io import write_volume
from linumpy_lib.simulation import simulate_oct


def cpu_seconds(lines: list[str]) -> float:
    (line,) = [one for one in lines if "processor time" in one]
    number, unit = re.search(r"about ([\d.]+) (s|min|h) of processor time", line).groups()
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def test_a_task_costs_its_start_and_its_voxels() -> None:
    rate = RATES["stitch_slice"]
    assert Work("stitch_slice", 3, 2e9).cpu_s == pytest.approx(3 * rate.start_s + 2 * rate.ns_per_voxel)


def test_the_line_tells_time_tasks_and_memory() -> None:
    line = cost_line([Work("compute_anisotropy", 2, 1e11), Work("report", 1, 0)], 1.26e9)
    assert "about 4.9 h of processor time in 3 tasks" in line
    assert "at most 1.3 GB of memory in a task" in line


def test_tiles_decide_the_memory_and_slices_the_time() -> None:
    assert slice_memory_bytes(2e7) - slice_memory_bytes(1e7) == pytest.approx(8 * 4e7)
    one, two = (sum(w.cpu_s for w in reconstruction_work(n, n * 1e8, n * 1e8, 1e8, {})) for n in (10, 20))
    assert 1.9 < two / one < 2.1
    plain = reconstruction_work(4, 1e8, 1e8, 1e8, {})
    more = reconstruction_work(4, 1e8, 1e8, 1e8, {"fix_curvature_enabled": "true", "correct_bias_field": "true"})
    assert {w.step for w in more} - {w.step for w in plain} == {"fix_focal_curvature", "correct_bias_field"}


def test_a_chain_costs_more_than_its_first_workflow(tmp_path: Path) -> None:
    simulate_oct(output=tmp_path, slices=2, tiles_x=2, tiles_y=2, tile_shape="24,24,24")
    costs = []
    for workflow in ("preprocess", "preprocess,reconstruct", "preprocess,reconstruct,anisotropy"):
        lines, problems = check_run(workflow, str(tmp_path / "raw"), tmp_path / "out")
        assert problems == []
        costs.append(cpu_seconds(lines))
    assert costs[0] < costs[1] < costs[2]


def test_a_volume_eight_times_as_large_takes_eight_times_as_long(tmp_path: Path) -> None:
    found = []
    for side in (256, 512):
        path = tmp_path / f"{side}.ome.zarr"
        write_volume(path, np.broadcast_to(np.uint8(1), (side,) * 3), spacing_um=(1, 1, 1), levels=1)
        found.append(cpu_seconds(check_run("anisotropy", str(path), tmp_path / "out")[0]) - 6.5)
    assert 6 < found[1] / found[0] < 10
