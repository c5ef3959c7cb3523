"""Joining views by their quality: in every block and at every spatial frequency, each counts by its signal to noise.

The specimen's spectrum X is seen by view v as h_v X + noise of variance n_v, where h_v is the blur of its depth. The
estimate of least variance adds h_v F_v / n_v over the views and divides by G = sum of h_v^2 / n_v. It is brought back
to the transfer of the sharper view (so nothing is sharpened beyond what was seen), and shrunk by the share of its power
that is not noise. What one view blurs away it does not contribute; what both see is averaged with the right weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.fusion.quality_model import Quality

Floats = npt.NDArray[np.float32]

BLOCK = 32
"""Edge of the blocks [px]; they overlap by half."""
HOP = BLOCK // 2
REACH = 2
"""Voxels to each side that the noise level of a voxel is taken from."""


def _window() -> Floats:
    """Window of a block; its square adds up to 1 over blocks that overlap by half."""
    edge = np.sin(np.pi * (np.arange(BLOCK) + 0.5) / BLOCK)
    window: Floats = (edge[:, None, None] * edge[None, :, None] * edge[None, None, :]).astype(np.float32)
    return window


def blend_quality(
    first: Floats,
    second: Floats,
    quality: Quality,
    *,
    start: tuple[int, int, int] = (0, 0, 0),
    missing: tuple[Any, Any] = (None, None),
    inner: tuple[slice, ...] | None = None,
    limits: tuple[tuple[float, float], tuple[float, float]] | None = None,
    threads: int = 1,
) -> Floats:
    """Join two registered views by their quality.

    Parameters
    ----------
    first, second : ndarray of float32
        Registered views (z, y, x) without background, or a part of them.
    quality : Quality
        Noise, brightness and blur of the views.
    start : (int, int, int)
        The part's corner in the views.
    missing : pair of ndarray of bool, optional
        Where a view has no value; the other is taken there.
    inner : tuple of slice, optional
        Voxels of the part that are wanted, by default all. On each side the part ends where the views do, or holds
        `REACH` voxels more than the blocks that what is wanted lies in: those between multiples of 16 of the views and
        one multiple beyond.
    limits : pair of (float, float), optional
        Range of the whole views, without background; by default that of the parts.
    threads : int
        Threads of the transforms.

    Returns
    -------
    ndarray of float32
        Fused view (of `inner`) at the common brightness, within the range of the two brought to it.
    """
    from scipy import ndimage

    planes = np.arange(start[0], start[0] + first.shape[0])
    gains = [g.astype(np.float32)[:, None, None] for g in quality.gains(planes)]
    views, variances = [], []
    for view, gain, (base, slope) in zip((first, second), gains, quality.noise, strict=True):
        level = ndimage.uniform_filter(view, 2 * REACH + 1, mode="nearest")
        np.maximum(level, 0, out=level)
        variances.append((np.float32(base) + np.float32(slope) * level) * gain**2)
        views.append(view * gain)
    for k, absent in enumerate(missing):
        if absent is not None and absent.any():
            views[k] = np.where(absent, views[1 - k], views[k])
            # A copy says nothing new.
            variances[k] = np.where(absent, np.float32(1e3) * variances[1 - k], variances[k])
    ranges = limits or ((float(first.min()), float(first.max())), (float(second.min()), float(second.max())))
    low = np.minimum(*(np.float32(r[0]) * g for r, g in zip(ranges, gains, strict=True)))
    high = np.maximum(*(np.float32(r[1]) * g for r, g in zip(ranges, gains, strict=True)))
    wanted = inner or tuple(slice(0, n) for n in first.shape)
    fused = _overlap_add(views, variances, quality, start, wanted, threads)
    return np.clip(fused, low[wanted[0]], high[wanted[0]])


def _overlap_add(
    views: list[Floats],
    variances: list[Floats],
    quality: Quality,
    start: tuple[int, int, int],
    wanted: tuple[slice, ...],
    threads: int,
) -> Floats:
    window = _window()
    # Blocks that reach what is wanted: the part is cut to them, or padded where the views end.
    cuts, pads = [], []
    for s, n, at in zip(wanted, views[0].shape, start, strict=True):
        low = ((at + s.start) // HOP - 1) * HOP - at
        high = (-(-(at + s.stop) // HOP) + 1) * HOP - at
        cuts.append(slice(max(0, low), min(n, high)))
        pads.append((max(0, -low), max(0, high - n)))
    views, variances = ([v[tuple(cuts)] for v in parts] for parts in (views, variances))
    z_start = start[0] + cuts[0].start - pads[0][0]
    padded = [np.pad(v, pads, mode="symmetric") for v in views]
    spread = [np.pad(v, pads, mode="symmetric") for v in variances]
    out = np.zeros(padded[0].shape, np.float32)
    counts = [(int(out.shape[axis]) - BLOCK) // HOP + 1 for axis in range(3)]
    frequency = np.fft.fftfreq(BLOCK)[:, None] ** 2 + np.fft.rfftfreq(BLOCK)[None, :] ** 2
    for iz in range(counts[0]):
        z0 = iz * HOP
        middle = z_start + z0 + (BLOCK - 1) / 2
        transfer = [np.exp(-2 * np.pi**2 * s**2 * frequency).astype(np.float32) for s in quality.blur(middle)]
        for iy in range(counts[1]):
            y0 = iy * HOP
            row = [_blocks(v[z0 : z0 + BLOCK, y0 : y0 + BLOCK], counts[2]) for v in padded]
            noise = [_block_noise(v[z0 : z0 + BLOCK, y0 : y0 + BLOCK], window, counts[2]) for v in spread]
            joined = _join(row, noise, transfer, window, threads)
            strip = out[z0 : z0 + BLOCK, y0 : y0 + BLOCK]
            for ix in range(counts[2]):
                strip[:, :, ix * HOP : ix * HOP + BLOCK] += joined[ix]
    begins = [s.start - cut.start + pad[0] for s, cut, pad in zip(wanted, cuts, pads, strict=True)]
    return out[tuple(slice(b, b + s.stop - s.start) for b, s in zip(begins, wanted, strict=True))]


def _blocks(strip: Floats, count: int) -> Floats:
    """Cut overlapping blocks along x: (count, BLOCK, BLOCK, BLOCK)."""
    views = np.lib.stride_tricks.sliding_window_view(strip, BLOCK, axis=2)[:, :, : (count - 1) * HOP + 1 : HOP]
    return np.moveaxis(views, 2, 0)


def _block_noise(strip: Floats, window: Floats, count: int) -> Floats:
    """Power of the noise in every coefficient of a block: variance times squared window, summed."""
    square = window * window
    return np.array([np.vdot(strip[:, :, ix * HOP : ix * HOP + BLOCK], square) for ix in range(count)], np.float32)


def _join(row: list[Floats], noise: list[Floats], transfer: list[Floats], window: Floats, threads: int) -> Floats:
    from scipy import fft, ndimage

    tiny = np.float32(1e-6)
    total: Any = 0
    information: Any = 0
    for blocks, power, h in zip(row, noise, transfer, strict=True):
        weight = h[None, None] / np.maximum(power, tiny)[:, None, None, None]
        total = total + fft.rfftn(blocks * window, axes=(1, 2, 3), workers=threads) * weight
        information = information + h[None, None] * weight
    information = np.maximum(information, np.float32(1e-30))
    # Power of the estimate over that of its noise: 1 where there is noise only.
    ratio = (total.real**2 + total.imag**2) / information
    ratio = ndimage.uniform_filter(ratio, (0, 3, 3, 3), mode="nearest")
    kept = np.maximum(ratio - 1, 0) / np.maximum(ratio, tiny)
    sharper = np.maximum(transfer[0], transfer[1])[None, None]
    estimate = total * (kept * sharper / information)
    joined: Floats = fft.irfftn(estimate, s=(BLOCK,) * 3, axes=(1, 2, 3), workers=threads).astype(np.float32)
    joined *= window
    return joined
