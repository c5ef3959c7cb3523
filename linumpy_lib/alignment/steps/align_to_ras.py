"""Step: turn a volume to right-anterior-superior and register it to a mouse brain template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from linumpy_lib.errors import InputError
from linumpy_lib.params import Parameters
from linumpy_lib.step import STUB_SIZE, Input, Step, Task

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from linumpy_lib.alignment.atlas_images import RasImage
    from linumpy_lib.alignment.atlas_registration import AtlasFit, Pose
    from linumpy_lib.alignment.orientation import Orientation
    from linumpy_lib.io import Volume

RAS = "{name}_ras.ome.zarr"
TRANSFORM = "{name}_ras_transform.tfm"
PREVIEW = "{name}_ras_preview.png"
ORIENTATION_PREVIEW = "{name}_ras_orientation_preview.png"
LEAST_OVERLAP = 0.6
SMALLEST_RATIO, LARGEST_RATIO = 0.05, 2.0
_NUMBER = r"-?\d+(\.\d+)?"


class AlignToRasParameters(Parameters):
    """What `align_to_ras` lets a user choose."""

    ras_input_orientation: Annotated[
        str,
        Field(
            description="Where the volume's axes z, y, x point to, one letter each of R/L, A/P, S/I; PIR for coronal "
            "sections cut from front to back, AIR from back to front",
            pattern=r"^([RLAPSIrlapsi]{3})?$",
            json_schema_extra={"form": "three letters, or empty for a volume that is in RAS already (SAR)"},
        ),
    ] = ""
    ras_initial_rotation: Annotated[
        str,
        Field(
            description="Known turn Rx Ry Rz about the axes to the right, to the front and up; only its surroundings "
            "are searched then. Empty searches 45 degrees about each axis",
            pattern=rf"^({_NUMBER}[ ,]+{_NUMBER}[ ,]+{_NUMBER})?$",
            json_schema_extra={"unit": "deg", "form": "three angles Rx Ry Rz"},
        ),
    ] = ""
    atlas_orientation: Annotated[
        str,
        Field(
            description="Where the axes z, y, x of the template and annotation files point to; empty is RIP, that of "
            "the Allen files, for files named average_template_*, else SAR",
            pattern=r"^([RLAPSIrlapsi]{3})?$",
            json_schema_extra={"form": "three letters"},
        ),
    ] = ""
    allen_resolution: Annotated[
        Literal["10", "25", "50", "100"],
        Field(description="Voxel size of the Allen template", json_schema_extra={"unit": "um"}),
    ] = "25"
    allen_metric: Annotated[
        Literal["MI", "MSE", "CC", "AntsCC"],
        Field(
            description="What the registration compares: mutual information, mean squares, correlation, or correlation "
            "of neighbourhoods; MI alone is right for a contrast that differs from the template's"
        ),
    ] = "MI"
    allen_max_iterations: Annotated[
        int, Field(description="Most iterations of the registration at each resolution", ge=1, le=100000)
    ] = 1000
    allen_registration_level: Annotated[
        int, Field(description="Level of the volume's pyramid that is registered; 0 is the finest", ge=0, le=12)
    ] = 2
    allen_transform: Annotated[
        Literal["rigid", "affine"],
        Field(description="Rotation and shift, or scales and shears too, which change the brain's shape"),
    ] = "rigid"
    allen_preview: Annotated[bool, Field(description="Draw the volume beside the template")] = True
    ras_orientation_preview: Annotated[
        bool, Field(description="Draw the volume as its orientation code says, before it is registered")
    ] = False


def align_to_ras(
    *,
    input: Volume,  # noqa: A002
    template: Volume | None = None,
    annotation: Volume | None = None,
    parameters: AlignToRasParameters,
    task: Task,
) -> None:
    """Write the volume in the template's frame, the transform and previews.

    Parameters
    ----------
    input : Volume
        Stacked volume, axes z, y, x, with a voxel size.
    template : Volume, optional
        What it is registered to; the Allen template by default.
    annotation : Volume, optional
        Regions on the template's grid.
    parameters : AlignToRasParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If volume or template cannot be used, or the two do not fit together.
    """
    from linumpy_lib.alignment.atlas_images import (
        annotation_image,
        known_template,
        single_channel,
        subject_image,
        template_image,
    )
    from linumpy_lib.alignment.orientation import Orientation

    volume = single_channel(input)
    code = Orientation.parse(parameters.ras_input_orientation or "SAR")
    if not parameters.ras_input_orientation:
        task.note("no ras_input_orientation is given; the volume is taken to be in RAS already (SAR)")
    opened, template_code = known_template(template, int(parameters.allen_resolution), parameters.atlas_orientation)
    atlas = template_image(opened.corner(STUB_SIZE) if task.stub else opened, template_code)
    subject = subject_image(volume, parameters.allen_registration_level, code)
    if parameters.ras_orientation_preview:
        from linumpy_lib.quality.atlas_preview import save_orientation_preview

        path = task.path(ORIENTATION_PREVIEW)
        save_orientation_preview(path, subject.image, subject.spacing_mm, code=code.code, title=task.name)
    pose = _register(atlas, subject, volume.name, code, parameters, task)
    _write_transform(task.path(TRANSFORM), pose, parameters.allen_transform)
    _write_volume(volume, code, pose, atlas, task)
    if parameters.allen_preview:
        regions = None if annotation is None else annotation_image(annotation, template_code, atlas.image.shape)
        _preview(atlas, subject, pose, regions, task)


def _register(
    template: RasImage, subject: RasImage, name: str, code: Orientation, parameters: AlignToRasParameters, task: Task
) -> Pose:
    """Return the map of template positions to positions in the subject turned to RAS, millimetres."""
    import numpy as np

    from linumpy_lib.alignment.atlas_images import working_image
    from linumpy_lib.alignment.atlas_registration import Brain, Pose, register_to_template
    from linumpy_lib.alignment.orientation import rotation_matrix

    if task.stub:  # a corner holds no anatomy
        return Pose(np.eye(3), np.zeros(3))
    target_mm = max(*template.spacing_mm, *subject.spacing_mm)
    (fixed, fixed_origin), (moving, moving_origin) = (working_image(image, target_mm) for image in (template, subject))
    initial = None
    if parameters.ras_initial_rotation.strip():
        x, y, z = (float(part) for part in parameters.ras_initial_rotation.replace(",", " ").split())
        initial = rotation_matrix((x, y, z))
    fit = register_to_template(
        Brain.of(fixed.image, fixed.spacing_mm, template.name),
        Brain.of(moving.image, moving.spacing_mm, name),
        metric=parameters.allen_metric,
        kind=parameters.allen_transform,
        max_iterations=parameters.allen_max_iterations,
        initial=initial,
    )
    _judge(fit, code, name, template.name, task)
    pose = fit.pose
    return Pose(pose.matrix, pose.offset + moving_origin - pose.matrix @ fixed_origin)


def _judge(fit: AtlasFit, code: Orientation, name: str, template: str, task: Task) -> None:
    """Record how well the two agree; refuse what is no alignment.

    Raises
    ------
    InputError
        If the sizes differ too much, the tissue does not overlap, or the brain fits better turned around.
    """
    from linumpy_lib.alignment.orientation import rotation_matrix
    from linumpy_lib.quality.thresholds import judge

    figures = {
        "atlas_overlap": (fit.overlap, "fraction of the smaller tissue mask"),
        "atlas_correlation": (fit.correlation, ""),
        "atlas_volume_ratio": (fit.volume_ratio, "tissue of the volume relative to the template's"),
        "atlas_rotation": (fit.pose.angle_deg(), "deg"),
        "atlas_metric": (fit.metric, ""),
        "atlas_metric_before_refinement": (fit.start_metric, ""),
    }
    for figure, (value, unit) in figures.items():
        task.metric(figure, round(value, 5), unit, **judge(figure, value))
    remedy = "check the voxel size, ras_input_orientation and the template, or give a start with --ras_initial_rotation"
    if not SMALLEST_RATIO <= fit.volume_ratio <= LARGEST_RATIO:
        raise InputError(
            f"{name}: holds {fit.volume_ratio:.3g} times the tissue of the template {template}; they cannot be the "
            f"same kind of brain at these voxel sizes; {remedy}"
        )
    if fit.overlap < LEAST_OVERLAP:
        raise InputError(
            f"{name}: only {fit.overlap:.0%} of the tissue meets that of the template {template} after the "
            f"registration; {remedy}"
        )
    axis, best = min(fit.flipped_metric.items(), key=lambda item: item[1])
    if best < fit.metric:
        half_turn = {"x": (180.0, 0.0, 0.0), "y": (0.0, 180.0, 0.0), "z": (0.0, 0.0, 180.0)}[axis]
        likely = code.turned(rotation_matrix(half_turn)).code
        raise InputError(
            f"{name}: fits the template {template} better after half a turn about {axis} ({best:.4g} against "
            f"{fit.metric:.4g}); the orientation code {code.code} is probably wrong, try {likely}"
        )


def _write_transform(path: Path, pose: Pose, kind: str) -> None:
    """Write the map as ITK's text, millimetres, axes x, y, z = right, anterior, superior, template to subject."""
    import SimpleITK as sitk  # noqa: N813

    from linumpy_lib.alignment.atlas_registration import itk_transform

    sitk.WriteTransform(itk_transform(pose, kind=kind), str(path))


def _write_volume(volume: Volume, code: Orientation, pose: Pose, template: RasImage, task: Task) -> None:
    """Resample the finest level into the template's frame, in voxels as fine as the volume's own."""
    import numpy as np

    from linumpy_lib.alignment.affine_resample import AffineView
    from linumpy_lib.blocks import stream
    from linumpy_lib.io import VolumeWriter

    spacing_mm = np.asarray(volume.require_spacing()) / 1000
    fine = float(spacing_mm.min())
    extent = np.asarray(template.spacing_mm) * template.image.shape
    z, y, x = (max(1, round(float(length) / fine)) for length in extent)
    # centre of the first voxel: the grids share their outer faces, so that a level of the template's voxels is its grid
    origin = (fine - np.asarray(template.spacing_mm)) / 2
    turn = code.to_ras()
    stored_mm = spacing_mm * (np.asarray(volume.shape) - 1)
    # position in RAS -> position along the stored axes: undo the turn, whose flips run from the far end
    back = turn.T
    start = np.where(turn.sum(axis=0) < 0, stored_mm, 0.0)
    to_stored = back @ pose.matrix
    matrix = to_stored * fine / spacing_mm[:, None]
    offset = (back @ (pose.matrix @ origin + pose.offset) + start) / spacing_mm
    view = AffineView(volume, matrix, offset, (z, y, x))
    with VolumeWriter(
        task.path(RAS),
        shape=view.shape,
        dtype=volume.dtype,
        spacing_um=(fine * 1000,) * 3,
        origin_um=tuple(float(o) * 1000 for o in origin),
        pyramid="um",
        provenance={**task.provenance, "template": template.name},
        threads=task.threads,
    ) as writer:
        stream(
            writer.regions(),
            view.read,
            view.sample,
            writer.write,
            threads=task.threads,
            description=f"write {writer.name}",
            progress=task.progress,
        )


def _preview(
    template: RasImage,
    subject: RasImage,
    pose: Pose,
    regions: npt.NDArray[Any] | None,
    task: Task,
) -> None:
    import numpy as np
    from scipy import ndimage

    from linumpy_lib.alignment.atlas_images import thinned
    from linumpy_lib.quality.atlas_preview import save_atlas_preview

    shown, steps = thinned(template.image)
    spacing = np.asarray(template.spacing_mm) * steps
    matrix = pose.matrix * spacing / np.asarray(subject.spacing_mm)[:, None]
    moved = ndimage.affine_transform(
        subject.image, matrix, pose.offset / np.asarray(subject.spacing_mm), shown.shape, order=1
    )
    shown_regions = None if regions is None else regions[tuple(slice(None, None, step) for step in steps)]
    z, y, x = (float(s) for s in spacing)
    save_atlas_preview(task.path(PREVIEW), moved, shown, (z, y, x), title=task.name, annotation=shown_regions)


STEP = Step(
    name="align_to_ras",
    function=align_to_ras,
    parameters=AlignToRasParameters,
    summary="Register a volume to the Allen mouse template, in RAS",
    description="Turns the volume to right, anterior, superior by its orientation code, registers it to the template "
    "(Allen CCFv3, or a file of your own) and resamples it into the template's frame. The Allen template is fetched "
    "once into a cache (LINUMPY_ATLAS_CACHE, else ~/.cache/linumpy-pipeline/atlas); without a network, put it there.",
    inputs=(
        Input("input", "stacked volume, axes z,y,x"),
        Input("template", "template volume of your own (default: the Allen template)", required=False),
        Input("annotation", "regions on the template's grid, drawn in the preview", required=False),
    ),
    outputs={
        RAS: "the volume in the template's frame, axes z,y,x to superior, anterior, right; levels in micrometres",
        TRANSFORM: "template to volume in RAS, millimetres (ITK)",
        PREVIEW: "volume, template and both in turn",
        ORIENTATION_PREVIEW: "the volume as its code says (--ras_orientation_preview true)",
    },
)
