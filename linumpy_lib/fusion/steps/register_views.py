"""Step: how the second view of a pair lies against the first."""

from __future__ import annotations

import math
from pathlib import Path

from linumpy_lib.fusion.parameters.registration import RegistrationParameters
from linumpy_lib.io import Volume
from linumpy_lib.step import Input, Step, Task

REGISTRATION = "{name}_registration.json"
TOPOLOGY = "{name}_topology.ome.zarr"
PREVIEW = "{name}_register_views_preview.png"


def register_views(*, reference: Volume, moving: Volume, parameters: RegistrationParameters, task: Task) -> None:
    """Estimate transform, brightness and topology of a pair, and write them."""
    import numpy as np

    from linumpy_lib.fusion.intensity_factor import background_level, intensity_factor
    from linumpy_lib.fusion.pair_views import (
        FlippedReader,
        PairRecord,
        WatchedReader,
        known_background,
        pair_mode,
        require_pair,
        view_name,
    )
    from linumpy_lib.fusion.registration import (
        Preparation,
        Registration,
        estimate_registration,
        read_shrunk,
        shrink_factors,
    )
    from linumpy_lib.fusion.topology import MaskChoices, find_topology
    from linumpy_lib.fusion.transform import Transform, sampled
    from linumpy_lib.io import write_volume
    from linumpy_lib.quality.slice_preview import write_panels
    from linumpy_lib.quality.thresholds import judge

    p = parameters
    spacing = require_pair(reference, moving)
    scaling = spacing[0] / spacing[1]
    names = [view_name(Path(volume.name).name) for volume in (reference, moving)]
    mode = pair_mode(*names)
    own, sheets = (p.fusion_flip_h, p.fusion_flip_v), (p.fusion_channel_flip_h, p.fusion_channel_flip_v)
    flips = own if mode == "camera" else sheets
    readers = FlippedReader(reference), FlippedReader(moving, *flips)
    shape = readers[0].shape
    factors = shrink_factors(shape, scaling)
    watched = [WatchedReader(reader) for reader in readers]
    small = [read_shrunk(reader, shape, factors) for reader in watched]
    rest = slice(shape[0] - shape[0] % factors[0], shape[0])
    if factors[0] <= shape[0] and rest.start < rest.stop:
        for each in watched:
            each((rest, slice(0, shape[1]), slice(0, shape[2])))
    levels = []
    for volume, reader in zip((reference, moving), readers, strict=True):
        known = known_background(volume)
        levels.append(background_level(reader, shape, p.fusion_subsample_stacks) if known is None else known)
    choices = MaskChoices(
        p.fusion_mask_percentile,
        max(1, p.fusion_mask_subsample // math.prod(factors)),
        p.fusion_mask_min_object_size,
        p.fusion_mask_fusion_mode,
        p.fusion_mask_padding,
        max(1, p.fusion_mask_padding_radius // factors[1]) if p.fusion_mask_padding_radius else 0,
    )
    axis = 0 if mode == "camera" else 2
    grid = scaling * factors[0] / factors[1]
    rough = find_topology(small[0], small[1], mode, choices, scaling=grid)
    size = p.fusion_slab_size_cameras if mode == "camera" else p.fusion_slab_size_channels
    # Tiny stand-ins hold nothing to register.
    still = Registration(Transform(scaling=scaling), 0.0, 0.0, 0.0)
    found = (
        still
        if task.stub
        else estimate_registration(
            small[0],
            small[1],
            search_x=p.fusion_search_offsets_x,
            search_y=p.fusion_search_offsets_y,
            mode=mode,
            scaling=scaling,
            method=p.fusion_optimizer,
            slab_size=size,
            topology=np.where(rough > 0, (rough - 0.5) * factors[axis] + 0.5, 0),
            preparation=Preparation(
                p.fusion_median_filter_range,
                p.fusion_gauss_kernel,
                p.fusion_gauss_sigma,
                p.fusion_precise_gauss,
                p.fusion_subsample_slices,
            ),
            shrunk=factors,
        )
    )
    t = found.transform
    dz, dy, dx = (float(v) for v in t.offset / factors)
    level = Transform(dz, dy, dx, rotation=t.rotation, plane=t.plane, scaling=grid)
    sides = small[0].shape
    whole = (slice(0, sides[0]), slice(0, sides[1]), slice(0, sides[2]))
    moved, valid = sampled(lambda box: small[1][box], (sides[0], sides[1], sides[2]), level, whole)
    topology = find_topology(small[0], np.where(valid, moved, 0), mode, choices, scaling=grid)
    slab = p.fusion_intensity_slab_size_cameras if mode == "camera" else p.fusion_intensity_slab_size_channels
    factor = intensity_factor(
        small[0] - np.float32(levels[0]),
        moved - np.float32(levels[1]),
        topology,
        axis=axis,
        slab_size=slab / factors[axis],
        valid=valid,
    )
    full = np.where(topology > 0, (topology - 0.5) * factors[axis] + 0.5, 0).astype(np.float32)
    before, after = _number(found.correlation_before), _number(found.correlation_after)
    figures = {
        "correlation_before": before,
        "correlation_after": after,
        "confidence": found.confidence,
        "sigma": [_number(s) for s in found.sigma],
    }
    ranges = ((watched[0].low, watched[0].high), (watched[1].low, watched[1].high))
    record = PairRecord(
        task.name,
        names[0].timepoint,
        mode,
        t,
        factor,
        (levels[0], levels[1]),
        flips,
        figures,
        found.refused,
        ranges=ranges,
    )
    record.write(task.path(REGISTRATION))
    plane_spacing = [spacing[k] * factors[k] for k in range(3) if k != axis]
    write_volume(
        task.path(TOPOLOGY),
        full[None],
        spacing_um=(1.0, *plane_spacing),
        levels=1,
        provenance={**task.provenance, "topology": {"axis": "zyx"[axis], "factors": list(factors)}},
    )
    if found.refused:
        task.note(f"{task.name}: registration refused, {found.refused}; the views are kept apart")
    task.metric("registration_refused", found.refused or "no", status="error" if found.refused else "ok")
    for name, value in zip(("z_offset", "y_offset", "x_offset"), t.offset, strict=True):
        task.metric(name, round(float(value), 4), "px")
    task.metric("rotation", round(t.rotation, 5), "deg", **judge("rotation_degrees", t.rotation))
    task.metric("intensity_factor", round(factor, 5))
    task.metric("confidence", round(found.confidence, 4), **judge("registration_confidence", found.confidence))
    task.metric("correlation_before", before)
    task.metric("correlation_after", after)
    write_panels(
        task.path(PREVIEW),
        [
            ("first view", small[0].max(0)),
            ("second view before", small[1].max(0)),
            ("second view after", np.where(valid, moved, 0).max(0)),
            ("topology", topology.astype(np.float32)),
        ],
        title=task.name,
        shared_range=False,
    )


def _number(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


STEP = Step(
    name="register_views",
    function=register_views,
    parameters=RegistrationParameters,
    summary="How the second view of a pair lies against the first",
    description="Finds shift and rotation of a view against the one that faces it, the ratio of their brightness and "
    "the surface where they meet; refuses views that do not match. See docs/fusion.md.",
    inputs=(Input("reference", "first view"), Input("moving", "second view")),
    outputs={
        REGISTRATION: "transform, brightness factor, backgrounds, confidence, and why it was refused",
        TOPOLOGY: "where the views meet in each column, from 1; 0 is nowhere",
        PREVIEW: "projections before and after, and the topology",
    },
)
