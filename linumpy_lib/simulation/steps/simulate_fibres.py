"""Step: a fibre phantom with known directions, the embedded input of the demo."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from linumpy_lib.params import SHAPE, Parameters, volume_shape
from linumpy_lib.step import STUB_SIZE, Step, Task

VOLUME = "{name}.ome.zarr"
TRUE_DIRECTION = "{name}_true_direction.ome.zarr"
TRUE_CLASS = "{name}_true_class.ome.zarr"


class SimulateFibresParameters(Parameters):
    """What `simulate_fibres` lets a user choose."""

    simulate_shape: Annotated[
        str,
        BeforeValidator(volume_shape),
        Field(
            description="Size of the simulated volume as z,y,x",
            json_schema_extra={"pattern": SHAPE, "unit": "voxel", "form": "z,y,x"},
        ),
    ] = "96,128,128"
    simulate_seed: Annotated[int, Field(description="Seed of the simulation; equal seeds give equal volumes", ge=0)] = 0
    simulate_noise: Annotated[
        float,
        Field(
            description="Noise of the simulated volume as a fraction of its brightest value",
            ge=0,
            le=1,
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.03


def simulate_fibres(*, parameters: SimulateFibresParameters, task: Task) -> None:
    """Write the phantom, its true directions and its true classes."""
    from linumpy_lib.io import write_volume
    from linumpy_lib.simulation.fibres import simulate_fibres as simulate

    shape = [int(part) for part in parameters.simulate_shape.split(",")]
    if task.stub:
        shape = [min(length, STUB_SIZE) for length in shape]
    phantom = simulate(shape, seed=parameters.simulate_seed, noise=parameters.simulate_noise)
    common: dict[str, Any] = {"spacing_um": phantom.spacing_um, "provenance": task.provenance, "threads": task.threads}
    write_volume(task.path(VOLUME), phantom.volume, **common)
    write_volume(
        task.path(TRUE_DIRECTION),
        phantom.direction.transpose(3, 0, 1, 2),
        axes="czyx",
        channel_names=("z", "y", "x"),
        **common,
    )
    write_volume(task.path(TRUE_CLASS), phantom.labels, kind="labels", **common)


STEP = Step(
    name="simulate_fibres",
    function=simulate_fibres,
    parameters=SimulateFibresParameters,
    summary="A fibre phantom whose directions are known",
    description="Bundles of thin fibres at known angles, a layered region and a granular one, blurred and with noise.",
    inputs=(),
    outputs={
        VOLUME: "the phantom (uint8)",
        TRUE_DIRECTION: "true fibre axis or layer normal (c=3 in z,y,x order)",
        TRUE_CLASS: "true tissue class of each voxel, see linumpy_lib.simulation.tissue_regions.TissueClass",
    },
)
