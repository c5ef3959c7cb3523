"""The block computation through a device's primitives: the same maths as the CPU's fused kernel, for CUDA and MPS."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.anisotropy.block import AnisotropyBlock
from linumpy_lib.anisotropy.eigen import solve_on
from linumpy_lib.anisotropy.measures import measures_of
from linumpy_lib.anisotropy.plan import AnisotropyPlan
from linumpy_lib.anisotropy.tensor import tensor_components
from linumpy_lib.device import Device

FLOAT32_MAX = float(np.finfo(np.float32).max)


def compute_on_device(
    device: Device,
    block: npt.NDArray[Any],
    start: tuple[int, int, int],
    plan: AnisotropyPlan,
    mask: npt.NDArray[Any] | None,
    out: AnisotropyBlock,
) -> int:
    """Fill `out` and return the number of non-finite voxels in the output region."""
    xp = device.xp
    inner = tuple(slice(a, a + n) for a, n in zip(start, out.mask.shape, strict=True))
    image = device.to_device(block)
    finite = xp.isfinite(image)
    image = xp.where(finite, image, xp.zeros_like(image)) * 2.0**plan.scale_exponent
    keep = finite[inner]
    nonfinite = out.mask.size - int(keep.sum())
    if plan.mask_threshold is not None:
        keep = keep & (image[inner] >= plan.mask_threshold * 2.0**plan.scale_exponent)
    if mask is not None:
        keep = keep & (device.to_device(np.ascontiguousarray(mask != 0)) > 0)
    components = [c[inner] for c in tensor_components(device, image, plan.taps)]
    if device.name == "cuda":
        from linumpy_lib.anisotropy.cuda import finish_on_cuda

        finish_on_cuda(device, xp.stack(components), keep, plan, out)
        return nonfinite
    zero = xp.zeros_like(components[0])
    s = solve_on(device, xp.stack([xp.where(keep, c, zero) for c in components]))
    keep = keep & s.regular

    def put(destination: npt.NDArray[Any] | None, values: tuple[Any, ...]) -> None:
        if destination is not None:
            for channel, value in enumerate(values):
                destination[channel] = device.to_numpy(xp.where(keep, value, zero))

    put(out.measures, measures_of(xp, s.l1, s.l2, s.l3, s.regular, plan.normalization))
    put(out.principal_dir, s.e1)
    put(out.fibre_dir, s.e3)
    size = xp.clip(s.trace * plan.eigenvalue_factor, 0.0, FLOAT32_MAX)
    put(out.eigenvalues, (s.l1 * size, s.l2 * size, s.l3 * size))
    out.mask[...] = device.to_numpy(keep)
    return nonfinite
