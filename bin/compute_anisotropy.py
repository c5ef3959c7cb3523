"""Step: structure tensor, measures and directions of one volume, or of one slab of it, in constant memory."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linumpy_lib.anisotropy.steps import results
from linumpy_lib.anisotropy.steps.parameters import ComputeAnisotropyParameters
from linumpy_lib.cli import Input, Step, Task
from linumpy_lib.errors import InputError

if TYPE_CHECKING:
    from linumpy_lib.io import Volume, VolumeWriter


def spatial_volume(volume: Volume) -> Volume:
    """Return the single (z, y, x) volume of an input, or say which axis must go."""
    for axis, word in (("t", "timepoints"), ("c", "channels")):
        if axis in volume.axes:
            extent = volume.shape[volume.axes.index(axis)]
            if extent > 1:
                raise InputError(
                    f"{volume.name}: has {extent} {word}; anisotropy works on one z,y,x volume, so save the one you want "
                    "as a file of its own"
                )
            volume = volume.pick(**{axis: 0})
    if volume.axes != "zyx":
        raise InputError(f"{volume.name}: axes are '{volume.axes}'; anisotropy needs a volume with axes z, y and x")
    return volume


def voxel_size(volume: Volume, parameters: ComputeAnisotropyParameters, task: Task) -> tuple[float, float, float]:
    """Return the voxel size to work with, in micrometres along z, y, x; say so where it is not known."""
    given = parameters.anisotropy_spacing_um
    if given:
        numbers = [float(part) for part in given.split(",")]
        return (numbers[0], numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])
    if volume.spacing_um is not None:
        return (volume.spacing_um[0], volume.spacing_um[1], volume.spacing_um[2])
    if parameters.anisotropy_units == "um":
        raise InputError(
            f"{volume.name}: states no voxel size in a unit of length, which --anisotropy_units um needs; give it with "
            "--anisotropy_spacing_um z,y,x"
        )
    task.note(
        f"{volume.name}: states no voxel size; taken as 1 um along each axis, so directions are right only for cubic voxels; "
        "give the true size with --anisotropy_spacing_um z,y,x"
    )
    return (1.0, 1.0, 1.0)


def mask_threshold(volume: Volume, parameters: ComputeAnisotropyParameters) -> tuple[float, tuple[float, float]]:
    """Return the background threshold in the units of the data, and the value range that it refers to."""
    import numpy as np

    text = parameters.anisotropy_range
    if text != "auto":
        low, high = (float(part) for part in text.split(","))
    elif volume.dtype.kind in "ui":
        low, high = 0.0, float(np.iinfo(volume.dtype).max)
    elif volume.window and volume.window[0]["min"] < volume.window[0]["max"]:
        low, high = float(volume.window[0]["min"]), float(volume.window[0]["max"])
    else:
        low, high = _finite_range(volume)
    return low + parameters.anisotropy_mask_threshold * (high - low), (low, high)


def _finite_range(volume: Volume) -> tuple[float, float]:
    import numpy as np

    from linumpy_lib.blocks import tiles

    low, high = math.inf, -math.inf
    for region in tiles(volume.shape, (64, 512, 512)):
        block = volume.read(region)
        finite = block[np.isfinite(block)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise InputError(f"{volume.name}: holds no finite value; check how it was written")
    return min(low, 0.0), high


def open_writers(
    volume_shape: tuple[int, int, int],
    spacing_um: tuple[float, float, float],
    parameters: ComputeAnisotropyParameters,
    task: Task,
) -> dict[str, VolumeWriter]:
    """Create the writer of every store that this run makes, keyed by its name in `results`."""
    from linumpy_lib.io import VolumeWriter

    def vector(pattern: str, names: tuple[str, ...], dtype: str) -> VolumeWriter:
        return VolumeWriter(
            task.path(pattern),
            shape=(len(names), *volume_shape),
            dtype=dtype,
            axes="czyx",
            spacing_um=spacing_um,
            channel_names=names,
            chunks=results.CHUNK,
            shards=results.SHARD,
            provenance=task.provenance,
            threads=task.threads,
            slab=slab_range(volume_shape[0], task.slab) if task.slab[1] > 1 else None,
        )

    writers = {
        results.MEASURES: vector(results.MEASURES, results.CHANNELS, "float16"),
        results.PRINCIPAL_DIR: vector(results.PRINCIPAL_DIR, ("z", "y", "x"), "float16"),
        results.FIBRE_DIR: vector(results.FIBRE_DIR, ("z", "y", "x"), "float16"),
        results.MASK: VolumeWriter(
            task.path(results.MASK),
            shape=volume_shape,
            dtype="uint8",
            spacing_um=spacing_um,
            kind="labels",
            chunks=results.CHUNK,
            shards=results.SHARD,
            provenance=task.provenance,
            threads=task.threads,
            slab=slab_range(volume_shape[0], task.slab) if task.slab[1] > 1 else None,
        ),
    }
    if parameters.anisotropy_eigenvalues:
        writers[results.EIGENVALUES] = vector(results.EIGENVALUES, ("lambda1", "lambda2", "lambda3"), "float32")
    return writers


def slab_range(depth: int, slab: tuple[int, int]) -> tuple[int, int]:
    """Return the planes of one slab: whole rows of shards, as equal as they can be; later slabs may be empty."""
    index, count = slab
    rows = math.ceil(depth / results.SHARD[0])
    first, last = rows * index // count, rows * (index + 1) // count
    return min(first * results.SHARD[0], depth), min(last * results.SHARD[0], depth)
