"""`--check` of a fusion run: the views, pairs and gaps of a recording, its tasks, memory and disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linumpy_lib.costs import Work, cost_line
from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.fusion.discovery import RawView, discover
from linumpy_lib.fusion.parameters.selection import SelectionParameters
from linumpy_lib.fusion.recording_plan import RecordingPlan, plan_recording

CHOICES = tuple(SelectionParameters.model_fields)
"""Parameters that decide what a run makes of a recording."""
_PER_VIEW_GB = 3.0


def check_recording(path: Path, choices: Mapping[str, str]) -> tuple[list[str], list[str], int]:
    """Plan the fusion of a recording.

    Parameters
    ----------
    path : Path
        The recording.
    choices : mapping of str to str
        Selection by name, as typed.

    Returns
    -------
    plan : list of str
        Lines for people.
    problems : list of str
        One line for each thing to mend.
    size : int
        Bytes of the results at most.
    """
    try:
        selection = SelectionParameters.parse({name: choices[name] for name in CHOICES if name in choices})
        views = discover(path, selection)
        plan = plan_recording(views, selection)
    except (InputError, ParameterError) as error:
        return [], [str(error)], 0
    problems = [problem for view in views if (problem := _size_problem(view))]
    for kind in sorted({(view.camera, view.channel) for view in views}):
        sizes = {(v.width, v.height) for v in views if (v.camera, v.channel) == kind}
        if len(sizes) > 1:
            problems.append(f"camera {kind[0]}, channel {kind[1]}: planes change their size over time: {sorted(sizes)}")
    pairs = _pairs(plan)
    stored = sum(view.stack.stat().st_size if view.stack.is_file() else 0 for view in views)
    missing = ", ".join(f"TM{t:05d} CM{c} CHN{h:02d}" for t, c, h in plan.missing) or "none"
    lines = [
        f"{path.name}: {len(views)} views of {len({v.timepoint for v in views})} time points, cameras "
        f"{sorted({v.camera for v in views})}, channels {sorted({v.channel for v in views})}",
        f"missing views: {missing}",
        f"pairs to fuse: {pairs} ({'cameras ' + str(plan.camera_pairs) if plan.camera_pairs else 'no camera pairs'}"
        f"{', channels ' + str(plan.channel_pairs) if plan.channel_pairs else ''})",
        cost_line(_work(len(views), pairs, stored / 2), _PER_VIEW_GB * 1e9),
    ]
    return lines, problems, stored + (stored // max(1, len(views))) * pairs


def _work(views: int, pairs: int, voxels: float) -> list[Work]:
    """Tasks of a fusion, from the voxels of all views."""
    both = 2 * voxels / max(1, views) * pairs
    work = [
        Work("correct_view", views, voxels),
        Work("register_views", pairs, both),
        Work("fuse_views", pairs, both / 2),
    ]
    return [*work, Work("tables", 2, 0), Work("report", 1, 0)]


def _size_problem(view: RawView) -> str:
    """Tell what is wrong with the size of a stack; empty if nothing is."""
    if view.stack.suffix.lower() != ".stack":
        return ""
    size, plane = view.stack.stat().st_size, 2 * view.width * view.height
    if size == 0 or size % plane:
        return (
            f"{view.stack}: holds {size} bytes, which is no whole number of planes of {view.width} x {view.height} "
            "pixels of 2 bytes; the stack is cut off or its XML belongs to another one"
        )
    return ""


def _pairs(plan: RecordingPlan) -> int:
    """Count the fusions: of channels, of cameras, and of both."""
    if not plan.fuse:
        return 0
    there = {(v.timepoint, v.camera, v.channel) for v in plan.views}
    cameras = sorted({v.camera for v in plan.views})
    alone = {v.channel for v in plan.views} - {c for pair in plan.channel_pairs for c in pair}
    count = 0
    for t in {v.timepoint for v in plan.views}:
        sheets = {
            (camera, pair)
            for camera in cameras
            for pair in plan.channel_pairs
            if all((t, camera, channel) in there for channel in pair)
        }
        count += len(sheets)
        for first, second in plan.camera_pairs:
            count += sum((t, first, h) in there and (t, second, h) in there for h in alone)
            count += sum((first, pair) in sheets and (second, pair) in sheets for pair in plan.channel_pairs)
    return count
