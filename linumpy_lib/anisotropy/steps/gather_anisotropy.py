"""Step: join the slabs of one volume's anisotropy results, byte for byte what one task would have written."""

from __future__ import annotations

from pathlib import Path

from linumpy_lib.anisotropy.steps import results
from linumpy_lib.errors import InputError
from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task


class GatherAnisotropyParameters(Parameters):
    """`gather_anisotropy` leaves nothing to choose."""


def gather_anisotropy(*, input: list[Path], parameters: GatherAnisotropyParameters, task: Task) -> None:  # noqa: A002
    """Join the stores and statistics of all slabs.

    Parameters
    ----------
    input : list of Path
        The slabs' result folders, in any order; slabs without planes may be among them.
    parameters : GatherAnisotropyParameters
        Nothing.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If a slab is missing, differs from the others, or holds no statistics.
    """
    from linumpy_lib.anisotropy.statistics import AnisotropyStatistics
    from linumpy_lib.io import gather_slabs, open_volume

    for pattern in results.STORES:
        parts = [folder / pattern.format(name=task.name) for folder in input]
        present = [part for part in parts if part.exists()]
        if present:
            gather_slabs(task.path(pattern), present, threads=task.threads)
        elif pattern != results.EIGENVALUES:
            raise InputError(f"{parts[0]}: missing in every slab; compute the slabs again with --name {task.name}")
    statistics = AnisotropyStatistics()
    for folder in input:
        statistics.merge(AnisotropyStatistics.load(folder / results.STATISTICS_PART.format(name=task.name)))
        for note in results.read_metrics(folder, task.name)["notes"]:
            task.note(note)
    measures = open_volume(task.path(results.MEASURES))
    task.provenance = dict(measures.provenance)
    results.write_statistics(statistics, measures.require_spacing(), task)


STEP = Step(
    name="gather_anisotropy",
    function=gather_anisotropy,
    parameters=GatherAnisotropyParameters,
    summary="Join the slabs of one volume's anisotropy results",
    description="Shards are linked, not encoded again; the result is byte for byte that of one task.",
    inputs=(Input("input", "result folders of compute_anisotropy.py --slab I/N, all N of them", kind="paths"),),
    outputs=results.OUTPUTS,
)
