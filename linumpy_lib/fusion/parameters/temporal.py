"""How the parameters of all time points are smoothed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from linumpy_lib.params import Parameters


class TemporalParameters(Parameters):
    """What the smoothing of parameters over time lets a user choose."""

    fusion_temporal_smoothing: Annotated[
        bool, Field(description="Smooth the parameters over time by robust local regression (rloess)")
    ] = False
    fusion_smoothing_window: Annotated[
        int,
        Field(
            description="Time points that a local regression looks at", ge=3, json_schema_extra={"unit": "time points"}
        ),
    ] = 100
    fusion_temporal_interpolation: Annotated[
        bool, Field(description="Take the parameters of time points without any from their neighbours in time")
    ] = False
    fusion_offset_averaging_range: Annotated[
        int,
        Field(
            description="Half width of the moving average of shifts; 0 is off",
            ge=0,
            json_schema_extra={"unit": "time points"},
        ),
    ] = 10
    fusion_angle_averaging_range: Annotated[
        int,
        Field(
            description="Half width of the moving average of rotations; 0 is off",
            ge=0,
            json_schema_extra={"unit": "time points"},
        ),
    ] = 10
    fusion_intensity_averaging_range: Annotated[
        int,
        Field(
            description="Half width of the moving average of intensity factors; 0 is off",
            ge=0,
            json_schema_extra={"unit": "time points"},
        ),
    ] = 5
    fusion_averaging: Annotated[
        Literal["median", "mean"], Field(description="What a moving average takes of its window")
    ] = "median"
    fusion_static: Annotated[
        bool, Field(description="Use one set of parameters, their mean over time, for all time points")
    ] = False
    fusion_generate_lookup_table: Annotated[
        bool, Field(description="Write lookup_table.csv, the parameters that each time point is fused with")
    ] = False
