"""Depth corrections of one slice: time against copying the store with the same writer, and peak memory against size.

python -m bench.bench_intensity [--quick] [--large] [--json results.json] [--repeat 3]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import measure, write_json

STEPS = (
    ("correct_beam_profile", "slice_z00_stitch_3d.ome.zarr", "slice_z00_axial_corr.ome.zarr"),
    ("crop_interface", "slice_z00_axial_corr.ome.zarr", "slice_z00_crop_interface.ome.zarr"),
    ("compensate_attenuation", "slice_z00_crop_interface.ome.zarr", "slice_z00_attn_corr.ome.zarr"),
    ("measure_slice", "slice_z00_attn_corr.ome.zarr", "slice_z00_levels.json"),
    ("normalize_slice", "slice_z00_attn_corr.ome.zarr", "slice_z00_normalize.ome.zarr"),
)


def prepare(folder: str, shape: list[int]) -> None:
    """Write a slice: water, a cut face, tissue in agarose that fades with depth, speckle; block by block."""
    from linumpy_lib.io import VolumeWriter
    from linumpy_lib.io.slice_frame import KEY, SliceFrame

    nz, ny, nx = shape
    depth = np.arange(nz, dtype=np.float32)
    below = np.clip(depth - 20, 0, None)
    beam = 1 / (1 + ((depth - 0.4 * nz) / (0.6 * nz)) ** 2)
    tissue = np.where(depth < 20, 4, 1500 * beam * np.exp(-below / (0.6 * nz)))
    agarose = np.where(depth < 20, 4, 120 * beam)
    frame = SliceFrame(0, origin_um=(0.0, 0.0, 0.0))
    with VolumeWriter(
        Path(folder, STEPS[0][1]),
        shape=shape,
        dtype="float32",
        spacing_um=(3, 10, 10),
        levels=1,
        shards=(-(-nz // 64) * 64, 256, 256),
        provenance={KEY: frame.as_json()},
        threads=2,
    ) as writer:
        for number, region in enumerate(writer.regions()):
            rng = np.random.default_rng(number)
            y, x = (np.arange(box.start, box.stop) / n - 0.5 for box, n in zip(region[1:], (ny, nx), strict=True))
            inside = (y[:, None] ** 2 + x**2 < 0.15)[None]
            block = np.where(inside, tissue[:, None, None], agarose[:, None, None]).astype(np.float32)
            block *= 0.6 + 0.4 * rng.standard_exponential(block.shape, dtype=np.float32)
            writer.write(region, block)


def copy(folder: str, threads: int) -> None:
    """Read the slice and write it again, unchanged: what any step costs at least."""
    from linumpy_lib.blocks import stream
    from linumpy_lib.io import VolumeWriter, open_volume

    volume = open_volume(Path(folder, STEPS[0][1]))
    target = Path(folder, "copy.ome.zarr")
    shutil.rmtree(target, ignore_errors=True)
    depth = -(-volume.shape[0] // 64) * 64
    with VolumeWriter(
        target,
        shape=volume.shape,
        dtype="float32",
        spacing_um=volume.require_spacing(),
        levels=1,
        shards=(depth, 256, 256),
        threads=threads,
    ) as writer:
        stream(writer.regions(), volume.read, None, writer.write, threads=threads, queue=1, progress=False)


def run_step(folder: str, name: str, source: str, threads: int) -> None:
    """Run one step as its script does."""
    import importlib

    from linumpy_lib.cli import execute

    step = importlib.import_module(f"linumpy_lib.intensity.steps.{name}").STEP
    words = ["--input", str(Path(folder, source)), "--output", folder, "--name", "z00", "--quiet"]
    if name == "normalize_slice":
        words += ["--levels", str(Path(folder, "slice_z00_levels.json"))]
    execute(step, [*words, "--processes", str(threads)])


def imports() -> None:
    """Import what every step loads before its first read."""


def bench(shape: list[int], repeat: int) -> list[dict[str, Any]]:
    """Measure each step with one thread and with all cores."""
    rows: list[dict[str, Any]] = []
    cores = len(os.sched_getaffinity(0))
    voxels = int(np.prod(shape))
    with tempfile.TemporaryDirectory(prefix="bench_intensity_") as scratch:
        measure("bench.bench_intensity:prepare", {"folder": scratch, "shape": shape}, 1)
        idle = measure("bench.bench_intensity:imports", {}, repeat)
        for threads in sorted({1, cores}):
            plain = measure("bench.bench_intensity:copy", {"folder": scratch, "threads": threads}, repeat)
            costs = [("copy", plain)]
            for name, source, _ in STEPS:
                arguments = {"folder": scratch, "name": name, "source": source, "threads": threads}
                costs.append((name, measure("bench.bench_intensity:run_step", arguments, repeat)))
            for name, cost in costs:
                rows.append(
                    {
                        "case": name,
                        "shape": "x".join(map(str, shape)),
                        "threads": threads,
                        "wall_s": cost.wall_s,
                        "cpu_s": cost.cpu_s,
                        "cpu_ns_per_voxel": 1e9 * cost.cpu_s / voxels,
                        "of_copy": cost.wall_s / plain.wall_s,
                        "peak_mb": cost.peak_mb,
                        "above_imports_mb": cost.peak_mb - idle.peak_mb,
                        "slice_mb": 4e-6 * voxels,
                    }
                )
    return rows


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small slice")
    parser.add_argument("--large", action="store_true", help="10 x 10 tiles of 400 x 400 x 200 voxels, 9 GB a store")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    shapes = [[96, 256, 256]] if options.quick else [[200, 512, 512], [200, 1024, 1024]]
    if options.large:
        shapes.append([200, 3280, 3280])
    rows = [row for shape in shapes for row in bench(shape, 1 if options.quick else options.repeat)]
    for row in rows:
        print(
            "  ".join(
                f"{key} {value:.3g}" if isinstance(value, float) else f"{value!s:>14}" for key, value in row.items()
            )
        )
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
