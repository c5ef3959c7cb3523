"""A volume on disk to finished maps with pyramids: the step `compute_anisotropy`, wall and CPU seconds and peak memory.

python -m bench.bench_anisotropy_volume [--quick] [--large] [--json results.json] [--repeat 3]

The published figure of the original toolkit is 58 s for 512^3 without saving, on ten cores and a GPU (M1 Max); memory
there grew with the volume to 5.3 GB. The source is uint8 texture with noise and one eighth of background.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import Measurement, measure, write_json

PUBLISHED_WALL_S = {512: 58.0}
MEMORY_LIMIT_MB = 1500.0


def prepare(path: str, size: int) -> None:
    """Write the source as one uncompressed TIFF, a few planes at a time."""
    import tifffile
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    cell = gaussian_filter(rng.standard_normal((64, 64, 64)).astype(np.float32), 1.5, mode="wrap")
    cell *= 100 / np.abs(cell).max()
    volume = tifffile.memmap(path, shape=(size, size, size), dtype=np.uint8, photometric="minisblack", bigtiff=True)
    for z in range(size):
        plane = np.tile(cell[z % 64], (size // 64, size // 64)) + 110
        plane += 6 * rng.standard_normal(plane.shape, dtype=np.float32)
        plane[: size // 8] = 0
        volume[z] = np.clip(plane, 0, 255)
    volume.flush()


def maps(source: str, target: str, threads: int) -> dict[str, float]:
    """Run the step."""
    from linumpy_lib.anisotropy.steps.compute_anisotropy import STEP
    from linumpy_lib.cli import execute

    words = ["--input", source, "--output", target, "--processes", str(threads), "--device", "cpu", "--quiet"]
    execute(STEP, words)
    written = sum(path.stat().st_size for path in Path(target).rglob("*") if path.is_file())
    return {"written_mb": written / 1e6}


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="128^3 alone, one repetition")
    parser.add_argument("--large", action="store_true", help="1024^3 too, once (needs 40 GB of disk)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", metavar="PATH")
    options = parser.parse_args()
    sizes = {128: 1} if options.quick else {256: options.repeat, 512: options.repeat}
    if options.large:
        sizes[1024] = 1
    rows: list[dict[str, Any]] = []
    print(f"{'volume':>8s} {'wall s':>8s} {'CPU s':>8s} {'ns/vox':>8s} {'peak MB':>8s} {'written MB':>11s}  against")
    with tempfile.TemporaryDirectory(prefix="bench_anisotropy_volume_") as name:
        for size, repeat in sizes.items():
            source, target = str(Path(name) / f"{size}.tif"), str(Path(name) / "maps")
            measure("bench.bench_anisotropy_volume:prepare", {"path": source, "size": size}, repeat=1)
            runs: list[Measurement] = []
            for _ in range(repeat):
                shutil.rmtree(target, ignore_errors=True)
                call = {"source": source, "target": target, "threads": options.threads}
                runs.append(measure("bench.bench_anisotropy_volume:maps", call, repeat=1))
            wall, cpu = min(run.wall_s for run in runs), min(run.cpu_s for run in runs)
            peak = max(run.peak_mb for run in runs)
            row = {"size": size, "wall_s": wall, "cpu_s": cpu, "peak_mb": peak, **runs[-1].result}
            against = f"memory {peak / MEMORY_LIMIT_MB:.2f} of the limit"
            if size in PUBLISHED_WALL_S:
                row["wall_ratio"] = PUBLISHED_WALL_S[size] / wall
                against += f", {row['wall_ratio']:.1f}x faster than published"
            rows.append(row)
            Path(source).unlink()
            figures = f"{wall:8.1f} {cpu:8.1f} {cpu / size**3 * 1e9:8.0f} {peak:8.0f} {row['written_mb']:11.0f}"
            print(f"{f'{size}^3':>8s} {figures}  {against}", flush=True)
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
