"""Compiled loops of the corrections; importing this module imports Numba.

Each is always called with arrays of the same types and layout, as `linumpy_lib.compiled.lazy_kernel` asks. Work is
handed out in bands of rows, so that threads never write to the same place and sums do not depend on their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from linumpy_lib.compiled import inline_kernel, lazy_kernel


def _add_moments(planes: Any, first_row: int, last_row: int, total: Any, squares: Any) -> None:
    for y in range(first_row, last_row):
        for z in range(planes.shape[0]):
            for x in range(planes.shape[2]):
                value = np.int64(planes[z, y, x])
                total[y, x] += value
                squares[y, x] += value * value


def _inside(place: Any, extent: Any) -> Any:
    # A border repeats the pixels before it in mirrored order.
    while place < 0 or place >= extent:
        place = -1 - place if place < 0 else 2 * extent - 1 - place
    return place


def _middle(window: Any, bins: Any) -> Any:
    # The value in the middle: sorted by insertion if they are few, else found by its upper, then by its lower byte.
    if window.size <= 50:
        for n in range(1, window.size):
            value = window[n]
            at = n
            while at > 0 and window[at - 1] > value:
                window[at] = window[at - 1]
                at -= 1
            window[at] = value
        return window[window.size // 2]
    wanted = np.int64(window.size // 2)
    bins[:] = 0
    for n in range(window.size):
        bins[window[n] >> 8] += 1
    high = np.int64(0)
    while bins[high] <= wanted:
        wanted -= bins[high]
        high += 1
    bins[:] = 0
    for n in range(window.size):
        if window[n] >> 8 == high:
            bins[window[n] & 255] += 1
    low = np.int64(0)
    while bins[low] <= wanted:
        wanted -= bins[low]
        low += 1
    return np.uint16(high * 256 + low)


def _replace_pixels(planes: Any, first: int, last: int, places: Any, offsets_y: Any, offsets_x: Any) -> None:
    height, width = planes.shape[1], planes.shape[2]
    window = np.empty(offsets_y.size, np.uint16)
    bins = np.empty(256, np.int64)
    values = np.empty(places.shape[0], np.uint16)
    for z in range(first, last):
        for k in range(places.shape[0]):
            for n in range(offsets_y.size):
                y = inside(places[k, 0] + offsets_y[n], height)
                window[n] = planes[z, y, inside(places[k, 1] + offsets_x[n], width)]
            values[k] = middle(window, bins)
        for k in range(places.shape[0]):
            planes[z, places[k, 0], places[k, 1]] = values[k]


def _smooth_rows(
    planes: Any, below: int, first_row: int, last_row: int, axial: Any, rows: Any, columns: Any, out: Any
) -> None:
    # Taps are folded as they are symmetric, outermost first: the order decides on the last bit of a sum.
    depth, height, width = planes.shape
    reach_z, reach_y, reach_x = axial.size // 2, rows.size // 2, columns.size // 2
    span = 2 * reach_y + 1
    ring = np.empty((span, width), np.float64)
    line = np.empty(width + 2 * reach_x, np.float64)
    sums = np.empty(width, np.float64)
    for z in range(out.shape[0]):
        at = z + below
        for step in range(first_row - reach_y, last_row + reach_y):
            y = min(max(step, 0), height - 1)
            slot = (step + span) % span
            middle = axial[reach_z]
            for x in range(width):
                ring[slot, x] = planes[at, y, x] * middle
            for k in range(reach_z, 0, -1):
                weight = axial[reach_z - k]
                low, high = max(at - k, 0), min(at + k, depth - 1)
                for x in range(width):
                    ring[slot, x] += (np.float64(planes[low, y, x]) + np.float64(planes[high, y, x])) * weight
            row = step - reach_y
            if row < first_row:
                continue
            centre = (row + span) % span
            for x in range(width):
                line[reach_x + x] = ring[centre, x] * rows[reach_y]
            for k in range(reach_y, 0, -1):
                weight = rows[reach_y - k]
                low, high = (row - k + span) % span, (row + k + span) % span
                for x in range(width):
                    line[reach_x + x] += (ring[low, x] + ring[high, x]) * weight
            for x in range(reach_x):
                line[x] = line[reach_x]
                line[reach_x + width + x] = line[reach_x + width - 1]
            middle = columns[reach_x]
            for x in range(width):
                sums[x] = line[x + reach_x] * middle
            for k in range(reach_x, 0, -1):
                weight = columns[reach_x - k]
                for x in range(width):
                    sums[x] += (line[x + reach_x - k] + line[x + reach_x + k]) * weight
            for x in range(width):
                out[z, row, x] = np.uint16(np.rint(sums[x]))


def _count(values: Any, histogram: Any) -> None:
    # Two tables, as increments of one entry that follow each other would wait for each other.
    for i in range(0, values.size - 1, 2):
        histogram[0, values[i]] += 1
        histogram[1, values[i + 1]] += 1
    if values.size % 2:
        histogram[0, values[values.size - 1]] += 1


def _threshold(smooth: Any, first_row: int, last_row: int, level: float, mask: Any) -> None:
    for z in range(smooth.shape[0]):
        for y in range(first_row, last_row):
            for x in range(smooth.shape[2]):
                mask[z, y, x] = np.uint8(1) if smooth[z, y, x] > level else np.uint8(0)


def _mask_rows(planes: Any, mask: Any, first_row: int, last_row: int) -> None:
    for z in range(planes.shape[0]):
        for y in range(first_row, last_row):
            for x in range(planes.shape[2]):
                planes[z, y, x] *= mask[z, y, x]


def _project_rows(planes: Any, first_row: int, last_row: int, xy: Any, xz: Any, yz: Any) -> None:
    for z in range(planes.shape[0]):
        for y in range(first_row, last_row):
            most = np.uint16(0)
            for x in range(planes.shape[2]):
                value = planes[z, y, x]
                xy[y, x] = max(xy[y, x], value)
                xz[z, x] = max(xz[z, x], value)
                most = max(most, value)
            yz[z, y] = most


def _coordinate_rows(
    mask: Any, first_plane: int, first_row: int, last_row: int, count: Any, depth: Any, row_count: Any, row_place: Any
) -> None:
    for z in range(mask.shape[0]):
        for y in range(first_row, last_row):
            found = np.int64(0)
            place = np.int64(0)
            for x in range(mask.shape[2]):
                inside = np.int64(mask[z, y, x])
                found += inside
                place += inside * x
                count[y, x] += np.int32(inside)
                depth[y, x] += inside * (first_plane + z)
            row_count[y, z] = found
            row_place[y, z] = place


inside = inline_kernel(_inside)
middle = inline_kernel(_middle)
add_moments = lazy_kernel(_add_moments)
replace_pixels = lazy_kernel(_replace_pixels)
smooth_rows = lazy_kernel(_smooth_rows)
count_values = lazy_kernel(_count)
threshold_rows = lazy_kernel(_threshold)
mask_rows = lazy_kernel(_mask_rows)
project_rows = lazy_kernel(_project_rows)
coordinate_rows = lazy_kernel(_coordinate_rows)
