"""Step: structure tensor, measures and directions of one volume, or of one slab of it, in constant memory."""

from __future__ import annotations

import contextlib
import math
import queue
import warnings
from typing import TYPE_CHECKING, Any

from linumpy_lib.anisotropy.steps import results
from linumpy_lib.anisotropy.steps.parameters import ComputeAnisotropyParameters
from linumpy_lib.errors import InputError
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.anisotropy.block import AnisotropyBlock, Inner
    from linumpy_lib.anisotropy.plan import AnisotropyPlan
    from linumpy_lib.io import Volume, VolumeWriter
    from linumpy_lib.io.lazy import Region


def spatial_volume(volume: Volume, channel: str = "") -> Volume:
    """Return the single (z, y, x) volume of an input, or say which axis must go."""
    if "z" not in volume.axes:
        raise InputError(
            f"{volume.name}: axes are '{volume.axes}', there is no z axis; if the planes are a stack in z, save them "
            "with axes 'ZYX' (in ImageJ: Image > Properties, slices instead of channels or frames)"
        )
    if channel:
        volume = volume.channel(int(channel) if channel.isdecimal() else channel)
    remedies = {
        "t": ("timepoints", "save the one that you want as a file of its own"),
        "c": ("channels", "choose one with --anisotropy_channel"),
    }
    for axis, (word, remedy) in remedies.items():
        if axis in volume.axes:
            extent = volume.shape[volume.axes.index(axis)]
            if extent > 1:
                raise InputError(f"{volume.name}: has {extent} {word}; anisotropy works on one z,y,x volume: {remedy}")
            volume = volume.pick(**{axis: 0})
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
        f"{volume.name}: states no voxel size; taken as 1 um along each axis, so directions are right only for "
        "cubic voxels; give the true size with --anisotropy_spacing_um z,y,x"
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

    from linumpy_lib.blocks import grid

    low, high = math.inf, -math.inf
    for region in grid(volume.shape, (64, 512, 512)):
        block = volume.read(region)
        finite = block[np.isfinite(block)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise InputError(f"{volume.name}: holds no finite value; check how it was written")
    return min(low, 0.0), high


def make_plan(
    volume: Volume, spacing_um: tuple[float, float, float], parameters: ComputeAnisotropyParameters, task: Task
) -> tuple[AnisotropyPlan, dict[str, Any]]:
    """Resolve the parameters for this volume; return the plan and what was resolved, for the metrics."""
    from linumpy_lib.anisotropy.filters import CoarseScaleWarning
    from linumpy_lib.anisotropy.plan import DEFAULT_OUTPUTS, AnisotropyPlan

    threshold, (low, high) = mask_threshold(volume, parameters)
    largest = max(abs(low), abs(high))
    # Tensors are of fourth order in the data where norms are taken: keep extreme data away from float32's limits.
    exponent = 0 if 1e-6 < largest < 1e6 else -math.frexp(largest)[1] if largest > 0 else 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CoarseScaleWarning)
        plan = AnisotropyPlan(
            sigma=_triple(parameters.anisotropy_sigma),
            rho=_triple(parameters.anisotropy_rho),
            spacing_um=spacing_um,
            gradient=parameters.anisotropy_gradient,
            units=parameters.anisotropy_units,
            normalization=parameters.anisotropy_normalization,
            mask_threshold=threshold,
            outputs=DEFAULT_OUTPUTS | ({"eigenvalues"} if parameters.anisotropy_eigenvalues else set()),
            scale_exponent=exponent,
        )
    for warning in caught:
        task.note(f"{volume.name}: {warning.message}")
    return plan, {"threshold": threshold, "low": low, "high": high}


def _triple(numbers: tuple[float, ...]) -> tuple[float, float, float]:
    return (numbers[0], numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])


def open_writers(
    shape: tuple[int, ...],
    spacing_um: tuple[float, float, float],
    planes: tuple[int, int] | None,
    plan: AnisotropyPlan,
    task: Task,
) -> dict[str, VolumeWriter]:
    """Create the writer of every store that this run makes, keyed by the field of the block that it stores."""
    from linumpy_lib.anisotropy.plan import MEASURES
    from linumpy_lib.io import VolumeWriter

    def writer(pattern: str, names: tuple[str, ...], dtype: str, kind: str) -> VolumeWriter:
        return VolumeWriter(
            task.path(pattern),
            shape=(len(names), *shape) if names else shape,
            dtype=dtype,
            axes="czyx" if names else "zyx",
            spacing_um=spacing_um,
            channel_names=names or None,
            kind=kind,
            chunks=results.CHUNK,
            shards=results.SHARD,
            provenance=task.provenance,
            threads=task.threads,
            slab=planes,
        )

    writers = {
        "measures": writer(results.MEASURES, MEASURES, "float16", "intensity"),
        "principal_dir": writer(results.PRINCIPAL_DIR, ("z", "y", "x"), "float16", "directions"),
        "fibre_dir": writer(results.FIBRE_DIR, ("z", "y", "x"), "float16", "directions"),
        "mask": writer(results.MASK, (), "uint8", "mask"),
    }
    if "eigenvalues" in plan.outputs:
        writers["eigenvalues"] = writer(results.EIGENVALUES, ("lambda1", "lambda2", "lambda3"), "float32", "intensity")
    return writers


def slab_range(depth: int, slab: tuple[int, int]) -> tuple[int, int]:
    """Return the planes of one slab: whole rows of shards, as equal as they can be; later slabs may be empty."""
    index, count = slab
    rows = math.ceil(depth / results.SHARD[0])
    first, last = rows * index // count, rows * (index + 1) // count
    return min(first * results.SHARD[0], depth), min(last * results.SHARD[0], depth)


def compute_anisotropy(*, input: Volume, parameters: ComputeAnisotropyParameters, task: Task) -> None:  # noqa: A002
    """Stream the volume, or one slab of it, block by block into the stores of maps.

    Parameters
    ----------
    input : Volume
        Axes z, y, x; any integer or float type.
    parameters : ComputeAnisotropyParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If the volume cannot be used as it is.
    """
    from linumpy_lib.anisotropy.block import allocate_block, anisotropy_block
    from linumpy_lib.anisotropy.statistics import AnisotropyStatistics
    from linumpy_lib.blocks import expand, stream

    volume = spatial_volume(input, parameters.anisotropy_channel)
    spacing_um = voxel_size(volume, parameters, task)
    plan, resolved = make_plan(volume, spacing_um, parameters, task)
    planes = slab_range(volume.shape[0], task.slab) if task.slab[1] > 1 else None
    statistics = AnisotropyStatistics()
    free: queue.SimpleQueue[AnisotropyBlock | None] = queue.SimpleQueue()
    for _ in range(2):
        free.put(None)

    def read(region: Region) -> tuple[Region, Inner, Any]:
        outer, inner = expand(region, plan.halo, volume.shape)
        return region, (inner[0], inner[1], inner[2]), volume.read(outer)

    def compute(block: tuple[Region, Inner, Any]) -> AnisotropyBlock:
        region, inner, values = block
        size = tuple(box.stop - box.start for box in region)
        buffers = free.get()
        if buffers is None or buffers.mask.shape != size:
            buffers = allocate_block(size, plan)
        return anisotropy_block(values, inner, plan, threads=task.threads, device=task.device, out=buffers)

    def write(region: Region, block: AnisotropyBlock) -> None:
        assert block.measures is not None
        assert block.principal_dir is not None
        assert block.fibre_dir is not None
        statistics.add(
            block.measures, block.principal_dir, block.fibre_dir, block.mask, nonfinite_input=block.nonfinite
        )
        for field, writer in writers.items():
            writer.write(region, getattr(block, field))
        free.put(block)

    if planes is None or planes[0] < planes[1]:
        with contextlib.ExitStack() as stack:
            writers = open_writers(volume.shape, spacing_um, planes, plan, task)
            for writer in writers.values():
                stack.enter_context(writer)
            regions = writers["measures"].regions()
            stream(regions, read, compute, write, queue=1, description="anisotropy", progress=task.progress)
    task.metric("background_threshold", resolved["threshold"], "data units")
    if task.slab[1] > 1:
        statistics.save(task.path(results.STATISTICS_PART))
    else:
        results.write_statistics(statistics, spacing_um, task)


STEP = Step(
    name="compute_anisotropy",
    function=compute_anisotropy,
    parameters=ComputeAnisotropyParameters,
    summary="Structure tensor, anisotropy measures and directions of a volume",
    description=(
        "Reads a z,y,x volume block by block and writes maps of FA, CL, CP, CS, CPnorm and lambda2/lambda3, the\n"
        "direction of most change (normal of sheets) and of least change (axis of fibres). High CP means fibre, high\n"
        "CL sheet, high CS grain: the names describe the tensor's ellipsoid, which for gradients is the reverse."
    ),
    inputs=(Input("input", "volume: OME-Zarr, Zarr, .ome.zarr.zip, TIFF, folder of 2-D TIFF planes, NRRD or NIfTI"),),
    outputs=results.OUTPUTS,
    devices=("cpu", "cuda", "mps"),
    slabs=True,
)
