"""Strong and weak scaling over tasks: one volume in N tasks, and N volumes in N tasks, one thread each.

python -m bench.bench_scaling [--quick] [--json results.json]

Tasks are processes, as the pipeline starts them; as many run at once as there are workers. What splitting costs is told
by the processor seconds, which more tasks than processors can show too; wall times need as many free processors as
workers.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.measure import write_json

ROOT = Path(__file__).resolve().parents[1]


def task(name: str, *words: str) -> float:
    """Run one step in a process; return its processor seconds."""
    command = [sys.executable, str(ROOT / "bin" / f"{name}.py"), *words, "--processes", "1", "--quiet"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"bench_scaling: {name} failed with status {process.returncode}")
    return used.ru_utime + used.ru_stime


def compute(calls: Sequence[tuple[str, ...]], workers: int) -> tuple[float, list[float]]:
    """Run tasks, so many at once; return wall seconds and the processor seconds of each."""
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        used = list(pool.map(lambda words: task("compute_anisotropy", *words), calls))
    return time.perf_counter() - start, used


def row(kind: str, tasks: int, workers: int, wall: float, used: list[float], joined: float) -> dict[str, Any]:
    """Describe one run; `joined` are the processor seconds of putting slabs together."""
    found = {
        "kind": kind,
        "tasks": tasks,
        "workers": workers,
        "wall_s": wall,
        "cpu_s": sum(used) + joined,
        "longest_task_cpu_s": max(used),
        "join_cpu_s": joined,
    }
    print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in found.items()), flush=True)
    return found


def strong(folder: Path, volume: Path, tasks: int, workers: int) -> dict[str, Any]:
    """One volume, split."""
    target = folder / "maps"
    base = ("--input", str(volume), "--name", "v", "--device", "cpu")
    calls: list[tuple[str, ...]] = [(*base, "--output", str(target))]
    if tasks > 1:
        calls = [(*base, "--output", str(folder / f"slab{n}"), "--slab", f"{n + 1}/{tasks}") for n in range(tasks)]
    wall, used = compute(calls, workers)
    joined = 0.0
    if tasks > 1:
        start = time.perf_counter()
        slabs = [str(folder / f"slab{n}") for n in range(tasks)]
        joined = task("gather_anisotropy", "--input", *slabs, "--name", "v", "--output", str(target))
        wall += time.perf_counter() - start
    for path in folder.iterdir():
        if path.is_dir() and path != volume:
            shutil.rmtree(path)
    return row("strong", tasks, workers, wall, used, joined)


def weak(folder: Path, volume: Path, tasks: int, workers: int) -> dict[str, Any]:
    """As many volumes as tasks."""
    calls = [
        ("--input", str(volume), "--name", "v", "--device", "cpu", "--output", str(folder / f"copy{n}"))
        for n in range(tasks)
    ]
    wall, used = compute(calls, workers)
    for n in range(tasks):
        shutil.rmtree(folder / f"copy{n}")
    return row("weak", tasks, workers, wall, used, 0.0)


def main() -> None:
    """Run and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a volume of 256 planes")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="tasks at once")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    from linumpy_lib.io import write_volume
    from linumpy_lib.simulation import simulate_fibres

    counts = (1, 2) if options.quick else (1, 2, 4, 8)
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench_scaling_") as name:
        folder = Path(name)
        volume, one = folder / "volume.ome.zarr", folder / "one.ome.zarr"
        planes = simulate_fibres((128, 256, 256)).volume
        write_volume(one, planes, spacing_um=(1, 1, 1), levels=1)
        write_volume(volume, planes.repeat(counts[-1], axis=0), spacing_um=(1, 1, 1), levels=1)
        # Compiles what is not compiled yet, and brings the files into memory.
        strong_folder = folder / "strong"
        strong_folder.mkdir()
        task("compute_anisotropy", "--input", str(one), "--name", "v", "--device", "cpu", "--output", str(folder / "w"))
        shutil.rmtree(folder / "w")
        for workers in sorted({1, options.workers}):
            rows += [strong(strong_folder, volume, tasks, workers) for tasks in counts if tasks >= workers]
            rows += [weak(folder, one, tasks, workers) for tasks in counts[:3] if tasks >= workers]
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
