"""Structure-tensor maps in memory: ours against structure-tensor, scikit-image and NumPy (LAPACK).

Ours computes six measures and both direction fields; structure-tensor computes eigenvalues and one vector (NaN on
axis-aligned phantoms), scikit-image eigenvalues alone, NumPy everything. Each runs in a fresh process, imports and the
loading of compiled kernels apart; minimum of the repetitions. The limit is what the arithmetic of the separable
filters, the solver and the measures costs without any memory traffic, about 25 CPU ns per voxel.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from bench.measure import Measurement, measure, measure_inside, write_json

SIGMA, RHO = 1.0, 2.0
LIMIT_NS = 25.0
THREADS = 2
BLOCK = (128, 256, 256)


def _volume(size: int, dtype: str = "float32") -> Any:
    noise = np.random.default_rng(0).random((size,) * 3, dtype=np.float32)
    return noise if dtype == "float32" else (noise * 255).astype(dtype)


def _report(function: Any, voxels: int, **more: Any) -> dict[str, Any]:
    wall, cpu = measure_inside(function)
    return {"wall_s": wall, "cpu_s": cpu, "ns_per_voxel": cpu / voxels * 1e9, **more}


def own(size: int, dtype: str = "float32") -> dict[str, Any]:
    """Measure `anisotropy_block` on a whole volume: float16 measures, both direction fields, mask."""
    from linumpy_lib.anisotropy import AnisotropyPlan, anisotropy_block

    volume, plan, whole = _volume(size, dtype), AnisotropyPlan(), (slice(None),) * 3
    start = time.perf_counter()
    anisotropy_block(volume[:8, :8, :8], whole, plan)
    warm_s = time.perf_counter() - start
    return _report(lambda: anisotropy_block(volume, whole, plan, threads=THREADS), size**3, warm_s=warm_s)


def own_array(size: int) -> dict[str, Any]:
    """Measure `compute_anisotropy`: everything in float32, eigenvalues too."""
    from linumpy_lib.anisotropy import compute_anisotropy

    volume = _volume(size)
    compute_anisotropy(volume[:8, :8, :8], device="cpu")
    return _report(lambda: compute_anisotropy(volume, SIGMA, RHO, device="cpu", threads=THREADS), size**3)


def own_stream(dtype: str = "uint8") -> dict[str, Any]:
    """Measure one block with its halo, arrays reused, as a streaming step calls it."""
    from linumpy_lib.anisotropy import AnisotropyPlan, allocate_block, anisotropy_block

    plan = AnisotropyPlan()
    shape = tuple(n + 2 * h for n, h in zip(BLOCK, plan.halo, strict=True))
    block = (np.random.default_rng(0).random(shape, dtype=np.float32) * 255).astype(dtype)
    inner = (slice(plan.halo[0], -plan.halo[0]), slice(plan.halo[1], -plan.halo[1]), slice(plan.halo[2], -plan.halo[2]))
    out = allocate_block(BLOCK, plan)
    anisotropy_block(block, inner, plan, threads=THREADS, out=out)
    return _report(
        lambda: anisotropy_block(block, inner, plan, threads=THREADS, out=out), BLOCK[0] * BLOCK[1] * BLOCK[2]
    )


def structure_tensor(size: int) -> dict[str, Any]:
    """Measure the structure-tensor package."""
    from structure_tensor import eig_special_3d, structure_tensor_3d

    volume = _volume(size)
    return _report(lambda: eig_special_3d(structure_tensor_3d(volume, SIGMA, RHO)), size**3)


def scikit_image(size: int) -> dict[str, Any]:
    """Measure scikit-image: Sobel gradient, eigenvalues alone."""
    from skimage.feature import structure_tensor, structure_tensor_eigenvalues

    volume = _volume(size)
    return _report(lambda: structure_tensor_eigenvalues(structure_tensor(volume, sigma=RHO, mode="nearest")), size**3)


def numpy_eigh(size: int) -> dict[str, Any]:
    """Measure scipy filters and LAPACK, with all measures."""
    from linumpy_lib.anisotropy import anisotropy_measures
    from linumpy_lib.anisotropy import structure_tensor as tensor_of

    volume = _volume(size)

    def run() -> None:
        zz, yy, xx, zy, zx, yx = tensor_of(volume, SIGMA, RHO, device="cpu")
        matrices = np.stack([np.stack(r, -1) for r in ((zz, zy, zx), (zy, yy, yx), (zx, yx, xx))], -2)
        values, _ = np.linalg.eigh(matrices)
        anisotropy_measures(np.moveaxis(values[..., ::-1], -1, 0))

    return _report(run, size**3)


def _best(function: str, repeat: int, **arguments: Any) -> Measurement:
    """Keep the minimum of each figure over fresh processes."""
    runs = [measure(f"bench.bench_anisotropy:{function}", arguments, repeat=1) for _ in range(repeat)]
    result = {key: min(run.result[key] for run in runs) for key in runs[0].result}
    return Measurement(result["wall_s"], result["cpu_s"], min(run.peak_mb for run in runs), result)


def _row(name: str, size: str, cost: Measurement, peer: Measurement | None = None) -> dict[str, Any]:
    ns = cost.result["ns_per_voxel"]
    row = {"name": name, "size": size, "peak_mb": cost.peak_mb, **cost.result, "limit_fraction": LIMIT_NS / ns}
    line = f"{name:44s} {size:>12s} {cost.wall_s:8.3f} {cost.cpu_s:8.3f} {ns:7.1f}"
    line += f" {LIMIT_NS / ns:6.0%} {cost.peak_mb:8.0f}"
    if peer is not None:
        row |= {"cpu_ratio": peer.cpu_s / cost.cpu_s, "wall_ratio": peer.wall_s / cost.wall_s}
        line += f"   {row['cpu_ratio']:5.1f}x {row['wall_ratio']:5.1f}x"
    print(line, flush=True)
    return row


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="128^3 alone, one repetition")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", metavar="PATH")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    arguments = parser.parse_args()
    repeat = 1 if arguments.quick else arguments.repeat
    sizes = [128] if arguments.quick else [256, 512]
    rows: list[dict[str, Any]] = []
    print(f"sigma {SIGMA}, rho {RHO}, {THREADS} threads, minimum of {repeat}; last: CPU and wall ratio to the peer")
    print(f"{'':44s} {'size':>12s} {'wall s':>8s} {'CPU s':>8s} {'ns/vox':>7s} {'limit':>6s} {'peak MB':>8s}")
    for size in sizes:
        label = f"{size}^3"
        peer = None
        if not arguments.no_peers:
            peer = _best("structure_tensor", repeat, size=size)
            rows.append(_row("structure-tensor (eigenvalues, one vector)", label, peer))
        rows.append(_row("ours, float16 maps and directions", label, _best("own", repeat, size=size), peer))
        rows.append(_row("ours, uint8 input", label, _best("own", repeat, size=size, dtype="uint8"), peer))
        if size <= 256:
            rows.append(_row("ours, compute_anisotropy (float32)", label, _best("own_array", repeat, size=size), peer))
            if not arguments.no_peers:
                rows.append(_row("scikit-image (eigenvalues)", label, _best("scikit_image", 1, size=size)))
                rows.append(_row("scipy + numpy eigh (everything)", label, _best("numpy_eigh", 1, size=size)))
    stream = "x".join(map(str, BLOCK))
    rows.append(_row("ours, uint8 block with halo, arrays reused", stream, _best("own_stream", repeat)))
    if arguments.json:
        write_json(arguments.json, rows)


if __name__ == "__main__":
    main()
