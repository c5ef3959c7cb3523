"""Which views a recording holds, told by the names of its files: stacks, their XML and their dark frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from linumpy_lib.errors import InputError
from linumpy_lib.fusion.parameters.selection import SelectionParameters
from linumpy_lib.fusion.xml_metadata import of_camera, read_xml_metadata

STACK_NAME = re.compile(
    r"SP[CM](\d+)_TM(\d+)_ANG(\d+)_CM(\d+)_CHN(\d+)(?:_PH(\d+))?(\.stack|\.klb|\.tiff?|(?:\.ome)?\.zarr)", re.IGNORECASE
)
_XML_NAME = re.compile(r"ch0*(\d+)(?:_spec0*(\d+))?\.xml", re.IGNORECASE)
_BACKGROUND = re.compile(r"background_0*(\d+)\.tiff?", re.IGNORECASE)


def view_stem(specimen: int, timepoint: int, camera: int, channel: int) -> str:
    """Name of a corrected view.

    Examples
    --------
    >>> view_stem(0, 12, 1, 0)
    'SPM00_TM000012_CM01_CHN00'
    """
    return f"SPM{specimen:02d}_TM{timepoint:06d}_CM{camera:02d}_CHN{channel:02d}"


@dataclass(frozen=True)
class RawView:
    """One recorded view and what belongs to it.

    Attributes
    ----------
    specimen, timepoint, camera, channel : int
        Which view, from the name of its file.
    stack : Path
        The voxels.
    width, height : int
        Size of a plane as the XML tells it; 0 where the file knows itself.
    xml_depth : int
        Number of planes as the XML tells it, 0 if it does not.
    background : Path or None
        Dark frame of the camera.
    second : bool
        Whether it is the second camera of a pair.
    metadata : dict
        From the XML of its channel.
    """

    specimen: int
    timepoint: int
    camera: int
    channel: int
    stack: Path
    width: int = 0
    height: int = 0
    xml_depth: int = 0
    background: Path | None = None
    second: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """Name of the corrected view."""
        return view_stem(self.specimen, self.timepoint, self.camera, self.channel)

    def as_json(self, root: Path) -> dict[str, Any]:
        """Return plain data, with paths relative to the recording."""
        values = asdict(self)
        values["stack"] = self.stack.relative_to(root).as_posix()
        values["background"] = None if self.background is None else self.background.relative_to(root).as_posix()
        return values


def recorded_stacks(root: Path) -> Iterator[tuple[tuple[int, ...], Path]]:
    """List ((specimen, time point, angle, camera, channel, phase), path) of the stacks of a recording, sorted."""
    folders = [root, *_folders(root, r"SPM\d+|TM\d+|ANG\d+", 3)]
    found = []
    for folder in folders:
        for entry in _entries(folder):
            match = STACK_NAME.fullmatch(entry.name)
            if match:
                found.append((tuple(int(group or 0) for group in match.groups()[:6]), entry))
    yield from sorted(found)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); check the path and its permissions") from None


def _folders(root: Path, pattern: str, depth: int) -> list[Path]:
    inner = [entry for entry in _entries(root) if entry.is_dir() and re.fullmatch(pattern, entry.name)]
    return inner + [deeper for entry in inner if depth > 1 for deeper in _folders(entry, pattern, depth - 1)]


def _places(stack: Path, root: Path) -> list[Path]:
    """Folders from that of the stack up to the recording's."""
    folder, places = stack.parent, [stack.parent]
    while folder != root and root in folder.parents:
        folder = folder.parent
        places.append(folder)
    return places


def find_background(stack: Path, root: Path, camera: int) -> Path | None:
    """Find ``Background_<camera>.tif`` in a folder from that of the stack up to the recording's."""
    for folder in _places(stack, root):
        for entry in _entries(folder):
            match = _BACKGROUND.fullmatch(entry.name)
            if match and int(match[1]) == camera:
                return entry
    return None


def find_metadata(
    stack: Path, root: Path, specimen: int, camera: int, channel: int
) -> tuple[Path, dict[str, Any]] | None:
    """XML that describes a view: of its channel, and naming its camera where it names cameras at all."""
    fallback: tuple[Path, dict[str, Any]] | None = None
    for folder in _places(stack, root):
        for entry in _entries(folder):
            match = _XML_NAME.fullmatch(entry.name)
            if match is None or (match[2] is not None and int(match[2]) != specimen):
                continue
            metadata = read_xml_metadata(entry)
            cameras = metadata.get("camera_index")
            if cameras and camera not in cameras:
                continue
            if int(match[1]) == channel:
                return entry, metadata
            # an XML that names the camera describes it whatever number its own name bears
            if cameras and fallback is None:
                fallback = entry, metadata
    return fallback


def describe_view(
    stack: Path, root: Path, *, pairs: Iterable[tuple[int, int]] = (), cameras: Iterable[int] = ()
) -> RawView:
    """Find what belongs to one stack.

    Raises
    ------
    InputError
        If the name tells no view, or a ``.stack`` has no XML with its size.
    """
    match = STACK_NAME.fullmatch(stack.name)
    if match is None:
        raise InputError(f"{stack}: the name tells no view; stacks are called SPC00_TM00000_ANG000_CM0_CHN00_PH0.stack")
    specimen, timepoint, _, camera, channel, _ = (int(group or 0) for group in match.groups()[:6])
    found = find_metadata(stack, root, specimen, camera, channel)
    width = height = depth = 0
    if found is not None and found[1].get("dimensions"):
        try:
            width, height, depth = of_camera(found[1], camera, sorted(cameras))
        except InputError as error:
            raise InputError(f"{found[0]}: {error}; correct the file") from None
    elif match[7].lower() == ".stack":
        where = f"{found[0]} has no 'dimensions'" if found else "there is no XML file for it"
        raise InputError(
            f"{stack}: the size of its planes is unknown, {where}; put ch{channel}.xml of the acquisition into "
            f"{stack.parent.parent}"
        )
    return RawView(
        specimen,
        timepoint,
        camera,
        channel,
        stack,
        width,
        height,
        depth,
        find_background(stack, root, camera),
        camera in {second for _, second in pairs},
        {} if found is None else dict(found[1]),
    )


def discover(root: Path, selection: SelectionParameters) -> list[RawView]:
    """List the views of a recording that are selected, sorted by time point, camera and channel.

    Parameters
    ----------
    root : Path
        The recording: a folder with ``SPM00``, such a folder itself, or one with all stacks directly in it.
    selection : SelectionParameters
        Specimen, time points, cameras, channels, wiring and pairs.

    Raises
    ------
    InputError
        If there is no stack, a selected time point, camera or channel was not recorded, two stacks hold the same view,
        or a view's XML is missing or damaged.
    """
    stacks = list(recorded_stacks(root))
    if not stacks:
        raise InputError(
            f"{root}: holds no stack; give the folder with "
            "SPM00/TM00000/ANG000/SPC00_TM00000_ANG000_CM0_CHN00_PH0.stack"
        )
    mine = [(key, path) for key, path in stacks if key[0] == selection.specimen]
    if not mine:
        raise InputError(
            f"{root}: specimen {selection.specimen} was not recorded; there are {sorted({k[0] for k, _ in stacks})}"
        )
    _refuse_absent(root, mine, selection)
    wiring = dict(selection.camera_channel_map)
    chosen: dict[tuple[int, int, int], Path] = {}
    for (_, timepoint, _, camera, channel, _), path in mine:
        if (
            (selection.timepoints and timepoint not in selection.timepoints)
            or (selection.cameras and camera not in selection.cameras)
            or (selection.channels and channel not in selection.channels)
            or wiring.get(camera, channel) != channel
        ):
            continue
        key = timepoint, camera, channel
        if key in chosen:
            raise InputError(f"{path}: is the same view as {chosen[key]}; keep one of them")
        chosen[key] = path
    if not chosen:
        raise InputError(
            f"{root}: no view is left by timepoints, cameras, channels and camera_channel_map; select others"
        )
    recorded: dict[int, set[int]] = {}
    for numbers, _ in mine:
        recorded.setdefault(numbers[4], set()).add(numbers[3])
    return [
        describe_view(path, root, pairs=selection.camera_pairs, cameras=recorded[key[2]])
        for key, path in sorted(chosen.items())
    ]


def _refuse_absent(root: Path, mine: list[tuple[tuple[int, ...], Path]], selection: SelectionParameters) -> None:
    for position, name, wanted in (
        (1, "timepoints", selection.timepoints),
        (3, "cameras", selection.cameras),
        (4, "channels", selection.channels),
    ):
        present = sorted({key[position] for key, _ in mine})
        absent = sorted(set(wanted) - set(present))
        if absent:
            raise InputError(f"{root}: {name} {absent} were not recorded; there are {present}")


def missing_views(views: Iterable[RawView]) -> list[tuple[int, int, int]]:
    """List (time point, camera, channel) that other time points have and one lacks."""
    present = {(view.timepoint, view.camera, view.channel) for view in views}
    kinds = {(camera, channel) for _, camera, channel in present}
    return sorted((t, *kind) for t in {key[0] for key in present} for kind in kinds if (t, *kind) not in present)
