"""How far reconstructions are from known truth: the figures that are promised, measured.

python -m bench.accuracy [--quick] [--keep FOLDER] [--json results.json]

1. `acquisition`: a simulated acquisition (12 slices, drift, unrecorded shifts of 2 px and rotations of 0.7 degrees rms,
   an encoder glitch, a re-homing, a missing slice, noise) through every step from raw tiles to the stacked volume.
2. `mouse brain`: a real brain, virtually cut; only registration and stacking, so that their errors stand alone.
3. `fifty slices`: how errors of pairs add up, over 20 random stacks, with pairs one apart, and one and two apart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import write_json

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

LIMITS = {
    "position_rms_px": 0.5,
    "position_max_px": 1.0,
    "rotation_rms_deg": 0.1,
    "depth_max_planes": 1.0,
    "drift_px": 1.0,
}


def run(step: str, domain: str, *words: object) -> None:
    """Run a step in this process."""
    import importlib

    from linumpy_lib.cli import execute

    one = importlib.import_module(f"linumpy_lib.{domain}.steps.{step}").STEP
    device = ["--device", "cpu"] if len(one.devices) > 1 else []
    execute(one, [*map(str, words), *device, "--quiet", "--processes", "2"])


def reconstruct(folder: Path, slices: int, missing: int) -> dict[str, float]:
    """Simulate, go through all steps, compare."""
    from linumpy_lib.io import open_volume
    from linumpy_lib.simulation.truth import read_truth
    from tests.support.reconstruction_truth import compare

    run(
        *("simulate_oct", "simulation", "--output", folder, "--name", "sim", "--simulate_oct_slices", slices),
        *("--simulate_oct_tiles_x", 4, "--simulate_oct_tiles_y", 4, "--simulate_oct_missing_slices", missing),
        *("--simulate_oct_glitch_slices", 3, "--simulate_oct_rehoming_slices", 5 if slices > 6 else ""),
        *("--simulate_oct_shift_um", 20, "--simulate_oct_rotation_deg", 0.7, "--simulate_oct_seed", 2),
    )
    raw, mosaics = folder / "sim_raw", folder / "mosaics"
    run("create_mosaic_grid", "acquisition", "--input", raw, "--output", mosaics, "--axial_resolution", 5)
    run("estimate_xy_shifts", "acquisition", "--input", raw, "--output", mosaics, "--name", "sim")
    ids = [k for k in range(slices) if k != missing]
    names = {k: f"z{k:02d}" for k in ids}
    for name in names.values():
        source = mosaics / f"mosaic_grid_3d_{name}.ome.zarr"
        run("resample_mosaic_grid", "acquisition", "--input", source, "--output", folder / "tiles", "--name", name)
    stores = [folder / "tiles" / f"mosaic_grid_{name}_resampled.ome.zarr" for name in names.values()]
    run("estimate_global_transform", "stitching", "--mosaics", *stores, "--output", folder / "pooled", "--name", "sim")
    for name, store in zip(names.values(), stores, strict=True):
        out = {part: folder / part for part in ("stitched", "axial", "cropped", "even", "levels")}
        pooled = folder / "pooled" / "sim_global_transform.json"
        run(
            *("stitch_slice", "stitching", "--input", store, "--global_transform", pooled),
            *("--output", out["stitched"], "--name", name),
        )
        for step, source, target in (
            ("correct_beam_profile", out["stitched"] / f"slice_{name}_stitch_3d.ome.zarr", "axial"),
            ("crop_interface", out["axial"] / f"slice_{name}_axial_corr.ome.zarr", "cropped"),
            ("compensate_attenuation", out["cropped"] / f"slice_{name}_crop_interface.ome.zarr", "even"),
            ("measure_slice", out["even"] / f"slice_{name}_attn_corr.ome.zarr", "levels"),
        ):
            run(step, "intensity", "--input", source, "--output", out[target], "--name", name)
    levels = folder / "levels"
    run(
        "match_slices",
        "intensity",
        "--levels",
        *sorted(levels.glob("*levels.json")),
        "--output",
        levels,
        "--name",
        "sim",
    )
    normal, common = folder / "normal", folder / "common"
    for name in names.values():
        run(
            *("normalize_slice", "intensity", "--input", folder / "even" / f"slice_{name}_attn_corr.ome.zarr"),
            *("--levels", levels / f"slice_{name}_levels.json", "--factors", levels / "slice_factors.csv"),
            *("--output", normal, "--name", name),
        )
    clean = folder / "rehoming"
    run("detect_rehoming", "alignment", "--shifts", mosaics / "shifts_xy.csv", "--output", clean, "--name", "sim")
    run(
        *("align_common_space", "alignment", "--slices", normal, "--shifts", clean / "shifts_xy_clean.csv"),
        *("--slice_config", clean / "slice_config.csv", "--output", common, "--name", "sim"),
    )
    canvas = {k: common / f"slice_{name}_common.ome.zarr" for k, name in names.items()}
    for fixed, moving in pairwise(ids):
        run(
            *("register_pair", "alignment", "--fixed", canvas[fixed], "--moving", canvas[moving]),
            *("--output", folder / "pairs", "--name", names[moving]),
        )
    run(
        "stack_slices",
        "alignment",
        "--slices",
        common,
        "--pairs",
        folder / "pairs",
        "--output",
        folder / "stack",
        "--name",
        "sim",
    )
    found = compare(
        read_truth(folder / "sim_truth"),
        open_volume(folder / "sim_truth" / "volume.ome.zarr"),
        {k: open_volume(normal / f"slice_{name}_normalize.ome.zarr") for k, name in names.items()},
        {k: folder / "stitched" / f"slice_{name}_tile_positions.csv" for k, name in names.items()},
        open_volume(canvas[ids[0]]),
        common / "common_space.csv",
        folder / "stack",
        "sim",
    )
    return {
        "position_rms_px": found.position_rms,
        "position_max_px": found.position_max,
        "rotation_rms_deg": found.rotation_rms,
        "depth_max_planes": found.depth_max,
        "planes_too_many": found.planes - found.expected_planes,
        "tile_rms_px": found.tile_rms,
        "correlation_voxels": found.correlation,
        "correlation_blurred": found.smooth_correlation,
    }


def mouse(folder: Path, slices: int) -> dict[str, float] | None:
    """Cut the real mouse brain, register and stack; None where the data are absent."""
    from tests.support.stacked_truth import accuracy, register_all, stack
    from tests.support.virtual_slices import Sectioning, mouse_brain, section

    volume = mouse_brain()
    if volume is None:
        return None
    middle = volume.shape[0] // 2 - 5 * slices
    made = section(volume, folder, Sectioning(slices=slices, start=max(2, middle), missing=(slices // 2,)))
    found = accuracy(made, folder / "out", stack(made, register_all(made, folder / "pairs"), folder / "out"))
    return {
        "position_rms_px": found.position_rms,
        "position_max_px": found.position_max,
        "rotation_rms_deg": found.rotation_rms,
        "depth_max_planes": found.depth_max,
        "drift_px": found.drift,
        "correlation_voxels": found.correlation,
    }


def fifty(reach: int, stacks: int = 20) -> dict[str, float]:
    """Errors of 50 poses from pairs with errors of 0.15 px and 0.05 degrees rms."""
    from linumpy_lib.alignment.pair_folder import PairRecord
    from linumpy_lib.alignment.pair_links import LinkRules, judge_link
    from linumpy_lib.alignment.rigid import Rigid
    from linumpy_lib.alignment.slice_poses import PoseRules, slice_poses

    centre = (500.0, 500.0)
    drifts, errors, turns = [], [], []
    for seed in range(stacks):
        random = np.random.default_rng([seed, reach])
        true = [Rigid(np.radians(a), (y, x), centre) for a, y, x in random.normal(0, (0.7, 2, 2), (50, 3))]
        links = []
        for apart in range(1, reach + 1):
            for k in range(apart, 50):
                step = true[k].after(true[k - apart].inverse())
                off = random.normal(0, (np.radians(0.05), 0.15, 0.15))
                seen = Rigid(step.angle_rad + off[0], (step.shift[0] + off[1], step.shift[1] + off[2]), centre)
                record = PairRecord(k - apart, k, seen, 10, 0, 10.0, 0.9, 0.9, "ok")
                links.append(judge_link(record, seen, LinkRules(), excluded=False))
        found = slice_poses(range(50), links, PoseRules(), centre).motions
        off_by = np.array([np.array(found[k].shift) - true[k].shift for k in range(50)])
        off_by -= off_by.mean(axis=0)
        drifts.append(float(np.hypot(*(off_by[-5:].mean(axis=0) - off_by[:5].mean(axis=0)))))
        errors.append(float(np.sqrt((off_by**2).sum(axis=1).mean())))
        angles = np.array([found[k].angle_deg - true[k].angle_deg for k in range(50)])
        turns.append(float(angles.std()))
    return {
        "position_rms_px": float(np.mean(errors)),
        "drift_px": float(np.median(drifts)),
        "drift_worst_px": float(max(drifts)),
        "rotation_rms_deg": float(np.mean(turns)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="five slices")
    parser.add_argument("--keep", type=Path, help="folder for the acquisition and all results")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    slices = 5 if options.quick else 12
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="accuracy_") as scratch:
        results["fifty slices, pairs 1 apart"] = fifty(1)
        results["fifty slices, pairs 1 and 2 apart"] = fifty(2)
        brain = mouse(Path(scratch), slices)
        if brain is None:
            print("mouse brain: the data are not there, left out", file=sys.stderr)
        else:
            results["mouse brain"] = brain
        place = options.keep or Path(scratch, "acquisition")
        place.mkdir(parents=True, exist_ok=True)
        results["acquisition"] = reconstruct(place, slices, slices // 2 + 1)
    rows: list[dict[str, Any]] = []
    for case, figures in results.items():
        print(case)
        for name, value in figures.items():
            limit = LIMITS.get(name)
            told = "" if limit is None else f"   {'ok' if value <= limit else 'ABOVE'} (at most {limit:g})"
            print(f"  {name:<22} {value:9.4f}{told}")
            rows.append({"case": case, "figure": name, "value": value, "limit": limit})
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
