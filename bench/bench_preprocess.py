"""Preprocess: mosaics of raw tiles against the sequential read of the same files, memory, and scaling with threads.

python -m bench.bench_preprocess [--quick] [--json results.json] [--repeat 3]
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


def read_all(folder: Path) -> float:
    """Seconds to read every byte once, one file after the other."""
    forget(folder)
    buffer = memoryview(bytearray(_BLOCK))
    start = time.perf_counter()
    for path in sorted(folder.rglob("*.bin")):
        with path.open("rb", buffering=0) as handle:
            while handle.readinto(buffer):
                pass
    return time.perf_counter() - start


def write_all(folder: Path, size: int) -> float:
    """Seconds to write and sync as many bytes into one file."""
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


def bench(shape: list[int], grid: list[int], repeat: int) -> list[dict[str, Any]]:
    """Measure native and resampled mosaics with one thread and with all cores."""
    rows: list[dict[str, Any]] = []
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="bench_preprocess_") as scratch:
        raw = Path(scratch, "raw")
        prepare(str(raw), shape, grid)
        size = sum(path.stat().st_size for path in raw.rglob("*.bin"))
        tile_mb = 4e-6 * shape[0] * shape[1] * shape[2]
        read_s, write_s = min(read_all(raw) for _ in range(repeat)), write_all(Path(scratch), size)
        rows.append({"case": "sequential read", "threads": 1, "wall_s": read_s, "mb_per_s": size / read_s / 1e6})
        rows.append({"case": "sequential write", "threads": 1, "wall_s": write_s, "mb_per_s": size / write_s / 1e6})
        idle = measure("bench.bench_preprocess:imports", {}, repeat)
        rows.append({"case": "start and imports", "threads": 1, "wall_s": idle.wall_s, "cpu_s": idle.cpu_s})
        for case, words in (("native", []), ("10 um", ["--mosaic_resolution", "10"])):
            for threads in sorted({1, cores}):
                for sharding in (1, 2):
                    options = {"folder": str(raw), "threads": threads}
                    options["words"] = [*words, "--sharding_factor", str(sharding)]
                    cost = fastest_run(raw, Path(scratch, "out"), options, repeat)
                    shard_mb = tile_mb * sharding**2 * (1 if case == "native" else 1.36 * 9 / 1000)
                    # Both sides between the same moments: the disk is shared with whatever else runs.
                    read_s = min(read_s, read_all(raw))
                    rows.append(
                        {
                            "case": f"{case}, shard {sharding}x{sharding}",
                            "threads": threads,
                            "wall_s": cost.wall_s,
                            "cpu_s": cost.cpu_s,
                            "cpu_s_per_gb": (cost.cpu_s - idle.cpu_s) / size * 1e9,
                            "mb_per_s": size / cost.wall_s / 1e6,
                            "of_read": read_s / cost.wall_s,
                            "of_read_without_start": read_s / (cost.wall_s - idle.wall_s),
                            "peak_mb": cost.peak_mb,
                            "above_imports_mb": cost.peak_mb - idle.peak_mb,
                            "limit_mb": 3 * tile_mb + shard_mb,
                            "ratio": size / cost.result,
                        }
                    )
    return rows


def fastest_run(raw: Path, output: Path, options: dict[str, Any], repeat: int) -> Measurement:
    """Measure the step from files that are not in the system's cache, nothing left to be written from before."""
    runs = []
    for _ in range(repeat):
        shutil.rmtree(output, ignore_errors=True)
        forget(raw)
        runs.append(measure("bench.bench_preprocess:run_step", {**options, "output": str(output)}, 1))
    return min(runs, key=lambda run: run.wall_s)


def imports() -> None:
    """Import what every step loads before its first read."""
    import linumpy_lib.acquisition.mosaic
    import linumpy_lib.io  # noqa: F401


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small tiles")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    # As in the pipeline: threads of the linear algebra under the step's own would only compete.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    rows = bench([200, 128, 160] if options.quick else [300, 256, 280], [4, 5], options.repeat)
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
