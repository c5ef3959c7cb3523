"""Registration and stacking of 50 slices of 60 x 1000 x 1000 voxels: cost, memory, and speed against the writer alone.

python -m bench.bench_stack [--quick] [--slices 50] [--json results.json] [--repeat 1]

Stacking is compared with writing a volume of the same size and pyramid whose voxels are in memory (`write`), by wall
clock and by CPU. Five slices are rendered; the others are links to them under other ids.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import measure, write_json

RENDERED = 5
INTERVAL = 20
SPACING_UM = (10.0, 10.0, 10.0)


def prepare(folder: str, slices: int, shape: list[int]) -> None:
    """Write slices on a common canvas: cells of tissue that go on from slice to slice, speckle, small motions."""
    from scipy import ndimage

    from linumpy_lib.alignment.common_space import CHUNKS, CODEC
    from linumpy_lib.io import VolumeWriter
    from linumpy_lib.io.slice_frame import SliceFrame

    nz, ny, nx = shape
    random = np.random.default_rng(1)
    coarse = random.random((RENDERED * INTERVAL + nz, ny // 8 + 4, nx // 8 + 4), np.float32)
    coarse = ndimage.gaussian_filter(coarse, (3, 1, 1)) ** 2
    coarse /= coarse.max()
    for k in range(min(slices, RENDERED)):
        shift = random.normal(0, 2, 2)
        frame = SliceFrame(k, interval_um=INTERVAL * SPACING_UM[0])
        rows = ((np.arange(ny) + shift[0]) / 8 + 1).clip(0, coarse.shape[1] - 1)
        columns = ((np.arange(nx) + shift[1]) / 8 + 1).clip(0, coarse.shape[2] - 1)

        def block(region: tuple[slice, ...], k: int = k, rows: Any = rows, columns: Any = columns) -> Any:
            seed = np.random.default_rng([k, region[0].start, region[1].start, region[2].start])
            grid = np.meshgrid(rows[region[1]], columns[region[2]], indexing="ij")
            depths = range(region[0].start, region[0].stop)
            values = np.stack([ndimage.map_coordinates(coarse[k * INTERVAL + z], grid, order=1) for z in depths])
            values *= 1 + 0.2 * seed.standard_normal(values.shape, np.float32)
            return np.maximum(values, 0).astype(np.float32)

        with VolumeWriter(
            Path(folder, "slices", f"slice_z{k:02d}_common.ome.zarr"),
            shape=shape,
            dtype="float32",
            spacing_um=SPACING_UM,
            levels=1,
            codec=CODEC,
            chunks=CHUNKS,
            provenance={"slice": frame.as_json()},
        ) as writer:
            for region in writer.regions():
                writer.write(region, block(region))
    for k in range(RENDERED, slices):
        source = Path(folder, "slices", f"slice_z{k % RENDERED:02d}_common.ome.zarr")
        target = Path(folder, "slices", f"slice_z{k:02d}_common.ome.zarr")
        shutil.copytree(source, target, copy_function=os.link)
        document = json.loads((source / "zarr.json").read_text())
        frame = SliceFrame(k, interval_um=INTERVAL * SPACING_UM[0])
        _replace(document, frame.as_json())
        (target / "zarr.json").unlink()
        (target / "zarr.json").write_text(json.dumps(document))


def _replace(node: Any, frame: dict[str, Any]) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "slice" and isinstance(value, dict) and "slice_id" in value:
                node[name] = frame
            else:
                _replace(value, frame)


def register(folder: str, fixed: int, moving: int, threads: int) -> None:
    """Register one pair as the script does."""
    from linumpy_lib.alignment.steps.register_pair import STEP
    from linumpy_lib.cli import execute

    stores = [str(Path(folder, "slices", f"slice_z{k:02d}_common.ome.zarr")) for k in (fixed, moving)]
    words = ["--fixed", stores[0], "--moving", stores[1], "--output", str(Path(folder, "pairs"))]
    execute(STEP, [*words, "--name", f"z{moving:02d}", "--quiet", "--processes", str(threads)])


def link_pairs(folder: str, slices: int) -> None:
    """Give the pairs that were not registered the figures of one that was."""
    source = Path(folder, "pairs", "slice_z01_pairwise_registration")
    for k in range(2, slices):
        target = Path(folder, "pairs", f"slice_z{k:02d}_pairwise_registration")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        path = target / "pairwise_registration_metrics.json"
        document = json.loads(path.read_text())
        document["metrics"]["fixed_id"]["value"] = k - 1
        document["metrics"]["moving_id"]["value"] = k
        path.write_text(json.dumps(document))


def stack(folder: str, slices: int, threads: int) -> None:
    """Stack the slices as the script does."""
    from linumpy_lib.alignment.steps.stack_slices import STEP
    from linumpy_lib.cli import execute

    stores = [str(Path(folder, "slices", f"slice_z{k:02d}_common.ome.zarr")) for k in range(slices)]
    words = ["--slices", *stores, "--pairs", str(Path(folder, "pairs")), "--output", str(Path(folder, "stack"))]
    execute(STEP, [*words, "--name", "brain", "--quiet", "--processes", str(threads)])


def write(folder: str, threads: int) -> None:
    """Write a volume of the stack's size and pyramid; every block holds the same voxels of the stack."""
    from linumpy_lib import blocks
    from linumpy_lib.io import VolumeWriter, open_volume, zip_store

    volume = open_volume(Path(folder, "stack", "brain.ome.zarr"))
    middle = [max(0, (n - 256) // 2) for n in volume.shape]
    sample = volume.read(tuple(slice(m, min(m + 256, n)) for m, n in zip(middle, volume.shape, strict=True)))
    target = Path(folder, "plain.ome.zarr")
    shutil.rmtree(target, ignore_errors=True)
    Path(folder, "plain.zip").unlink(missing_ok=True)
    with VolumeWriter(
        target,
        shape=volume.shape,
        dtype="float32",
        spacing_um=volume.require_spacing(),
        pyramid=[10, 25, 50, 100],
        threads=threads,
    ) as writer:
        blocks.stream(
            writer.regions(),
            lambda region: sample[tuple(slice(0, r.stop - r.start) for r in region)],
            write=writer.write,
            threads=threads,
            progress=False,
        )
    zip_store(target, Path(folder, "plain.zip"))


def imports() -> None:
    """Import what every step loads before its first read."""


def bench(slices: int, shape: list[int], repeat: int) -> list[dict[str, Any]]:
    """Measure registration of a pair, stacking of some and of all slices, and writing alone."""
    rows: list[dict[str, Any]] = []
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="bench_stack_") as scratch:
        measure("bench.bench_stack:prepare", {"folder": scratch, "slices": slices, "shape": shape}, 1)
        idle = measure("bench.bench_stack:imports", {}, 1)

        def row(case: str, count: int, threads: int, cost: Any, voxels: int, plain: Any = None) -> None:
            rows.append(
                {
                    "case": case,
                    "slices": count,
                    "threads": threads,
                    "wall_s": cost.wall_s,
                    "cpu_s": cost.cpu_s,
                    "cpu_s_per_slice": cost.cpu_s / count,
                    "mvoxel_per_s": 1e-6 * voxels / cost.wall_s,
                    "of_write_speed": None if plain is None else plain.wall_s / cost.wall_s,
                    "of_write_cpu": None if plain is None else plain.cpu_s / cost.cpu_s,
                    "peak_mb": cost.peak_mb - idle.peak_mb,
                    "two_slices_mb": 8e-6 * int(np.prod(shape)),
                }
            )

        one = int(np.prod(shape))
        for threads in sorted({1, cores}):
            arguments = {"folder": scratch, "fixed": 0, "moving": 1, "threads": threads}
            row("register_pair", 1, threads, measure("bench.bench_stack:register", arguments, repeat), 2 * one)
        link_pairs(scratch, slices)
        for count in sorted({min(slices, 10), slices}):
            depth = (count - 1) * INTERVAL + shape[0]
            voxels = depth * shape[1] * shape[2]
            for threads in sorted({1, cores}) if count < slices or slices <= 10 else [cores]:
                arguments = {"folder": scratch, "slices": count, "threads": threads}
                made = measure("bench.bench_stack:stack", arguments, repeat)
                plain = measure("bench.bench_stack:write", {"folder": scratch, "threads": threads}, repeat)
                row("stack_slices", count, threads, made, voxels, plain)
                row("write", count, threads, plain, voxels)
    return rows


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small slices")
    parser.add_argument("--slices", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    shape = [60, 200, 200] if options.quick else [60, 1000, 1000]
    rows = bench(options.slices if not options.quick else min(options.slices, 6), shape, options.repeat)
    print(f"slices of {'x'.join(map(str, shape))} voxels, every {INTERVAL} planes")
    print(
        "case           slices threads   wall s    CPU s  CPU s/slice  Mvoxel/s  of write  by CPU  peak MB (2 slices)"
    )
    for r in rows:
        speed = "" if r["of_write_speed"] is None else f"{r['of_write_speed']:.2f}    {r['of_write_cpu']:.2f}"
        print(
            f"{r['case']:<14} {r['slices']:>6} {r['threads']:>7} {r['wall_s']:>8.2f} {r['cpu_s']:>8.2f} "
            f"{r['cpu_s_per_slice']:>12.2f} {r['mvoxel_per_s']:>9.1f} {speed:>17} {r['peak_mb']:>8.0f}"
            f"  {r['two_slices_mb']:.0f}"
        )
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
