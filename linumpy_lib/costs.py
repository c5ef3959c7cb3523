"""What the tasks of a run cost: seconds of processor time and memory, from measured rates, for `--check`.

Rates are those of the benchmarks (docs/benchmarks.md) on one processor of the machine named there, and
`bench/bench_prediction.py` holds them against whole runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """Cost of a step: CPU seconds of a task with next to nothing to do, and CPU nanoseconds for each voxel it reads."""

    start_s: float
    ns_per_voxel: float


RATES = {
    "create_mosaic_grid": Rate(0.7, 7.5),
    "generate_aips": Rate(0.7, 4),
    "generate_previews": Rate(2.4, 4),
    "resample_mosaic_grid": Rate(0.7, 14),
    "fix_focal_curvature": Rate(1.5, 30),
    "fix_illumination": Rate(1.5, 50),
    "estimate_global_transform": Rate(2, 4),
    "stitch_slice": Rate(3.5, 65),
    "correct_beam_profile": Rate(2.5, 35),
    "crop_interface": Rate(2.5, 30),
    "compensate_attenuation": Rate(2.3, 35),
    "measure_slice": Rate(1, 16),
    "normalize_slice": Rate(0.7, 18),
    "align_common_space": Rate(1, 30),
    "register_pair": Rate(2, 80),
    "stack_slices": Rate(5, 50),
    "correct_bias_field": Rate(4, 40),
    "compute_anisotropy": Rate(3, 175),
    "report": Rate(3.5, 0),
    "tables": Rate(2, 0),
    "correct_view": Rate(2, 60),
    "register_views": Rate(2, 150),
    "fuse_views": Rate(3, 700),
}
"""By step; `report` and `tables` stand for the tasks that read and write no voxels."""

# Threads of a run wait for one another and for the disk; the launcher needs time to start each task.
_BUSY = 0.7
_LAUNCH_S = 0.5


@dataclass(frozen=True)
class Work:
    """Tasks of one step: how many, and the voxels of all of them together."""

    step: str
    tasks: int
    voxels: float

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time."""
        rate = RATES[self.step]
        return self.tasks * rate.start_s + self.voxels * rate.ns_per_voxel * 1e-9


def slice_memory_bytes(tile_voxels: float) -> float:
    """Peak memory of the largest task between mosaics and the volume: libraries, and a few tiles of float32."""
    return 350e6 + 8 * 4 * tile_voxels


def reconstruction_work(
    slices: int, native: float, voxels: float, volume: float, choices: Mapping[str, str]
) -> list[Work]:
    """Tasks of a reconstruction.

    Parameters
    ----------
    slices : int
        Mosaics.
    native, voxels : float
        Voxels of all mosaics, as they are stored and at the resolution of the volume.
    volume : float
        Voxels of the volume.
    choices : mapping of str to str
        Switches by name, as typed.
    """
    steps = ["fix_illumination", "stitch_slice", "correct_beam_profile", "crop_interface", "compensate_attenuation"]
    steps += ["measure_slice", "normalize_slice"]
    if choices.get("fix_curvature_enabled") == "true":
        steps.append("fix_focal_curvature")
    work = [Work("resample_mosaic_grid", slices, native), Work("estimate_global_transform", 1, voxels)]
    work += [Work(step, slices, voxels) for step in steps]
    # pairs one and two apart, each of two slices
    work += [Work("align_common_space", 1, voxels), Work("register_pair", max(0, 2 * slices - 3), 4 * voxels)]
    work += [Work("stack_slices", 1, voxels), Work("tables", 5, 0), Work("report", 1, 0)]
    if choices.get("correct_bias_field") == "true":
        work.append(Work("correct_bias_field", 1, volume))
    return work


def maps_work(volume: float, choices: Mapping[str, str]) -> list[Work]:
    """Tasks of the anisotropy workflow for a volume of so many voxels, if it follows in the chain."""
    if "anisotropy" not in choices.get("later", "").split(","):
        return []
    return [Work("compute_anisotropy", 1, volume), Work("report", 1, 0)]


def volume_bytes(voxels: float) -> int:
    """Bytes of a stacked volume of float32 before compression, as a store and as an archive."""
    return round(2 * 4 * voxels)


def maps_bytes(voxels: float) -> int:
    """Bytes of six measures and two directions in float16 and the mask, with their pyramids, before compression."""
    return round(25 * voxels * 8 / 7)


def cost_line(work: Iterable[Work], memory_bytes: float) -> str:
    """Tell the cost of a run in one line.

    Parameters
    ----------
    work : iterable of Work
        All tasks.
    memory_bytes : float
        Peak memory of the largest task.
    """
    items = list(work)
    cpu_s = sum(one.cpu_s for one in items)
    tasks = sum(one.tasks for one in items)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wall_s = (cpu_s / _BUSY + tasks * _LAUNCH_S) / cores
    return (
        f"  about {_duration(cpu_s)} of processor time in {tasks} tasks, {_duration(wall_s)} on the {cores} processors "
        f"of this machine alone; at most {memory_bytes / 1e9:.2g} GB of memory in a task"
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
