"""How far reconstructions are from known truth: the figures that are promised, measured.

python -m bench.accuracy [--quick] [--keep FOLDER] [--json results.json]

1. `acquisition`: a simulated acquisition (12 slices, drift, unrecorded shifts of 2 px and rotations of 0.7 degrees rms,
   an encoder glitch, a re-homing, a missing slice, noise) through every step from raw tiles to the stacked volume. The
   correlation that has to reach 0.95 is that with the truth after the known intensity model, both blurred by one voxel;
   single voxels hold so much speckle that the perfect volume of the same samples (`ceiling`) stays below 0.8.
2. `mouse brain`: a real brain, virtually cut; only registration and stacking, so that their errors stand alone.
3. `fifty slices`: fifty noisy slices of a phantom, registered and stacked, with pairs one apart, and one and two apart.
4. `fifty poses`: how errors of pairs add up, over 20 random stacks, with the errors that pairs were measured to have.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.acquisition import Plan, reconstruct
from bench.measure import write_json

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

LIMITS = {
    "position_rms_px": 0.5,
    "position_max_px": 1.0,
    "rotation_rms_deg": 0.1,
    "depth_max_planes": 1.0,
    "drift_px": 1.0,
    "drift_worst_px": 1.0,
}
LEAST = {"ncc_blurred_model": 0.95}


def mouse(folder: Path, slices: int) -> dict[str, float] | None:
    """Cut the real mouse brain, register and stack; None where the data are absent."""
    from tests.support.stacked_truth import accuracy, pair_errors, register_all, stack
    from tests.support.virtual_slices import Sectioning, mouse_brain, section

    volume = mouse_brain()
    if volume is None:
        return None
    middle = volume.shape[0] // 2 - 5 * slices
    made = section(volume, folder, Sectioning(slices=slices, start=max(2, middle), missing=(slices // 2,)))
    pairs = register_all(made, folder / "pairs", reach=2)
    found = accuracy(made, folder / "out", stack(made, pairs, folder / "out"))
    shift, turn = pair_errors(made, pairs)
    return {
        "position_rms_px": found.position_rms,
        "position_max_px": found.position_max,
        "rotation_rms_deg": found.rotation_rms,
        "depth_max_planes": found.depth_max,
        "drift_px": found.drift,
        "ncc_voxels": found.correlation,
        "ncc_blurred_model": found.smooth_correlation,
        "pair_error_px": shift,
        "pair_error_deg": turn,
    }


def fifty_registered(folder: Path, seed: int) -> dict[str, dict[str, float]]:
    """Fifty noisy slices of a phantom: register neighbours, and slices two apart, and stack."""
    from tests.support.stacked_truth import accuracy, pair_errors, register_all, stack
    from tests.support.virtual_slices import Sectioning, brain, section

    plan = Sectioning(slices=50, interval=10, depth=34, missing=(), seed=seed)
    made = section(brain(50 * 10 + 30, 130, 140, seed), folder, plan)
    results = {}
    for reach in (1, 2):
        pairs = register_all(made, folder / f"pairs_{reach}", reach=reach)
        out = folder / f"out_{reach}"
        found = accuracy(made, out, stack(made, pairs, out))
        shift, turn = pair_errors(made, pairs)
        apart = "1" if reach == 1 else "1 and 2"
        results[f"fifty slices, seed {seed}, pairs {apart} apart"] = {
            "position_rms_px": found.position_rms,
            "position_max_px": found.position_max,
            "rotation_rms_deg": found.rotation_rms,
            "drift_px": found.drift,
            "ncc_voxels": found.correlation,
            "pair_error_px": shift,
            "pair_error_deg": turn,
        }
    return results


def fifty(reach: int, error_px: float, error_deg: float, stacks: int = 20) -> dict[str, float]:
    """Errors of 50 poses from pairs with the given errors (rms, along each axis)."""
    from tests.support.fifty_poses import poses_of_fifty

    found = [poses_of_fifty(seed, reach, error_px, error_deg) for seed in range(stacks)]
    return {
        "position_rms_px": float(np.mean([one.position_rms for one in found])),
        "drift_px": float(np.median([one.drift for one in found])),
        "drift_worst_px": max(one.drift for one in found),
        "rotation_rms_deg": float(np.mean([one.rotation_rms for one in found])),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="five slices")
    parser.add_argument("--keep", type=Path, help="folder for the acquisition and all results")
    parser.add_argument("--fifty", type=int, default=3, help="stacks of fifty slices that are registered")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    slices = 5 if options.quick else 12
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="accuracy_") as scratch:
        for error in (0.15, 0.1, 0.05):
            for reach, apart in ((1, "1"), (2, "1 and 2")):
                results[f"fifty poses, errors of {error} px, pairs {apart} apart"] = fifty(reach, error, 0.05)
        for seed in range(0 if options.quick else options.fifty):
            place = Path(scratch, f"fifty_{seed}")
            place.mkdir()
            results |= fifty_registered(place, seed)
        brain = mouse(Path(scratch), slices)
        if brain is None:
            print("mouse brain: the data are not there, left out", file=sys.stderr)
        else:
            results["mouse brain"] = brain
        place = options.keep or Path(scratch, "acquisition")
        place.mkdir(parents=True, exist_ok=True)
        results["acquisition"] = reconstruct(place, Plan(slices=slices, missing=slices // 2 + 1))
    rows: list[dict[str, Any]] = []
    for case, figures in results.items():
        print(case)
        for name, value in figures.items():
            limit = LIMITS.get(name, LEAST.get(name))
            good = limit is None or (value >= limit if name in LEAST else value <= limit)
            bound = "at least" if name in LEAST else "at most"
            told = "" if limit is None else f"   {'ok' if good else 'NOT MET'} ({bound} {limit:g})"
            print(f"  {name:<22} {value:9.4f}{told}")
            rows.append({"case": case, "figure": name, "value": value, "limit": limit})
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
