"""Many small runs in one process, for minutes: whether memory, open files, threads or files left behind grow.

python -m bench.bench_soak [--quick] [--minutes 10] [--json results.json]

Each round takes simulated raw tiles to a slice with its corrections, and a simulated volume to anisotropy maps. A task
of the pipeline is one step in a process of its own; a round here is nine of them in one process, so that what each
leaves adds up. The first rounds, in which caches fill, are not counted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import write_json

WARM_ROUNDS = 5
GROWING = ("memory_mib", "open_files", "threads", "files_left")
STEPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("acquisition", "create_mosaic_grid", ("--input", "raw/sim_raw")),
    ("acquisition", "resample_mosaic_grid", ("--input", "@mosaic_grid_3d_z00", "--resolution=-1")),
    ("illumination", "fix_focal_curvature", ("--input", "@mosaic_grid_z00_resampled")),
    ("illumination", "fix_illumination", ("--input", "@mosaic_grid_z00_focal_fix")),
    ("stitching", "stitch_slice", ("--input", "@mosaic_grid_z00_illum_fix")),
    ("intensity", "correct_beam_profile", ("--input", "@slice_z00_stitch_3d")),
    ("intensity", "crop_interface", ("--input", "@slice_z00_axial_corr")),
    ("intensity", "compensate_attenuation", ("--input", "@slice_z00_crop_interface")),
    ("anisotropy", "compute_anisotropy", ("--input", "fibres.ome.zarr")),
)


def run_step(folder: Path, domain: str, name: str, words: tuple[str, ...]) -> None:
    """Run one step in this process."""
    from linumpy_lib.cli import execute

    step = importlib.import_module(f"linumpy_lib.{domain}.steps.{name}").STEP
    given = []
    for word in words:
        if word.startswith("@"):
            given.append(str(folder / "round" / f"{word[1:]}.ome.zarr"))
        elif word.endswith((".zarr", "_raw")):
            given.append(str(folder / word))
        else:
            given.append(word)
    device = ["--device", "cpu"] if len(step.devices) > 1 else []
    label = [] if domain == "anisotropy" else ["--name", "z00"]
    execute(step, [*given, *label, *device, "--output", str(folder / "round"), "--processes", "2", "--quiet"])


def state(scratch: Path) -> dict[str, float]:
    """Return what could grow: memory [MiB], open files, threads, files in the temporary folder."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))
    return {
        "memory_mib": resident,
        "open_files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "files_left": sum(1 for _ in scratch.rglob("*")),
    }


def main() -> None:
    """Run rounds until the time is over and print a row now and then."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="twenty seconds")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not Path("/proc/self/status").is_file():
        raise SystemExit("bench_soak: needs /proc")
    minutes = 0.3 if options.quick else options.minutes
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench_soak_") as name:
        folder, scratch = Path(name), Path(name, "tmp")
        scratch.mkdir()
        tempfile.tempdir = str(scratch)
        os.environ["TMPDIR"] = str(scratch)
        prepare(folder)
        start, cpu = time.monotonic(), time.process_time()
        while time.monotonic() - start < 60 * minutes or len(rows) < 2 * WARM_ROUNDS:
            for domain, step, words in STEPS:
                run_step(folder, domain, step, words)
            shutil.rmtree(folder / "round")
            rows.append({"round": len(rows) + 1, "seconds": time.monotonic() - start, **state(scratch)})
            if len(rows) in (1, WARM_ROUNDS) or len(rows) % 20 == 0:
                print("  ".join(f"{k} {v:.5g}" for k, v in rows[-1].items()), flush=True)
        cpu = time.process_time() - cpu
    counted = rows[WARM_ROUNDS:]
    found: dict[str, Any] = {"rounds": len(rows), "steps": len(rows) * len(STEPS), "cpu_s": cpu}
    for key in GROWING:
        values = np.array([row[key] for row in counted])
        half = len(values) // 2
        found[key] = {
            "first_half": float(np.median(values[:half])),
            "second_half": float(np.median(values[half:])),
            "largest": float(values.max()),
        }
    print(f"{found['rounds']} rounds, {found['steps']} steps, {cpu:.0f} CPU s")
    for key in GROWING:
        halves = found[key]
        print(f"{key:<11} median {halves['first_half']:.1f}, then {halves['second_half']:.1f}")
    if options.json:
        write_json(options.json, [found, *rows])
    memory = found["memory_mib"]
    if memory["second_half"] > 1.05 * memory["first_half"] or any(
        found[key]["second_half"] > found[key]["first_half"] for key in GROWING[1:]
    ):
        sys.exit("bench_soak: something grows")


def prepare(folder: Path) -> None:
    """Simulate raw tiles of one slice and a volume of fibres."""
    from linumpy_lib.cli import execute
    from linumpy_lib.io import write_volume
    from linumpy_lib.simulation import simulate_fibres
    from linumpy_lib.simulation.steps.simulate_oct import STEP

    words = ["--output", str(folder / "raw"), "--name", "sim", "--simulate_oct_slices", "1", "--quiet"]
    words += ["--simulate_oct_tiles_x", "2", "--simulate_oct_tiles_y", "2", "--simulate_oct_tile_shape", "80,64,64"]
    execute(STEP, words)
    write_volume(folder / "fibres.ome.zarr", simulate_fibres((48, 64, 64)).volume, spacing_um=(1, 1, 1), levels=1)


if __name__ == "__main__":
    main()
