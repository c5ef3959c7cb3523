"""Steps that work on tiles, on a CUDA or MPS device against the CPU, in one run: `make bench-gpu`.

python -m bench.gpu_illumination [--device cuda] [--tile 400x400x400] [--repeat 3] [--json results.json]

The fit of flat fields takes 200 tiles of 256 x 256 pixels; everything else takes one tile, and its seconds include the
copies to and from the device.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.measure import fastest, write_json


def _tile_work(device: Any, tile: Any) -> dict[str, Callable[[], Any]]:
    """Return what each step does to a tile."""
    from linumpy_lib.illumination.focal_curvature import raise_lines
    from linumpy_lib.illumination.shading import Shading, undo_shading
    from linumpy_lib.intensity.compensation import compensate
    from linumpy_lib.resample import resample, resampling_matrix

    nz, ny, nx = tile.shape
    y, x = np.meshgrid(np.linspace(-1, 1, ny), np.linspace(-1, 1, nx), indexing="ij")
    flat = (1 - 0.3 * (x * x + y * y))[None]
    fields = device.to_device(flat), device.to_device(0 * flat)
    shading = Shading(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.zeros(1), (ny, nx), 1, True)
    lowered = 6 * (x * x + y * y)
    matrices = [device.to_device(resampling_matrix(n, 4.0, 10.0)) for n in tile.shape]
    column = [np.full((ny, nx), v, np.float32) for v in (2.0, nz, 1.0)]

    def on(function: Callable[[Any], Any]) -> Callable[[], Any]:
        return lambda: device.to_numpy(function(device.to_device(tile)))

    return {
        "take a flat field out": on(lambda t: undo_shading(t, range(nz), shading, fields, device.xp)),
        "flatten a bent tile": on(lambda t: raise_lines(t, lowered, device)),
        "resample 4 to 10 um": on(lambda t: resample(t, matrices)),
        "compensate attenuation": lambda: compensate(
            tile, column[0], column[1], column[2], device, floor=0.01, skip=4, strength=1.0, min_bias=0.05
        ),
    }


def main() -> None:
    """Run the table."""
    from linumpy_lib.device import get_device
    from linumpy_lib.illumination.basic import fit_basic
    from linumpy_lib.illumination.cosines import evaluate
    from linumpy_lib.simulation.shaded_tiles import shaded_tiles

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "mps", "cpu"])
    parser.add_argument("--tile", default="400x400x400", help="samples of a tile (z, y, x)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", metavar="PATH")
    options = parser.parse_args()
    device, cpu = get_device(options.device), get_device("cpu")
    print(f"{device.description}; tile {options.tile}, minimum of {options.repeat}")
    print(f"{'what':>26s} {'device s':>9s} {'CPU s':>7s} {'faster':>7s} {'difference':>11s}")
    rows: list[dict[str, Any]] = []

    def tell(what: str, on_device: float, on_cpu: float, difference: float) -> None:
        rows.append({"what": what, "device_s": on_device, "cpu_s": on_cpu, "difference": difference})
        print(f"{what:>26s} {on_device:9.3f} {on_cpu:7.3f} {on_cpu / on_device:6.1f}x {difference:11.1e}", flush=True)

    tiles = shaded_tiles(200)
    for dark in (False, True):
        fits: dict[str, Any] = {}

        def fit(where: Any, dark: bool = dark, fits: dict[str, Any] = fits) -> None:
            fits[where.name] = fit_basic(tiles.images, darkfield=dark, device=where)

        seconds = [fastest(lambda where=where: fit(where), options.repeat) for where in (device, cpu)]
        fields = [evaluate(f.flat, f.grid, (256, 256)) for f in (fits[device.name], fits[cpu.name])]
        what = "fit 200 tiles, flat + dark" if dark else "fit 200 tiles, flat"
        tell(what, *seconds, float(np.abs(fields[0] - fields[1]).max()))
        rows[-1]["rms_error"] = float(np.sqrt(np.mean((fields[0] - tiles.flat_field) ** 2)))
    shape = tuple(int(n) for n in options.tile.split("x"))
    tile = np.random.default_rng(0).random(shape, dtype=np.float32)
    there, here = _tile_work(device, tile), _tile_work(cpu, tile)
    for what, work in there.items():
        difference = float(np.abs(np.asarray(work()) - here[what]()).max())
        tell(what, fastest(work, options.repeat), fastest(here[what], 1), difference)
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
