"""Structure-tensor maps on a CUDA or MPS device against the CPU kernel, in one run: `make bench-gpu`.

python -m bench.gpu_anisotropy [--device cuda] [--sizes 256,512] [--repeat 5] [--json results.json]

Times include the copies to and from the device. The physical limit is the time in which the memory moves the input and
the results once, from the rate that a copy of the results reaches in the same run.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from bench.measure import fastest, write_json

TARGET_S = {512: 1.0}


def main() -> None:
    """Run the table."""
    from linumpy_lib.anisotropy import AnisotropyPlan, allocate_block, anisotropy_block
    from linumpy_lib.device import get_device
    from linumpy_lib.threads import available_threads

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "mps", "cpu"])
    parser.add_argument("--sizes", default="256,512", help="edge lengths, separated by commas")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=available_threads(), help="threads of the CPU kernel")
    parser.add_argument("--json", metavar="PATH")
    options = parser.parse_args()
    device = get_device(options.device)
    print(f"{device.description}; sigma 1, rho 2, measures and both directions as float16, minimum of {options.repeat}")
    print(f"{'volume':>8s} {'device s':>9s} {'CPU s':>7s} {'faster':>7s} {'memory limit':>13s} {'difference':>11s}")
    rows: list[dict[str, Any]] = []
    whole = (slice(None), slice(None), slice(None))
    for size in (int(part) for part in options.sizes.split(",")):
        volume = np.random.default_rng(0).random((size, size, size), dtype=np.float32)
        plan = AnisotropyPlan()
        ours = allocate_block((size, size, size), plan)
        on_device = fastest(
            lambda volume=volume, plan=plan, ours=ours: anisotropy_block(volume, whole, plan, device=device, out=ours),
            options.repeat,
        )
        moved = volume.nbytes + 25 * volume.size
        source = device.to_device(np.zeros(25 * volume.size // 4, np.float32))
        # one element back to the host waits for the copy
        copy = fastest(lambda source=source: device.to_numpy((source + 0)[:1]), options.repeat)
        limit = moved / (2 * 25 * volume.size / copy)
        expected = allocate_block((size, size, size), plan)
        cpu = fastest(
            lambda volume=volume, plan=plan, expected=expected: anisotropy_block(
                volume, whole, plan, threads=options.threads, out=expected
            ),
            1,
        )
        assert ours.measures is not None
        assert expected.measures is not None
        difference = float(np.abs(ours.measures[:5].astype(np.float32) - expected.measures[:5]).max())
        row = {
            "size": size,
            "device": device.description,
            "device_s": on_device,
            "cpu_wall_s": cpu,
            "ratio": cpu / on_device,
            "limit_fraction": limit / on_device,
            "largest_difference": difference,
            "target_s": TARGET_S.get(size),
        }
        rows.append(row)
        figures = f"{on_device:9.3f} {cpu:7.3f} {cpu / on_device:6.1f}x {limit / on_device:13.1%} {difference:11.1e}"
        print(f"{f'{size}^3':>8s} {figures}", flush=True)
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
