"""benchmark_compression: every method gives the voxels back, sizes are true, tables and plot are written."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.cli import execute
from linumpy_lib.errors import OutputError, ParameterError
from linumpy_lib.fusion.codec_methods import CHUNKS, FRAMES, METHODS, Method
from linumpy_lib.fusion.compression_benchmark import benchmark_compression, choose_methods
from linumpy_lib.fusion.steps.benchmark_compression import STEP
from linumpy_lib.io import write_volume


@pytest.fixture
def view() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (100 + rng.poisson(20, (23, 70, 140))).astype(np.uint16)


def test_every_method_gives_the_voxels_back(view: np.ndarray, tmp_path: Path) -> None:
    costs = benchmark_compression(view, tmp_path, threads=2)
    assert [cost.method for cost in costs] == list(METHODS)
    assert not list(tmp_path.iterdir())
    rows = {cost.method.name: cost.as_row() for cost in costs}
    assert len(rows) == len(METHODS) == 20
    raw = view.nbytes
    for cost in costs:
        assert min(cost.write_s, cost.read_s) > 0
        assert cost.raw_bytes == raw
        if cost.method.codec == "none" and cost.method.format == "tiff":
            assert raw <= cost.n_bytes < raw + 20_000
    assert float(rows["klb_bzip2_9"]["ratio"]) > 1.5
    assert float(rows["zarr_blosc-zstd_9"]["ratio"]) > float(rows["zarr_blosc-lz4_6"]["ratio"])
    assert {row["table"] for row in rows.values()} == {CHUNKS, FRAMES}


def test_the_step_writes_tables_and_a_plot(view: np.ndarray, tmp_path: Path) -> None:
    write_volume(tmp_path / "view.ome.zarr", view, spacing_um=(1, 1, 1))
    names = ["klb_zlib_6", "tiff_none", "blosc-lz4_3_sharded"]
    words = [
        "--input",
        str(tmp_path / "view.ome.zarr"),
        "--output",
        str(tmp_path / "out"),
        "--name",
        "larva",
        "--quiet",
    ]
    execute(
        STEP, [*words, "--benchmark_methods", ",".join(names), "--benchmark_planes", "7", "--benchmark_repeat", "2"]
    )
    with (tmp_path / "out" / "larva_compression.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == names
    assert float(rows[1]["megabytes"]) == pytest.approx(7 * 70 * 140 * 2 / 1e6, abs=0.02)
    text = (tmp_path / "out" / "larva_compression.md").read_text()
    assert "7 x 70 x 140 voxels of uint16" in text
    assert text.count("\n## ") == 2
    assert (tmp_path / "out" / "larva_compression.png").stat().st_size > 10_000
    assert not list((tmp_path / "out").glob("*scratch*"))
    with pytest.raises(ParameterError, match="zip: choose among blosc-zstd_5_sharded"):
        execute(STEP, [*words, "--benchmark_methods", "zip"])


def test_a_method_that_loses_voxels_is_told(view: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Method, "reader", lambda *_: lambda first, last: np.zeros((last - first, 70, 140), np.uint16))
    with pytest.raises(OutputError, match="gave other voxels back in planes 0 to 9"):
        benchmark_compression(view, tmp_path, methods=choose_methods(["tiff_none"]))
