"""Step: even out a stacked volume along z and divide it by its bias field, section by section and as a whole."""

from __future__ import annotations

import tempfile
import warnings
from typing import TYPE_CHECKING, Any

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.intensity.steps.bias_parameters import CorrectBiasFieldParameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from linumpy_lib.intensity.corrected import CorrectedVolume, SectionField
    from linumpy_lib.intensity.z_intensity import PlaneCorrection
    from linumpy_lib.io import Volume

CORRECTED = "{name}_corrected.ome.zarr"
BIAS = "{name}_bias_field.ome.zarr"
PREVIEW = "{name}_bias_preview.png"
PREVIEW_VOXELS = 300
# a section is often a few dozen planes: fewer nodes than this along z say little about a field that varies there
FEWEST_NODES = 8


def section_ranges(volume: Volume, count: int, mode: str) -> list[tuple[int, int]]:
    """Return the planes of each serial section, from the parameter or from the volume's provenance."""
    from linumpy_lib.intensity.sections import section_bounds

    planes = volume.shape[0]
    known = volume.provenance.get("slice_boundaries")
    if count:
        if count > planes:
            raise ParameterError(
                f"parameter 'bias_n_serial_slices': {count} is not allowed: {volume.name} has {planes} planes"
            )
        return section_bounds(planes, count)
    if known:
        return section_bounds(planes, 1, [int(z) for z in known])
    if mode == "global":
        return [(0, planes)]
    raise InputError(
        f"{volume.name}: does not tell where its serial sections begin ('slice_boundaries' in its provenance); give "
        "their number with --bias_n_serial_slices, or use --bias_mode global"
    )


def even_out_z(
    vol: Any, mask: Any, sections: list[tuple[int, int]], parameters: CorrectBiasFieldParameters
) -> PlaneCorrection | None:
    """Return the correction along z that the parameters ask for, None if none."""
    from linumpy_lib.intensity.z_intensity import (
        highest_value,
        histogram_matching,
        percentile_scaling,
        plane_histograms,
        smooth_profile,
    )

    sigma, mode = parameters.bias_zprofile_smooth_sigma, parameters.znorm_mode
    if mode == "none" and sigma == 0:
        return None
    highest = highest_value(vol)
    histograms = plane_histograms(vol, mask, parameters.bias_tissue_threshold * highest, highest)
    correction = None
    if mode == "histogram":
        groups = None if parameters.bias_histogram_match_per_zplane else sections
        correction = histogram_matching(histograms, parameters.znorm_strength, groups)
    elif mode == "percentile":
        correction = percentile_scaling(
            histograms, parameters.znorm_strength, percentile=parameters.znorm_percentile, sigma=sigma
        )
    return smooth_profile(histograms, sigma, correction)


def fit_pass(
    view: CorrectedVolume,
    sections: list[tuple[int, int]],
    spline_distance_mm: float,
    voxel_size_mm: tuple[float, ...],
    parameters: CorrectBiasFieldParameters,
    task: Task,
    label: str,
) -> list[SectionField]:
    """Fit one field to each section of what has been corrected so far; report how it went."""
    from linumpy_lib.intensity.corrected import Planes, SectionField
    from linumpy_lib.intensity.field import BiasField
    from linumpy_lib.intensity.fitting import BiasFieldWarning, NoTissueError, fit_bias_field

    backend = "itk" if parameters.bias_engine == "itk" else "gpu" if task.device == "cuda" else "cpu"
    fields, residuals, converged = [], [], 0
    for start, stop in sections:
        part, mask = Planes(view, start, stop), Planes(view.mask, start, stop)
        shrink = parameters.bias_shrink_factor
        thin = min(shrink, max(1, (stop - start) // FEWEST_NODES))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", BiasFieldWarning)
            try:
                field = fit_bias_field(
                    part,
                    mask,
                    shrink_factor=(thin, shrink, shrink),
                    n_iterations=[int(n) for n in parameters.bias_iterations.split(",")],
                    spline_distance_mm=spline_distance_mm,
                    voxel_size_mm=voxel_size_mm,
                    backend=backend,
                    max_control_points=parameters.bias_max_control_points,
                    threads=task.threads,
                )
            except NoTissueError:
                task.note(f"planes {start} to {stop - 1} hold no tissue; their field is 1")
                fields.append(SectionField(start, stop, BiasField.flat(part.shape)))
                continue
        for warning in caught:
            task.note(f"{label}, planes {start} to {stop - 1}: {warning.message}")
        fields.append(SectionField(start, stop, field.centred()))
        residuals.append(field.residual)
        converged += all(level.convergence <= 1e-3 for level in field.levels)
    if residuals:
        task.metric(
            f"{label}_residual", round(max(residuals), 4), "fraction of the log intensities' spread that is left"
        )
        if parameters.bias_engine == "own":
            task.metric(f"{label}_converged", converged, f"of {len(residuals)} fields")
    return fields


def correct_bias_field(*, input: Volume, parameters: CorrectBiasFieldParameters, task: Task) -> None:  # noqa: A002
    """Write the corrected volume, its preview and, if asked for, the field.

    Parameters
    ----------
    input : Volume
        Stacked volume, axes z, y, x, with a voxel size.
    parameters : CorrectBiasFieldParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the volume has other axes, no voxel size or unknown sections.
    """
    import numpy as np

    from linumpy_lib.intensity.corrected import CorrectedVolume
    from linumpy_lib.intensity.tissue_mask import compute_tissue_mask

    volume = input
    for axis in "tc":
        if axis in volume.axes and volume.shape[volume.axes.index(axis)] == 1:
            volume = volume.pick(**{axis: 0})
    if volume.axes != "zyx":
        raise InputError(f"{volume.name}: axes are '{volume.axes}'; give a volume of one channel with axes z, y, x")
    spacing_um = volume.require_spacing()
    voxel_size_mm = tuple(length / 1000 for length in spacing_um)
    if task.stub:  # the corner of the volume knows nothing of its sections
        sections = [(0, volume.shape[0])]
    else:
        sections = section_ranges(volume, parameters.bias_n_serial_slices, parameters.bias_mode)

    # the mask is a byte per voxel: on disk, so that memory does not grow with the volume
    with tempfile.TemporaryFile(dir=task.staging.parent) as scratch:
        mask: npt.NDArray[np.bool_] = np.memmap(scratch, bool, "w+", shape=volume.shape)
        compute_tissue_mask(
            volume.array,
            parameters.bias_mask_smoothing_sigma,
            section_boundaries=[start for start, _ in sections],
            use_gpu=task.device == "cuda",
            out=mask,
        )
        planes = even_out_z(volume.array, mask, sections, parameters)
        view = CorrectedVolume(volume.array, mask, planes)
        passes: list[list[SectionField]] = []
        if parameters.bias_mode in ("per_section", "two_pass"):
            distance = parameters.bias_section_spline_distance_mm
            passes.append(fit_pass(view, sections, distance, voxel_size_mm, parameters, task, "per_section"))
        if parameters.bias_mode in ("global", "two_pass"):
            view = CorrectedVolume(volume.array, mask, planes, tuple(passes))
            whole = [(0, volume.shape[0])]
            distance = parameters.bias_spline_distance_mm
            passes.append(fit_pass(view, whole, distance, voxel_size_mm, parameters, task, "global"))
        result = CorrectedVolume(
            volume.array,
            mask,
            planes,
            tuple(passes),
            parameters.bias_strength,
            parameters.bias_zero_outside_mask,
        )
        _write(result, volume, parameters, task)
        _report(result, volume, task)


def _write(result: CorrectedVolume, volume: Volume, parameters: CorrectBiasFieldParameters, task: Task) -> None:
    from linumpy_lib.blocks import stream
    from linumpy_lib.io import VolumeWriter

    provenance = dict(task.provenance)
    if "slice_boundaries" in volume.provenance:
        provenance["slice_boundaries"] = list(volume.provenance["slice_boundaries"])
    stores = {CORRECTED: result.__getitem__} | ({BIAS: result.bias} if parameters.bias_save_field else {})
    for pattern, compute in stores.items():
        with VolumeWriter(
            task.path(pattern),
            shape=volume.shape,
            dtype="float32",
            spacing_um=volume.require_spacing(),
            origin_um=volume.origin_um,
            provenance=provenance,
            threads=task.threads,
        ) as writer:
            stream(
                writer.regions(),
                lambda region: region,
                compute,
                writer.write,
                threads=task.threads,
                description=f"write {writer.name}",
                progress=task.progress,
            )


def _report(result: CorrectedVolume, volume: Volume, task: Task) -> None:
    """Take a coarse sample of the volume before and after; draw it, and measure the banding along z."""
    import numpy as np

    from linumpy_lib.intensity.corrected import FieldView
    from linumpy_lib.intensity.field import FitGrid
    from linumpy_lib.intensity.fitting import take_nodes
    from linumpy_lib.quality.bias_preview import BiasPreview, plane_to_plane_change, save_bias_preview

    grid = FitGrid.of(volume.shape, [max(1, round(n / PREVIEW_VOXELS)) for n in volume.shape])
    z_um, y_um, x_um = (s * f for s, f in zip(volume.require_spacing(), grid.factors, strict=True))
    preview = BiasPreview(
        before=np.asarray(take_nodes(volume.array, grid), np.float32),
        after=take_nodes(result, grid),
        mask=take_nodes(result.mask, grid) != 0,
        bias=take_nodes(FieldView(result), grid),
        spacing_um=(z_um, y_um, x_um),
        title=task.name,
    )
    for label, stack in (("before", preview.before), ("after", preview.after)):
        task.metric(f"z_banding_{label}", round(plane_to_plane_change(stack, preview.mask), 5), "fraction of the mean")
    task.metric("tissue_fraction", round(float(preview.mask.mean()), 4), "of the voxels")
    save_bias_preview(task.path(PREVIEW), preview)


STEP = Step(
    name="correct_bias_field",
    function=correct_bias_field,
    parameters=CorrectBiasFieldParameters,
    summary="Correct slow intensity changes of a stacked volume",
    description="Finds the tissue of each serial section, evens its intensity out along z, and divides it by a smooth "
    "bias field (N4, Tustison et al. 2010), fitted to each section, to the whole volume, or to both in turn.",
    inputs=(Input("input", "stacked volume, axes z,y,x"),),
    outputs={
        CORRECTED: "the corrected volume (float32)",
        BIAS: "the field that was divided out (--bias_save_field true)",
        PREVIEW: "planes and profiles before and after",
    },
    devices=("cpu", "cuda"),
)
