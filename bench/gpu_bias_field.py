"""N4 on a CUDA device, on the CPU and in SimpleITK, in one run and with the same settings: `make bench-gpu`.

python -m bench.gpu_bias_field [--device cuda] [--shapes 64x128x128@2,...] [--itk-seconds 60] [--json results.json]

Seconds are those of everything between a volume in memory and the corrected volume and the field in memory, copies to
and from the device included; the fit's share is told beside. SimpleITK fits only, on the same grid: it is left out
where what it took per node before would make it exceed --itk-seconds.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.measure import fastest, measure_inside, write_json

_ITERATIONS = [40, 40, 40]
_POINTS = (4, 6, 6)
_SHAPES = "64x128x128@2,128x256x256@2,128x512x512@4,256x512x512@4,128x1024x1024@4,256x1024x769@4"


def phantom(shape: tuple[int, int, int], threads: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Three classes, 5 % noise, a smooth field: volume, mask and field."""
    rng = np.random.default_rng(0)
    z, y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    centres, radii = rng.uniform(-0.8, 0.8, (40, 3)).astype(np.float32), rng.uniform(0.1, 0.35, 40)
    levels = rng.choice([0.5, 1.8], 40)
    volume, bias = np.empty(shape, np.float32), np.empty(shape, np.float32)
    mask = np.empty(shape, bool)

    def plane(k: int) -> None:
        tissue = np.ones(shape[1:], np.float32)
        for (cz, cy, cx), radius, level in zip(centres, radii, levels, strict=True):
            if abs(z[k] - cz) < radius:
                tissue[(z[k] - cz) ** 2 + (y[:, None] - cy) ** 2 + (x - cx) ** 2 < radius**2] = level
        bias[k] = np.exp(0.3 * np.sin(1.5 * x + 0.3) * np.cos(y[:, None]) + 0.25 * y[:, None] * z[k])
        grain = np.maximum(1 + 0.05 * np.random.default_rng(k).standard_normal(shape[1:], np.float32), 0.05)
        volume[k] = 1000 * tissue * bias[k] * grain
        mask[k] = z[k] ** 2 + y[:, None] ** 2 + x**2 < 0.95

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(plane, range(shape[0])))
    return volume, mask, bias


def _run(shape: tuple[int, int, int], shrink: int, options: Any, itk_seconds: float) -> dict[str, Any]:
    from linumpy_lib.intensity.bias_field import fit_bias_field, n4_correct
    from linumpy_lib.intensity.fitting import sample, take_nodes
    from linumpy_lib.intensity.n4_itk import itk_log_bias

    volume, mask, truth = phantom(shape, options.threads)
    settings = {
        "shrink_factor": shrink,
        "n_iterations": _ITERATIONS,
        "spline_distance_mm": 10.0,
        "voxel_size_mm": tuple(10.0 * k / n for k, n in zip(_POINTS, shape, strict=True)),
        "max_control_points": None,
    }
    backend = "gpu" if options.device == "cuda" else "cpu"
    out, bias = np.empty(shape, np.float32), np.empty(shape, np.float32)
    fields: dict[str, Any] = {}

    def whole(which: str, threads: int) -> None:
        n4_correct(volume, mask, backend=which, out=out, bias_out=bias, threads=threads, **settings)

    def fit(which: str, threads: int) -> None:
        fields[which] = fit_bias_field(volume, mask, backend=which, threads=threads, **settings)

    row: dict[str, Any] = {"shape": list(shape), "shrink": shrink}
    row["device_s"] = fastest(lambda: whole(backend, options.threads), options.repeat)
    row["device_fit_s"] = fastest(lambda: fit(backend, options.threads), options.repeat)
    ours = fields.pop(backend)
    row["cpu_fit_s"] = fastest(lambda: fit("cpu", options.threads), 1)
    row["cpu_s"] = fastest(lambda: whole("cpu", options.threads), 1)
    grid = ours.grid
    values, inside = sample(volume, mask, grid)
    here, there = (take_nodes(f.log(threads=options.threads), grid)[inside] for f in (fields["cpu"], ours))
    true = np.log(take_nodes(truth, grid)[inside])
    row["cpu_difference"] = float(np.abs(here - there).max())
    row["cv_before"], row["cv"] = _spread(true), _spread(true - there)
    row["iterations"] = sum(level.iterations for level in ours.levels)
    row["itk_s"] = row["itk_correlation"] = row["itk_cv"] = None
    if itk_seconds > 0:
        found: list[Any] = []
        row["itk_s"], row["itk_cpu_s"] = measure_inside(
            lambda: found.append(
                itk_log_bias(values, inside, _POINTS, _ITERATIONS, convergence=1e-3, threads=options.threads)
            )
        )
        row["itk_correlation"] = float(np.corrcoef(there, found[0][inside])[0, 1])
        row["itk_cv"] = _spread(true - found[0][inside])
    row["nodes"] = int(np.prod(grid.nodes))
    return row


def _spread(log_left: npt.NDArray[Any]) -> float:
    left = np.exp(log_left)
    return float(left.std() / left.mean())


def main() -> None:
    """Run the table."""
    from linumpy_lib.device import get_device
    from linumpy_lib.threads import available_threads

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument(
        "--shapes", default=_SHAPES, help="planes x rows x columns @ shrink factor, separated by commas"
    )
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--threads", type=int, default=available_threads(), help="of the CPU's loops and SimpleITK")
    parser.add_argument("--itk-seconds", type=float, default=60, help="most that SimpleITK may take for one volume")
    parser.add_argument("--json", metavar="PATH")
    options = parser.parse_args()
    print(f"N4, {get_device(options.device).description}; {_ITERATIONS} iterations, {_POINTS} control points")
    print(
        f"{'volume':>14s} {'device s':>9s} {'fit':>6s} {'CPU s':>7s} {'fit':>6s} {'ITK fit s':>9s} {'faster':>7s}",
        end="",
    )
    print(f" {'r with ITK':>10s} {'CV ours':>8s} {'CV ITK':>8s} {'to CPU':>8s}")
    rows: list[dict[str, Any]] = []
    per_node = 0.0
    for text in options.shapes.split(","):
        size, _, factor = text.partition("@")
        z, y, x = (int(n) for n in size.split("x"))
        shrink = int(factor or 4)
        expected = per_node * z * y * x / shrink**3
        row = _run((z, y, x), shrink, options, 0 if expected > options.itk_seconds else options.itk_seconds)
        rows.append(row)
        figures = f"{row['device_s']:9.3f} {row['device_fit_s']:6.2f} {row['cpu_s']:7.2f} {row['cpu_fit_s']:6.2f}"
        if row["itk_s"] is None:
            figures += f" {'-':>9s} {'-':>7s} {'-':>10s} {row['cv']:8.4f} {'-':>8s}"
        else:
            per_node = row["itk_s"] / row["nodes"]
            figures += f" {row['itk_s']:9.2f} {row['itk_s'] / row['device_s']:6.1f}x {row['itk_correlation']:10.6f}"
            figures += f" {row['cv']:8.4f} {row['itk_cv']:8.4f}"
        print(f"{size:>14s} {figures} {row['cpu_difference']:8.1e}", flush=True)
        if options.json:
            write_json(options.json, rows)


if __name__ == "__main__":
    main()
