"""Step: one missing slice from its two neighbours."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from linumpy_lib.errors import InputError
from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.alignment.interpolation_plan import PlanePlan
    from linumpy_lib.alignment.neighbour_match import Match
    from linumpy_lib.io import Volume
    from linumpy_lib.io.slice_frame import SliceFrame

INTERPOLATED = "slice_{name}_interpolated.ome.zarr"
MANIFEST = "slice_{name}_manifest.csv"
DIAGNOSTICS = "slice_{name}_interpolated_diagnostics.json"
PREVIEW = "{name}_interpolate_slice_preview.png"
SECTIONS = "slice_{name}_interpolated_sections.png"


class InterpolateSliceParameters(Parameters):
    """What `interpolate_slice` lets a user choose."""

    interpolation_method: Annotated[
        Literal["zmorph", "weighted", "average"],
        Field(
            description="How the depths that no neighbour shows are made: by a map that morphs one neighbour into the "
            "other, by a mean weighted by depth, or by a plain mean"
        ),
    ] = "zmorph"
    interpolation_blend_method: Annotated[
        Literal["gaussian", "linear"],
        Field(description="Border of a neighbour's picture: fades out softly, or weights by depth alone count"),
    ] = "gaussian"
    interpolation_registration_metric: Annotated[
        Literal["MSE", "CC", "MI"],
        Field(description="What zmorph optimises: mean squares, correlation or mutual information"),
    ] = "MSE"
    interpolation_max_iterations: Annotated[
        int, Field(description="Iterations of zmorph's registration at each resolution", ge=1, le=100000)
    ] = 1000
    interpolation_overlap_search_window: Annotated[
        int,
        Field(
            description="Planes of each neighbour among which the most alike are looked for",
            ge=1,
            le=100,
            json_schema_extra={"unit": "planes"},
        ),
    ] = 5
    interpolation_min_overlap_correlation: Annotated[
        float,
        Field(description="Correlation of the neighbours below which the slice stays a gap", ge=-1, le=1),
    ] = 0.3
    interpolation_reference_slab_size: Annotated[
        int,
        Field(
            description="Planes that are averaged before neighbours are registered",
            ge=1,
            le=100,
            json_schema_extra={"unit": "planes"},
        ),
    ] = 3
    interpolation_min_foreground_fraction: Annotated[
        float, Field(description="Share of a plane that has to be lit for it to be compared", ge=0, le=1)
    ] = 0.1
    interpolation_min_ncc_improvement: Annotated[
        float,
        Field(
            description="Gain in correlation that zmorph's registration has to bring, unless the neighbours are "
            "aligned already",
            ge=0,
            le=1,
        ),
    ] = 0.05
    interpolation_preview: Annotated[
        bool, Field(description="Write vertical sections through the neighbours and the interpolated slice too")
    ] = False


def interpolate_slice(*, before: Volume, after: Volume, parameters: InterpolateSliceParameters, task: Task) -> None:
    """Write the slice between two others, or a manifest that says why it stays a gap."""
    from linumpy_lib.alignment.interpolation_plan import matching_planes, plan_planes
    from linumpy_lib.alignment.neighbour_match import match_neighbours
    from linumpy_lib.io.slice_config import slice_name

    frames = _checked(before, after)
    slice_id = frames[0].slice_id + 1
    task.name = f"z{slice_name(slice_id)}"
    interval = float(frames[0].interval_um or 0.0) / before.require_spacing()[0]
    method = parameters.interpolation_method
    match = match_neighbours(
        before,
        after,
        matching_planes(before.shape[0], after.shape[0], interval, parameters.interpolation_overlap_search_window),
        metric=parameters.interpolation_registration_metric,
        max_iterations=parameters.interpolation_max_iterations,
        slab=parameters.interpolation_reference_slab_size,
        min_foreground=0.0 if task.stub else parameters.interpolation_min_foreground_fraction,
        min_correlation=-1.0 if task.stub else parameters.interpolation_min_overlap_correlation,
        min_improvement=parameters.interpolation_min_ncc_improvement,
        register=method == "zmorph" and not task.stub,
    )
    plans = plan_planes(before.shape[0], after.shape[0], interval, method)
    failed = match.failed
    imaginary = 0.0
    if not failed:
        imaginary = _write(before, after, frames, match, plans, parameters, task)
    else:
        task.note(
            f"slice {slice_id} stays a gap: {failed} (correlation {match.before:.2f}, {match.after:.2f} registered)"
        )
    _tables(slice_id, method, failed, match, plans, imaginary, before.shape[1:], task)
    _previews(before, after, failed, interval, parameters, task)


def _checked(before: Volume, after: Volume) -> tuple[SliceFrame, SliceFrame]:
    import numpy as np

    from linumpy_lib.io.slice_frame import slice_frame

    frames = slice_frame(before), slice_frame(after)
    if frames[1].slice_id - frames[0].slice_id != 2:
        raise InputError(
            f"{after.name}: slice {frames[1].slice_id} after slice {frames[0].slice_id}; exactly one slice has to be "
            "missing between the two, wider gaps stay gaps"
        )
    if any(frame.interval_um is None for frame in frames):
        raise InputError(f"{before.name}: its frame tells no interval; give stores of align_common_space")
    if before.shape[1:] != after.shape[1:]:
        raise InputError(
            f"{after.name}: {after.shape[1:]} pixels (y, x), but {before.name} has {before.shape[1:]}; give stores of "
            "one common space"
        )
    if not np.allclose(before.require_spacing(), after.require_spacing(), rtol=1e-6):
        raise InputError(f"{after.name}: has another voxel size than {before.name}; give stores of one common space")
    if frames[0].interval_um != frames[1].interval_um:
        raise InputError(f"{after.name}: has another interval than {before.name}; align both in one run")
    return frames


def _write(
    before: Volume,
    after: Volume,
    frames: tuple[SliceFrame, SliceFrame],
    match: Match,
    plans: list[PlanePlan],
    parameters: InterpolateSliceParameters,
    task: Task,
) -> float:
    import numpy as np

    from linumpy_lib import blocks
    from linumpy_lib.alignment.common_space import CHUNKS, CODEC
    from linumpy_lib.alignment.interpolation import Neighbour, footprint, interpolator
    from linumpy_lib.io import VolumeWriter

    spacing = before.require_spacing()
    sides = []
    for volume, frame in zip((before, after), frames, strict=True):
        origin = (frame.origin_um[1] / spacing[1], frame.origin_um[2] / spacing[2])
        sides.append(Neighbour(volume, origin, footprint(volume)))
    compute, imaginary = interpolator(sides[0], sides[1], match.affine, plans, parameters.interpolation_blend_method)
    if imaginary > 1e-3:
        task.note(f"the map between the neighbours has no real power (relative imaginary part {imaginary:.1e})")
    z = float(np.mean([frame.origin_um[0] for frame in frames]))
    frame = replace(frames[0], slice_id=frames[0].slice_id + 1, origin_um=(z, 0.0, 0.0), interpolated=True)
    with VolumeWriter(
        task.path(INTERPOLATED),
        shape=(len(plans), *before.shape[1:]),
        dtype="float32",
        spacing_um=spacing,
        levels=1,
        codec=CODEC,
        chunks=CHUNKS,
        threads=task.threads,
        provenance={**task.provenance, "slice": frame.as_json()},
    ) as writer:
        blocks.stream(
            writer.regions(),
            lambda region: region,
            compute,
            writer.write,
            threads=task.threads,
            description=task.name,
            progress=task.progress,
        )
    return imaginary


def _tables(
    slice_id: int,
    method: str,
    failed: str,
    match: Match,
    plans: list[PlanePlan],
    imaginary: float,
    shape: tuple[int, ...],
    task: Task,
) -> None:
    from linumpy_lib.alignment.interpolation_manifest import MANIFEST_COLUMNS
    from linumpy_lib.io.csv_file import write_rows
    from linumpy_lib.io.slice_config import slice_name

    measured = sum(plan.measured for plan in plans)
    write_rows(
        task.path(MANIFEST),
        MANIFEST_COLUMNS,
        [
            {
                "slice_id": slice_name(slice_id),
                "method": method,
                "method_used": "" if failed else method,
                "fallback_reason": failed,
                "interpolation_failed": "true" if failed else "false",
                "output_path": "" if failed else INTERPOLATED.format(name=task.name),
            }
        ],
    )
    moved = match.affine.displacement((shape[0], shape[1]))
    figures: dict[str, Any] = {
        "slice_id": slice_id,
        "method": method,
        "failed": failed,
        "planes_compared": None if match.planes is None else list(match.planes),
        "ncc_before": round(match.before, 6),
        "ncc_after": round(match.after, 6),
        "neighbours_aligned": match.aligned,
        "matrix_yx": match.affine.matrix.tolist(),
        "offset_yx": match.affine.offset.tolist(),
        "displacement_px": round(moved, 6),
        "relative_imaginary_part": imaginary,
        "planes": len(plans),
        "planes_shown_by_a_neighbour": measured,
    }
    task.path(DIAGNOSTICS).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    task.metric("interpolated", 0 if failed else 1, status="warning" if failed else "ok")
    task.metric("neighbour_correlation", round(match.before, 6))
    task.metric("registered_correlation", round(match.after, 6))
    task.metric("morph_displacement", round(moved, 3), "px")
    task.metric("planes_shown_by_a_neighbour", measured, "planes")


def _previews(
    before: Volume, after: Volume, failed: str, interval: float, parameters: InterpolateSliceParameters, task: Task
) -> None:
    import numpy as np

    from linumpy_lib.io import open_volume
    from linumpy_lib.quality.slice_preview import write_panels

    spacing = before.require_spacing()
    step = max(1, -(-max(before.shape[1:]) // 800))
    made = None if failed else open_volume(task.path(INTERPOLATED))
    volumes = [("above", before), ("interpolated" if made else f"gap: {failed}", made), ("below", after)]
    blank = np.full((max(1, before.shape[1] // step), max(1, before.shape[2] // step)), np.nan, np.float32)
    panels = [
        (label, blank if volume is None else volume.read((volume.shape[0] // 2,))[::step, ::step])
        for label, volume in volumes
    ]
    write_panels(
        task.path(PREVIEW),
        panels,
        spacing_um=(spacing[1] * step, spacing[2] * step),
        title=f"{task.name}, middle planes",
    )
    if not parameters.interpolation_preview:
        return
    depth = max(1, round(interval))
    sections = []
    for name, axis in (("xz", 1), ("yz", 2)):
        parts = []
        for _, volume in volumes:
            n = before.shape[3 - axis]
            at = before.shape[axis] // 2
            if volume is None:
                parts.append(np.full((depth, n), np.nan, np.float32))
                continue
            planes = slice(0, min(depth, volume.shape[0]))
            region = (planes, at) if axis == 1 else (planes, slice(0, n), at)
            parts.append(np.asarray(volume.read(region), np.float32))
        sections.append((f"{name}: above, {volumes[1][0]}, below", np.concatenate(parts)))
    write_panels(task.path(SECTIONS), sections, spacing_um=[(spacing[0], spacing[2]), (spacing[0], spacing[1])])


STEP = Step(
    name="interpolate_slice",
    function=interpolate_slice,
    parameters=InterpolateSliceParameters,
    summary="A missing slice from its neighbours",
    description="Depths of the missing slice that a neighbour shows are taken from it. Depths between the neighbours "
    "are interpolated; zmorph lets an affine map, raised to fractional powers, turn one neighbour into the other. "
    "Neighbours that do not match leave the slice a gap, and the manifest says why.",
    inputs=(
        Input("before", "slice above the gap, from align_common_space"),
        Input("after", "slice below the gap, from align_common_space"),
    ),
    outputs={
        INTERPOLATED: "the slice, unless a gate failed",
        MANIFEST: "method, whether it failed, and why",
        DIAGNOSTICS: "correlations, the map between the neighbours, planes compared",
        PREVIEW: "middle planes: above, interpolated, below",
        SECTIONS: "vertical sections through the three (interpolation_preview)",
    },
)
