"""Which voxels are tissue: a threshold for each serial section, with holes filled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError
from linumpy_lib.intensity.sections import section_bounds

BINS = 256
FEWEST_VOXELS = 100
SLAB_BYTES = 256 * 2**20

Smooth = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]
Slab = tuple[int, npt.NDArray[np.float32]]


def otsu_threshold(histogram: npt.ArrayLike, low: float, high: float) -> float:
    """Return the bin centre that best separates a histogram in two classes (Otsu 1979).

    Parameters
    ----------
    histogram : array_like, shape (bins,)
        Counts of equal bins between `low` and `high`.
    """
    counts = np.asarray(histogram, np.float64)
    edges = np.linspace(low, high, counts.size + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    mean_below = np.cumsum(counts * centres) / np.maximum(below, 1)
    mean_above = np.cumsum((counts * centres)[::-1])[::-1] / np.maximum(above, 1)
    between = below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2
    return float(centres[int(np.argmax(between))])


def _disk(radius: int) -> npt.NDArray[np.bool_]:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk: npt.NDArray[np.bool_] = x * x + y * y <= radius * radius
    return disk


def clean_plane(plane: npt.NDArray[np.bool_], closing_radius: int) -> npt.NDArray[np.bool_]:
    """Fill the holes of a (y, x) mask, then close it with a disk; what lies beyond the edge counts as its neighbour."""
    from scipy import ndimage

    if not plane.any() or plane.all():
        return plane
    labels, count = ndimage.label(~plane)
    outside = np.zeros(count + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[edge] = True
    outside[0] = False
    plane = ~outside[labels]
    if closing_radius > 0:
        disk = _disk(closing_radius)
        plane = ndimage.binary_erosion(ndimage.binary_dilation(plane, disk), disk, border_value=1)
    return plane


def close_along_z(mask: Any, planes: int, slab: int = 32) -> None:
    """Close gaps of up to ``2 * planes`` planes along z, in place; nothing is removed at the volume's ends.

    `mask` is any array of (z, y, x) booleans that can be read and written by z ranges, such as a memory map.
    """
    total, reach = mask.shape[0], 2 * planes
    originals = np.asarray(mask[0:0])
    for z0 in range(0, total, slab):
        z1, end = min(z0 + slab, total), min(z0 + slab + reach, total)
        start = z0 - originals.shape[0]
        block = np.concatenate([originals, np.asarray(mask[z0:end])])
        grown = block.copy()
        for k in range(1, planes + 1):
            grown[k:] |= block[:-k]
            grown[:-k] |= block[k:]
        closed = grown.copy()
        for k in range(1, planes + 1):
            closed[k:] &= grown[:-k]
            closed[:-k] &= grown[k:]
        originals = block[max(0, z1 - reach - start) : z1 - start].copy()
        mask[z0:z1] = closed[z0 - start : z1 - start]


def _gaussian(sigma: tuple[float, float, float], use_gpu: bool) -> Smooth:
    from linumpy_lib.device import Device, get_device
    from linumpy_lib.device_memory import or_on_cpu

    device = get_device("cuda" if use_gpu else "cpu")

    def smooth(block: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        # double precision, rounded once at the end: every device then gives the same float32 and the same mask
        values = np.nan_to_num(np.asarray(block, np.float64), nan=0.0, posinf=0.0, neginf=0.0)

        def work(where: Device) -> npt.NDArray[np.float32]:
            return where.to_numpy(where.gaussian_filter(where.to_device(values, np.float64), sigma)).astype(np.float32)

        return or_on_cpu(device, work)

    return smooth


def _section_slabs(vol: Any, start: int, stop: int, sigma_z: float, smooth: Smooth) -> Callable[[], Iterable[Slab]]:
    """Return what iterates over the smoothed slabs of one section; nothing outside the section is looked at.

    A section of one slab is smoothed once and kept; a larger one is smoothed anew in each pass.
    """
    halo = int(4 * sigma_z + 0.5)
    step = max(1, SLAB_BYTES // (16 * int(np.prod(vol.shape[1:]))) - 2 * halo)

    def slabs() -> Iterable[Slab]:
        for z0 in range(start, stop, step):
            z1 = min(z0 + step, stop)
            low, high = max(start, z0 - halo), min(stop, z1 + halo)
            yield z0, smooth(vol[low:high])[z0 - low : z1 - low]

    if step < stop - start:
        return slabs
    kept = list(slabs())
    return lambda: kept


def compute_tissue_mask(
    vol: Any,
    smoothing_sigma: float = 2.0,
    n_serial_slices: int = 1,
    closing_radius: int = 3,
    z_closing_sections: int = 2,
    smoothing_sigma_z: float = 1.0,
    use_gpu: bool = False,
    *,
    section_boundaries: Sequence[int] | None = None,
    out: Any = None,
) -> Any:
    """Return the mask of tissue voxels of a stacked volume.

    Each serial section is smoothed and gets its own Otsu threshold, from its own voxels only; then the holes of each
    plane are filled, the plane is closed with a disk, and the stack is closed along z across the section boundaries.

    Parameters
    ----------
    vol : array_like, shape (z, y, x)
        Intensities; also a lazy array that is sliced along z. NaN and infinite voxels count as 0.
    smoothing_sigma : float
        Gaussian sigma in y and x, in voxels.
    n_serial_slices : int
        Number of equally thick sections.
    closing_radius : int
        Radius of the closing disk in voxels; 0 leaves it out.
    z_closing_sections : int
        Planes on each side that the closing along z reaches over; 0, or a single section, leaves it out.
    smoothing_sigma_z : float
        Gaussian sigma along z, in voxels.
    use_gpu : bool
        Smooth on CUDA; the mask is the same.
    section_boundaries : sequence of int, optional
        First plane of each section, instead of equal thickness.
    out : array of bool, optional
        Receives the mask; a memory map bounds the memory that is used to one slab.

    Returns
    -------
    ndarray of bool, shape (z, y, x)
        `out`. A section with fewer than 100 positive smoothed voxels, or without any contrast, is all tissue.

    Raises
    ------
    InputError
        The volume has not three axes, or is empty.
    ParameterError
        There are more sections than planes.
    """
    if len(vol.shape) != 3 or 0 in vol.shape:
        raise InputError(f"volume of shape {tuple(vol.shape)}: a tissue mask needs three axes (z, y, x) of at least 1")
    bounds = section_bounds(vol.shape[0], n_serial_slices, section_boundaries)
    mask = np.zeros(vol.shape, bool) if out is None else out
    smooth = _gaussian((smoothing_sigma_z, smoothing_sigma, smoothing_sigma), use_gpu)
    for start, stop in bounds:
        slabs = _section_slabs(vol, start, stop, smoothing_sigma_z, smooth)
        low, high, positives = np.inf, 0.0, 0
        for _, values in slabs():
            positive = values[values > 0]
            positives += positive.size
            if positive.size:
                low, high = min(low, float(positive.min())), max(high, float(positive.max()))
        if positives < FEWEST_VOXELS or high <= low:
            mask[start:stop] = True
            continue
        counts = np.zeros(BINS, np.int64)
        for _, values in slabs():
            counts += np.histogram(values[values > 0], BINS, (low, high))[0]
        threshold = np.float32(otsu_threshold(counts, low, high))
        for z0, values in slabs():
            for z, plane in enumerate(values > threshold, z0):
                mask[z] = clean_plane(plane, closing_radius)
    if z_closing_sections > 0 and len(bounds) > 1:
        close_along_z(mask, z_closing_sections)
    return mask
