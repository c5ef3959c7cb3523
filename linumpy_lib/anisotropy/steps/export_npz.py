"""Step: the maps of one volume as one NumPy archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linumpy_lib.anisotropy.steps import results
from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.io import Volume


class ExportNpzParameters(Parameters):
    """`export_npz` leaves nothing to choose."""


def export_npz(*, measures: Volume, principal_dir: Volume, parameters: ExportNpzParameters, task: Task) -> None:
    """Write the six maps and the principal direction to one archive.

    Parameters
    ----------
    measures : Volume
        Maps (c, z, y, x) with named channels.
    principal_dir : Volume
        Direction of most change (3, z, y, x).
    parameters : ExportNpzParameters
        Nothing.
    task : Task
        Where the result goes.
    """
    from linumpy_lib.anisotropy.npz_archive import write_npz

    write_npz(task.path(results.NPZ), measures, principal_dir)


STEP = Step(
    name="export_npz",
    function=export_npz,
    parameters=ExportNpzParameters,
    summary="The anisotropy maps of one volume as one NumPy archive",
    description="Keys fa, cl, cp, cs, cp_norm, lambda2_ratio (Z,Y,X) and principal_dir (Z,Y,X,3), float16.",
    inputs=(
        Input("measures", "NAME_measures.ome.zarr"),
        Input("principal_dir", "NAME_principal_dir.ome.zarr"),
    ),
    outputs={results.NPZ: "all maps as one compressed NumPy archive"},
)
