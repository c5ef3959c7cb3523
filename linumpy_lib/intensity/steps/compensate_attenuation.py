"""Step: give deep voxels the light back that tissue above them has taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.intensity.attenuation import Attenuation
    from linumpy_lib.intensity.slice_columns import BinnedSlice
    from linumpy_lib.io import Volume

COMPENSATED = "slice_{name}_attn_corr.ome.zarr"
PREVIEW = "{name}_compensate_attenuation_preview.png"


class CompensateAttenuationParameters(Parameters):
    """What `compensate_attenuation` lets a user choose."""

    compensate_attenuation_method: Annotated[
        Literal["li", "liu", "smith", "vermeer"],
        Field(
            description="Light from below the data: vermeer none, smith from the decay of whole A-lines, liu from "
            "their last samples, li as liu without noise"
        ),
    ] = "li"
    compensate_attenuation_strength: Annotated[
        float,
        Field(description="Power of the compensation: 0 changes nothing, 1 makes up for all light lost", ge=0, le=1),
    ] = 1.0
    compensate_attenuation_min_bias: Annotated[
        float,
        Field(
            description="Smallest fraction of light that is made up for; deeper voxels are raised no further",
            gt=0,
            le=1,
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.05
    compensate_attenuation_mask_sigma: Annotated[
        float,
        Field(
            description="Smoothing (Gaussian) of the brightness by which tissue is told from agarose",
            ge=0,
            le=1000,
            json_schema_extra={"unit": "voxel"},
        ),
    ] = 2.0
    compensate_attenuation_k: Annotated[
        int,
        Field(
            description="Last samples of A-lines that the decay below the data is fitted to (methods liu and li)",
            ge=2,
            le=10000,
            json_schema_extra={"unit": "voxel"},
        ),
    ] = 20
    compensate_attenuation_zshift: Annotated[
        int,
        Field(
            description="Samples below the cut face that are left out of the estimate: the face itself reflects",
            ge=0,
            le=1000,
            json_schema_extra={"unit": "voxel"},
        ),
    ] = 3
    compensate_attenuation_snr_threshold_db: Annotated[
        float,
        Field(
            description="Signal over noise at which A-lines end for the estimate (method li)",
            ge=-20,
            le=60,
            json_schema_extra={"unit": "dB"},
        ),
    ] = 6.0


def compensate_attenuation(*, input: Volume, parameters: CompensateAttenuationParameters, task: Task) -> None:  # noqa: A002
    """Write intensities divided by the fraction of light that is left at their depth.

    Parameters
    ----------
    input : Volume
        A slice that begins at its cut face, axes z, y, x.
    parameters : CompensateAttenuationParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the slice cannot be used or is empty.
    """
    from linumpy_lib.device import get_device
    from linumpy_lib.intensity.attenuation import measure_attenuation
    from linumpy_lib.intensity.compensation import compensate
    from linumpy_lib.intensity.slice_columns import bin_slice, slice_volume, write_columns

    volume = slice_volume(input)
    binned = bin_slice(volume, task)
    noise = known_noise(volume)
    found = measure_attenuation(
        binned,
        method=parameters.compensate_attenuation_method,
        mask_sigma=parameters.compensate_attenuation_mask_sigma,
        tail=parameters.compensate_attenuation_k,
        skip=parameters.compensate_attenuation_zshift,
        snr_threshold_db=parameters.compensate_attenuation_snr_threshold_db,
        noise=noise,
    )
    if not found.total > 0:
        task.note(f"{task.name}: no tissue was found; nothing is compensated")
    device = get_device(task.device)

    def change(block: Any, region: tuple[slice, ...]) -> Any:
        return compensate(
            block,
            binned.expand(found.below, region),
            binned.expand(found.last, region),
            binned.expand(found.compensated, region),
            device,
            floor=found.floor,
            skip=found.skip,
            strength=parameters.compensate_attenuation_strength,
            min_bias=parameters.compensate_attenuation_min_bias,
        )

    provenance = {**dict(volume.provenance), **task.provenance}
    write_columns(volume, task, COMPENSATED, change, provenance=provenance)
    after = compensate(
        binned.lines,
        found.below,
        found.last,
        found.compensated,
        get_device("cpu"),
        floor=found.floor,
        skip=found.skip,
        strength=parameters.compensate_attenuation_strength,
        min_bias=parameters.compensate_attenuation_min_bias,
    )
    _report(found, binned, after, task)


def known_noise(volume: Volume) -> float | None:
    """Noise of a slice whose floor correct_beam_profile has subtracted, at its highest; None if it has not."""
    record = volume.provenance.get("beam_profile")
    if not isinstance(record, dict) or not record.get("noise"):
        return None
    return float(record["noise"]) / float(min(record["profile"]))


def _report(found: Attenuation, binned: BinnedSlice, after: Any, task: Task) -> None:
    import numpy as np

    from linumpy_lib.quality.depth_preview import DepthLine, save_depth_preview
    from linumpy_lib.quality.thresholds import judge

    tissue = found.materials.tissue & binned.known
    coverage = float(tissue.sum() / max(1, binned.known.sum()))
    task.metric("tissue_coverage", round(coverage, 4), "fraction", **judge("tissue_coverage", coverage))
    task.metric("attenuation", round(float(np.median(found.mu_per_mm)), 4), "1/mm")
    task.metric("attenuation_below", round(found.tail_mu_per_mm, 4), "1/mm")
    task.metric("returned_light_spread", round(found.spread, 4), **judge("returned_light_spread", found.spread))
    task.metric("noise_floor", round(found.floor, 4), "counts")
    lines = []
    if tissue.any():
        used = float(np.median(found.last[tissue])) / binned.shape[0]
        task.metric("used_depth", round(used, 4), "fraction", **judge("used_depth", used))
        for label, stack in (("before", binned.lines), ("after", after)):
            line = stack[:, tissue].mean(axis=1)
            lines.append(DepthLine(f"tissue, {label}", line, scaled=True))
            drop = depth_drop(line[found.skip :])
            task.metric(f"depth_drop_{label}", round(drop, 4), "fraction")
        final = depth_drop(after[found.skip :, tissue].mean(axis=1))
        task.metrics["depth_drop_after"].update(judge("depth_drop_after", final))
    save_depth_preview(
        task.path(PREVIEW),
        f"{task.name}: attenuation, median {np.median(found.mu_per_mm):.2f} per mm",
        before=binned.lines,
        after=after,
        lines=lines,
        spacing_um=(binned.spacing_um[0], binned.width * binned.spacing_um[2]),
    )


def depth_drop(line: Any) -> float:
    """How much darker the lower third of an A-line is than its upper third, as a fraction."""
    import numpy as np

    third = max(1, len(line) // 3)
    top = float(np.mean(line[:third]))
    return 1 - float(np.mean(line[-third:])) / top if top > 0 else 0.0


STEP = Step(
    name="compensate_attenuation",
    function=compensate_attenuation,
    parameters=CompensateAttenuationParameters,
    summary="Make up for the light that tissue takes on its way",
    description="Depth-resolved estimate: what is left of the light at a voxel is what comes back from there and "
    "below. What comes back from below the data is measured on means of A-lines. A homogeneous medium comes out flat; "
    "contrast between tissues stays.",
    inputs=(Input("input", "slice from its cut face down, axes z,y,x (crop_interface)"),),
    outputs={COMPENSATED: "the slice, float32", PREVIEW: "a section and the profiles before and after"},
    devices=("cpu", "cuda", "mps"),
)
