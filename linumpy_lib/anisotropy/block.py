"""Anisotropy of one block of a volume: what every streaming step calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.anisotropy.plan import AnisotropyPlan
from linumpy_lib.anisotropy.tensor import check_volume
from linumpy_lib.device import Device, resolve_device
from linumpy_lib.errors import InputError

Inner = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class AnisotropyBlock:
    """Results of one block, C-contiguous and ready to store; `None` for what the plan does not ask for.

    Attributes
    ----------
    measures : ndarray, (6, z, y, x)
        fa, cl, cp, cs, cp_norm, lambda2_ratio; 0 outside the mask.
    principal_dir, fibre_dir : ndarray, (3, z, y, x)
        e1 and e3, components in z, y, x order (physical space if the plan knows the spacing); 0 outside the mask.
    eigenvalues : ndarray, (3, z, y, x), float32
        Descending.
    mask : ndarray, (z, y, x), uint8
        1 where the measures mean something: finite foreground with a gradient in reach.
    nonfinite, masked : int
        Voxels that are NaN or infinite, and voxels outside the mask (those included).
    """

    measures: npt.NDArray[np.floating] | None
    principal_dir: npt.NDArray[np.floating] | None
    fibre_dir: npt.NDArray[np.floating] | None
    eigenvalues: npt.NDArray[np.float32] | None
    mask: npt.NDArray[np.uint8]
    nonfinite: int
    masked: int


def allocate_block(shape: tuple[int, int, int], plan: AnisotropyPlan) -> AnisotropyBlock:
    """Make arrays for one block, to be passed as `out` again and again: fresh pages cost about 3 ns per voxel."""

    def array(name: str, channels: int, dtype: npt.DTypeLike) -> Any:
        return np.empty((channels, *shape), dtype) if name in plan.outputs else None

    return AnisotropyBlock(
        array("measures", 6, plan.np_dtype),
        array("principal_dir", 3, plan.np_dtype),
        array("fibre_dir", 3, plan.np_dtype),
        array("eigenvalues", 3, np.float32),
        np.empty(shape, np.uint8),
        0,
        0,
    )


def _inner_ranges(inner: Inner, shape: tuple[int, ...]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    if len(inner) != 3 or any(s.step not in (None, 1) for s in inner):
        raise InputError(f"inner: {inner}; give three slices without a step")
    bounds = [s.indices(n)[:2] for s, n in zip(inner, shape, strict=True)]
    size = tuple(b - a for a, b in bounds)
    if min(size) < 1:
        raise InputError(f"inner: {inner} is empty in a block of shape {shape}")
    return tuple(a for a, _ in bounds), size  # type: ignore[return-value]


def anisotropy_block(
    block: npt.ArrayLike,
    inner: Inner,
    plan: AnisotropyPlan,
    *,
    threads: int = 1,
    mask: npt.NDArray[Any] | None = None,
    device: Device | str = "cpu",
    out: AnisotropyBlock | None = None,
) -> AnisotropyBlock:
    """Compute the maps of a block.

    Parameters
    ----------
    block : array_like, (z, y, x)
        The output region with as much halo (`plan.halo`) around it as the volume has; where the array ends, the volume
        ends. uint8, uint16 and float32 are read as they are, other types through a float32 copy.
    inner : three slices
        The output region within `block`.
    plan : AnisotropyPlan
        What to compute.
    threads : int
        Threads of the CPU; the result does not depend on it.
    mask : ndarray, shape of the output region, optional
        Voxels to compute (non-zero); the tensors are smoothed unmasked, so a mask makes no false edges.
    device : Device or str
        Where to compute.
    out : AnisotropyBlock, optional
        Arrays to reuse, from `allocate_block` or an earlier call of the same shape and plan.

    Returns
    -------
    AnisotropyBlock
        On the CPU bit-identical for every partition of a volume into blocks and every thread count.

    Raises
    ------
    InputError
        The block, `inner`, `mask` or `out` do not fit.
    """
    array = check_volume(block, "block")
    start, size = _inner_ranges(inner, array.shape)
    if mask is not None and mask.shape != size:
        raise InputError(f"mask: shape {mask.shape} does not match the output region {size}")
    if out is None:
        out = allocate_block(size, plan)
    _check_out(out, size, plan)
    target = resolve_device(device)
    if target.name == "cpu":
        from linumpy_lib.anisotropy.cpu.engine import compute_on_cpu

        nonfinite = compute_on_cpu(array, start, plan, mask, out, threads)
    else:
        nonfinite = _compute_in_pieces(target, array, start, plan, mask, out)
    masked = out.mask.size - int(np.count_nonzero(out.mask))
    return AnisotropyBlock(out.measures, out.principal_dir, out.fibre_dir, out.eigenvalues, out.mask, nonfinite, masked)


def _compute_in_pieces(
    device: Device,
    block: npt.NDArray[Any],
    start: tuple[int, int, int],
    plan: AnisotropyPlan,
    mask: npt.NDArray[Any] | None,
    out: AnisotropyBlock,
) -> int:
    """Compute on another device than the CPU, by ranges of planes where its memory is too small for all of them."""
    from linumpy_lib.anisotropy.portable import compute_on_device
    from linumpy_lib.device_memory import in_pieces

    planes, halo, nonfinite = out.mask.shape[0], plan.halo[0], [0]

    def work(part: slice) -> None:
        if part == slice(0, planes):
            nonfinite[0] = compute_on_device(device, block, start, plan, mask, out)
            return
        first, last = start[0] + part.start, start[0] + part.stop
        top = max(0, first - halo)
        piece = allocate_block((part.stop - part.start, *out.mask.shape[1:]), plan)
        chosen = None if mask is None else mask[part]
        count = compute_on_device(
            device, block[top : last + halo], (first - top, start[1], start[2]), plan, chosen, piece
        )
        for name in ("measures", "principal_dir", "fibre_dir", "eigenvalues"):
            whole = getattr(out, name)
            if whole is not None:
                whole[:, part] = getattr(piece, name)
        out.mask[part] = piece.mask
        nonfinite[0] += count

    in_pieces(device, planes, work, f"a block of {block.shape} voxels")
    return nonfinite[0]


def _check_out(out: AnisotropyBlock, size: tuple[int, int, int], plan: AnisotropyPlan) -> None:
    expected = {"measures": (6, plan.np_dtype), "principal_dir": (3, plan.np_dtype), "fibre_dir": (3, plan.np_dtype)}
    expected["eigenvalues"] = (3, np.dtype(np.float32))
    for name, (channels, dtype) in expected.items():
        array = getattr(out, name)
        if (array is None) == (name in plan.outputs):
            raise InputError(f"out.{name}: {'missing' if array is None else 'not asked for by the plan'}")
        if array is not None and (
            array.shape != (channels, *size) or array.dtype != dtype or not array.flags.c_contiguous
        ):
            raise InputError(f"out.{name}: need a C-contiguous {dtype} array of shape {(channels, *size)}")
    if out.mask.shape != size or out.mask.dtype != np.uint8 or not out.mask.flags.c_contiguous:
        raise InputError(f"out.mask: need a C-contiguous uint8 array of shape {size}")
