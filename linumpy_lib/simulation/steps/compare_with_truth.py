"""Step: a reconstructed volume against the truth that its slices were cut from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.io import Volume
    from linumpy_lib.simulation.truth_comparison import Comparison

TABLE = "{name}_truth_errors.csv"
PREVIEW = "{name}_compare_with_truth_preview.png"
_COLUMNS = ("slice_id", "y_px", "x_px", "rotation_deg", "depth_planes", "correlation", "interpolated")


class CompareWithTruthParameters(Parameters):
    """What `compare_with_truth` lets a user choose: nothing."""


def compare_with_truth(
    *, volume: Volume, truth: Path, truth_volume: Volume | None, parameters: CompareWithTruthParameters, task: Task
) -> None:
    """Write the errors of all slices, and pictures of both side by side.

    Parameters
    ----------
    volume : Volume
        The volume that `stack_slices` wrote.
    truth : Path
        Folder of the truth that `simulate_oct` wrote.
    truth_volume : Volume, optional
        The volume that was cut, where it is not in that folder.
    parameters : CompareWithTruthParameters
        Nothing.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the truth is absent or malformed, or the volume does not state its slices.
    """
    from linumpy_lib.errors import InputError
    from linumpy_lib.io import open_volume
    from linumpy_lib.io.csv_file import write_rows
    from linumpy_lib.quality.slice_preview import write_panels
    from linumpy_lib.simulation.steps.simulate_oct import VOLUME
    from linumpy_lib.simulation.truth import read_truth
    from linumpy_lib.simulation.truth_comparison import compare

    known = read_truth(truth)
    if truth_volume is None and not (truth / VOLUME).exists():
        raise InputError(f"{truth}: holds no {VOLUME}; give the volume that was cut with --truth_volume")
    source = open_volume(truth / VOLUME) if truth_volume is None else truth_volume
    if task.stub:
        write_rows(task.path(TABLE), _COLUMNS, [])
        write_panels(task.path(PREVIEW), [("volume", volume.read((0, ...)))])
        return
    found = compare(volume, known, _Regions(source))
    write_rows(task.path(TABLE), _COLUMNS, _rows(found))
    _tell(found, task)
    seen, true, face, true_face = found.sections
    dz, dy, dx = volume.require_spacing()
    dz *= volume.shape[0] / len(seen)
    write_panels(
        task.path(PREVIEW),
        [("volume, z down", seen), ("truth", true), ("volume, one plane", face), ("truth", true_face)],
        spacing_um=[(dz, dx), (dz, dx), (dy, dx), (dy, dx)],
        title=f"correlation {found.correlation:.3f}, positions {found.position_rms_px:.2f} px rms",
        shared_range=False,
    )


class _Regions:
    """A volume that is read with three slices."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.shape = volume.shape

    def __getitem__(self, region: Any) -> Any:
        return self._volume.read(region)


def _rows(found: Comparison) -> list[dict[str, str]]:
    from linumpy_lib.io.slice_config import slice_name

    return [
        {
            "slice_id": slice_name(fit.slice_id),
            "y_px": f"{fit.shift_px[0]:.4f}",
            "x_px": f"{fit.shift_px[1]:.4f}",
            "rotation_deg": f"{fit.rotation_deg:.5f}",
            "depth_planes": "" if fit.depth_planes is None else f"{fit.depth_planes:.3f}",
            "correlation": f"{fit.correlation:.4f}",
            "interpolated": "true" if fit.interpolated else "false",
        }
        for fit in found.fits
    ]


def _tell(found: Comparison, task: Task) -> None:
    from linumpy_lib.quality.thresholds import judge

    for name, value, unit in (
        ("truth_position_rms", found.position_rms_px, "px"),
        ("truth_position_max", found.position_max_px, "px"),
        ("truth_rotation_rms", found.rotation_rms_deg, "deg"),
        ("truth_depth_rms", found.depth_rms_planes, "planes"),
        ("truth_depth_max", found.depth_max_planes, "planes"),
        ("truth_total_depth", found.total_depth_planes, "planes"),
        ("truth_correlation", found.correlation, ""),
    ):
        task.metric(name, None if value is None else round(value, 5), unit, **judge(name, value))
    for fit in found.fits:
        if fit.interpolated:
            task.note(f"slice {fit.slice_id} was interpolated: correlation with the truth {fit.correlation:.3f}")


STEP = Step(
    name="compare_with_truth",
    function=compare_with_truth,
    parameters=CompareWithTruthParameters,
    summary="A reconstructed volume against the truth of its simulation",
    description="Registers the planes of each slice to the volume that the slices were cut from. Positions, rotations "
    "and depths are seen in the images; what all slices have in common is the volume's own frame and no error.",
    inputs=(
        Input("volume", "volume from stack_slices"),
        Input("truth", "folder with truth.json from simulate_oct", kind="path"),
        Input("truth_volume", "the volume that was cut, where it is not in that folder", required=False, digest=False),
    ),
    outputs={
        TABLE: "errors of each slice: position, rotation, depth, correlation",
        PREVIEW: "sections of the volume and of the truth",
    },
)
