"""A simulated acquisition through every step, from raw tiles to the stacked volume, and its distance from the truth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@dataclass(frozen=True)
class Plan:
    """What is acquired, and which steps see it.

    `effects` are further options of `simulate_oct`. `reach` is how many slices apart pairs are that are registered.
    """

    slices: int = 12
    missing: int | None = 7
    effects: tuple[object, ...] = ()
    curvature: bool = True
    illumination: bool = True
    attenuation: bool = True
    beam: bool = True
    reach: int = 2
    seed: int = 2

    @property
    def ids(self) -> list[int]:
        """Slices that are recorded."""
        return [k for k in range(self.slices) if k != self.missing]


def run(step: str, domain: str, *words: object) -> None:
    """Run a step in this process."""
    import importlib

    from linumpy_lib.cli import execute

    one = importlib.import_module(f"linumpy_lib.{domain}.steps.{step}").STEP
    device = ["--device", "cpu"] if len(one.devices) > 1 else []
    execute(one, [*map(str, words), *device, "--quiet", "--processes", "2"])


def acquire(folder: Path, plan: Plan) -> None:
    """Simulate the acquisition and make mosaics of it."""
    run(
        *("simulate_oct", "simulation", "--output", folder, "--name", "sim", "--simulate_oct_slices", plan.slices),
        *("--simulate_oct_tiles_x", 4, "--simulate_oct_tiles_y", 4),
        *("--simulate_oct_missing_slices", "" if plan.missing is None else plan.missing),
        *("--simulate_oct_glitch_slices", 3, "--simulate_oct_rehoming_slices", 5 if plan.slices > 6 else ""),
        *("--simulate_oct_shift_um", 20, "--simulate_oct_rotation_deg", 0.7, "--simulate_oct_seed", plan.seed),
        *plan.effects,
    )
    raw, mosaics = folder / "sim_raw", folder / "mosaics"
    run("create_mosaic_grid", "acquisition", "--input", raw, "--output", mosaics, "--axial_resolution", 5)
    run("estimate_xy_shifts", "acquisition", "--input", raw, "--output", mosaics, "--name", "sim")


def finished_slices(folder: Path, plan: Plan) -> dict[int, Path]:
    """Resample, stitch and correct every slice."""
    names = {k: f"z{k:02d}" for k in plan.ids}
    stores: dict[int, Path] = {}
    for k, name in names.items():
        store = folder / "mosaics" / f"mosaic_grid_3d_{name}.ome.zarr"
        for wanted, step, domain, made in (
            (True, "resample_mosaic_grid", "acquisition", "resampled"),
            (plan.curvature, "fix_focal_curvature", "illumination", "focal_fix"),
            (plan.illumination, "fix_illumination", "illumination", "illum_fix"),
        ):
            if wanted:
                run(step, domain, "--input", store, "--output", folder / "tiles", "--name", name)
                store = folder / "tiles" / f"mosaic_grid_{name}_{made}.ome.zarr"
        stores[k] = store
    pooled = folder / "pooled"
    run("estimate_global_transform", "stitching", "--mosaics", *stores.values(), "--output", pooled, "--name", "sim")
    for k, name in names.items():
        run(
            *("stitch_slice", "stitching", "--input", stores[k], "--output", folder / "stitched", "--name", name),
            *("--global_transform", pooled / "sim_global_transform.json"),
        )
        store = folder / "stitched" / f"slice_{name}_stitch_3d.ome.zarr"
        for wanted, step, made in (
            (plan.beam, "correct_beam_profile", "axial_corr"),
            (True, "crop_interface", "crop_interface"),
            (plan.attenuation, "compensate_attenuation", "attn_corr"),
        ):
            if wanted:
                run(step, "intensity", "--input", store, "--output", folder / "depth", "--name", name)
                store = folder / "depth" / f"slice_{name}_{made}.ome.zarr"
        run("measure_slice", "intensity", "--input", store, "--output", folder / "levels", "--name", name)
        stores[k] = store
    levels = folder / "levels"
    tables = [levels / f"slice_{name}_levels.json" for name in names.values()]
    run("match_slices", "intensity", "--levels", *tables, "--output", levels, "--name", "sim")
    for k, name in names.items():
        run(
            *("normalize_slice", "intensity", "--input", stores[k], "--levels", levels / f"slice_{name}_levels.json"),
            *("--factors", levels / "slice_factors.csv", "--output", folder / "normal", "--name", name),
        )
        stores[k] = folder / "normal" / f"slice_{name}_normalize.ome.zarr"
    return stores


def volume(folder: Path, plan: Plan, *words: object) -> None:
    """Bring finished slices to one canvas, register pairs, stack."""
    names = {k: f"z{k:02d}" for k in plan.ids}
    clean, common = folder / "rehoming", folder / "common"
    shifts = folder / "mosaics" / "shifts_xy.csv"
    run("detect_rehoming", "alignment", "--shifts", shifts, "--output", clean, "--name", "sim")
    run(
        *("align_common_space", "alignment", "--slices", folder / "normal"),
        *("--shifts", clean / "shifts_xy_clean.csv", "--slice_config", clean / "slice_config.csv"),
        *("--output", common, "--name", "sim"),
    )
    canvas = {k: common / f"slice_{name}_common.ome.zarr" for k, name in names.items()}
    for fixed, moving in pairs(plan):
        run(
            *("register_pair", "alignment", "--fixed", canvas[fixed], "--moving", canvas[moving]),
            *("--output", folder / "pairs" / f"{moving - fixed}", "--name", names[moving]),
        )
    folders = sorted((folder / "pairs").glob("*"))
    run(
        *("stack_slices", "alignment", "--slices", common, "--pairs", *folders, "--output", folder / "stack"),
        *("--name", "sim", *words),
    )


def pairs(plan: Plan) -> Sequence[tuple[int, int]]:
    """Slices that are registered: neighbours, and those up to `reach` places apart."""
    ids = plan.ids
    near = list(pairwise(ids))
    return near + [pair for n in range(2, plan.reach + 1) for pair in zip(ids, ids[n:], strict=False)]


def figures(folder: Path, plan: Plan, *, ceiling: bool = False) -> dict[str, float]:
    """Compare the stacked volume with the truth."""
    from linumpy_lib.io import open_volume
    from linumpy_lib.simulation.truth import read_truth
    from tests.support.reconstruction_truth import compare

    names = {k: f"z{k:02d}" for k in plan.ids}
    found = compare(
        read_truth(folder / "sim_truth"),
        open_volume(folder / "sim_truth" / "volume.ome.zarr"),
        {k: open_volume(folder / "normal" / f"slice_{name}_normalize.ome.zarr") for k, name in names.items()},
        {k: folder / "stitched" / f"slice_{name}_tile_positions.csv" for k, name in names.items()},
        open_volume(folder / "common" / f"slice_{names[plan.ids[0]]}_common.ome.zarr"),
        folder / "common" / "common_space.csv",
        folder / "stack",
        "sim",
        ceiling=ceiling,
    )
    for k, row in found.of_slice.items():
        print(f"  slice {k:2d}: y {row[0]:+.2f} px, x {row[1]:+.2f} px, {row[2]:+.3f} deg, {row[3]:+.1f} planes")
    return {
        "position_rms_px": found.position_rms,
        "position_max_px": found.position_max,
        "rotation_rms_deg": found.rotation_rms,
        "depth_max_planes": found.depth_max,
        "planes_too_many": found.planes - found.expected_planes,
        "tile_rms_px": found.tile_rms,
        "ncc_voxels": found.likeness.voxels,
        "ncc_voxels_model": found.likeness.modelled_voxels,
        "ncc_voxels_ceiling": found.likeness.ceiling_voxels,
        "ncc_blurred": found.likeness.blurred,
        "ncc_blurred_model": found.likeness.modelled,
        "ncc_blurred_ceiling": found.likeness.ceiling,
    }


def reconstruct(folder: Path, plan: Plan, *, ceiling: bool = True) -> dict[str, float]:
    """Simulate, go through all steps, compare."""
    acquire(folder, plan)
    finished_slices(folder, plan)
    volume(folder, plan)
    return figures(folder, plan, ceiling=ceiling)
