"""Step: two registered views in one volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from linumpy_lib.fusion.parameters.blending import BlendingParameters
from linumpy_lib.io import Volume
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.fusion.fused_view import FusedView
    from linumpy_lib.fusion.pair_views import FlippedReader, PairRecord

FUSED = "{name}.ome.zarr"
APART = "{name}_apart.ome.zarr"
DIAGNOSTICS = "{name}_diagnostics"
PREVIEW = "{name}_fuse_views_preview.png"


def fuse_views(
    *,
    reference: Volume,
    moving: Volume,
    registration: Path,
    topology: Volume,
    parameters: BlendingParameters,
    task: Task,
) -> None:
    """Write the fused view; views whose registration was refused are written side by side, and marked."""
    import numpy as np

    from linumpy_lib.fusion.fused_view import FusedView, FusionChoices
    from linumpy_lib.fusion.pair_views import FlippedReader, read_record, require_pair, view_name
    from linumpy_lib.io import write_volume
    from linumpy_lib.io.lazy import LazyArray

    spacing = require_pair(reference, moving)
    record = read_record(registration)
    readers = FlippedReader(reference), FlippedReader(moving, *record.flips)
    fusion = {"registration": registration_summary(record), "method": parameters.fusion_type}
    view = {key: value for key, value in reference.provenance.items() if key == "view"}
    provenance: dict[str, Any] = {**task.provenance, **view, "fusion": fusion}
    if record.refused:
        _write_apart(readers, record, spacing, provenance, task)
        return
    channels, cameras = parameters.fusion_blending_range
    if record.mode == "camera":
        low, reach = parameters.fusion_front_flag == 1, cameras
    else:
        camera = view_name(Path(reference.name).name).cameras[0]
        low, reach = parameters.fusion_left_flags[camera % 2] == 1, channels
    places = np.asarray(topology.read(), np.float32)[0]
    choices = FusionChoices(parameters.fusion_type, reach, low)
    source = FusedView(readers[0], readers[1], record, places, choices, task.threads)
    write_volume(
        task.path(FUSED),
        LazyArray(source),
        spacing_um=spacing,
        axes="zyx",
        provenance=provenance,
        threads=task.threads,
        progress=task.progress,
    )
    if source.quality is not None:
        task.metric("blur_slope", round(source.quality.blur_slope, 6), "px per plane")
    _report(source, record, parameters, spacing, task)


def registration_summary(record: PairRecord) -> dict[str, Any]:
    """Return what a fused store keeps of its registration."""
    return {
        "transform": record.transform.as_json(),
        "factor": record.factor,
        "confidence": record.figures["confidence"],
        "source": record.source,
        "refused": record.refused,
    }


def _write_apart(
    readers: tuple[FlippedReader, FlippedReader],
    record: PairRecord,
    spacing: tuple[float, float, float],
    provenance: dict[str, Any],
    task: Task,
) -> None:
    from linumpy_lib.fusion.side_by_side import SideBySide
    from linumpy_lib.io import write_volume
    from linumpy_lib.io.lazy import LazyArray
    from linumpy_lib.quality.slice_preview import write_panels

    task.note(
        f"{task.name}: not fused, {record.refused}; the views stand side by side in {APART.format(name=task.name)}"
    )
    task.metric("fused", "no", status="error")
    write_volume(
        task.path(APART),
        LazyArray(SideBySide(readers)),
        spacing_um=spacing,
        axes="czyx",
        channel_names=("first view, not registered", "second view, not registered"),
        provenance=provenance,
        threads=task.threads,
    )
    middle = readers[0].shape[0] // 2
    plane = (slice(middle, middle + 1), slice(0, readers[0].shape[1]), slice(0, readers[0].shape[2]))
    panels = [
        (f"{which} view, not registered", reader(plane)[0])
        for which, reader in zip(("first", "second"), readers, strict=True)
    ]
    write_panels(task.path(PREVIEW), panels, spacing_um=(spacing[1], spacing[2]), title=task.name)


def _report(
    source: FusedView,
    record: PairRecord,
    parameters: BlendingParameters,
    spacing: tuple[float, float, float],
    task: Task,
) -> None:
    import numpy as np

    from linumpy_lib.fusion.fusion_figures import fusion_figures, preview_planes, preview_views, sharpness
    from linumpy_lib.fusion.fusion_quality import DEPTHS, resolution_over_depth
    from linumpy_lib.io import open_volume
    from linumpy_lib.quality.slice_preview import write_panels

    fused = open_volume(task.path(FUSED))
    first, second, moved, joined = preview_views(source, fused)
    figures = fusion_figures(first, moved, joined)
    task.metric("fused", "yes", status="ok")
    for name, value in figures.items():
        task.metric(name, round(value, 5))
    resolution = resolution_over_depth(source, spacing[2]) if parameters.save_diagnostics else []
    for place, found in zip(DEPTHS, resolution, strict=False):
        for name, value in (("first", found.first), ("second", found.second), ("fused", found.fused)):
            task.metric(f"resolution_{name}_{place}", _rounded(value), "um")
    middle = joined.shape[0] // 2
    scale = [s * n / m for s, n, m in zip(spacing, source.shape, joined.shape, strict=True)]
    write_panels(
        task.path(PREVIEW),
        [("first view", first[middle]), ("second view, moved", moved[middle]), ("fused", joined[middle])],
        spacing_um=(scale[1], scale[2]),
        title=task.name,
    )
    if not parameters.save_diagnostics:
        return
    from linumpy_lib.fusion import viz
    from linumpy_lib.fusion.blending import transition_weights

    folder = task.path(DIAGNOSTICS)
    folder.mkdir()
    z, y, x = record.transform.offset
    text = (
        f"z {z:.2f}, y {y:.2f}, x {x:.2f} px, rotation {record.transform.rotation:.3f} deg, "
        f"correlation {record.figures['correlation_before']} to {record.figures['correlation_after']}, {record.source}"
    )
    viz.plot_registration_result(first, second, moved, folder / "registration.png", text=text, title=task.name)
    viz.plot_intensity_correction(first, moved, source.gains, folder / "intensity_correction.png", title=task.name)
    viz.plot_fusion_result(first, moved, joined, folder / "fusion_result.png", title=task.name)
    axis = 0 if record.mode == "camera" else 2
    extent = source.shape[axis]
    places = np.arange(extent)
    columns = source.topology[:: max(1, source.topology.shape[0] // 64)]
    weights = transition_weights(places[:, None, None], columns[None], source.reach)
    if source.quality is not None:
        low, high = (np.array(s) for s in zip(*(source.quality.blur(float(k)) for k in places), strict=True))
        # Weight at a period of 10 pixels: squared transfer of each view's blur.
        one, two = (np.exp(-4 * np.pi**2 * s**2 * 0.01) for s in (low, high))
        weights = np.broadcast_to((one / (one + two))[:, None, None], weights.shape)
    elif parameters.fusion_type in ("average", "wavelet"):
        weights = np.full_like(weights, 0.5)
    elif not source.first_is_low:
        weights = 1 - weights
    profile = weights.mean(axis=(1, 2))
    section = weights[:, weights.shape[1] // 2]
    viz.plot_blending_weights(section, source.topology, profile, folder / "blending_weights.png", title=task.name)
    viz.plot_volume_overview(joined, folder / "fused_overview.png", title=task.name)
    viz.plot_quality_over_depth(
        preview_planes(source.shape[0]),
        [sharpness(v) for v in (first, moved, joined)],
        [(r.plane, r.first, r.second, r.fused) for r in resolution],
        folder / "quality_over_depth.png",
        title=task.name,
    )


def _rounded(value: float) -> float | None:
    import math

    return round(value, 4) if math.isfinite(value) else None


STEP = Step(
    name="fuse_views",
    function=fuse_views,
    parameters=BlendingParameters,
    summary="Two registered views in one volume",
    description="Moves the second view onto the first, evens out their brightness and joins them; views whose "
    "registration was refused are kept apart. See docs/fusion.md.",
    inputs=(
        Input("reference", "first view"),
        Input("moving", "second view"),
        Input("registration", "registration of register_views, or its smoothed form", kind="path"),
        Input("topology", "where the views meet, of register_views"),
    ),
    outputs={
        FUSED: "the fused view",
        APART: "both views as channels, not registered, where the registration was refused",
        DIAGNOSTICS: "pictures: registration, intensity_correction, fusion_result, blending_weights, fused_overview",
        PREVIEW: "a plane of both views and of their fusion",
    },
)
