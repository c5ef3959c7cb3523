"""Parameters of the anisotropy workflow's computing step."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from linumpy_lib.params import (
    RANGE_OR_AUTO,
    SPACING_OR_EMPTY,
    NotNegativePerAxis,
    Parameters,
    PositivePerAxis,
    optional_spacing,
    value_range,
)


class ComputeAnisotropyParameters(Parameters):
    """What `compute_anisotropy` lets a user choose."""

    anisotropy_sigma: Annotated[
        PositivePerAxis,
        Field(
            description="Scale of the image gradient (standard deviation of the Gaussian), one number or z,y,x",
            json_schema_extra={"unit": "voxel or um, see anisotropy_units"},
        ),
    ] = (1.0,)
    anisotropy_rho: Annotated[
        NotNegativePerAxis,
        Field(
            description="Scale over which the structure tensor is averaged, one number or z,y,x; about the size of the "
            "texture to describe, not of one fibre",
            json_schema_extra={"unit": "voxel or um, see anisotropy_units"},
        ),
    ] = (2.0,)
    anisotropy_units: Annotated[
        Literal["voxel", "um"],
        Field(description="Unit of sigma and rho; um needs the voxel size and suits anisotropic voxels"),
    ] = "voxel"
    anisotropy_spacing_um: Annotated[
        str,
        BeforeValidator(optional_spacing),
        Field(
            description="Voxel size as z,y,x (or one number) where the file states none or a wrong one; empty takes "
            "the file's",
            json_schema_extra={
                "pattern": SPACING_OR_EMPTY,
                "exclusiveMinimum": 0,
                "unit": "um",
                "form": "z,y,x, one number, or empty",
            },
        ),
    ] = ""
    anisotropy_channel: Annotated[
        str, Field(description="Channel to work on, by name or by number from 0; needed where the volume has several")
    ] = ""
    anisotropy_gradient: Annotated[
        Literal["gaussian", "sobel"],
        Field(description="Gradient operator: Gaussian derivative, or a 3x3x3 Sobel of unit gain"),
    ] = "gaussian"
    anisotropy_normalization: Annotated[
        Literal["lambda1", "trace", "seed"],
        Field(
            description="Denominator of CL, CP, CS: largest eigenvalue (Westin 2002), trace (Westin 1997), or the "
            "original toolkit's mixture"
        ),
    ] = "lambda1"
    anisotropy_mask_threshold: Annotated[
        float,
        Field(
            description="Voxels below this fraction of the value range count as background and get no measures",
            ge=0,
            le=1,
            json_schema_extra={"unit": "fraction of the value range"},
        ),
    ] = 5 / 255
    anisotropy_range: Annotated[
        str,
        BeforeValidator(value_range),
        Field(
            description="Value range low,high that the mask threshold refers to; auto is the data type's range, for "
            "floating-point data the display window or else the data's own range",
            json_schema_extra={"pattern": RANGE_OR_AUTO, "form": "auto or low,high"},
        ),
    ] = "auto"
    anisotropy_eigenvalues: Annotated[bool, Field(description="Write the three eigenvalues too (float32)")] = False
