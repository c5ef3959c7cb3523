"""Register and fuse two opposing views of a known sample, against multiview-stitcher and isoview in the same run.

python -m bench.bench_fusion [--quick] [--no-peer] [--no-memory] [--large] [--threads 2] [--json results.json]

The scenes are the presets of simulate_multiview (256^3; 96^3 with --quick): depth blur, attenuation, noise, gain 0.8,
shift z 2.6, y -5.2, x 7.4 pixels. Ours are the steps register_views and fuse_views on stores, reading and writing
included; multiview-stitcher registers by phase correlation and fuses with content-based weights, from memory. With the
folder of an installed isoview 0.1.0 in ``ISOVIEW_PATH`` its fusion of two cameras runs too, its search narrowed to 12
pixels. NCC, PSNR and SSIM against the truth are of the interior, after the best linear fit of grey values. The last
lines hold the peak memory of both steps on long views of 1024 x 1024 (with --large 2048 x 2048) pixels: it grows with
the planes' size, not with their number.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.isoview_peer import isoview_is_there, prepare_isoview
from bench.measure import measure, measure_inside, write_json

NAMES = ("SPM00_TM000000_CM00_CHN00", "SPM00_TM000000_CM01_CHN00")
FUSED = "SPM00_TM000000_CM00_CM01_CHN00"
SHIFT = np.array([2.6, -5.2, 7.4])
MODES = ("adaptive_blending", "geometric", "wavelet", "average", "quality_weighted")


def prepare(folder: str, preset: str, quick: bool) -> None:
    """Write the truth and both views."""
    from linumpy_lib.io import write_volume
    from linumpy_lib.simulation import simulate_multiview

    sizes = {"shape": "96,96,96"} if quick else {}
    scene = simulate_multiview(preset=preset, **sizes)
    np.save(Path(folder, "truth.npy"), scene.truth)
    for camera, name in enumerate(NAMES):
        view = scene.view(0, camera).volume
        np.save(Path(folder, f"{name}.npy"), view)
        write_volume(Path(folder, f"{name}.ome.zarr"), view, spacing_um=scene.spacing_um, levels=1)


def _register(folder: str, threads: int) -> None:
    from linumpy_lib.cli import execute
    from linumpy_lib.fusion.steps.register_views import STEP

    execute(STEP, [*_pair(folder), "--output", folder, "--processes", str(threads)])


def _fuse(folder: str, mode: str, threads: int) -> None:
    from linumpy_lib.cli import execute
    from linumpy_lib.fusion.steps.fuse_views import STEP

    record, places = (str(Path(folder, f"{FUSED}_{n}")) for n in ("registration.json", "topology.ome.zarr"))
    words = ["--registration", record, "--topology", places, "--fusion_type", mode, "--save_diagnostics", "false"]
    execute(STEP, [*_pair(folder), *words, "--output", str(Path(folder, mode)), "--processes", str(threads)])


def _pair(folder: str) -> list[str]:
    first, second = (str(Path(folder, f"{name}.ome.zarr")) for name in NAMES)
    return ["--reference", first, "--moving", second, "--name", FUSED, "--quiet"]


def fuse_own(folder: str, mode: str, threads: int, register: bool) -> None:
    """Run the steps, as a task of the pipeline does."""
    if register:
        _register(folder, threads)
    _fuse(folder, mode, threads)


def fuse_peer(folder: str) -> dict[str, float]:
    """Register and fuse with multiview-stitcher; its own CPU seconds, imports left out."""
    import warnings

    warnings.simplefilter("ignore")
    from multiview_stitcher import fusion, msi_utils, registration, weights
    from multiview_stitcher import spatial_image_utils as images

    views = [np.load(Path(folder, f"{name}.npy")) for name in NAMES]
    unit = dict.fromkeys("zyx", 1.0)
    zero = dict.fromkeys("zyx", 0.0)
    sims = [
        images.get_sim_from_array(view, dims=list("zyx"), scale=unit, translation=zero, transform_key="stage")
        for view in views
    ]
    found: list[Any] = []

    def work() -> None:
        msims = [msi_utils.get_msim_from_sim(sim, scale_factors=[]) for sim in sims]
        registration.register(msims, transform_key="stage", new_transform_key="registered", reg_channel_index=0)
        parts = [msi_utils.get_sim_from_msim(m) for m in msims]
        fused = fusion.fuse(
            parts,
            transform_key="registered",
            weights_func=weights.content_based,
            output_spacing=unit,
            output_origin=zero,
            output_shape=dict(zip("zyx", views[0].shape, strict=True)),
        )
        found.append(np.asarray(fused.data).reshape(views[0].shape))

    wall, cpu = measure_inside(work)
    np.save(Path(folder, "peer.npy"), found[-1])
    return {"wall_s": wall, "cpu_s": cpu}


def fuse_isoview(folder: str) -> dict[str, float]:
    """Register and fuse with isoview's function for a pair of cameras; its own CPU seconds, imports left out."""
    prepare_isoview()
    from isoview import fusion
    from isoview.config import ProcessingConfig

    views = dict(enumerate(np.load(Path(folder, f"{name}.npy")) for name in NAMES))
    found: list[Any] = []
    fusion._find_volume_file = lambda *words: Path(f"camera_{words[3]}")
    fusion._find_mask_file = lambda *words: None
    fusion.read_volume = lambda path: views[int(path.name[-1])]
    fusion.write_volume = lambda volume, path: found.append(volume)
    near = (-12, 12, 2)  # within its default range of 50 px it settles on shifts of 40 px
    config = ProcessingConfig(
        input_dir=Path(folder),
        output_dir=Path(folder, "isoview"),
        timepoints=[0],
        fusion_search_offsets_x=near,
        fusion_search_offsets_y=near,
    )
    words = (Path(folder), Path(folder, "isoview"), 0, 0, 0, 1, 0, config, True, True, True)
    with contextlib.redirect_stdout(io.StringIO()):
        wall, cpu = measure_inside(lambda: fusion._fuse_camera_pair(*words))
    np.save(Path(folder, "isoview.npy"), found[-1])
    return {"wall_s": wall, "cpu_s": cpu}


def judge(folder: str, what: str) -> list[float]:
    """NCC, PSNR [dB] and SSIM of a result, a view, or the better view."""
    from skimage.metrics import structural_similarity

    from linumpy_lib.io import open_volume

    if what in MODES:
        volume = open_volume(Path(folder, what, f"{FUSED}.ome.zarr")).read()
    else:
        volume = np.load(Path(folder, f"{what}.npy"))
    box = (slice(12, -12),) * 3
    x, t = volume[box].astype(np.float64), np.load(Path(folder, "truth.npy"))[box].astype(np.float64)
    slope, intercept = np.polyfit(x.ravel(), t.ravel(), 1)
    fit, span = slope * x + intercept, float(t.max() - t.min())
    ncc = float(np.corrcoef(x.ravel(), t.ravel())[0, 1])
    psnr = float(10 * np.log10(span**2 / np.mean((fit - t) ** 2)))
    return [ncc, psnr, float(structural_similarity(t.astype("f4"), fit.astype("f4"), data_range=span))]


def long_view(folder: str, shape: list[int], threads: int) -> None:
    """Write two long views, block by block, and run both steps on them."""
    from linumpy_lib.io import write_volume
    from linumpy_lib.io.lazy import LazyArray

    for k, name in enumerate(NAMES):
        source = LazyArray(_Specks(k, (shape[0], shape[1], shape[2])))
        write_volume(Path(folder, f"{name}.ome.zarr"), source, spacing_um=(1, 1, 1), levels=1)
    _register(folder, threads)
    _fuse(folder, "quality_weighted", threads)


class _Specks:
    """A source of smooth random specks, the second view's shifted by two pixels along x."""

    dtype: np.dtype[Any] = np.dtype(np.uint16)
    chunks: tuple[int, ...] | None = None

    def __init__(self, view: int, shape: tuple[int, int, int]) -> None:
        self.shape: tuple[int, ...] = shape
        rng = np.random.default_rng(1)
        self._tile = np.kron(rng.integers(200, 3000, (24, 32, 32)), np.ones((4, 4, 4))).astype(np.uint16)
        self._move = 2 * view

    def read(self, region: tuple[slice, ...]) -> Any:
        """Return a box."""
        z, y, x = (np.arange(s.start, s.stop) for s in region)
        n = self._tile.shape
        hashed = self._tile[np.ix_(z % n[0], y % n[1], (x + self._move) % n[2])]
        ny, nx = self.shape[1:]
        lit = (np.hypot((y[:, None] / ny - 0.5) / 0.39, ((x[None] + self._move) / nx - 0.5) / 0.37) < 1)[None]
        return np.where(lit, hashed, 110).astype(np.uint16)


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="views of 96^3")
    parser.add_argument("--scenes", nargs="*", default=["opposing", "noisy"], choices=["opposing", "noisy"])
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--large", action="store_true", help="measure memory with planes of 2048 x 2048 pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", metavar="PATH")
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS=str(options.threads), OPENBLAS_NUM_THREADS=str(options.threads))
    rows: list[dict[str, Any]] = []
    for preset in options.scenes:
        with tempfile.TemporaryDirectory(prefix="bench_fusion_") as folder:
            place = {"folder": folder}
            measure("bench.bench_fusion:prepare", {**place, "preset": preset, "quick": options.quick}, repeat=1)
            # Registration once, with the mode that is compared; the other modes use it.
            base = {**place, "threads": options.threads}
            run = measure("bench.bench_fusion:fuse_own", {**base, "mode": MODES[-1], "register": True}, repeat=1)
            record = json.loads(Path(folder, f"{FUSED}_registration.json").read_text())["transform"]
            error = np.array([record[f"{axis}_offset"] for axis in "zyx"]) + SHIFT
            turned = {"shift_error_px": np.abs(error).round(4).tolist(), "rotation_deg": record["rotation"]}
            _tell(rows, preset, "both steps, " + MODES[-1], judge(folder, MODES[-1]), run.wall_s, run.cpu_s, **turned)
            own = run
            for mode in MODES[:-1]:
                run = measure("bench.bench_fusion:fuse_own", {**base, "mode": mode, "register": False}, repeat=1)
                _tell(rows, preset, f"fuse only, {mode}", judge(folder, mode), run.wall_s, run.cpu_s)
            for name in NAMES:
                _tell(rows, preset, f"view alone, {name[15:19]}", judge(folder, name))
            peers = {} if options.no_peer else {"multiview-stitcher": ("fuse_peer", "peer")}
            if peers and isoview_is_there():
                peers["isoview"] = ("fuse_isoview", "isoview")
            for who, (function, result) in peers.items():
                peer = measure(f"bench.bench_fusion:{function}", place, repeat=1).result
                ratios = {"cpu_ratio": peer["cpu_s"] / own.cpu_s, "wall_ratio": peer["wall_s"] / own.wall_s}
                _tell(rows, preset, who, judge(folder, result), peer["wall_s"], peer["cpu_s"], **ratios)
    for planes in () if options.no_memory else (96, 192):
        width = 2048 if options.large else 1024
        with tempfile.TemporaryDirectory(prefix="bench_fusion_") as folder:
            place = {"folder": folder, "shape": [planes, width, width], "threads": options.threads}
            run = measure("bench.bench_fusion:long_view", place, repeat=1)
            rows.append({"scene": "long", "shape": place["shape"], "peak_mb": run.peak_mb, "cpu_s": run.cpu_s})
            print(f"{planes} x {width} x {width}: {run.cpu_s:.1f} s CPU, peak {run.peak_mb:.0f} MB", flush=True)
    if options.json:
        write_json(options.json, rows)


def _tell(
    rows: list[dict[str, Any]],
    scene: str,
    who: str,
    figures: list[float],
    wall: float = 0,
    cpu: float = 0,
    **more: Any,
) -> None:
    ncc, psnr, ssim = figures
    rows.append(
        {"scene": scene, "who": who, "ncc": ncc, "psnr": psnr, "ssim": ssim, "wall_s": wall, "cpu_s": cpu} | more
    )
    told = "  ".join(f"{k} {v:.1f}x" if k.endswith("ratio") else f"{k} {v}" for k, v in more.items())
    cost = f"{wall:6.1f} s wall {cpu:6.1f} s CPU" if wall else " " * 28
    print(f"{scene:9s} {who:28s} NCC {ncc:.4f} PSNR {psnr:5.2f} SSIM {ssim:.4f} {cost}  {told}", flush=True)


if __name__ == "__main__":
    main()
