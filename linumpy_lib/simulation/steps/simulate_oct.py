"""Step: a serial-section OCT acquisition with known truth, the embedded input of preprocess."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linumpy_lib.simulation.oct_parameters import SimulateOctParameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.io import Volume

RAW = "{name}_raw"
TRUTH = "{name}_truth"
VOLUME = "volume.ome.zarr"
# smallest acquisition that still has neighbours along every axis
_STUB = {
    "simulate_oct_slices": 2,
    "simulate_oct_tiles_x": 2,
    "simulate_oct_tiles_y": 2,
    "simulate_oct_tile_shape": "16,32,48",
    "simulate_oct_n_extra": 4,
    "simulate_oct_galvo_shift_px": -1,
    "simulate_oct_camera_shift_px": 0,
}


def simulate_oct(*, truth: Volume | None, parameters: SimulateOctParameters, task: Task) -> None:
    """Write the raw tiles, the truth file, and the truth volume where it is procedural."""
    from linumpy_lib.simulation.oct import write_acquisition
    from linumpy_lib.simulation.oct_plan import plan_acquisition
    from linumpy_lib.simulation.truth_volume import truth_volume

    if task.stub:
        lists = {name: "" for name in SimulateOctParameters.model_fields if name.endswith(("_slices", "_tiles"))}
        parameters = parameters.model_copy(update=lists | _STUB)
    volume = truth_volume(truth, parameters)
    plan = plan_acquisition(parameters, volume.description())
    folder = task.path(TRUTH)
    write_acquisition(task.path(RAW), folder, plan, volume, threads=task.threads, progress=task.progress)
    if truth is None:
        from linumpy_lib.io import LazyArray, write_volume

        write_volume(
            folder / VOLUME,
            LazyArray(volume.array),
            spacing_um=volume.spacing_um,
            provenance=task.provenance,
            threads=task.threads,
        )
    task.metric("slices", sum(item.recorded for item in plan.slices))
    task.metric("tiles", sum(not tile.missing for item in plan.slices for tile in item.tiles))


STEP = Step(
    name="simulate_oct",
    function=simulate_oct,
    parameters=SimulateOctParameters,
    summary="A serial-section OCT acquisition whose truth is known",
    description="Cuts a volume into slices, scans each in overlapping tiles and writes them as the microscope does. "
    "Every effect can be set or switched off, and the truth file tells what each did; see docs/simulation.md.",
    inputs=(
        Input(
            "truth",
            help="volume to cut and scan (z,y,x); a procedural brain if absent",
            kind="volume",
            required=False,
        ),
    ),
    outputs={
        RAW: "the raw tiles: tile_x*_y*_z*/ with info.txt and image_*.bin",
        TRUTH: "truth.json, optics.npz, and volume.ome.zarr where the truth is procedural",
    },
)
