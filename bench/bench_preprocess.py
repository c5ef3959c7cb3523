"""Preprocess: mosaics of raw tiles against the sequential read of the same files, memory, and scaling with threads.

python -m bench.bench_preprocess [--quick] [--json results.json] [--repeat 3] [--cases native]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import Measurement, measure, write_json

EXTRA, PER_FILE = 40, 64
_BLOCK = 8 << 20


def prepare(folder: str, shape: list[int], grid: list[int]) -> None:
    """Write one slice: speckled tissue that fades with depth, as float32 counts, a galvo return at the wrong place."""
    nz, ny, nx = shape
    rng = np.random.default_rng(0)
    depth = 1500 * np.exp(-np.arange(nz) / (0.4 * nz), dtype=np.float32)
    band = np.ones(nx + EXTRA, np.float32)
    band[nx // 2 : nx // 2 + EXTRA] = 0.2
    for x in range(grid[1]):
        for y in range(grid[0]):
            tile = Path(folder, f"tile_x{x:02d}_y{y:02d}_z00")
            tile.mkdir(parents=True)
            (tile / "info.txt").write_text(
                f"Scan info\nnx: {nx}\nny: {ny}\nn_repeat: 1\nwidth: {3 * nx}\nheight: {3 * ny}\nn_extra: {EXTRA}\n"
                f"top_z: 0\nbottom_z: {nz - 1}\nstage_x_pos_mm: {0.0024 * nx * x}\nstage_y_pos_mm: {0.0024 * ny * y}\n"
            )
            for k, start in enumerate(range(0, ny, PER_FILE)):
                frames = min(PER_FILE, ny - start)
                speckle = rng.standard_exponential((frames, nx + EXTRA, nz), dtype=np.float32)
                (speckle * depth * band[:, None] + 12).tofile(tile / f"image_{k:05d}.bin")


def forget(folder: Path) -> None:
    """Ask the system to drop a folder's files from its cache, so that both sides read from the disk."""
    os.sync()
    for path in folder.rglob("*.bin"):
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def read_all(folder: Path, *, cold: bool = True) -> float:
    """Seconds to read every byte once, one file after the other, from the disk or from the system's cache."""
    if cold:
        forget(folder)
    buffer = memoryview(bytearray(_BLOCK))
    start = time.perf_counter()
    for path in sorted(folder.rglob("*.bin")):
        with path.open("rb", buffering=0) as handle:
            while handle.readinto(buffer):
                pass
    return time.perf_counter() - start


def write_all(folder: Path, size: int) -> float:
    """Seconds to write and sync so many bytes into one file."""
    block = np.random.default_rng(0).bytes(_BLOCK)
    path = folder / "written.tmp"
    start = time.perf_counter()
    with path.open("wb", buffering=0) as handle:
        for _ in range(size // _BLOCK):
            handle.write(block)
        os.fsync(handle.fileno())
    seconds = time.perf_counter() - start
    path.unlink()
    return seconds


def run_step(folder: str, output: str, threads: int, words: list[str]) -> int:
    """Make the mosaic; return the bytes it takes on disk."""
    from linumpy_lib.acquisition.steps.create_mosaic_grid import STEP
    from linumpy_lib.cli import execute

    with contextlib.redirect_stderr(io.StringIO()):
        execute(STEP, ["--input", folder, "--output", output, "--processes", str(threads), "--quiet", *words])
    return sum(path.stat().st_size for path in Path(output).rglob("*") if path.is_file())


def bench(shape: list[int], grid: list[int], repeat: int, cases: list[str]) -> list[dict[str, Any]]:
    """Measure native and resampled mosaics with one thread and with all cores, files on the disk and in the cache."""
    rows: list[dict[str, Any]] = []
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="bench_preprocess_") as scratch:
        raw, out = Path(scratch, "raw"), Path(scratch, "out")
        prepare(str(raw), shape, grid)
        size = sum(path.stat().st_size for path in raw.rglob("*.bin"))
        tile_mb = 4e-6 * shape[0] * shape[1] * shape[2]
        idle = measure("bench.bench_preprocess:imports", {}, repeat)
        rows.append({"case": "start and imports", "threads": 1, "wall_s": idle.wall_s, "cpu_s": idle.cpu_s})
        run_case(raw, out, {"threads": cores, "words": ["--sharding_factor", "1"]}, 1, cold=False)  # compiles
        for case in cases:
            words = ["--mosaic_resolution", "10"] if case.startswith("10") else []
            for cold in (True, False):
                for threads in sorted({1, cores}):
                    for sharding in (1, 2) if cold and not words else (1,):
                        options = {"threads": threads, "words": [*words, "--sharding_factor", str(sharding)]}
                        cost, read_s, paired = run_case(raw, out, options, repeat, cold=cold)
                        written = int(cost.result)
                        write_s = write_all(Path(scratch), written)
                        shard_mb = tile_mb * sharding**2 * (1.36 * 9 / 1000 if words else 1)
                        limit_s = max(read_s, write_s, cost.cpu_s / threads)
                        rows.append(
                            {
                                "case": f"{case}, shard {sharding}x{sharding}, {'disk' if cold else 'cache'}",
                                "threads": threads,
                                "wall_s": cost.wall_s,
                                "cpu_s": cost.cpu_s,
                                "cpu_s_per_gb": (cost.cpu_s - idle.cpu_s) / size * 1e9,
                                "mb_per_s": size / cost.wall_s / 1e6,
                                "read_mb_per_s": size / read_s / 1e6,
                                "write_mb_per_s": written / write_s / 1e6,
                                "of_read": read_s / cost.wall_s,
                                "of_read_paired": paired,
                                "of_read_without_start": read_s / (cost.wall_s - idle.wall_s),
                                "of_limit": limit_s / cost.wall_s,
                                "peak_mb": cost.peak_mb,
                                "above_imports_mb": cost.peak_mb - idle.peak_mb,
                                "allowed_mb": threads * (3 * tile_mb + shard_mb),
                                "ratio": size / written,
                            }
                        )
    return rows


def run_case(
    raw: Path, output: Path, options: dict[str, Any], repeat: int, *, cold: bool
) -> tuple[Measurement, float, float]:
    """Measure the step; and the sequential read before each run, since the disk is shared with whatever else runs.

    Returns the fastest run, the seconds of the fastest read, and the largest ratio of a read to the run after it.
    """
    runs, reads = [], []
    for _ in range(repeat):
        shutil.rmtree(output, ignore_errors=True)
        read_all(raw, cold=cold)
        reads.append(read_all(raw, cold=cold))
        if cold:
            forget(raw)
        runs.append(
            measure("bench.bench_preprocess:run_step", {**options, "folder": str(raw), "output": str(output)}, 1)
        )
    best = min(runs, key=lambda run: run.wall_s)
    return best, min(reads), max(read / run.wall_s for read, run in zip(reads, runs, strict=True))


def imports() -> None:
    """Load what the step needs before its first read: modules and machine code."""
    import linumpy_lib.acquisition.mosaic
    import linumpy_lib.io  # noqa: F401
    from linumpy_lib.acquisition.native_tiles import load_kernels

    load_kernels()


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small tiles")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=["native", "10 um"], help="what to measure")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    # As in the pipeline: threads of the linear algebra under the step's own would only compete.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    rows = bench([200, 128, 160] if options.quick else [300, 256, 280], [4, 5], options.repeat, options.cases)
    for row in rows:
        print(
            "  ".join(
                f"{key} {value:.3g}" if isinstance(value, float) else f"{value!s:>22}" for key, value in row.items()
            )
        )
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
