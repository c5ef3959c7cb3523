"""BaSiC on 200 tiles of 256 x 256 pixels with known fields, against the package basicpy in the same run.

python -m bench.bench_illumination [--quick] [--peer-python PATH] [--json results.json] [--repeat 3]

basicpy pins packages that contradict ours, so that it lives in an environment of its own, whose Python --peer-python
names (docs/illumination.md says how to make it); without, ours is measured alone. Both find the flat field of the same
images in fresh processes, reading and imports left out; ours averages them to 64 x 64 pixels first, as the step does,
basicpy to 128 x 128.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import measure, measure_inside, write_json

# Runs where this package is not installed.
_PEER = """
import json, sys, time
import numpy as np, torch
from basicpy import BaSiC
path, dark, threads = sys.argv[1], sys.argv[2] == "True", int(sys.argv[3])
torch.set_num_threads(threads)
images = np.load(path)
# the first fit in a process also pays for what torch loads at its first use
BaSiC(max_iterations=2, max_reweight_iterations=1).fit(images[:8])
wall, cpu = time.perf_counter(), time.process_time()
model = BaSiC(get_darkfield=dark)
model.fit(images)
cost = time.perf_counter() - wall, time.process_time() - cpu
np.savez(path + ".peer.npz", flat=np.asarray(model.flatfield, float), dark=np.asarray(model.darkfield, float))
print(json.dumps(cost))
"""


def prepare(path: str, count: int, edge: int, content: str) -> None:
    """Save tiles and their fields."""
    from linumpy_lib.simulation.shaded_tiles import shaded_tiles

    tiles = shaded_tiles(count, (edge, edge), content=content)  # type: ignore[arg-type]
    np.save(path, tiles.images)
    np.savez(f"{path}.truth.npz", flat=tiles.flat_field, dark=tiles.dark_field)


def fit_own(path: str, darkfield: bool) -> dict[str, Any]:
    """Average the tiles and fit, as the step does."""
    from linumpy_lib.illumination.basic import fit_basic
    from linumpy_lib.illumination.cosines import evaluate

    images = np.load(path)
    count, height, width = images.shape
    fit_basic(images[:8, :32, :32])
    found: list[Any] = []

    def work() -> None:
        pool = images.reshape(count, 64, height // 64, 64, width // 64).mean(axis=(2, 4), dtype=np.float32)
        darkest = np.percentile(pool, 10, axis=0).astype(np.float32) if darkfield else None
        found.append(fit_basic(pool, darkfield=darkfield, darkest=darkest))

    wall, cpu = measure_inside(work)
    fit = found[-1]
    flat, dark = (evaluate(field, fit.grid, (height, width)) for field in (fit.flat, fit.dark))
    return {"wall_s": wall, "cpu_s": cpu, "iterations": fit.iterations, **_errors(path, flat, dark)}


def _errors(path: str, flat: Any, dark: Any) -> dict[str, float]:
    truth = np.load(f"{path}.truth.npz")
    return {
        "flat_rms": float(np.sqrt(np.mean((flat / flat.mean() - truth["flat"]) ** 2))),
        "dark_mean": float(np.mean(dark)),
        "true_dark_mean": float(truth["dark"].mean()),
    }


def _fit_peer(python: str, path: str, darkfield: bool, threads: int) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
    words = [python, "-c", _PEER, path, str(darkfield), str(threads)]
    output = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    wall, cpu = json.loads(output.splitlines()[-1])
    fields = np.load(f"{path}.peer.npz")
    return {"wall_s": wall, "cpu_s": cpu, **_errors(path, fields["flat"], fields["dark"])}


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="40 tiles of 128 x 128 pixels")
    parser.add_argument("--peer-python", metavar="PATH", default=os.environ.get("BASICPY_PYTHON"))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", metavar="PATH")
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS=str(options.threads), OPENBLAS_NUM_THREADS=str(options.threads))
    count, edge = (40, 128) if options.quick else (200, 256)
    rows: list[dict[str, Any]] = []
    print(f"{count} tiles of {edge} x {edge}, {options.threads} threads; rms error of the flat field (its mean is 1)")
    with tempfile.TemporaryDirectory(prefix="bench_illumination_") as folder:
        for content in ("cells", "tissue"):
            path = str(Path(folder, f"{content}.npy"))
            measure(
                "bench.bench_illumination:prepare",
                {"path": path, "count": count, "edge": edge, "content": content},
                repeat=1,
            )
            for darkfield in (False, True):
                runs = [
                    measure("bench.bench_illumination:fit_own", {"path": path, "darkfield": darkfield}, repeat=1).result
                    for _ in range(options.repeat)
                ]
                what = f"{content}, flat + dark field" if darkfield else f"{content}, flat field"
                own = min(runs, key=lambda run: run["wall_s"])
                rows.append({"what": what, "who": "this package", **own})
                _tell(rows[-1])
                if options.peer_python:
                    peers = [
                        _fit_peer(options.peer_python, path, darkfield, options.threads)
                        for _ in range(min(options.repeat, 2))
                    ]
                    peer = min(peers, key=lambda run: run["wall_s"])
                    ratios = {f"{k}_ratio": peer[f"{k}_s"] / own[f"{k}_s"] for k in ("wall", "cpu")}
                    rows.append({"what": what, "who": "basicpy", **peer, **ratios})
                    _tell(rows[-1])
    if options.json:
        write_json(options.json, rows)


def _tell(row: dict[str, Any]) -> None:
    figures = f"{row['wall_s']:7.2f} s wall {row['cpu_s']:7.2f} s CPU  rms {row['flat_rms']:.4f}"
    figures += f"  dark {row['dark_mean']:7.1f} of {row['true_dark_mean']:.1f}"
    if "wall_ratio" in row:
        figures += f"  ours {row['wall_ratio']:.0f}x faster, {row['cpu_ratio']:.0f}x less CPU"
    print(f"{row['what']:26s} {row['who']:14s} {figures}", flush=True)


if __name__ == "__main__":
    main()
