"""Step: one view of a camera, cropped, turned, freed of dead pixels and segmented."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from linumpy_lib.fusion.parameters.correction import CorrectionParameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.fusion.discovery import RawView
    from linumpy_lib.fusion.view_correction import ViewCorrection
    from linumpy_lib.io import Volume

VIEW = "{name}.ome.zarr"
MASK = "{name}_mask.ome.zarr"
KLB = "{name}.klb"
TIFF = "{name}.ome.tif"
PREVIEW = "{name}_correct_view_preview.png"


def correct_view(
    *, view: Path, recording: Path, mask: list[Path] | None, parameters: CorrectionParameters, task: Task
) -> None:
    """Write the corrected view with its labels and projections; or its mask alone, as half of a global one."""
    from linumpy_lib.errors import InputError
    from linumpy_lib.fusion.bands import bands
    from linumpy_lib.fusion.raw_view import dark_level, open_view, read_view_file, voxel_size_um
    from linumpy_lib.fusion.view_correction import ViewCorrection
    from linumpy_lib.fusion.view_store import CODECS, open_mask, write_corrected_view
    from linumpy_lib.io import content_digest

    p = parameters
    task.name = task.name.removesuffix(".json")
    raw = read_view_file(view, recording)
    volume, note = open_view(raw, task.threads)
    if note:
        task.note(note)
    spacing = voxel_size_um(raw, volume, p.pixel_spacing_z, p.detection_objective_mag, p.pixel_spacing_camera)
    if raw.background is None and p.median_kernel:
        task.note(f"camera {raw.camera}: no dark frame; its dark level is taken from the view")
    masks = [open_mask(path) for path in mask or ()]
    if masks and p.segment_mode not in (1, 3):
        raise InputError(f"{masks[0].name}: a mask is applied by segment_mode 1 or 3 only; leave it out")
    if task.stub:
        volume, masks = volume.corner(STUB_SIZE), [m.corner(STUB_SIZE) for m in masks]
    mask_only = p.segment_mode == 2 or (p.segment_mode == 3 and not masks)
    with bands(task.threads) as rows:
        correction = ViewCorrection(
            _turned(raw, volume, p, stub=task.stub),
            _choices(p, None if raw.background is None else dark_level(raw.background), spacing),
            rows,
            masks,
        )
        found = correction.examine()
        digests = {"stack": content_digest(raw.stack)}
        if raw.background is not None:
            digests["background"] = content_digest(raw.background)
        provenance: dict[str, Any] = {
            **task.provenance,
            "inputs": {**task.provenance.get("inputs", {}), **digests},
            "view": {
                "specimen": raw.specimen,
                "timepoint": raw.timepoint,
                "camera": raw.camera,
                "channel": raw.channel,
                "min_intensity": [found.mask_minimum, found.background],
                "background_value": found.background_value,
                "metadata": raw.metadata,
            },
        }
        write_corrected_view(
            task.path(MASK if mask_only else VIEW),
            correction,
            spacing_um=spacing,
            provenance=provenance,
            codec=CODECS[p.zarr_compression],
            chunk=p.zarr_chunks,
            shard=p.zarr_shards,
            threads=task.threads,
            mask_only=mask_only,
        )
    if not mask_only and p.output_format != "zarr":
        from linumpy_lib.fusion.view_files import export_view

        export_view(task.path(VIEW), task.path(KLB if p.output_format == "klb" else TIFF), task.threads)
    _report(correction, volume, mask_only, task)


def _turned(raw: RawView, volume: Volume, p: CorrectionParameters, *, stub: bool) -> Any:
    from linumpy_lib.fusion.view_geometry import Crop, TurnedView, crop_of_camera

    names = ("crop_left", "crop_top", "crop_width", "crop_height", "crop_front", "crop_depth")
    crop = crop_of_camera(raw.camera, {name: getattr(p, name) for name in names})
    return TurnedView(
        volume.array,
        Crop() if stub else crop,
        p.rotation,
        p.flip_horizontal and raw.second,
        p.flip_vertical and raw.second,
        str(raw.stack),
    )


def _choices(p: CorrectionParameters, dark: float | None, spacing: tuple[float, float, float]) -> Any:
    from linumpy_lib.fusion.view_correction import CorrectionChoices

    return CorrectionChoices(
        median_kernel=p.median_kernel,
        background_value=dark,
        background_percentile=p.background_percentile,
        mask_percentile=p.mask_percentile,
        subsample_factor=p.subsample_factor,
        gauss_kernel=p.gauss_kernel,
        gauss_sigma=p.gauss_sigma,
        segment_threshold=p.segment_threshold,
        splitting=p.splitting,
        scaling=spacing[0] / spacing[1],
        segment=p.segment_mode != 0,
    )


def _report(correction: ViewCorrection, volume: Volume, mask_only: bool, task: Task) -> None:
    import math

    from linumpy_lib.quality.slice_preview import write_panels
    from linumpy_lib.quality.thresholds import judge

    found, shape = correction.found, correction.view.shape
    if found.dead_pixels is not None:
        share = 100 * float(found.dead_pixels.mean())
        task.metric("dead_pixels", int(found.dead_pixels.sum()), "px")
        task.metric("dead_pixel_share", round(share, 4), "%", **judge("dead_pixel_share", share))
        task.metric("dark_level", round(found.background_value, 3), "counts")
    task.metric("background", round(found.background, 3), "counts")
    if found.mask_minimum is not None and found.level is not None:
        task.metric("mask_minimum", round(found.mask_minimum, 3), "counts")
        task.metric("mask_level", round(found.level, 3), "counts")
    panels = []
    if correction.masked:
        share = 100 * found.foreground / math.prod(shape)
        if not found.foreground:
            task.note(f"{task.name}: the mask is empty, so the view is black; see segment_threshold and segment_mode")
        task.metric("foreground_share", round(share, 3), "%", **judge("foreground_share", share))
        assert found.coordinates is not None
        panels.append(("mean plane of the foreground", found.coordinates.masks()[1]))
    if not mask_only:
        panels = [
            (f"maximum along {'zyx'[k]}", found.projections[n]) for k, n in enumerate(("xy", "xz", "yz"))
        ] + panels
    if found.dead_pixels is not None and not mask_only:
        panels.append(("dead pixels", found.dead_pixels.astype("u1")))
    write_panels(task.path(PREVIEW), panels, title=task.name, shared_range=False)


STEP = Step(
    name="correct_view",
    function=correct_view,
    parameters=CorrectionParameters,
    summary="One view of a camera, cropped, turned, freed of dead pixels and segmented",
    description="Reads the view slab by slab; memory does not grow with its depth. See docs/fusion-correction.md.",
    inputs=(
        Input("view", "view's JSON file, of discover_views", kind="path"),
        Input("recording", "folder of the recording, which the view's file refers to", kind="path"),
        Input(
            "mask",
            "masks to apply, joined, in place of the view's own: of join_masks, or corrected views",
            kind="paths",
            required=False,
        ),
    ),
    outputs={
        VIEW: "the corrected view, with labels (segmentation, xy_coords, xz_coords, dead_pixels) and projections",
        MASK: "its mask alone: segment_mode 2, and 3 where no mask is given",
        KLB: "the view as KLB, with output_format klb",
        TIFF: "the view as OME-TIFF, with output_format tiff",
        PREVIEW: "projections, mask and dead pixels",
    },
)
