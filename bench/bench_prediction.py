"""What `--check` predicts against what whole runs take: processor time, memory of the largest task, disk.

python -m bench.bench_prediction [--quick] [--json results.json]

Runs of the launcher with simulated acquisitions and volumes of two sizes each; processor time and memory are those of
the trace.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.measure import write_json

ROOT = Path(__file__).resolve().parents[1]
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "min": 60.0}
_BYTES = {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9}


def seconds(text: str) -> float:
    """Seconds of a duration such as `1m 2.5s`, `90 s` or `3 min`."""
    parts = re.findall(r"([\d.]+) ?(ms|min|m|s|h)\b", text)
    return sum(float(value) * _SECONDS[unit] for value, unit in parts)


def predicted(text: str) -> tuple[float, float, float]:
    """Processor seconds, bytes of memory and of disk that `--check` tells."""
    found = re.search(r"about ([\d.]+ \w+) of processor time .*at most ([\d.]+) GB of memory", text)
    disk = re.search(r"disk: ([\d.]+) GB at most", text)
    if not found or not disk:
        raise SystemExit(f"--check told no cost:\n{text}")
    return seconds(found[1]), float(found[2]) * 1e9, float(disk[1]) * 1e9


def taken(output: Path) -> tuple[float, float, float]:
    """Processor seconds and memory that the trace tells, and bytes of the results."""
    cpu, memory = 0.0, 0.0
    for trace in (output / "pipeline_info").glob("trace_*.txt"):
        with trace.open() as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                if row["%cpu"] != "-":
                    cpu += seconds(row["realtime"]) * float(row["%cpu"].rstrip("%")) / 100
                if size := re.match(r"([\d.]+) (\w+)", row["peak_rss"]):
                    memory = max(memory, float(size[1]) * _BYTES[size[2]])
    disk = sum(f.stat().st_size for f in output.rglob("*") if f.is_file() and "pipeline_info" not in f.parts)
    return cpu, memory, disk


def launch(folder: Path, *words: str) -> str:
    """Run the launcher; stop with what it said if it fails."""
    launcher = Path(sys.executable).with_name("nextflow")
    done = subprocess.run(
        [launcher, "run", str(ROOT / "main.nf"), "-profile", "cpu", "-ansi-log", "false", *words],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def case(folder: Path, name: str, *words: str) -> dict[str, Any]:
    """Check, run, compare."""
    told = predicted(launch(folder, *words, "--check"))
    launch(folder, *words, "--output", name)
    found = taken(folder / name)
    labels = ("cpu_s", "memory_bytes", "disk_bytes")
    row: dict[str, Any] = {"case": name}
    for label, a, b in zip(labels, told, found, strict=True):
        row |= {f"{label}_predicted": a, f"{label}_taken": b, f"{label}_ratio": a / b if b else float("nan")}
    return row


def acquisition(folder: Path, name: str, slices: int, tiles: int, tile: str) -> Path:
    """Simulate raw tiles."""
    from linumpy_lib.cli import execute
    from linumpy_lib.simulation.steps.simulate_oct import STEP

    words = ["--output", str(folder / name), "--name", "sim", "--simulate_oct_slices", str(slices)]
    words += ["--simulate_oct_tiles_x", str(tiles), "--simulate_oct_tiles_y", str(tiles)]
    execute(STEP, [*words, "--simulate_oct_tile_shape", tile, "--quiet", "--processes", "2"])
    return folder / name / "sim_raw"


def volume(folder: Path, side: int) -> Path:
    """Write a volume of fibres."""
    from linumpy_lib.io import write_volume
    from linumpy_lib.simulation import simulate_fibres

    path = folder / f"fibres_{side}.ome.zarr"
    write_volume(path, simulate_fibres((side,) * 3).volume, spacing_um=(1, 1, 1), levels=1)
    return path


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the small cases only")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench_prediction_") as scratch:
        folder = Path(scratch)
        for side in (128,) if options.quick else (128, 320):
            path = volume(folder, side)
            rows += [case(folder, f"anisotropy {side}", "--workflow", "anisotropy", "--input", str(path))]
        sizes = ((4, 3, "80,64,64"),) if options.quick else ((4, 3, "80,64,64"), (6, 5, "120,120,120"))
        for slices, tiles, tile in sizes:
            name = f"volume of {slices} slices, {tiles} x {tiles} tiles of {tile.replace(',', ' x ')}"
            raw = acquisition(folder, f"raw_{tiles}", slices, tiles, tile)
            words = ["--workflow", "preprocess,reconstruct", "--input", str(raw), "--axial_resolution", "5"]
            rows += [case(folder, name, *words, "--registration_slicing_interval_mm", "0.2")]
    for row in rows:
        print(
            f"{row['case']:<48} "
            f"CPU {row['cpu_s_predicted']:.0f} of {row['cpu_s_taken']:.0f} s ({row['cpu_s_ratio']:.2f})  "
            f"memory {row['memory_bytes_predicted'] / 1e6:.0f} of {row['memory_bytes_taken'] / 1e6:.0f} MB "
            f"({row['memory_bytes_ratio']:.2f})  disk {row['disk_bytes_predicted'] / 1e6:.0f} of "
            f"{row['disk_bytes_taken'] / 1e6:.0f} MB ({row['disk_bytes_ratio']:.2f})"
        )
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
