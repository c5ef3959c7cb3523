"""Step: cut a slice at its face and keep a given depth below it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.intensity.interface import Interface
    from linumpy_lib.intensity.slice_columns import BinnedSlice
    from linumpy_lib.io import Volume

WHOLE_PLANE = 0.98
"""Share of the bins that have to hold data in the last plane that is kept."""

CROPPED = "slice_{name}_crop_interface.ome.zarr"
PREVIEW = "{name}_crop_interface_preview.png"
KEY = "interface"


class CropInterfaceParameters(Parameters):
    """What `crop_interface` lets a user choose."""

    crop_interface_out_depth: Annotated[
        float,
        Field(
            description="Depth below the cut face that is kept; less where the slice ends before",
            gt=0,
            json_schema_extra={"unit": "um"},
        ),
    ] = 600.0


def crop_interface(*, input: Volume, parameters: CropInterfaceParameters, task: Task) -> None:  # noqa: A002
    """Write the planes from the cut face down.

    Parameters
    ----------
    input : Volume
        A slice, axes z, y, x, that states its place.
    parameters : CropInterfaceParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the slice cannot be used or is empty.
    """
    import math

    from linumpy_lib.intensity.interface import find_interface
    from linumpy_lib.intensity.slice_columns import bin_slice, slice_volume, write_columns
    from linumpy_lib.io.slice_frame import KEY as FRAME
    from linumpy_lib.io.slice_frame import slice_frame

    volume = slice_volume(input)
    frame = slice_frame(volume)
    binned = bin_slice(volume, task)
    interface = find_interface(binned)
    planes, step_um = binned.shape[0], binned.spacing_um[0]
    if interface.found:
        first = min(max(0, math.ceil(interface.centre - 1e-6)), planes - 1)
    else:
        first = 0
        task.note(f"{task.name}: no cut face was found (no rise of intensity along depth); nothing is cut off above")
    depth = max(1, round(parameters.crop_interface_out_depth / step_um))
    last = min(planes, first + depth, max(first + 1, deepest_plane(binned)))
    if task.stub:  # a corner of a slice may show its face anywhere, and the next steps need its planes
        first, last = 0, planes
    if last - first < depth:
        task.note(
            f"{task.name}: {(last - first) * step_um:g} um lie below the cut face, less than the "
            f"{parameters.crop_interface_out_depth:g} um of crop_interface_out_depth"
        )
    z_um, y_um, x_um = frame.origin_um
    placed = replace(frame, origin_um=(z_um + first * step_um, y_um, x_um))
    face = interface.centre if interface.found else None
    record = {
        "face_um": None if face is None else round(z_um + face * step_um, 4),
        "face_below_origin_um": None if face is None else round((face - first) * step_um, 4),
        "scatter_um": None if face is None else round(interface.scatter * step_um, 4),
    }
    provenance = {**dict(volume.provenance), **task.provenance, FRAME: placed.as_json(), KEY: record}
    write_columns(volume, task, CROPPED, lambda block, _region: block, provenance=provenance, planes=(first, last))
    _report(interface, binned, (first, last), depth, task)


def deepest_plane(binned: BinnedSlice) -> int:
    """Plane after the last one that holds data everywhere.

    Where A-lines were moved up (`fix_focal_curvature`), the deep end of some holds nothing. Such planes would look like
    a sudden decay of the light. Single zeros are no absence: whole bins have to be empty.
    """
    import numpy as np

    known = binned.known
    total = binned.shape[0]
    if not known.any():
        return total
    full = np.flatnonzero((binned.lines[:, known] > 0).mean(axis=1) >= WHOLE_PLANE)
    if not full.size or full[-1] == total - 1:
        return total
    # in the plane above, bins at the border of the absence are filled in part
    return int(full[-1])


def _report(interface: Interface, binned: BinnedSlice, planes: tuple[int, int], depth: int, task: Task) -> None:
    import numpy as np

    from linumpy_lib.quality.depth_preview import DepthLine, save_depth_preview
    from linumpy_lib.quality.thresholds import judge

    step_um, total = binned.spacing_um[0], binned.shape[0]
    reliable = float(interface.reliable.sum() / max(1, binned.known.sum()))
    task.metric("detected_interface_depth", round(interface.centre, 3) if interface.found else None, "voxel")
    task.metric("detected_interface_depth_um", round(interface.centre * step_um, 2) if interface.found else None, "um")
    fraction = interface.centre / total if interface.found else float("nan")
    task.metric(
        "interface_fraction",
        round(fraction, 4) if interface.found else None,
        "of the depth",
        **judge("interface_fraction", fraction if interface.found else None),
    )
    task.metric("interface_scatter", round(interface.scatter, 3) if interface.found else None, "voxel")
    task.metric("interface_coverage", round(reliable, 4), "fraction", **judge("interface_coverage", reliable))
    task.metric("start_index", planes[0], "voxel")
    task.metric("end_index", planes[1], "voxel")
    task.metric("crop_depth", round((planes[1] - planes[0]) * step_um, 3), "um")
    missing = depth - (planes[1] - planes[0])
    task.metric("missing_planes", missing, "voxel", status="warning" if missing else "ok")
    seen = interface.reliable.sum(axis=1)
    rows = np.flatnonzero(seen >= 0.9 * seen.max())
    row = int(rows[np.argmin(np.abs(rows - len(seen) // 2))])
    save_depth_preview(
        task.path(PREVIEW),
        f"{task.name}: cut face at {interface.centre * step_um:.1f} um" if interface.found else f"{task.name}: no face",
        before=binned.lines,
        after=binned.lines[planes[0] : planes[1]],
        lines=[DepthLine("mean A-line", binned.lines[:, binned.known].mean(axis=1), scaled=True)],
        spacing_um=(step_um, binned.width * binned.spacing_um[2]),
        marks=planes,
        trace=np.where(interface.reliable[row], interface.depth[row], np.nan),
        row=row,
    )


STEP = Step(
    name="crop_interface",
    function=crop_interface,
    parameters=CropInterfaceParameters,
    summary="Cut slices at their face",
    description="Finds where water ends, in every lateral bin and to a fraction of a voxel, takes the median over the "
    "bins that lie on one smooth surface, and keeps crop_interface_out_depth below it. Voxels are not resampled: the "
    "first plane is the first whole one below the face; the exact depth is in the metrics and in provenance.interface.",
    inputs=(Input("input", "slice, axes z,y,x (correct_beam_profile)"),),
    outputs={CROPPED: "the slice from its face down, float32", PREVIEW: "a section with the face, and what is kept"},
)
