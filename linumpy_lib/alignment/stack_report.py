"""What a stack tells of itself: where sections begin, the tables of decisions, and its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from linumpy_lib.alignment.pair_links import Link
from linumpy_lib.alignment.slice_depths import DepthStep
from linumpy_lib.alignment.stack_volume import StackedVolume
from linumpy_lib.io.csv_file import write_rows
from linumpy_lib.io.slice_config import slice_name
from linumpy_lib.io.slice_frame import slice_frame
from linumpy_lib.quality.stack_preview import Band
from linumpy_lib.quality.thresholds import judge
from linumpy_lib.step import Task

_MATCH_COLUMNS = [
    "fixed_id",
    "moving_id",
    "overlap_voxels",
    "blend_overlap_voxels",
    "moving_z_start",
    "correlation",
    "correlation_fallback_used",
]
_DECISION_COLUMNS = [
    "slice_id",
    "fixed_id",
    "transform_loaded",
    "transform_source",
    "manual_override",
    "confidence",
    "overlap_source",
    "overlap_voxels",
    "blend_overlap_voxels",
    "correlation",
    "use",
    "reason",
    "first_plane",
    "rotation_deg",
    "shift_y_px",
    "shift_x_px",
    "gain",
]


def boundaries(stack: StackedVolume) -> list[int]:
    """First plane of every section: from the middle of a slice's ramp on it is what is mostly shown."""
    found = [0]
    for one in stack.slices[1:]:
        middle = (one.ramp[0] + one.ramp[1]) // 2
        if found[-1] < middle < stack.shape[0]:
            found.append(middle)
    return found


def bands(stack: StackedVolume) -> list[Band]:
    """Name what fills the planes of the stack: slices and the gaps between them."""
    starts = [0, *((one.ramp[0] + one.ramp[1]) // 2 for one in stack.slices[1:]), stack.shape[0]]
    found = []
    for k, one in enumerate(stack.slices):
        made = slice_frame(one.volume).interpolated
        label = f"z{slice_name(one.slice_id)}" + (" (interpolated)" if made else "")
        stop = max(starts[k], min(starts[k + 1], one.bottom))
        found.append(Band(label, starts[k], stop, "interpolated" if made else "slice"))
        if stop < starts[k + 1]:
            found.append(Band("gap", stop, starts[k + 1], "gap"))
    return found


def write_tables(
    matches: Path,
    decisions: Path,
    stack: StackedVolume,
    links: Sequence[Link],
    steps: Sequence[DepthStep],
    *,
    applied: bool,
) -> None:
    """Write ``z_matches.csv`` and ``stacking_decisions.csv``.

    Parameters
    ----------
    matches, decisions : Path
        The tables.
    stack : StackedVolume
        What was decided.
    links, steps : sequence of Link, of DepthStep
        Pairs and distances it follows from.
    applied : bool
        Whether pairs were to be applied at all.
    """
    by_pair = {link.ids: link for link in links}
    by_step = {step.moving_id: step for step in steps}
    match_rows, decision_rows = [], []
    for k, one in enumerate(stack.slices):
        row = {
            "slice_id": slice_name(one.slice_id),
            "transform_loaded": "false",
            "manual_override": "false",
            "first_plane": str(one.top),
            "rotation_deg": f"{one.pose.angle_deg:.6f}",
            "shift_y_px": f"{one.pose.shift[0]:.6f}",
            "shift_x_px": f"{one.pose.shift[1]:.6f}",
            "gain": f"{one.gain:.6f}",
        }
        if k:
            above, step = stack.slices[k - 1], by_step[one.slice_id]
            link = by_pair.get((above.slice_id, one.slice_id))
            shared = {
                "overlap_voxels": str(max(0, above.bottom - one.top)),
                "blend_overlap_voxels": str(one.ramp[1] - one.ramp[0]),
                "correlation": "" if step.correlation is None else f"{step.correlation:.6f}",
            }
            row |= {"fixed_id": slice_name(above.slice_id), "overlap_source": step.source, **shared}
            if link is None:
                made = slice_frame(above.volume).interpolated or slice_frame(one.volume).interpolated
                absent = "no registered pair" if applied else "apply_pairwise_transforms is false"
                reasons = ["interpolated: lies between its neighbours" if made else absent]
                row["use"] = "none"
            else:
                manual = link.record.source.startswith("manual")
                row |= {
                    "transform_loaded": "true" if link.use != "none" else "false",
                    "transform_source": "manual" if manual else "automated",
                    "manual_override": "true" if manual else "false",
                    "confidence": f"{link.record.confidence:.6f}",
                    "use": link.use,
                }
                reasons = [link.reason]
            reasons.append("depth taken from its neighbours" if step.repaired else "")
            row["reason"] = "; ".join(filter(None, reasons))
            match_rows.append(
                {
                    "fixed_id": slice_name(above.slice_id),
                    "moving_id": slice_name(one.slice_id),
                    "moving_z_start": str(one.ramp[0] - one.top),
                    "correlation_fallback_used": "true" if step.source == "correlation_fallback" else "false",
                    **shared,
                }
            )
        decision_rows.append(row)
    write_rows(matches, _MATCH_COLUMNS, match_rows)
    write_rows(decisions, _DECISION_COLUMNS, decision_rows)


def report(
    stack: StackedVolume,
    links: Sequence[Link],
    steps: Sequence[DepthStep],
    spacing_um: tuple[float, float, float],
    task: Task,
) -> None:
    """Record the figures of a stack, and tell of its gaps."""
    there = {one.slice_id for one in stack.slices}
    gaps = [k for k in range(stack.slices[0].slice_id, stack.slices[-1].slice_id) if k not in there]
    if gaps:
        task.note(f"slices {', '.join(map(str, gaps))} are gaps; their thickness is kept")
    task.metric("total_z_depth", stack.shape[0], "planes")
    task.metric("total_z_depth_mm", round(stack.shape[0] * spacing_um[0] / 1000, 6), "mm")
    task.metric("slices", len(stack.slices))
    task.metric("gaps", len(gaps), status="warning" if gaps else "ok")
    if steps:
        per_cut = np.array([step.planes / step.apart for step in steps])
        for name, value in (
            ("mean_z_offset", float(per_cut.mean())),
            ("z_offset_std", float(per_cut.std())),
            ("z_offset_range", float(np.ptp(per_cut))),
        ):
            task.metric(name, round(value, 4), "planes per cut", **judge(name, value))
    seen = [link.record.correlation for link in links if link.use != "none" and link.record.correlation is not None]
    if seen:
        mean = float(np.mean(seen))
        task.metric("mean_z_correlation", round(mean, 4), **judge("z_correlation", mean))
        task.metric("min_z_correlation", round(min(seen), 4))
    loaded = sum(link.use != "none" for link in links)
    task.metric("n_transform_loaded", loaded)
    task.metric("n_transform_missing", len(links) - loaded, status="warning" if loaded < len(links) else "ok")
    task.metric("n_manual_override", sum(link.record.source.startswith("manual") for link in links))
    for source, count in sorted(Counter(step.source for step in steps).items()):
        task.metric(f"overlap_source_{source}", count)
    moved = [link.change.length for link in links if link.use == "full"]
    if moved:
        task.metric("largest_pair_shift", round(max(moved), 3), "px")
    task.metric("largest_rotation", round(max(abs(one.pose.angle_deg) for one in stack.slices), 4), "deg")
    factors = [one.gain for one in stack.slices]
    task.metric("gain_range", round(max(factors) / min(factors), 4), "largest over smallest")
