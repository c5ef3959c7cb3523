"""Corrections of a multi-view recording: against the peer, and a view that is larger than the memory it may take.

python -m bench.bench_fusion_correction [--quick] [--large] [--json results.json]

With the folder of an installed isoview 0.1.0 in
``ISOVIEW_PATH`` its own functions run on the same view in the same run; without it the report says that it was absent.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.isoview_peer import isoview_is_there, prepare_isoview
from bench.measure import fastest, measure, measure_inside, write_json

SHAPE = (100, 1024, 1024)
LARGE = (543, 2048, 2048)
DARK = 95.0


def scene(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    """Return a noisy view with a bright middle and a few hot pixels, plane by plane as a camera would."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[1], : shape[2]]
    spot = np.exp(-(((y / shape[1] - 0.5) ** 2 + (x / shape[2] - 0.5) ** 2) / 0.04)).astype(np.float32)
    noise = rng.standard_normal((shape[1], shape[2]), np.float32)
    hot = rng.integers(0, min(shape[1:]), (30, 2))
    view = np.empty(shape, np.uint16)
    for z in range(shape[0]):
        depth = np.exp(-((z / shape[0] - 0.5) ** 2) / 0.05)
        plane = 100 + 800 * depth * spot
        plane += np.sqrt(plane) * np.roll(noise, (37 * z, 91 * z), (0, 1))
        view[z] = plane
        view[z, hot[:, 0], hot[:, 1]] = 9000
    return view


def own_correction(view: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Dead pixels, background, mask and coordinate masks, as the step does them, in memory."""
    from linumpy_lib.fusion.bands import bands
    from linumpy_lib.fusion.view_correction import CorrectionChoices, ViewCorrection
    from linumpy_lib.fusion.view_geometry import TurnedView
    from linumpy_lib.io.lazy import ArraySource, LazyArray

    out = np.empty_like(view)
    with bands(threads) as rows:
        correction = ViewCorrection(
            TurnedView(LazyArray(ArraySource(view))), CorrectionChoices(background_value=DARK), rows
        )
        correction.examine()
        for slab in correction.slabs(64):
            out[slab.first : slab.first + len(slab.planes)] = slab.planes
        assert correction.found.coordinates is not None
        correction.found.coordinates.masks()
    return out


def peer_correction(view: np.ndarray) -> np.ndarray:
    """Do the same with the peer's functions, in the order of its pipeline."""
    prepare_isoview()
    from isoview.corrections import correct_dead_pixels, estimate_background
    from isoview.segmentation import create_coordinate_masks, segment_foreground

    clean = correct_dead_pixels(view, DARK, (3, 3))
    estimate_background(clean)
    mask = segment_foreground(clean, 2.0, 5, 0.4, 1.0, 1.0)
    out = clean * mask
    create_coordinate_masks(mask)
    out.max(axis=0)
    return out


def write_large(path: Path, planes: int = LARGE[0]) -> None:
    """Write a recording of one view of 2048 x 2048 pixels."""
    folder = path / "SPM00" / "TM00000" / "ANG000"
    folder.mkdir(parents=True)
    block = scene((20, *LARGE[1:]))
    with (folder / "SPC00_TM00000_ANG000_CM0_CHN00_PH0.stack").open("wb") as file:
        for first in range(0, planes, 20):
            file.write(block[: min(20, planes - first)].tobytes())
    (folder.parent / "ch0.xml").write_text(
        f'<push_config><info dimensions="2048x2048x{planes}" z_step="2.0" camera_index="0" '
        'detection_objective="16x/0.8"/></push_config>'
    )


def run_step(folder: str, threads: int = 2) -> dict[str, Any]:
    """Run the step on the large view as a task of the pipeline would."""
    from linumpy_lib.cli import execute
    from linumpy_lib.fusion.discovery import discover
    from linumpy_lib.fusion.parameters.selection import SelectionParameters
    from linumpy_lib.fusion.steps.correct_view import STEP

    raw = Path(folder)
    view = discover(raw, SelectionParameters())[0]
    document = raw / f"{view.stem}.json"
    document.write_text(json.dumps(view.as_json(raw)))
    words = ["--view", str(document), "--recording", str(raw), "--output", str(raw / "out"), "--quiet"]
    execute(STEP, [*words, "--name", view.stem, "--processes", str(threads)])
    metrics = json.loads((raw / "out" / f"{view.stem}_correct_view_metrics.json").read_text())
    return {"foreground_share": metrics["metrics"]["foreground_share"]["value"]}


def klb_speed(shape: tuple[int, ...] = (64, 768, 768)) -> dict[str, float]:
    """Decode a KLB file, and its blocks by the codec alone on as many threads."""
    import bz2
    import zlib
    from concurrent.futures import ThreadPoolExecutor

    from linumpy_lib.io import open_volume
    from linumpy_lib.io.klb import read_klb_header
    from linumpy_lib.io.klb_writing import write_klb
    from linumpy_lib.threads import available_threads

    view, threads, figures = scene(shape), available_threads(), {}
    with tempfile.TemporaryDirectory() as folder:
        for name, decode in (("bzip2", bz2.decompress), ("zlib", zlib.decompress)):
            path = Path(folder) / f"{name}.klb"
            write_klb(path, view, compression=name)
            _, bounds = read_klb_header(path)
            data = path.read_bytes()
            parts = [data[int(a) : int(b)] for a, b in itertools.pairwise(bounds)]
            with ThreadPoolExecutor(threads) as pool:
                codec = fastest(lambda decode=decode, parts=parts: list(pool.map(decode, parts)), 2)
            own = fastest(lambda path=path: open_volume(path, threads=threads).read(), 2)
            figures |= {f"{name}_codec_s": codec, f"{name}_read_s": own, f"{name}_share_of_codec": codec / own}
    return figures


def run(*, quick: bool = False, large: bool = False, repeat: int = 2) -> list[dict[str, Any]]:
    """Run everything and return rows of figures."""
    view = scene((40, 512, 512) if quick else SHAPE)
    own = fastest(lambda: own_correction(view), repeat)
    wall, cpu = measure_inside(lambda: own_correction(view, 1))
    row: dict[str, Any] = {"what": "correction", "shape": list(view.shape), "own_s": own, "own_one_thread_cpu_s": cpu}
    if isoview_is_there():
        results: list[np.ndarray] = []
        wall, cpu = measure_inside(lambda: results.append(peer_correction(view)))
        differing = int(np.count_nonzero(results[0] != own_correction(view)))
        row |= {"peer": "isoview 0.1.0", "peer_s": wall, "peer_cpu_s": cpu, "times_faster": wall / own}
        row |= {"times_less_cpu": cpu / row["own_one_thread_cpu_s"], "differing_voxels": differing}
    else:
        row["peer"] = "absent (install isoview 0.1.0 elsewhere, name its folder in ISOVIEW_PATH)"
    rows = [row, {"what": "KLB", **klb_speed((32, 384, 384) if quick else (64, 768, 768))}]
    if large:
        with tempfile.TemporaryDirectory() as folder:
            write_large(Path(folder))
            found = measure("bench.bench_fusion_correction:run_step", {"folder": folder}, repeat=1)
        size = int(np.prod(LARGE)) * 2 / 1e6
        cost = {"wall_s": found.wall_s, "cpu_s": found.cpu_s, "peak_mb": found.peak_mb, "view_mb": size}
        rows.append({"what": "step", "shape": list(LARGE), **cost, **found.result})
    return rows


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small views")
    parser.add_argument("--large", action="store_true", help="the step on a view of 543 x 2048 x 2048 voxels too")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = run(quick=options.quick, large=options.large, repeat=options.repeat)
    for row in rows:
        print(
            "  ".join(
                f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
            )
        )
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
