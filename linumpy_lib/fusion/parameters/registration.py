"""How the views of a pair are brought onto each other: topology masks, search, optimisation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from linumpy_lib.fusion.parameters.types import NumberOfChoice, SearchRange
from linumpy_lib.params import Parameters


class RegistrationParameters(Parameters):
    """What the estimation of a pair's transform lets a user choose."""

    fusion_search_offsets_x: Annotated[
        SearchRange, Field(description="Shifts along x that are tried first", json_schema_extra={"unit": "px"})
    ] = (-50, 50, 10)
    fusion_search_offsets_y: Annotated[
        SearchRange, Field(description="Shifts along y that are tried first", json_schema_extra={"unit": "px"})
    ] = (-50, 50, 10)
    fusion_optimizer: Annotated[
        Literal["gradient_descent", "nelder_mead", "bfgs"], Field(description="How shift and rotation are refined")
    ] = "gradient_descent"
    fusion_slab_size_channels: Annotated[
        int,
        Field(
            description="Planes on each side of the topology's middle that channels are registered on",
            ge=0,
            json_schema_extra={"unit": "px"},
        ),
    ] = 5
    fusion_slab_size_cameras: Annotated[
        int,
        Field(
            description="Planes on each side of the topology's middle that cameras are registered on",
            ge=0,
            json_schema_extra={"unit": "px"},
        ),
    ] = 3
    fusion_median_filter_range: Annotated[
        int,
        Field(
            description="Window of the median whose subtraction removes slow brightness changes before the "
            "registration; 0 is off",
            ge=0,
            json_schema_extra={"unit": "px"},
        ),
    ] = 100
    fusion_precise_gauss: Annotated[
        bool, Field(description="Smooth in floating point; false rounds to whole counts as the camera does")
    ] = True
    fusion_gauss_kernel: Annotated[
        int,
        Field(
            description="Size of the Gaussian before the registration; 0 is off",
            ge=0,
            le=101,
            json_schema_extra={"unit": "px"},
        ),
    ] = 3
    fusion_gauss_sigma: Annotated[
        float,
        Field(
            description="Width of the Gaussian before the registration",
            gt=0,
            le=50,
            json_schema_extra={"unit": "px"},
        ),
    ] = 1.0
    fusion_subsample_slices: Annotated[
        int, Field(description="Percentiles of registration slabs look at one pixel of this many", ge=1)
    ] = 1
    fusion_subsample_stacks: Annotated[
        int, Field(description="Percentiles of whole views look at one voxel of this many", ge=1)
    ] = 100
    fusion_mask_percentile: Annotated[
        float,
        Field(
            description="Percentile that is the darkest value when a mask is made; 0 is the minimum",
            ge=0,
            le=100,
            json_schema_extra={"unit": "%"},
        ),
    ] = 1.0
    fusion_mask_subsample: Annotated[
        int, Field(description="Percentiles of masks look at one voxel of this many", ge=1)
    ] = 100
    fusion_mask_fusion_mode: Annotated[
        Literal[0, 1],
        NumberOfChoice,
        Field(description="Topology where only one view has foreground: 0 none, 1 that of the view that has it"),
    ] = 1
    fusion_mask_padding: Annotated[
        Literal[0, 1, 2],
        NumberOfChoice,
        Field(description="Columns without topology: 0 left out, 1 the centre, 2 a smooth transition to the centre"),
    ] = 0
    fusion_mask_padding_radius: Annotated[
        int, Field(description="Width of that transition", ge=0, json_schema_extra={"unit": "px"})
    ] = 50
    fusion_mask_min_object_size: Annotated[
        float,
        Field(
            description="Objects smaller than this are taken out of masks; 0 keeps all",
            ge=0,
            le=1,
            json_schema_extra={"unit": "fraction of the volume"},
        ),
    ] = 0.0
    fusion_flip_h: Annotated[
        bool, Field(description="Mirror the second view of a camera pair along x, for views corrected without a flip")
    ] = False
    fusion_flip_v: Annotated[
        bool, Field(description="Mirror the second view of a camera pair along y, for views corrected without a flip")
    ] = False
    fusion_channel_flip_h: Annotated[
        bool, Field(description="Mirror the second view of a channel pair along x, for light sheets stored mirrored")
    ] = False
    fusion_channel_flip_v: Annotated[
        bool, Field(description="Mirror the second view of a channel pair along y, for light sheets stored mirrored")
    ] = False
    fusion_intensity_slab_size_channels: Annotated[
        int,
        Field(
            description="Planes on each side of the transition that the brightness of channels is compared on",
            ge=0,
            json_schema_extra={"unit": "px"},
        ),
    ] = 10
    fusion_intensity_slab_size_cameras: Annotated[
        int,
        Field(
            description="Planes on each side of the transition that the brightness of cameras is compared on",
            ge=0,
            json_schema_extra={"unit": "px"},
        ),
    ] = 5
