"""How registered views become one volume."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from linumpy_lib.fusion.parameters.types import ChannelAndCamera, NumberOfChoice, PairOfFlags
from linumpy_lib.params import Parameters


class BlendingParameters(Parameters):
    """What the fusion of a pair lets a user choose."""

    fusion_type: Annotated[
        Literal["adaptive_blending", "geometric", "wavelet", "average", "quality_weighted"],
        Field(description="How views are joined; quality_weighted weighs each voxel by depth and local sharpness"),
    ] = "adaptive_blending"
    fusion_blending_range: Annotated[
        ChannelAndCamera,
        Field(
            description="Planes on each side of the transition over which views are mixed: channels,cameras",
            json_schema_extra={"unit": "px"},
        ),
    ] = (20, 4)
    fusion_left_flags: Annotated[
        PairOfFlags,
        Field(description="Channel whose light sheet enters from low x, for the first and the second camera: 1 or 2"),
    ] = (2, 1)
    fusion_front_flag: Annotated[
        Literal[1, 2],
        NumberOfChoice,
        Field(description="View of a camera pair that looks at low z: 1 the first, 2 the second"),
    ] = 1
    save_diagnostics: Annotated[
        bool, Field(description="Write the diagnostic pictures of each pair and time point, and measure its resolution")
    ] = True
