"""`IsoviewArray`: all views of a recording, raw or corrected, as one lazy array."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.io import Volume, open_volume

_CORRECTED = re.compile(
    r"SPM(\d+)_TM(\d+)_CM(\d+)_CHN(\d+)(\.ome\.zarr|\.zarr|\.klb|\.ome\.tiff?|\.tiff?)", re.IGNORECASE
)
_TIMEPOINT = re.compile(r"TM\d+", re.IGNORECASE)
Key = tuple[int, int, int]


@dataclass(frozen=True)
class _Entry:
    """A view: its file, and how to open it."""

    path: Path
    width: int = 0
    height: int = 0
    metadata: Mapping[str, Any] | None = None

    def open(self) -> Volume:
        if self.path.suffix.lower() == ".stack":
            from linumpy_lib.fusion.raw_stack import open_stack

            return Volume(open_stack(self.path, self.width, self.height), "zyx", path=self.path)
        return open_volume(self.path, ndim=3)


class IsoviewArray:
    """All views of a recording as one array that reads on indexing.

    Parameters
    ----------
    path : path-like
        Folder of corrected views (``corrected``, or one that holds ``TM000000`` folders, or such a folder), or of a raw
        recording (with ``SPM00`` inside).
    views : sequence of (int, int), optional
        Cameras and channels to take, all by default. Needed where cameras have planes of different size, as orthogonal
        ones do.

    Notes
    -----
    Axes are (z, view, y, x) for one time point, (t, z, view, y, x) for several. Where views differ in their number of
    planes the array has the smallest. A view that a time point lacks is an error when it is read.

    Examples
    --------
    >>> array = IsoviewArray("embryo.corrected")  # doctest: +SKIP
    >>> array.shape, array.views  # doctest: +SKIP
    ((543, 4, 2048, 2048), [(0, 0), (1, 0), (2, 1), (3, 1)])
    >>> plane = array[100, 0]  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str], views: Sequence[tuple[int, int]] | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise InputError(f"{self.path}: is no folder; give one of corrected views or of a recording")
        self._entries = _corrected(self.path)
        self.structure = "corrected" if self._entries else "raw"
        if not self._entries:
            self._entries = _raw(self.path)
        kinds = sorted({(camera, channel) for _, camera, channel in self._entries})
        if views is not None:
            wanted = [(int(camera), int(channel)) for camera, channel in views]
            absent = sorted(set(wanted) - set(kinds))
            if absent or not wanted:
                raise InputError(f"{self.path}: has no views {absent}; there are {kinds}")
            kinds = wanted
        self.views: list[tuple[int, int]] = kinds
        self.timepoints: list[int] = sorted({t for t, *kind in self._entries if tuple(kind) in set(kinds)})
        self._open: dict[Key, Volume] = {}
        first = [self._first(kind) for kind in kinds]
        planes = {volume.shape[1:] for volume in first}
        if len(planes) > 1:
            sizes = ", ".join(f"{kind}: {volume.shape}" for kind, volume in zip(kinds, first, strict=True))
            raise InputError(
                f"{self.path}: views have planes of different size ({sizes}); choose some with views=[...]"
            )
        types = {volume.dtype for volume in first}
        self.dtype: np.dtype[Any] = np.result_type(*types)
        depth = min(volume.shape[0] for volume in first)
        core = (depth, len(kinds), *first[0].shape[1:])
        self.shape: tuple[int, ...] = core if len(self.timepoints) == 1 else (len(self.timepoints), *core)
        self._planes = {kind: volume.shape[0] for kind, volume in zip(kinds, first, strict=True)}
        self._metadata: dict[str, Any] | None = None

    def _first(self, kind: tuple[int, int]) -> Volume:
        time = min(t for t, *other in self._entries if tuple(other) == kind)
        return self._volume((time, *kind))

    def _volume(self, key: Key) -> Volume:
        if key not in self._open:
            if key not in self._entries:
                raise InputError(
                    f"{self.path}: time point {key[0]} has no view of camera {key[1]}, channel {key[2]}; leave the "
                    "time point or the view out"
                )
            self._open[key] = self._entries[key].open()
        return self._open[key]

    @property
    def ndim(self) -> int:
        """Number of axes, 4 or 5."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes; ``cm`` is the view."""
        return ("z", "cm", "Y", "X") if self.ndim == 4 else ("t", "z", "cm", "Y", "X")

    @property
    def num_views(self) -> int:
        """Number of views."""
        return len(self.views)

    @property
    def num_timepoints(self) -> int:
        """Number of time points."""
        return len(self.timepoints)

    @property
    def num_planes(self) -> int:
        """Number of planes that all views have."""
        return self.shape[-4]

    @property
    def filenames(self) -> list[Path]:
        """Files or stores of the views, by time point and view."""
        keys = [(t, *kind) for t in self.timepoints for kind in self.views]
        return [self._entries[key].path for key in keys if key in self._entries]

    @property
    def min(self) -> float:
        """Smallest voxel; reads every view."""
        return min(float(plane.min()) for plane in self._slabs())

    @property
    def max(self) -> float:
        """Largest voxel; reads every view."""
        return max(float(plane.max()) for plane in self._slabs())

    def _slabs(self) -> Any:
        for t in self.timepoints:
            for kind in self.views:
                volume = self._volume((t, *kind))
                for first in range(0, self.num_planes, 16):
                    yield volume.read(slice(first, min(first + 16, self.num_planes)))

    @property
    def metadata(self) -> dict[str, Any]:
        """What the microscope was set to, as far as all views agree, and what the array is.

        Besides the names of the recording's XML: dx, dy, dz [um], fs [volumes per second], Lx, Ly, num_planes (also
        nplanes, num_zplanes), num_timepoints (also nframes, num_frames), num_views, views, cameras, shape, dtype,
        structure, stack_type, single_timepoint. May be set.
        """
        if self._metadata is None:
            self._metadata = self._describe()
        return self._metadata

    @metadata.setter
    def metadata(self, value: Mapping[str, Any]) -> None:
        self._metadata = dict(value)

    @property
    def camera_metadata(self) -> dict[int, dict[str, Any]]:
        """What the microscope was set to, and what the correction found, by camera."""
        found: dict[int, dict[str, Any]] = {}
        for kind in self.views:
            found.setdefault(kind[0], self._view_metadata(kind))
        return found

    def _view_metadata(self, kind: tuple[int, int]) -> dict[str, Any]:
        key = next((t, *kind) for t in self.timepoints if (t, *kind) in self._entries)
        view = self._volume(key).provenance.get("view")
        if isinstance(view, dict):
            own = {name: value for name, value in view.items() if name not in ("metadata", "timepoint")}
            return {**view.get("metadata", {}), **own}
        return dict(self._entries[key].metadata or {})

    def _describe(self) -> dict[str, Any]:
        per_view = [self._view_metadata(kind) for kind in self.views]
        common = {k: v for k, v in per_view[0].items() if all(other.get(k) == v for other in per_view)}
        lateral = common.get("pixel_resolution_um")
        spacing: Sequence[Any] = self._first(self.views[0]).spacing_um or (common.get("z_step"), lateral, lateral)
        planes, frames = self.num_planes, self.num_timepoints
        return {
            **common,
            "dz": spacing[0],
            "dy": spacing[1],
            "dx": spacing[2],
            "fs": common.get("vps"),
            "Ly": self.shape[-2],
            "Lx": self.shape[-1],
            "num_planes": planes,
            "nplanes": planes,
            "num_zplanes": planes,
            "num_timepoints": frames,
            "nframes": frames,
            "num_frames": frames,
            "num_views": self.num_views,
            "views": list(self.views),
            "planes": [self._planes[kind] for kind in self.views],
            "cameras": sorted({camera for camera, _ in self.views}),
            "shape": self.shape,
            "dtype": str(self.dtype),
            "structure": self.structure,
            "stack_type": "isoview",
            "single_timepoint": frames == 1,
        }

    def view_index(self, camera: int, channel: int) -> int:
        """Return the place of a view on the view axis.

        Raises
        ------
        InputError
            If there is no such view.
        """
        if (camera, channel) not in self.views:
            raise InputError(f"{self.path}: has no view of camera {camera}, channel {channel}; there are {self.views}")
        return self.views.index((camera, channel))

    def _store(self, timepoint: int, camera: int, channel: int | None) -> Path:
        if not 0 <= timepoint < self.num_timepoints:
            raise InputError(f"{self.path}: there is no time point {timepoint}; it has {self.num_timepoints}, from 0")
        kinds = [kind for kind in self.views if kind[0] == camera and channel in (None, kind[1])]
        if not kinds:
            raise InputError(f"{self.path}: has no view of camera {camera}; there are {self.views}")
        volume = self._volume((self.timepoints[timepoint], *kinds[0]))
        assert volume.path is not None
        if not volume.path.is_dir():
            raise InputError(f"{volume.path}: only OME-Zarr stores of corrected views hold labels and projections")
        return volume.path

    def get_labels(
        self, timepoint: int, camera: int, label_type: str = "segmentation", channel: int | None = None
    ) -> npt.NDArray[Any]:
        """Read a label image of a corrected view.

        Parameters
        ----------
        timepoint : int
            Place on the time axis, from 0.
        camera : int
            The camera.
        label_type : {"segmentation", "xy_coords", "xz_coords", "dead_pixels"}
            The mask (z, y, x); the mean plane of its foreground (y, x) or its mean column (y, z), from 1, 0 is nowhere;
            replaced pixels (y, x).
        channel : int, optional
            By default the camera's first.

        Raises
        ------
        InputError
            If there is no such view or label.
        """
        from linumpy_lib.fusion.view_store import read_plane

        return read_plane(self._store(timepoint, camera, channel), "labels", label_type)

    def get_projection(
        self, timepoint: int, camera: int, proj_type: str = "xy", channel: int | None = None
    ) -> npt.NDArray[Any]:
        """Read a maximum projection of a corrected view: xy (y, x), xz (z, x) or yz (z, y).

        Parameters
        ----------
        timepoint, camera, channel
            As for `get_labels`.
        proj_type : {"xy", "xz", "yz"}
            Axes that are left.

        Raises
        ------
        InputError
            If there is no such view or projection.
        """
        from linumpy_lib.fusion.view_store import read_plane

        return read_plane(self._store(timepoint, camera, channel), "projections", proj_type)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"IsoviewArray({str(self.path)!r}, shape={self.shape}, dtype={self.dtype}, views={self.views})"

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("a lazy array cannot be viewed without reading it")
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        picks = self._picks(key)
        inner = picks if self.ndim == 5 else [np.zeros(1, int), *picks]
        times, planes, views, rows, columns = (np.atleast_1d(pick) for pick in inner)
        out = np.empty([len(n) for n in (times, planes, views, rows, columns)], self.dtype)
        if out.size:
            box = tuple(slice(int(n.min()), int(n.max()) + 1) for n in (planes, rows, columns))
            inside = np.ix_(*(n - n.min() for n in (planes, rows, columns)))
            for t, time in enumerate(times):
                for v, view in enumerate(views):
                    volume = self._volume((self.timepoints[int(time)], *self.views[int(view)]))
                    out[t, :, v] = volume.read(box)[inside]
        shape = [len(pick) for pick in picks if np.ndim(pick)]
        return out.reshape(shape)

    def _picks(self, key: Any) -> list[Any]:
        """Return indices along every axis: one number where the axis goes away, else an array."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if sum(k is Ellipsis for k in keys) > 1:
            raise IndexError("an index holds one ellipsis at most")
        if Ellipsis in [k if k is Ellipsis else None for k in keys]:
            at = next(n for n, k in enumerate(keys) if k is Ellipsis)
            keys[at : at + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        keys += [slice(None)] * (self.ndim - len(keys))
        if len(keys) > self.ndim:
            raise IndexError(f"{len(keys)} indices for {self.ndim} axes")
        picks: list[Any] = []
        for axis, (item, extent) in enumerate(zip(keys, self.shape, strict=True)):
            if isinstance(item, slice):
                picks.append(np.arange(extent)[item])
                continue
            numbers = np.asarray(item)
            if numbers.dtype == bool and numbers.shape == (extent,):
                numbers = np.flatnonzero(numbers)
            if numbers.ndim > 1 or (numbers.dtype.kind not in "iu" and numbers.size):
                raise IndexError(f"axis {self.dims[axis]}: {item!r} is no index; give integers, slices or lists")
            numbers = numbers.astype(int)
            if np.any((numbers < -extent) | (numbers >= extent)):
                raise IndexError(f"axis {self.dims[axis]}: {item!r} is out of range, there are {extent}")
            picks.append(numbers % extent)
        return picks

    def close(self) -> None:
        """Forget opened views."""
        self._open.clear()

    def __enter__(self) -> IsoviewArray:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _corrected(path: Path) -> dict[Key, _Entry]:
    folders = [path, *sorted(p for p in path.iterdir() if p.is_dir() and _TIMEPOINT.fullmatch(p.name))]
    if not any(_CORRECTED.fullmatch(entry.name) for folder in folders for entry in folder.iterdir()):
        folders = [path / "corrected"] if (path / "corrected").is_dir() else []
    entries: dict[Key, _Entry] = {}
    for folder in folders:
        # stores last, so that they win over copies in other formats beside them
        for entry in sorted(folder.iterdir(), key=lambda p: (p.suffix == ".zarr", p.name)):
            match = _CORRECTED.fullmatch(entry.name)
            if match:
                entries[int(match[2]), int(match[3]), int(match[4])] = _Entry(entry)
    return entries


def corrected_views(path: Path) -> dict[Key, Path]:
    """Return the stores or files of corrected views in a folder, by time point, camera and channel."""
    return {key: entry.path for key, entry in _corrected(path).items()}


def _raw(path: Path) -> dict[Key, _Entry]:
    from linumpy_lib.fusion.discovery import discover, recorded_stacks
    from linumpy_lib.fusion.parameters.selection import SelectionParameters

    root = path
    while root.name and re.fullmatch(r"SPM\d+|TM\d+|ANG\d+", root.name):
        root = root.parent
    inside = {stack for _, stack in recorded_stacks(path)}
    specimens = sorted({key[0] for key, _ in recorded_stacks(path)})
    if not inside:
        raise InputError(f"{path}: holds neither corrected views (SPM00_TM000000_CM00_CHN00.ome.zarr) nor stacks")
    return {
        (view.timepoint, view.camera, view.channel): _Entry(view.stack, view.width, view.height, view.metadata)
        for view in discover(root, SelectionParameters(specimen=specimens[0]))
        if view.stack in inside
    }
