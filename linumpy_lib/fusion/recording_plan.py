"""What a run makes of a recording: which views are corrected with which mask, and which pairs are fused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.fusion.discovery import RawView, missing_views
from linumpy_lib.fusion.parameters.selection import SelectionParameters

GLOBAL_MASK = "global"


@dataclass(frozen=True)
class RecordingPlan:
    """A recording's views and what is done with them.

    Attributes
    ----------
    views : list of RawView
        Selected views.
    missing : list of (int, int, int)
        Time point, camera and channel of views that other time points have.
    camera_pairs, channel_pairs : list of (int, int)
        What is fused.
    mask_groups : list of dict
        ``reference`` channels whose masks are joined, ``dependent`` channels that take the joined mask.
    frames : list of list of int
        Cameras that look along one axis, which share a global mask.
    fuse, keep_pairs : bool
        Whether views are fused, and whether the fused pairs are results when all four views are fused.
    """

    views: list[RawView]
    missing: list[tuple[int, int, int]]
    camera_pairs: list[tuple[int, int]]
    channel_pairs: list[tuple[int, int]]
    mask_groups: list[dict[str, list[int]]]
    frames: list[list[int]]
    fuse: bool
    keep_pairs: bool

    def as_json(self, root: Path) -> dict[str, Any]:
        """Return plain data, with paths relative to the recording."""
        return {
            "format": "linumpy-recording",
            "version": 1,
            "specimen": self.views[0].specimen,
            "timepoints": sorted({view.timepoint for view in self.views}),
            "views": [view.as_json(root) | {"stem": view.stem} for view in self.views],
            "missing": [list(key) for key in self.missing],
            "camera_pairs": [list(pair) for pair in self.camera_pairs],
            "channel_pairs": [list(pair) for pair in self.channel_pairs],
            "mask_groups": self.mask_groups,
            "global_masks": {str(camera): self.global_mask(camera) for frame in self.frames for camera in frame},
            "fuse": self.fuse,
            "keep_pairs": self.keep_pairs,
        }

    def global_mask(self, camera: int) -> str:
        """Name of the global mask that a camera's views take: `global`, or one for each axis that cameras look along.

        Orthogonal cameras see the sample in frames of their own, so that a mask of the one means nothing to the other,
        and their views differ in shape.
        """
        if len(self.frames) == 1:
            return GLOBAL_MASK
        frame = next(frame for frame in self.frames if camera in frame)
        return "_".join([GLOBAL_MASK, *(f"CM{c:02d}" for c in frame)])


def _frames(cameras: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Cameras that pairs connect, each camera once."""
    frames = [{camera} for camera in cameras]
    for pair in pairs:
        met = [frame for frame in frames if frame & set(pair)]
        frames = [frame for frame in frames if frame not in met] + [set().union(*met)]
    return sorted(sorted(frame) for frame in frames if frame)


def _groups(selection: SelectionParameters, channels: Sequence[int]) -> list[dict[str, list[int]]]:
    reference, dependent = selection.reference_channels, selection.dependent_channels
    if not reference:
        if dependent:
            raise ParameterError("dependent_channels: need reference_channels, whose masks they take")
        return []
    if len(dependent) > len(reference):
        raise ParameterError("dependent_channels: has more groups than reference_channels; each takes one group's mask")
    groups = [
        {"reference": list(own), "dependent": list(dependent[k]) if k < len(dependent) else []}
        for k, own in enumerate(reference)
    ]
    named = [channel for group in groups for channel in (*group["reference"], *group["dependent"])]
    if len(named) != len(set(named)):
        raise ParameterError("reference_channels, dependent_channels: name each channel once")
    absent = sorted({channel for group in groups for channel in group["reference"]} - set(channels))
    if absent:
        raise InputError(f"reference_channels: channels {absent} were not recorded; there are {sorted(channels)}")
    return groups


def plan_recording(views: list[RawView], selection: SelectionParameters) -> RecordingPlan:
    """Decide on masks and pairs.

    Raises
    ------
    InputError
        If a pair or group names a camera or channel that was not recorded.
    ParameterError
        If groups of channels contradict each other.
    """
    cameras = sorted({view.camera for view in views})
    channels = sorted({view.channel for view in views})
    pairs = [pair for pair in selection.camera_pairs if set(pair) <= set(cameras)]
    if selection.fusion_camera_pairs:
        pairs = list(selection.fusion_camera_pairs)
        absent = sorted({camera for pair in pairs for camera in pair} - set(cameras))
        if absent:
            raise InputError(f"fusion_camera_pairs: cameras {absent} were not recorded; there are {cameras}")
    channel_pairs = list(selection.fusion_channel_pairs)
    absent = sorted({channel for pair in channel_pairs for channel in pair} - set(channels))
    if absent:
        raise InputError(f"fusion_channel_pairs: channels {absent} were not recorded; there are {channels}")
    return RecordingPlan(
        views,
        missing_views(views),
        pairs,
        channel_pairs,
        _groups(selection, channels),
        _frames(cameras, [*selection.camera_pairs, *pairs]),
        selection.fusion_enable,
        not selection.fusion_4view_only,
    )
