"""What a run of the anisotropy workflow is going to do with a volume, and what stands in its way."""

from __future__ import annotations

import math
from pathlib import Path

from linumpy_lib.anisotropy.steps import results
from linumpy_lib.anisotropy.steps.compute_anisotropy import spatial_volume
from linumpy_lib.costs import Work, cost_line, maps_bytes
from linumpy_lib.errors import PipelineError
from linumpy_lib.io import open_volume

_BLOCK_SIDE = 160


def memory_bytes(voxels: int) -> float:
    """Peak memory of a task: blocks, and one open shard for each level of the pyramid of each store."""
    return 600e6 + 230e6 * max(0.0, math.log2(max(1, voxels) ** (1 / 3) / _BLOCK_SIDE))


def check_volume(path: Path, slabs: int, channel: str = "") -> tuple[list[str], list[str], int]:
    """Open one input and plan its maps.

    Parameters
    ----------
    path : Path
        A volume in any format that `open_volume` reads.
    slabs : int
        Tasks that share the volume; 0 if the pipeline decides.
    channel : str
        Channel to work on, by name or number; empty where there is one.

    Returns
    -------
    lines : list of str
        The plan, for people.
    problems : list of str
        Why the workflow would stop at this volume; empty if it would not.
    disk_bytes : int
        Upper bound of the size of the results.
    """
    try:
        volume = spatial_volume(open_volume(path), channel)
    except PipelineError as error:
        return [], [str(error)], 0
    rows = [math.ceil(n / s) for n, s in zip(volume.shape, results.SHARD, strict=True)]
    size = " x ".join(str(n) for n in volume.shape)
    spacing = "unknown" if volume.spacing_um is None else " x ".join(f"{s:g}" for s in volume.spacing_um) + " um"
    disk = maps_bytes(math.prod(volume.shape))
    tasks = f"{min(slabs, rows[0])} slabs" if slabs > 1 else "one task"
    count = max(1, min(slabs, rows[0]))
    work = [Work("compute_anisotropy", count, math.prod(volume.shape)), Work("report", 1, 0)]
    lines = [
        f"{path.name}: {size} voxels ({volume.dtype}), voxel size {spacing}",
        f"  {math.prod(rows)} blocks in {tasks}, at most {disk / 1e9:.3g} GB of results",
        cost_line(work, memory_bytes(math.prod(volume.shape))),
    ]
    if slabs > rows[0]:
        lines.append(f"  only {rows[0]} of the {slabs} slabs have planes: one holds {results.SHARD[0]} at least")
    if volume.spacing_um is None:
        lines.append("  no voxel size in the file: 1 um is assumed unless --anisotropy_spacing_um z,y,x is given")
    return lines, [], disk
