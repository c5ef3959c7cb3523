"""Division of A-lines by the light that is left at each sample, on every device."""

from __future__ import annotations

import numpy as np

from linumpy_lib.device import Device
from linumpy_lib.device_memory import in_pieces
from linumpy_lib.intensity.slice_columns import Floats


def compensate(
    block: Floats,
    below: Floats,
    last: Floats,
    compensated: Floats,
    device: Device,
    *,
    floor: float,
    skip: int,
    strength: float,
    min_bias: float,
) -> Floats:
    """Divide A-lines by the light that is left at each sample.

    Parameters
    ----------
    block : ndarray of float32, shape (z, y, x)
        Intensities of at least 0.
    below, last, compensated : ndarray of float32, shape (y, x)
        As in `Attenuation`, for each column.
    device : Device
        Where to compute.
    floor : float
        Subtracted first.
    skip : int
        Samples whose intensity is not believed.
    strength : float
        Power of the light that is left: 0 changes nothing, 1 compensates all of it.
    min_bias : float
        Smallest divisor.

    Returns
    -------
    ndarray of float32, shape (z, y, x)
    """
    result = np.empty_like(block)

    def work(rows: slice) -> None:
        part = _compensate(
            block[:, rows],
            (below[rows], last[rows], compensated[rows]),
            device,
            floor=floor,
            skip=skip,
            strength=strength,
            min_bias=min_bias,
        )
        result[:, rows] = part

    in_pieces(device, block.shape[1], work, f"a block of {block.shape} voxels")
    return result


def _compensate(
    block: Floats,
    columns: tuple[Floats, Floats, Floats],
    device: Device,
    *,
    floor: float,
    skip: int,
    strength: float,
    min_bias: float,
) -> Floats:
    below, last, compensated = columns
    xp = device.xp
    values = device.to_device(block)
    if floor > 0:
        values = values - floor
        values = xp.where(values > 0, values, xp.zeros_like(values))
    tail, stop = device.to_device(below), device.to_device(last)
    depth = values.shape[0]
    count = min(2 * skip, depth) - skip
    fill = values[skip : skip + count].sum(0) / count if skip and count > 0 else None
    used = [values[z] if fill is None or z >= skip else fill for z in range(depth)]
    everything = xp.zeros_like(tail) + tail
    for z in range(depth):
        everything = everything + xp.where(stop > z, used[z], xp.zeros_like(tail))
    tiny = xp.zeros_like(tail) + 1e-30
    active = (device.to_device(compensated) >= 0.5) & (everything > tiny)
    scale = xp.where(active, 1 / xp.where(active, everything, tiny + 1), xp.zeros_like(tail))
    one, least = xp.zeros_like(tail) + 1, xp.zeros_like(tail) + min_bias
    result = xp.zeros_like(values)
    gone = xp.zeros_like(tail)
    for z in range(depth):
        left = xp.where(active, 1 - gone * scale, one)
        # light cannot be less than nothing: rounding of the sum
        bias = xp.where(left > 1e-12, left, tiny + 1e-12)
        if strength != 1:
            bias = bias**strength
        result[z] = values[z] / xp.where(bias > least, bias, least)
        gone = gone + xp.where(stop > z, used[z], xp.zeros_like(tail))
    return device.to_numpy(result)
