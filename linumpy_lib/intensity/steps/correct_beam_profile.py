"""Step: take the beam's axial sensitivity, and the signal without light, out of a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.intensity.beam_profile import BeamProfile
    from linumpy_lib.intensity.slice_columns import BinnedSlice
    from linumpy_lib.io import Volume

CORRECTED = "slice_{name}_axial_corr.ome.zarr"
PREVIEW = "{name}_correct_beam_profile_preview.png"
KEY = "beam_profile"


class CorrectBeamProfileParameters(Parameters):
    """What `correct_beam_profile` lets a user choose."""

    compensate_psf_method: Annotated[
        Literal["model_free", "model"],
        Field(
            description="Beam profile: model_free takes the smoothed A-line of the agarose, model fits the confocal "
            "function to it"
        ),
    ] = "model_free"
    compensate_psf_zr_initial: Annotated[
        float,
        Field(
            description="Rayleigh length in the sample from which the fit of the confocal function starts",
            gt=0,
            json_schema_extra={"unit": "um"},
        ),
    ] = 1060.0


def correct_beam_profile(*, input: Volume, parameters: CorrectBeamProfileParameters, task: Task) -> None:  # noqa: A002
    """Write (intensity - floor) / beam profile, at least 0.

    Parameters
    ----------
    input : Volume
        A slice, axes z, y, x.
    parameters : CorrectBeamProfileParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the slice cannot be used or is empty.
    """
    import numpy as np

    from linumpy_lib.intensity.beam_profile import measure_beam_profile
    from linumpy_lib.intensity.interface import find_interface
    from linumpy_lib.intensity.slice_columns import bin_slice, slice_volume, write_columns

    volume = slice_volume(input)
    binned = bin_slice(volume, task)
    found = measure_beam_profile(
        binned,
        find_interface(binned),
        method=parameters.compensate_psf_method,
        rayleigh_um=parameters.compensate_psf_zr_initial,
    )
    if found.reason:
        task.note(f"{task.name}: {found.reason}")
    gain = (1 / found.profile).astype(np.float32)[:, None, None]
    floor = np.float32(found.floor)

    def change(block: Any, _region: tuple[slice, ...]) -> Any:
        block -= floor
        np.maximum(block, 0, out=block)
        block *= gain
        return block

    record = {
        "method": found.method,
        "reference": found.reference,
        "floor": round(found.floor, 6),
        "noise": round(found.noise, 6),
        "profile": [round(float(value), 6) for value in found.profile],
    }
    provenance = {**dict(volume.provenance), **task.provenance, KEY: record}
    write_columns(volume, task, CORRECTED, change, provenance=provenance)
    _report(found, binned, task)


def _report(found: BeamProfile, binned: BinnedSlice, task: Task) -> None:
    import numpy as np

    from linumpy_lib.quality.depth_preview import DepthLine, save_depth_preview
    from linumpy_lib.quality.thresholds import judge

    z_um = binned.spacing_um[0]
    coverage = found.materials.coverage(binned.known)
    quality = max(0.0, 1 - 10 * found.residual)
    task.metric("psf_method", found.method)
    task.metric("psf_reference", found.reference, status="ok" if found.reference == "agarose" else "warning")
    task.metric("psf_max", round(found.contrast, 4), "fraction", **judge("psf_max", found.contrast))
    task.metric("psf_peak_depth", round(float(np.argmax(found.profile)) * z_um, 2), "um")
    task.metric("agarose_coverage", round(coverage, 4), "fraction", **judge("agarose_coverage", coverage))
    task.metric("agarose_attenuation", round(found.mu_per_mm, 4), "1/mm")
    task.metric("profile_residual", round(found.residual, 5), "fraction")
    task.metric("profile_quality", round(quality, 3), **judge("profile_quality", quality))
    task.metric("floor", round(found.floor, 4), "counts")
    task.metric("noise", round(found.noise, 4), "counts")
    if found.focus_um is not None and found.rayleigh_um is not None:
        task.metric("focus_depth", round(found.focus_um, 1), "um")
        task.metric("rayleigh_length", round(found.rayleigh_um, 1), "um")
    after = np.maximum(binned.lines - np.float32(found.floor), 0) / found.profile.astype(np.float32)[:, None, None]
    lines = [DepthLine("sensitivity", found.profile, dashed=True)]
    for label, columns in (("agarose", found.materials.agarose), ("tissue", found.materials.tissue)):
        if columns.any():
            lines.append(DepthLine(f"{label}, before", binned.lines[:, columns].mean(axis=1), scaled=True))
            lines.append(DepthLine(f"{label}, after", after[:, columns].mean(axis=1), scaled=True))
    save_depth_preview(
        task.path(PREVIEW),
        f"{task.name}: beam profile ({found.method}, from {found.reference})",
        before=binned.lines,
        after=after,
        lines=lines,
        spacing_um=(z_um, binned.width * binned.spacing_um[2]),
    )


STEP = Step(
    name="correct_beam_profile",
    function=correct_beam_profile,
    parameters=CorrectBeamProfileParameters,
    summary="Even out the beam's sensitivity along depth",
    description="Subtracts the signal without light (the mean of the water above the cut face) and divides by the "
    "axial sensitivity, measured on the agarose around the tissue, its own weak decay taken out. Without agarose the "
    "confocal model is fitted to the tissue together with its attenuation.",
    inputs=(Input("input", "slice, axes z,y,x (stitch_slice)"),),
    outputs={CORRECTED: "the slice, float32", PREVIEW: "a section and the profiles before and after"},
)
