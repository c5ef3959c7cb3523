"""Parameters of the step `correct_bias_field`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from linumpy_lib.params import Parameters


def _unit(name: str) -> dict[str, Any]:
    return {"unit": name}


class CorrectBiasFieldParameters(Parameters):
    """What `correct_bias_field` lets a user choose."""

    bias_mode: Annotated[
        Literal["two_pass", "per_section", "global"],
        Field(
            description="One field for each serial section, one for the whole volume, or first the one, then the other"
        ),
    ] = "two_pass"
    bias_strength: Annotated[
        float,
        Field(description="How much of the field is divided out: 0 nothing, 1 all", ge=0, le=1),
    ] = 1.0
    bias_histogram_match_per_zplane: Annotated[
        bool,
        Field(
            description="Match the tissue histogram of each plane to that of the volume; false matches whole sections"
        ),
    ] = True
    znorm_mode: Annotated[
        Literal["histogram", "percentile", "none"],
        Field(
            description="Evening out along z before the field is fitted: by tissue histograms, a smooth factor from a "
            "high percentile, or none"
        ),
    ] = "histogram"
    znorm_strength: Annotated[
        float, Field(description="How much of the evening out along z is applied: 0 nothing, 1 all", ge=0, le=1)
    ] = 1.0
    znorm_percentile: Annotated[
        float,
        Field(
            description="Percentile of the tissue that mode 'percentile' evens out",
            gt=0,
            le=100,
            json_schema_extra=_unit("percent"),
        ),
    ] = 99.0
    bias_zprofile_smooth_sigma: Annotated[
        float,
        Field(
            description="Smoothing of the intensity profile along z; 0 leaves jumps between planes to the matching",
            ge=0,
            json_schema_extra=_unit("planes"),
        ),
    ] = 2.0
    bias_tissue_threshold: Annotated[
        float,
        Field(
            description="Tissue is brighter than this fraction of the brightest voxel, when planes are compared",
            ge=0,
            lt=1,
            json_schema_extra=_unit("fraction"),
        ),
    ] = 0.005
    bias_n_serial_slices: Annotated[
        int,
        Field(
            description="Equally thick serial sections; 0 takes the real boundaries from the volume's provenance", ge=0
        ),
    ] = 0
    bias_shrink_factor: Annotated[
        int,
        Field(
            description="The field is fitted to every n-th voxel along each axis",
            ge=1,
            json_schema_extra=_unit("voxel"),
        ),
    ] = 4
    bias_iterations: Annotated[
        str,
        Field(description="Most iterations of each level, separated by commas", pattern=r"^[1-9]\d*(,[1-9]\d*)*$"),
    ] = "50,50,50,50"
    bias_spline_distance_mm: Annotated[
        float,
        Field(
            description="Distance between control points of the whole volume's field",
            gt=0,
            json_schema_extra=_unit("mm"),
        ),
    ] = 10.0
    bias_section_spline_distance_mm: Annotated[
        float,
        Field(description="Distance between control points of a section's field", gt=0, json_schema_extra=_unit("mm")),
    ] = 2.0
    bias_max_control_points: Annotated[
        int,
        Field(description="Most control points along an axis; more would let the field follow the tissue", ge=4),
    ] = 8
    bias_engine: Annotated[
        Literal["own", "itk"],
        Field(description="Own N4, on the chosen device, or SimpleITK's"),
    ] = "own"
    bias_mask_smoothing_sigma: Annotated[
        float,
        Field(description="Smoothing in y and x before the tissue threshold", ge=0, json_schema_extra=_unit("voxel")),
    ] = 2.0
    bias_zero_outside_mask: Annotated[
        bool, Field(description="Set what is not tissue to 0; dim tissue that the mask misses is lost then")
    ] = False
    bias_save_field: Annotated[
        bool, Field(description="Save the field that was divided out as a volume of its own")
    ] = False
