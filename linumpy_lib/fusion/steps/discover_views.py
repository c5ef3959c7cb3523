"""Step: which views a recording holds, and what is done with them."""

from __future__ import annotations

import json
from pathlib import Path

from linumpy_lib.fusion.parameters.selection import SelectionParameters
from linumpy_lib.step import Input, Step, Task

RECORDING = "{name}_recording.json"
VIEWS = "{name}_views"
TABLE = "{name}_views.csv"


def discover_views(*, recording: Path, parameters: SelectionParameters, task: Task) -> None:
    """Write the plan of the run, one file for each view, and a table of the views."""
    from linumpy_lib.fusion.discovery import discover
    from linumpy_lib.fusion.recording_plan import plan_recording
    from linumpy_lib.io.csv_file import write_rows

    views = discover(recording, parameters)
    plan = plan_recording(views, parameters)
    document = plan.as_json(recording)
    task.path(RECORDING).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    folder = task.path(VIEWS)
    folder.mkdir()
    for view in document["views"]:
        (folder / f"{view['stem']}.json").write_text(json.dumps(view, indent=1) + "\n", encoding="utf-8")
    columns = ["timepoint", "camera", "channel", "stack"]
    write_rows(task.path(TABLE), columns, [{c: str(view[c]) for c in columns} for view in document["views"]])
    for view in views:
        if view.background is None:
            task.note(f"camera {view.camera}: no Background_{view.camera}.tif; its dark level is taken from the views")
    for timepoint, camera, channel in plan.missing:
        task.note(f"time point {timepoint}: camera {camera}, channel {channel} was not recorded")
    task.metric("views", len(views))
    task.metric("timepoints", len(document["timepoints"]))
    task.metric("missing_views", len(plan.missing), status="warning" if plan.missing else "ok")


STEP = Step(
    name="discover_views",
    function=discover_views,
    parameters=SelectionParameters,
    summary="Which views a recording holds, and what is done with them",
    description="Reads the names of the stacks and the XML files of a multi-view recording; see docs/fusion.md.",
    inputs=(Input("recording", help="folder of the recording, with SPM00 inside", kind="path"),),
    outputs={
        RECORDING: "the plan of the run: views, missing views, pairs, groups of masks",
        VIEWS: "one JSON file for each view",
        TABLE: "time point, camera, channel and stack of each view",
    },
)
