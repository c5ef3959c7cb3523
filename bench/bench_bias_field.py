"""N4: the fit against SimpleITK on the same grid and cores, the division against a plain copy, and peak memory.

python -m bench.bench_bias_field [--quick] [--json results.json] [--repeat 3] [--no-peers]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import measure, measure_inside, write_json

_SHRINK = 4
_ITERATIONS = [50, 50, 50, 50]
_LATTICES = ((4, 4, 4), (20, 51, 51))


def prepare(path: str, shape: list[int]) -> None:
    """Save a phantom: three classes, 5 % noise, a smooth field; volume, mask and field."""
    rng = np.random.default_rng(0)
    z, y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    centres, radii = rng.uniform(-0.8, 0.8, (40, 3)).astype(np.float32), rng.uniform(0.1, 0.35, 40)
    levels = rng.choice([0.5, 1.8], 40)
    volume = np.lib.format.open_memmap(f"{path}.npy", "w+", np.float32, tuple(shape))
    mask = np.lib.format.open_memmap(f"{path}_mask.npy", "w+", bool, tuple(shape))
    bias = np.lib.format.open_memmap(f"{path}_bias.npy", "w+", np.float32, tuple(shape))
    for k in range(shape[0]):
        tissue = np.ones(shape[1:], np.float32)
        for (cz, cy, cx), radius, level in zip(centres, radii, levels, strict=True):
            tissue[(z[k] - cz) ** 2 + (y[:, None] - cy) ** 2 + (x - cx) ** 2 < radius**2] = level
        field = np.exp(0.3 * np.sin(1.5 * x + 0.3) * np.cos(y[:, None]) + 0.25 * y[:, None] * z[k])
        grain = np.maximum(1 + 0.05 * rng.standard_normal(shape[1:], np.float32), 0.05)
        volume[k], bias[k] = 1000 * tissue * field * grain, field
        mask[k] = z[k] ** 2 + y[:, None] ** 2 + x**2 < 0.95


def _arguments(points: list[int], shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "shrink_factor": _SHRINK,
        "n_iterations": _ITERATIONS,
        "spline_distance_mm": 10.0,
        "voxel_size_mm": tuple(10.0 * k / n for k, n in zip(points, shape, strict=True)),
        "max_control_points": None,
    }


def _score(path: str, field: Any, shape: tuple[int, ...], log_field: Any) -> dict[str, float]:
    from linumpy_lib.intensity.field import FitGrid
    from linumpy_lib.intensity.fitting import take_nodes

    grid = FitGrid.of(shape, _SHRINK)
    inside = take_nodes(np.load(f"{path}_mask.npy"), grid)
    left = take_nodes(np.load(f"{path}_bias.npy"), grid)[inside] / np.exp(log_field[inside])
    np.save(f"{path}_{field}.npy", log_field)
    return {"cv_left": float(left.std() / left.mean())}


def fit_own(path: str, points: list[int], threads: int) -> dict[str, Any]:
    """Fit with compiled loops; the kernels are loaded before the clock starts, as SimpleITK's code is."""
    from linumpy_lib.intensity.bias_field import fit_bias_field
    from linumpy_lib.intensity.fitting import take_nodes

    volume, mask = np.load(f"{path}.npy"), np.load(f"{path}_mask.npy")
    fit_bias_field(volume[:16, :32, :32], **_arguments(points, (16, 32, 32)))
    found: list[Any] = []
    cost = min(
        measure_inside(
            lambda: found.append(fit_bias_field(volume, mask, threads=threads, **_arguments(points, volume.shape)))
        )
        for _ in range(3)
    )
    field = found[-1]
    at_nodes = take_nodes(field.log(), field.grid)
    return {
        "wall_s": cost[0],
        "cpu_s": cost[1],
        "iterations": sum(level.iterations for level in field.levels),
        **_score(path, f"own_{points[0]}", volume.shape, at_nodes),
    }


def fit_itk(path: str, points: list[int], threads: int) -> dict[str, Any]:
    """Fit with SimpleITK."""
    from linumpy_lib.intensity.field import FitGrid
    from linumpy_lib.intensity.fitting import sample
    from linumpy_lib.intensity.n4_itk import itk_log_bias

    volume, mask = np.load(f"{path}.npy"), np.load(f"{path}_mask.npy")
    values, inside = sample(volume, mask, FitGrid.of(volume.shape, _SHRINK))
    found: list[Any] = []
    wall, cpu = measure_inside(
        lambda: found.append(itk_log_bias(values, inside, points, _ITERATIONS, convergence=1e-3, threads=threads))
    )
    own = Path(f"{path}_own_{points[0]}.npy")
    agreement = float(np.corrcoef(np.load(own)[inside], found[0][inside])[0, 1]) if own.exists() else None
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "correlation": agreement,
        **_score(path, f"itk_{points[0]}", volume.shape, found[0]),
    }


def divide(path: str, threads: int) -> dict[str, Any]:
    """Divide by a field at full resolution, against copying the same bytes."""
    from linumpy_lib.intensity.bias_field import fit_bias_field

    volume, out = np.load(f"{path}.npy"), np.load(f"{path}.npy")
    field = fit_bias_field(volume, **{**_arguments([4, 4, 4], volume.shape), "n_iterations": [3, 1]})
    field.correct(volume, out=out, threads=threads)
    copy = min(measure_inside(lambda: np.copyto(out, volume)) for _ in range(9))
    cost = min(measure_inside(lambda: field.correct(volume, out=out, threads=threads)) for _ in range(9))
    in_place = min(measure_inside(lambda: field.correct(out, out=out, threads=threads)) for _ in range(9))
    return {
        "wall_s": cost[0],
        "cpu_s": cost[1],
        "copy_s": copy[0],
        "over_copy": cost[0] / copy[0],
        "in_place_over_copy": in_place[0] / copy[0],
    }


def memory(path: str, in_place: bool) -> dict[str, Any]:
    """Load a volume, and correct it in place: peak memory is read by the parent."""
    from linumpy_lib.intensity.bias_field import fit_bias_field

    warm = np.ones((16, 32, 32), np.float32)
    fit_bias_field(warm).correct(warm, out=warm)
    volume = np.load(f"{path}.npy")
    if in_place:
        mask = np.load(f"{path}_mask.npy", mmap_mode="r")
        field = fit_bias_field(volume, mask, **_arguments([4, 4, 4], volume.shape))
        field.correct(volume, out=volume, threads=2)
    return {"input_mb": volume.nbytes / 2**20}


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small volume")
    parser.add_argument("--repeat", type=int, default=1, help="processes for each row of our own")
    parser.add_argument("--json", metavar="PATH")
    parser.add_argument("--no-peers", action="store_true", help="skip SimpleITK, which takes minutes")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    shape = [48, 96, 96] if arguments.quick else [200, 512, 512]
    rows: list[dict[str, Any]] = []
    print(f"volume {shape} float32, shrink {_SHRINK}, {len(_ITERATIONS)} levels x 50, {arguments.threads} threads")
    with tempfile.TemporaryDirectory(prefix="bench_bias_") as name:
        path = str(Path(name) / "phantom")
        measure("bench.bench_bias_field:prepare", {"path": path, "shape": shape}, repeat=1)

        def run(function: str, **more: Any) -> tuple[dict[str, Any], float]:
            best: dict[str, Any] | None = None
            peak = 0.0
            for _ in range(1 if function == "fit_itk" else arguments.repeat):
                one = measure(f"bench.bench_bias_field:{function}", {"path": path, **more}, repeat=1)
                peak = one.peak_mb
                if best is None or one.result.get("cpu_s", 0) < best.get("cpu_s", 0):
                    best = one.result
            assert best is not None
            return best, peak

        for points in _LATTICES[:1] if arguments.quick else _LATTICES:
            common = {"points": list(points), "threads": arguments.threads}
            label = "x".join(map(str, points))
            own, _ = run("fit_own", **common)
            rows.append({"what": f"fit {label}: this package", **own})
            if not arguments.no_peers:
                itk, _ = run("fit_itk", **common)
                gain = {"cpu_ratio": itk["cpu_s"] / own["cpu_s"], "wall_ratio": itk["wall_s"] / own["wall_s"]}
                rows.append({"what": f"fit {label}: SimpleITK", **itk, **gain})
        rows.append({"what": "divide at full resolution", **run("divide", threads=arguments.threads)[0]})
        loaded, base = run("memory", in_place=False)
        _, peak = run("memory", in_place=True)
        over = (peak - base) / loaded["input_mb"]
        rows.append({"what": "memory, fit and divide in place", "peak_mb": peak, "loaded_mb": base, "over_input": over})
    for row in rows:
        figures = "  ".join(f"{k} {v:.4g}" for k, v in row.items() if isinstance(v, int | float))
        print(f"{row['what']:36s} {figures}")
    if arguments.json:
        write_json(arguments.json, rows)
        print(f"written: {json.dumps(arguments.json)}")


if __name__ == "__main__":
    main()
