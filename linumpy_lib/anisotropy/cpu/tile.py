"""One pass along z over a tile: gradient products, their smoothing, eigen solver and measures, plane by plane.

A tile is a y-x window of the output; its working set (a ring of input planes, one plane of products, a ring of smoothed
planes) stays in the cache whatever the depth. Outside the array the image counts as its nearest voxel for the gradient,
and the gradient products count as their nearest voxel for the smoothing, which is what two `scipy.ndimage` passes with
``mode="nearest"`` do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from linumpy_lib.anisotropy.cpu import solver
from linumpy_lib.anisotropy.cpu.fir import GROUP, derive_row, smooth_and_derive_row, smooth_four_rows, smooth_row
from linumpy_lib.anisotropy.cpu.simd import LANES, load, store
from linumpy_lib.compiled import cached_kernel, inline_kernel, source_digest

PAD = 2 * LANES  # row filters work in steps of 32
FIRST_VECTOR, LAST_VECTOR, EIGENVALUES, RESULT_ROWS = (
    solver.FIRST_VECTOR,
    solver.LAST_VECTOR,
    solver.EIGENVALUES,
    solver.RESULT_ROWS,
)
ZERO = np.float32(0)
FLOAT32_MAX = np.float32(np.finfo(np.float32).max)


@inline_kernel
def round_up(n):
    """Smallest multiple of the row step that is not below n."""
    return (n + PAD - 1) // PAD * PAD


@inline_kernel
def clamp(i, size):
    """Nearest valid index."""
    return min(max(i, 0), size - 1)


@inline_kernel
def load_plane(out, at, pitch, plane, y0, x0, height, width, scale):
    """Copy a window that may reach outside the plane, as finite float32."""
    rows, columns = plane.shape
    left = min(max(-x0, 0), width)
    right = min(max(columns - x0, 0), width)
    for j in range(height):
        source = plane[clamp(y0 + j, rows)]
        row = out[at + j * pitch : at + j * pitch + width]
        inner = source[x0 + left : x0 + right]
        for i in range(right - left):
            value = np.float32(inner[i]) * scale
            row[left + i] = value if abs(value) <= FLOAT32_MAX else ZERO
        for i in range(left):
            row[i] = row[left]
        for i in range(right, width):
            row[i] = row[right - 1]


@inline_kernel
def put_row(out, source, start):
    """Copy a row into an output of its own type; the last lanes overlap those before them to end in time."""
    count = out.shape[0]
    if count >= LANES:
        for x in range(0, count - LANES, LANES):
            store(out, x, load(source, start + x))
        store(out, count - LANES, load(source, start + count - LANES))
    else:
        scratch = np.empty(LANES, out.dtype)
        store(scratch, 0, load(source, start))
        out[:] = scratch[:count]


@inline_kernel
def put_channels(out, channels, z, window, j, result, row, pitch):
    """Store one row of each channel of an output that is asked for."""
    if out.shape[0]:
        for c in range(channels):
            put_row(out[c, z, window[0] + j, window[2] : window[3]], result, (row + c) * pitch)


@inline_kernel
def foreground_row(flags, source, chosen, threshold, counts):
    """Mark finite voxels from the threshold up (and chosen by the caller's mask, if there is one); return how many."""
    found = 0
    masked = chosen.shape[0] == source.shape[0]
    for i in range(source.shape[0]):
        value = np.float32(source[i])
        finite = abs(value) <= FLOAT32_MAX
        keep = finite and value >= threshold
        if masked:
            keep = keep and chosen[i] != 0
        flags[i] = keep
        if keep:
            found += 1
        if not finite:
            counts[0] += 1
    return found


@inline_kernel
def shift(rows, by):
    """Move every row of a filter."""
    for t in range(rows.shape[0]):
        rows[t] += by


@inline_kernel
def gradient_products(
    products, images, ring, z, depth, taps, radii, eheight, ewidth, epitch, pheight, pwidth, ppitch, pleft, pright,
    smooth_plane, odd_plane, line, gradient, rows_z, rows_y, rows_x,
):  # fmt: skip
    """Differentiate plane z of the ring of images; row 6*j + q of `products` is product q at y = j."""
    smooth_z, odd_z, smooth_y, odd_y, smooth_x, odd_x = taps[:6]
    gz, gy, gx = radii[:3]
    for j in range(eheight):
        for t in range(ring):
            rows_z[t] = ((clamp(z + t - gz, depth) % ring) * eheight + j) * epitch
        smooth_and_derive_row(
            smooth_plane, odd_plane, j * epitch, j * epitch, images, rows_z, smooth_z, odd_z, gz, ewidth
        )
    for j in range(pheight):
        for t in range(2 * gy + 1):
            rows_y[t] = (j + t) * epitch
        smooth_row(line, 0, odd_plane, rows_y, smooth_y, gy, ewidth)
        smooth_row(gradient, 0, line, rows_x, smooth_x, gx, pwidth)
        smooth_and_derive_row(line, line, 0, epitch, smooth_plane, rows_y, smooth_y, odd_y, gy, ewidth)
        derive_row(gradient, 2 * ppitch, line, rows_x, odd_x, gx, pwidth)
        shift(rows_x, epitch)
        smooth_row(gradient, ppitch, line, rows_x, smooth_x, gx, pwidth)
        shift(rows_x, -epitch)
        at = 6 * j * ppitch + pleft
        for i in range(0, pwidth, LANES):
            a = load(gradient, i)
            b = load(gradient, ppitch + i)
            c = load(gradient, 2 * ppitch + i)
            store(products, at + i, a * a)
            store(products, at + ppitch + i, b * b)
            store(products, at + 2 * ppitch + i, c * c)
            store(products, at + 3 * ppitch + i, a * b)
            store(products, at + 4 * ppitch + i, a * c)
            store(products, at + 5 * ppitch + i, b * c)
        for q in range(6):
            left = (6 * j + q) * ppitch
            for i in range(pleft):
                products[left + i] = products[left + pleft]
            for i in range(pleft + pwidth, pleft + pwidth + pright):
                products[left + i] = products[left + pleft + pwidth - 1]


@inline_kernel
def smooth_products(
    smoothed, slot, slots, spitch, products, above, pheight, ppitch, height, width, taps, radii, lines, rows_y, rows_x
):
    """Smooth along y and x into a slot; row (6*j + q)*slots + slot of `smoothed` is component q at y = j."""
    tensor_y, tensor_x = taps[7:]
    ty, tx = radii[4:]
    for q in range(6):
        for first in range(0, height, GROUP):
            for t in range(rows_y.shape[0]):
                rows_y[t] = (clamp(first - above + t, pheight) * 6 + q) * ppitch
            together = min(GROUP, height - first)
            if together == GROUP:
                smooth_four_rows(lines, 0, ppitch, products, rows_y, tensor_y, ty, width + 2 * tx)
            else:
                for k in range(together):
                    smooth_row(lines, k * ppitch, products, rows_y[k:], tensor_y, ty, width + 2 * tx)
            for k in range(together):
                at = ((6 * (first + k) + q) * slots + slot) * spitch
                smooth_row(smoothed, at, lines, rows_x, tensor_x, tx, width)
                shift(rows_x, ppitch)
            shift(rows_x, -together * ppitch)


def _define(digest: str) -> Any:
    def process_tile(
        block, chosen, origin, window, taps, radii, scale, unscale, threshold, normalization,
        measures, first, last, eigenvalues, mask, counts, smoothed,
    ):  # fmt: skip
        """Fill the window (y0, y1, x0, x1 of the output) of every output plane; `smoothed` is `ring_size` long."""
        _ = digest
        depth, rows, columns = block.shape
        gz, gy, gx, tz, ty, tx = radii
        tensor_z = taps[6]
        planes_out = mask.shape[0]
        z0 = origin[0]
        y0 = origin[1] + window[0]
        x0 = origin[2] + window[2]
        height = window[1] - window[0]
        width = window[3] - window[2]
        # the region of gradient products (p...) ends with the array; the image region (e...) is replicated beyond it
        py0 = max(0, y0 - ty)
        px0 = max(0, x0 - tx)
        pheight = min(rows, y0 + height + ty) - py0
        pwidth = min(columns, x0 + width + tx) - px0
        pleft = px0 - (x0 - tx)
        pright = width + 2 * tx - pleft - pwidth
        eheight = pheight + 2 * gy
        ewidth = pwidth + 2 * gx
        epitch = round_up(ewidth) + PAD
        ppitch = round_up(width + 2 * tx) + PAD
        spitch = round_up(width)
        ring = 2 * gz + 1
        slots = 2 * tz + GROUP
        images = np.zeros(ring * eheight * epitch, np.float32)
        smooth_plane = np.zeros(eheight * epitch, np.float32)
        odd_plane = np.zeros(eheight * epitch, np.float32)
        line = np.zeros(2 * epitch, np.float32)
        gradient = np.zeros(3 * ppitch, np.float32)
        products = np.zeros((pheight * 6 + 1) * ppitch, np.float32)
        lines = np.zeros(GROUP * ppitch, np.float32)
        tensor = np.zeros(GROUP * 6 * spitch, np.float32)
        result = np.zeros(RESULT_ROWS * spitch, np.float32)
        flags = np.zeros(GROUP * spitch, np.uint8)
        all_chosen = np.zeros(0, np.uint8)
        grows_z = np.zeros(ring, np.intp)
        grows_y = np.zeros(2 * gy + 1, np.intp)
        grows_x = np.arange(2 * gx + 1)
        trows_z = np.zeros(slots, np.intp)
        trows_y = np.zeros(2 * ty + GROUP, np.intp)
        trows_x = np.arange(2 * tx + 1)

        done = max(-1, z0 - tz - 1)
        loaded = max(-1, done - gz)
        for z in range(0, planes_out, GROUP):
            together = min(GROUP, planes_out - z)
            while done < min(z0 + z + together - 1 + tz, depth - 1):
                done += 1
                while loaded < min(done + gz, depth - 1):
                    loaded += 1
                    at = (loaded % ring) * eheight * epitch
                    load_plane(images, at, epitch, block[loaded], py0 - gy, px0 - gx, eheight, ewidth, scale)
                gradient_products(
                    products, images, ring, done, depth, taps, radii, eheight, ewidth, epitch, pheight, pwidth, ppitch,
                    pleft, pright, smooth_plane, odd_plane, line, gradient, grows_z, grows_y, grows_x,
                )  # fmt: skip
                smooth_products(
                    smoothed, done % slots, slots, spitch, products, py0 - (y0 - ty), pheight, ppitch, height, width,
                    taps, radii, lines, trows_y, trows_x,
                )  # fmt: skip
            for j in range(height):
                found = 0
                for k in range(together):
                    foreground = flags[k * spitch : k * spitch + width]
                    source = block[z0 + z + k, y0 + j, x0 : x0 + width]
                    if chosen.shape[0]:
                        wanted = chosen[z + k, window[0] + j, window[2] : window[3]]
                        found += foreground_row(foreground, source, wanted, threshold, counts)
                    else:
                        found += foreground_row(foreground, source, all_chosen, threshold, counts)
                if found:
                    for q in range(6):
                        for t in range(slots):
                            trows_z[t] = ((6 * j + q) * slots + clamp(z0 + z + t - tz, depth) % slots) * spitch
                        if together == GROUP:
                            smooth_four_rows(tensor, q * spitch, 6 * spitch, smoothed, trows_z, tensor_z, tz, width)
                        else:
                            for k in range(together):
                                at = (6 * k + q) * spitch
                                smooth_row(tensor, at, smoothed, trows_z[k:], tensor_z, tz, width)
                for k in range(together):
                    if found:
                        solver.solve_rows(
                            tensor[6 * k * spitch :], spitch, flags, k * spitch, result, width, normalization, unscale
                        )
                    else:
                        result[:] = 0
                    put_channels(measures, 6, z + k, window, j, result, 0, spitch)
                    put_channels(first, 3, z + k, window, j, result, FIRST_VECTOR, spitch)
                    put_channels(last, 3, z + k, window, j, result, LAST_VECTOR, spitch)
                    put_channels(eigenvalues, 3, z + k, window, j, result, EIGENVALUES, spitch)
                    mask[z + k, window[0] + j, window[2] : window[3]] = flags[k * spitch : k * spitch + width]

    return process_tile


def ring_size(radius_z: int, height: int, width: int) -> int:
    """Length of a tile's ring of smoothed planes, its largest buffer."""
    return (2 * radius_z + GROUP) * 6 * height * (-(-width // PAD) * PAD)


def compile_tile(input_type: str, half: bool) -> Any:
    """Compile for one input type (``uint8``, ``uint16``, ``float32``) and for float16 bits or float32 as output."""
    volume = types.Array(getattr(types, input_type), 3, "C", readonly=True)  # read-only memory maps too
    stored = types.Array(types.uint16 if half else types.float32, 4, "C")
    taps = types.UniTuple(types.Array(types.float32, 1, "C", readonly=True), 9)
    triple = types.UniTuple(types.intp, 3)
    signature = types.void(
        volume, types.Array(types.uint8, 3, "C", readonly=True), triple, types.UniTuple(types.intp, 4), taps,
        types.UniTuple(types.intp, 6), types.float32, types.float32, types.float32, types.intp,
        stored, stored, stored, types.Array(types.float32, 4, "C"), types.Array(types.uint8, 3, "C"),
        types.Array(types.int64, 1, "C"),
        types.Array(types.float32, 1, "C"),
    )  # fmt: skip
    return cached_kernel(_define(source_digest(Path(__file__).parent)), signature)
