"""`--check`: what a run is going to do, and everything that stands in its way, without running a task.

`bin/check_run.py` prints one JSON object with the plan as text and the list of problems; the launcher shows both.
"""

from __future__ import annotations

import argparse
import glob
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

STEP_CHOICES = (
    *("use_old_folder_structure", "axial_resolution", "mosaic_resolution", "sharding_factor", "preprocess"),
    *("shifts_xy", "slice_config", "resolution", "registration_slicing_interval_mm"),
    *("specimen", "timepoints", "cameras", "channels", "camera_channel_map", "camera_pairs", "reference_channels"),
    *("dependent_channels", "fusion_enable", "fusion_camera_pairs", "fusion_channel_pairs", "fusion_4view_only"),
    *("generate_aips", "generate_previews", "fix_curvature_enabled", "correct_bias_field"),
)
"""Parameters that change the plan."""


def check_run(
    workflow: str,
    pattern: str,
    output: Path,
    *,
    slabs: int = 0,
    channel: str = "",
    choices: Mapping[str, str] | None = None,
) -> tuple[list[str], list[str]]:
    """Plan a run.

    Parameters
    ----------
    workflow : str
        Workflow, or a chain of them separated by commas.
    pattern : str
        Path or glob of the input; ``simulate`` has nothing to check.
    output : Path
        Folder for the results; need not exist.
    slabs : int
        Tasks per volume in the anisotropy workflow; 0 if the pipeline decides.
    channel : str
        Channel that the anisotropy workflow works on.
    choices : mapping of str to str, optional
        Further parameters of steps by name.

    Returns
    -------
    plan : list of str
        Lines for people.
    problems : list of str
        One line for each thing to mend.
    """
    plan: list[str] = []
    problems: list[str] = []
    disk = 0
    paths = [] if pattern == "simulate" else _expand(pattern)
    if pattern != "simulate" and not paths:
        problems.append(f"--input: nothing matches '{pattern}'; check the path, and quote a glob against the shell")
    first, *later = workflow.split(",")
    choices = {**(choices or {}), "later": ",".join(later)}
    for path in paths:
        if first == "anisotropy":
            from linumpy_lib.anisotropy.check import check_volume

            lines, wrong, size = check_volume(path, slabs, channel)
        elif first == "preprocess":
            from linumpy_lib.acquisition.check import check_acquisition

            lines, wrong, size = check_acquisition(path, choices)
        elif first == "reconstruct":
            from linumpy_lib.alignment.check import check_mosaics

            lines, wrong, size = check_mosaics(path, choices)
        elif first == "fusion":
            from linumpy_lib.fusion.check import check_recording

            lines, wrong, size = check_recording(path, choices)
        else:
            continue
        plan += lines
        problems += wrong
        disk += size
    folder = output.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    plan.append(f"disk: {disk / 1e9:.3g} GB at most for results, as much again in work/; {free / 1e9:.1f} GB free")
    if 2 * disk > free:
        problems.append(
            f"--output: {folder} has {free / 1e9:.1f} GB free, the run may need {2 * disk / 1e9:.1f} GB; free some or "
            "choose another disk"
        )
    return plan, problems


def _expand(pattern: str) -> list[Path]:
    """Return the path itself where it exists, else what the glob matches."""
    if Path(pattern).exists():
        return [Path(pattern)]
    return sorted(Path(found) for found in glob.glob(pattern, recursive=True))


def main() -> None:
    """Print the plan and the problems as JSON; exit 1 if there are problems."""
    parser = argparse.ArgumentParser(prog="check_run.py", description="Plan a run and list what stands in its way.")
    parser.add_argument("--workflow", required=True, help="workflow, or a chain of them separated by commas")
    parser.add_argument("--input", required=True, help="path or glob of the input, or simulate")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--subject_name", default="", help="name of the results")
    parser.add_argument("--anisotropy_slabs", type=int, default=0, help="tasks per volume in workflow anisotropy")
    parser.add_argument("--anisotropy_channel", default="", help="channel that workflow anisotropy works on")
    for name in STEP_CHOICES:
        parser.add_argument(f"--{name}", help="as in the pipeline (default: the pipeline's)")
    options = parser.parse_args()
    plan, problems = check_run(
        options.workflow,
        options.input,
        options.output,
        slabs=options.anisotropy_slabs,
        channel=options.anisotropy_channel,
        choices={name: getattr(options, name) for name in STEP_CHOICES if getattr(options, name) is not None},
    )
    print(json.dumps({"plan": "\n".join(plan), "problems": problems}))
    sys.exit(1 if problems else 0)
