"""Declaration of parameters: one field is the source of the command line, the config, the schema and the docs.

A step declares a frozen subclass of :class:`Parameters`; the field's type, default, range, unit and description appear
nowhere else. Field names are the public names that users type.
"""

from __future__ import annotations

import difflib
import json
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.fields import FieldInfo

from linumpy_lib.errors import ParameterError


def _numbers(value: object) -> tuple[float, ...]:
    """Turn ``1``, ``"1"``, ``"1,2,3"``, ``[1, 2, 3]`` or ``"[1, 2, 3]"`` into one or three floats (z, y, x)."""
    parts: list[object]
    if isinstance(value, str):
        parts = [part for part in value.strip().strip("[]()").replace(";", ",").split(",") if part.strip()]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        parts = [value]
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        raise ValueError("must be one number or three separated by commas (z,y,x)")
    try:
        numbers = tuple(float(str(part)) for part in parts)
    except ValueError:
        raise ValueError("must be one number or three separated by commas (z,y,x)") from None
    if len(numbers) not in (1, 3):
        raise ValueError(f"must be one number or three separated by commas (z,y,x), not {len(numbers)}")
    return numbers


def _positive(value: object) -> tuple[float, ...]:
    numbers = _numbers(value)
    if not all(0 < number < math.inf for number in numbers):
        raise ValueError("must be positive and finite")
    return numbers


def _not_negative(value: object) -> tuple[float, ...]:
    numbers = _numbers(value)
    if not all(0 <= number < math.inf for number in numbers):
        raise ValueError("must be zero or more and finite")
    return numbers


_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
ONE_OR_THREE = rf"^\s*[\[(]?\s*{_NUMBER}(\s*[,;]\s*{_NUMBER}\s*[,;]\s*{_NUMBER})?\s*[\])]?\s*$"
"""Text of one number, or of one for each of z, y, x."""

SPACING_OR_EMPTY = rf"^({_NUMBER}(\s*,\s*{_NUMBER}\s*,\s*{_NUMBER})?)?$"
RANGE_OR_AUTO = rf"^(auto|{_NUMBER}\s*,\s*{_NUMBER})$"
SHAPE = r"^\d+\s*,\s*\d+\s*,\s*\d+$"

_PER_AXIS = {"type": ["number", "string"], "pattern": ONE_OR_THREE, "form": "one number or z,y,x"}
PositivePerAxis = Annotated[
    tuple[float, ...], BeforeValidator(_positive), WithJsonSchema({**_PER_AXIS, "exclusiveMinimum": 0})
]
"""One positive number, or one for each of z, y, x."""

NotNegativePerAxis = Annotated[
    tuple[float, ...], BeforeValidator(_not_negative), WithJsonSchema({**_PER_AXIS, "minimum": 0})
]
"""One number that is zero or more, or one for each of z, y, x."""


def optional_spacing(value: object) -> str:
    """Check a voxel size: empty, one positive number or z,y,x; return its text."""
    if value == "" or value is None:
        return ""
    return to_text(_positive(value))


def value_range(value: object) -> str:
    """Check a value range: ``auto`` or ``low,high`` with low below high; return its text."""
    text = to_text(value).strip() if isinstance(value, list | tuple) else str(value).strip()
    if text == "auto":
        return text
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError("must be 'auto' or two numbers low,high") from None
    if not -math.inf < low < high < math.inf:
        raise ValueError("low must be below high, both finite")
    return to_text((low, high))


def volume_shape(value: object) -> str:
    """Check the size of a volume: three whole numbers z,y,x, each at least 1; return its text."""
    try:
        lengths = [int(part) for part in to_text(value).split(",")]
    except ValueError:
        raise ValueError("must be three whole numbers z,y,x") from None
    if len(lengths) != 3 or min(lengths) < 1:
        raise ValueError("must be three whole numbers z,y,x, each at least 1")
    return to_text(lengths)


class Parameters(BaseModel):
    """Base of the parameter object that a step receives: frozen, no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> typing.Self:
        """Check values given by name and build the parameter object.

        Parameters
        ----------
        values : mapping of str to object
            Values as typed by a user; text is converted to the declared type.

        Raises
        ------
        ParameterError
            One line for every unknown, mistyped or out-of-range parameter, with what is allowed.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            lines = []
            for item in error.errors():
                name = str(item["loc"][0]) if item["loc"] else "?"
                if item["type"] == "extra_forbidden":
                    lines.append(f"unknown parameter '{name}'{suggest(name, cls.model_fields)}")
                else:
                    message = item["msg"].removeprefix("Value error, ")
                    lines.append(f"parameter '{name}': {item['input']!r} is not allowed: {message}")
            raise ParameterError("; ".join(lines)) from None


def suggest(name: str, known: typing.Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the closest known name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean '{close[0]}'?" if close else ""


class RunParameters(Parameters):
    """Parameters of a whole run; the pipeline reads them, no step owns them."""

    workflow: Annotated[
        str,
        Field(
            description="Workflow, or a chain of them separated by commas: preprocess, reconstruct, anisotropy, fusion",
            pattern=r"^[a-z]+(,[a-z]+)*$",
            json_schema_extra={"form": "names of workflows separated by commas"},
        ),
    ] = "preprocess,reconstruct"
    input: Annotated[
        str,
        Field(
            description="Volume, folder of 2-D TIFF planes or quoted glob to work on; 'simulate' makes a phantom with "
            "known truth",
        ),
    ] = ""
    output: Annotated[str, Field(description="Folder that receives the results", min_length=1)] = "results"
    subject_name: Annotated[
        str,
        Field(
            description="Name of the results; empty takes it from the input (letters, digits, '.', '_', '-')",
            pattern=r"^([A-Za-z0-9._][A-Za-z0-9._-]*)?$",
            json_schema_extra={"form": "letters, digits, '.', '_' and '-'"},
        ),
    ] = ""
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        Field(description="Computing device; auto takes the best one that is present, an absent one is an error"),
    ] = "auto"
    use_gpu: Annotated[
        Literal["", "true", "false"],
        Field(description="Older name of device: true is auto, false is cpu; empty leaves the choice to device"),
    ] = ""
    processes: Annotated[int, Field(description="Threads per task; 0 uses the task's cpus", ge=0, le=1024)] = 0
    gpus: Annotated[int, Field(description="GPU tasks at the same time on one machine", ge=1, le=64)] = 1
    generate_slice_config: Annotated[
        bool, Field(description="Workflow preprocess: write slice_config.csv, the table of slices to use")
    ] = True
    generate_aips: Annotated[
        bool, Field(description="Workflow preprocess: write a depth-averaged picture of each mosaic")
    ] = False
    generate_previews: Annotated[
        bool, Field(description="Workflow preprocess: write a picture of the centre planes of each mosaic")
    ] = False
    max_mosaic_forks: Annotated[
        int, Field(description="Workflow preprocess: mosaics that are made at the same time", ge=1, le=4096)
    ] = 4
    max_aip_forks: Annotated[
        int,
        Field(description="Workflow preprocess: depth-averaged pictures that are made at the same time", ge=1, le=4096),
    ] = 4
    shifts_xy: Annotated[
        str,
        Field(
            description="Workflow reconstruct: table of the shifts between slices; empty is shifts_xy.csv in the input"
        ),
    ] = ""
    slice_config: Annotated[
        str,
        Field(
            description="Workflow reconstruct: the slices to use; empty is slice_config.csv in the input, if it "
            "is there"
        ),
    ] = ""
    fix_curvature_enabled: Annotated[
        bool, Field(description="Workflow reconstruct: flatten the curvature of the focal surface in each tile")
    ] = False
    fix_illum_enabled: Annotated[
        bool, Field(description="Workflow reconstruct: divide tiles by the illumination that they share")
    ] = True
    stitch_global_transform: Annotated[
        bool,
        Field(description="Workflow reconstruct: one tile transform for all slices, from the pairs of all of them"),
    ] = False
    compensate_psf_enabled: Annotated[
        bool, Field(description="Workflow reconstruct: take the beam's axial sensitivity out of slices")
    ] = True
    compensate_attenuation_enabled: Annotated[
        bool, Field(description="Workflow reconstruct: make up for the light that tissue takes on its way")
    ] = True
    anisotropy_slabs: Annotated[
        int,
        Field(description="Workflow anisotropy: tasks that share one volume; 0 decides by its size", ge=0, le=4096),
    ] = 0
    anisotropy_npz: Annotated[
        bool,
        Field(description="Workflow anisotropy: write a compressed .npz with all maps too (slow for large volumes)"),
    ] = False
    analyze_shifts: Annotated[
        bool, Field(description="Workflow reconstruct: write a report and plots of the shifts between slices")
    ] = True
    detect_rehoming: Annotated[
        bool,
        Field(description="Workflow reconstruct: take encoder glitches out of the shifts, keep and mark re-homings"),
    ] = True
    auto_assess_quality: Annotated[
        bool,
        Field(description="Workflow reconstruct: score the slices and leave out those below auto_assess_min_quality"),
    ] = False
    interpolate_missing_slices: Annotated[
        bool,
        Field(description="Workflow reconstruct: fill gaps of one slice from its neighbours, marked as interpolated"),
    ] = True
    auto_exclude_enabled: Annotated[
        bool, Field(description="Workflow reconstruct: find runs and clusters of badly registered slices")
    ] = True
    export_manual_align: Annotated[
        bool, Field(description="Workflow reconstruct: write what a person needs to align slices by hand")
    ] = False
    manual_transforms_dir: Annotated[
        str, Field(description="Workflow reconstruct: folder of transforms made by hand; empty is none")
    ] = ""
    refine_manual_transforms: Annotated[
        bool, Field(description="Workflow reconstruct: refine the transforms made by hand by registration")
    ] = False
    diagnostic_mode: Annotated[bool, Field(description="Workflow reconstruct: make all diagnostics")] = False
    analyze_rotation_drift: Annotated[
        bool, Field(description="Workflow reconstruct: diagnose the drift of rotations over the slices")
    ] = False
    analyze_acquisition_rotation: Annotated[
        bool, Field(description="Workflow reconstruct: diagnose a rotation of the stage's axes from the shifts")
    ] = False
    motor_only_stitch: Annotated[
        bool, Field(description="Workflow reconstruct: stitch slices by the motor alone too, for comparison")
    ] = False
    motor_only_stack: Annotated[
        bool, Field(description="Workflow reconstruct: stack slices by the motor alone too, for comparison")
    ] = False
    compare_stitching: Annotated[
        bool, Field(description="Workflow reconstruct: compare the seams of both ways to stitch")
    ] = False
    generate_report: Annotated[bool, Field(description="Write the quality report of the run")] = True
    report_thresholds: Annotated[
        str,
        Field(
            description="JSON file of thresholds that replace those of the same name in linumpy_lib/quality/"
            "thresholds.json; empty is those alone"
        ),
    ] = ""
    max_failed_slices: Annotated[
        int,
        Field(
            description="Slices that may fail, after retries, before the run stops; it goes on without them, and the "
            "report and the summary tell",
            ge=0,
            le=100000,
        ),
    ] = 0
    correct_bias_field: Annotated[
        bool, Field(description="Workflow reconstruct: divide the stacked volume by its bias field")
    ] = False
    align_to_ras_enabled: Annotated[
        bool, Field(description="Workflow reconstruct: register the volume to a mouse brain template, in RAS")
    ] = False
    atlas_template: Annotated[
        str,
        Field(description="Workflow reconstruct: template file of your own; empty fetches the Allen template once"),
    ] = ""
    atlas_annotation: Annotated[
        str, Field(description="Workflow reconstruct: regions on the template's grid, drawn in the atlas preview")
    ] = ""
    publish_mode: Annotated[
        Literal["copy", "link"],
        Field(description="How results leave the work folder: real copies, or hard links (same file system only)"),
    ] = "copy"
    publish_intermediates: Annotated[
        bool, Field(description="Publish intermediate stores (simulated input, slabs) too")
    ] = False
    container: Annotated[
        str,
        Field(
            description="Image of the container profiles, a name or a local file; empty takes what `make image` or "
            "`make apptainer` built for this version (with the device cuda, the one for it)"
        ),
    ] = ""
    slurm_queue: Annotated[str, Field(description="Slurm partition of CPU tasks; empty is the cluster's default")] = ""
    slurm_account: Annotated[str, Field(description="Slurm account that is charged; empty is your default")] = ""
    slurm_gpu_queue: Annotated[str, Field(description="Slurm partition of GPU tasks; empty is slurm_queue")] = ""
    slurm_gpu_options: Annotated[
        str, Field(description="Options that request one GPU from Slurm, as your cluster spells them")
    ] = "--gres=gpu:1"
    slurm_max_cpus: Annotated[int, Field(ge=1, description="Most processors that a task may ask Slurm for")] = 1024
    slurm_max_memory: Annotated[
        str,
        Field(pattern=r"^\d+(\.\d+)? ?[MGT]B$", description="Most memory that a task may ask Slurm for, as `180 GB`"),
    ] = "16 TB"
    slurm_max_time: Annotated[
        str, Field(pattern=r"^\d+ ?[mhd]$", description="Longest time that a task may ask Slurm for, as `24 h`")
    ] = "30 d"
    slurm_array: Annotated[
        int,
        Field(ge=0, description="Tasks of one step that are submitted as one Slurm array; 0 submits each by itself"),
    ] = 0
    help: Annotated[str, Field(description="Show the parameters and end; with a name, that parameter only")] = ""
    check: Annotated[bool, Field(description="Check parameters and inputs, print the plan and end")] = False


def fields(model: type[Parameters]) -> Iterator[tuple[str, FieldInfo]]:
    """Iterate over a parameter object's fields in the order of their declaration."""
    yield from model.model_fields.items()


def unit(field: FieldInfo) -> str:
    """Return the unit a field declares with ``json_schema_extra={"unit": ...}``, or an empty string."""
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def to_text(value: object) -> str:
    """Write a value the way a user types it: ``true``, ``1``, ``1,2,3``, ``0-1,2-3``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return ",".join(
            "-".join(to_text(part) for part in item) if isinstance(item, tuple | list) else to_text(item)
            for item in value
        )
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def flags(parameters: Parameters) -> list[str]:
    """Return the sorted ``--name value`` words that reproduce a parameter object on a command line."""
    words: list[str] = []
    for name, value in sorted(parameters):
        words += [f"--{name}", to_text(value)]
    return words


def as_json(parameters: Parameters) -> dict[str, Any]:
    """Return the parameters as plain JSON values, sorted by name."""
    return dict(sorted(json.loads(parameters.model_dump_json()).items()))
