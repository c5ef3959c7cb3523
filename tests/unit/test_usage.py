"""What a task cost, and how it is written down."""

import json

import numpy as np

from linumpy_lib.step import Task
from linumpy_lib.usage import Usage, peak_rss_mb


def test_costs_count_from_their_start():
    usage = Usage()
    before = peak_rss_mb()
    block = np.ones(8 << 20)
    cost = usage.so_far()
    assert block.sum() > 0
    assert cost["peak_rss_mb"] >= before - 0.1
    assert 0 <= cost["wall_s"] < 60
    assert 0 <= cost["cpu_s"] < 60


def test_the_metrics_file_says_how_it_went_and_what_it_cost(tmp_path):
    task = Task(step="stitch_slice", name="z03", output=tmp_path, device="cpu", threads=2, provenance={"version": "1"})
    task.metric("seam", np.float32(0.5), "px", status="warning", thresholds={"warning above": 0.25}, description="jump")
    task.metric("drift", float("nan"), "um", status="error")
    task.metric("tiles", np.int64(4))
    task.note("one tile is empty")
    task.finish()
    found = json.loads((tmp_path / "z03_stitch_slice_metrics.json").read_text(), parse_constant=lambda word: 1 / 0)
    assert found["overall_status"] == "error"
    assert found["warnings"] == ["seam is 0.5 px (warning above 0.25)"]
    assert found["errors"] == ["drift is nan um"]
    assert found["notes"] == ["one tile is empty"]
    assert found["metrics"]["seam"]["description"] == "jump"
    assert found["metrics"]["tiles"] == {"value": 4, "unit": "", "description": "", "status": "info", "thresholds": {}}
    assert {"wall_s", "cpu_s", "peak_rss_mb", "threads", "device"} == set(found["resources"])
