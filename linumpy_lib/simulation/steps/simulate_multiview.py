"""Step: a multi-view light-sheet recording with known truth, the embedded input of fusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linumpy_lib.simulation.multiview_parameters import SimulateMultiviewParameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.io import Volume

RAW = "{name}_raw"
TRUTH = "{name}_truth"
VOLUME = "volume.ome.zarr"
PREVIEW = "{name}_simulate_multiview_preview.png"


def simulate_multiview(*, truth: Volume | None, parameters: SimulateMultiviewParameters, task: Task) -> None:
    """Write the raw recording, the truth file, the sample and a preview."""
    from linumpy_lib.io import write_volume
    from linumpy_lib.quality.slice_preview import write_panels
    from linumpy_lib.simulation.multiview import MultiviewScene
    from linumpy_lib.simulation.raw_views import write_recording

    if task.stub:
        corner = ",".join([str(STUB_SIZE)] * 3)
        parameters = parameters.model_copy(update={"simulate_multiview_shape": corner, "simulate_multiview_preset": ""})
    scene = MultiviewScene(truth, parameters)
    folder = task.path(TRUTH)
    write_recording(scene, task.path(RAW), folder, progress=task.progress)
    write_volume(
        folder / VOLUME, scene.truth, spacing_um=scene.spacing_um, provenance=task.provenance, threads=task.threads
    )
    middle = scene.truth.shape[1] // 2
    panels: list[tuple[str, Any]] = [("sample, x-z", scene.truth[:, middle])]
    for camera in scene.cameras[:2]:
        view = scene.view(scene.timepoints[0], camera, scene.channels(camera)[0])
        panels.append((f"camera {camera}, x-z", view.volume[:, middle]))
    write_panels(task.path(PREVIEW), panels, spacing_um=(scene.spacing_um[0], scene.spacing_um[2]))
    task.metric("views", len(list(scene.keys())))
    task.metric("timepoints", len(scene.timepoints))


STEP = Step(
    name="simulate_multiview",
    function=simulate_multiview,
    parameters=SimulateMultiviewParameters,
    summary="A multi-view light-sheet recording whose truth is known",
    description="Opposing and orthogonal cameras look at a sample: blur and loss of light with depth, shift, rotation, "
    "gain, drift over time, stuck pixels, noise. See docs/simulation.md.",
    inputs=(
        Input("truth", help="sample to record (z,y,x); procedural nuclei if absent", kind="volume", required=False),
    ),
    outputs={
        RAW: "the recording: SPM00/TM00000/ANG000/*.stack, ch*.xml, SPM00/Background_*.tif",
        TRUTH: "truth.json, and the sample as volume.ome.zarr",
        PREVIEW: "the sample and two views, cut along the cameras' axis",
    },
)
