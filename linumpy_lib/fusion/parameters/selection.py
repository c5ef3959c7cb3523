"""Which recordings a fusion run takes, and which of them belong together."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from linumpy_lib.fusion.parameters.types import IndexGroups, IndexPairs, Indices
from linumpy_lib.params import Parameters


class SelectionParameters(Parameters):
    """What `discover_views` lets a user choose."""

    specimen: Annotated[int, Field(description="Specimen (SPM) to process", ge=0, le=99)] = 0
    timepoints: Annotated[
        Indices, Field(description="Time points to process, with ranges (0-4,7); empty takes all that were recorded")
    ] = ()
    cameras: Annotated[Indices, Field(description="Cameras to process; empty takes all that were recorded")] = ()
    channels: Annotated[Indices, Field(description="Channels to process; empty takes all that were recorded")] = ()
    camera_channel_map: Annotated[
        IndexPairs,
        Field(
            description="Channel of each camera as camera:channel (0:0,1:0,2:1,3:1), to take one of several; empty "
            "takes every recording whose file exists"
        ),
    ] = ()
    camera_pairs: Annotated[
        IndexPairs,
        Field(description="Cameras that face each other; the second of a pair is flipped by flip_horizontal/_vertical"),
    ] = ((0, 1), (2, 3))
    reference_channels: Annotated[
        IndexGroups,
        Field(
            description="Channels whose masks are joined, one group after the other (0-1,2); empty segments every "
            "channel by itself"
        ),
    ] = ()
    dependent_channels: Annotated[
        IndexGroups,
        Field(description="Channels that take the mask of the reference group at the same place of the list"),
    ] = ()
    fusion_enable: Annotated[
        bool, Field(description="Fuse the corrected views; false ends the workflow after the corrections")
    ] = True
    fusion_camera_pairs: Annotated[
        IndexPairs, Field(description="Camera pairs to fuse; empty takes those of camera_pairs that were recorded")
    ] = ()
    fusion_channel_pairs: Annotated[
        IndexPairs,
        Field(description="Channel pairs (opposing light sheets) to fuse per camera; empty fuses no channels"),
    ] = ()
    fusion_4view_only: Annotated[
        bool, Field(description="Keep only the fusion of all four views, not those of the pairs it is made of")
    ] = False
