"""From exact counts to the numbers that people read: percentiles, dominant directions, tissue shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.anisotropy.counting import ORIENTATION_GRID, TENSOR_PAIRS

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
UNIT_EDGES = np.linspace(0.0, 1.0, 65)
# The ratio of two eigenvalues runs from 1 to float16's largest value: four bins to each doubling.
RATIO_EDGES = 2.0 ** (np.arange(65) / 4.0)
TISSUES = ("sheet", "fibre", "blob", "featureless")


def _finite_values() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Every finite float16 in ascending order, and the bit pattern of each."""
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
    finite = np.flatnonzero(np.isfinite(values))
    order = finite[np.argsort(values[finite], kind="stable")]
    return values[order], order


def measure_summary(counts: npt.NDArray[np.int64], *, ratio: bool = False) -> dict[str, Any]:
    """Summarise one measure.

    Parameters
    ----------
    counts : ndarray of int64, shape (65536,)
        How often each float16 bit pattern occurred.
    ratio : bool
        Use logarithmic bins from 1 to 65536 instead of 64 bins from 0 to 1.

    Returns
    -------
    dict
        count, nonfinite, mean, standard_deviation, minimum, maximum, percentiles (by nearest rank) and histogram (edges
        and counts; what lies outside the edges counts in the outermost bins). All None if nothing was counted.
    """
    values, patterns = _finite_values()
    ordered = counts[patterns]
    present = np.flatnonzero(ordered)
    values, ordered = values[present], ordered[present]
    total = int(ordered.sum())
    edges = RATIO_EDGES if ratio else UNIT_EDGES
    summary: dict[str, Any] = {"count": total, "nonfinite": int(counts.sum()) - total}
    if total == 0:
        summary |= dict.fromkeys(("mean", "standard_deviation", "minimum", "maximum"))
        summary["percentiles"] = dict.fromkeys(str(p) for p in PERCENTILES)
        binned = np.zeros(len(edges) - 1, np.int64)
    else:
        mean = float((values * ordered).sum() / total)
        ranks = np.cumsum(ordered)
        summary |= {
            "mean": mean,
            "standard_deviation": float(np.sqrt(((values - mean) ** 2 * ordered).sum() / total)),
            "minimum": float(values[0]),
            "maximum": float(values[-1]),
            "percentiles": {
                str(p): float(values[np.searchsorted(ranks, max(1, -(-total * p // 100)))]) for p in PERCENTILES
            },
        }
        index = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
        binned = np.zeros(len(edges) - 1, np.int64)
        np.add.at(binned, index, ordered)
    summary["histogram"] = {"edges": [float(e) for e in edges], "counts": [int(n) for n in binned]}
    return summary


def tissue_summary(classes: npt.NDArray[np.int64], voxel_um3: float | None) -> dict[str, Any]:
    """Voxels, share and volume of each tissue shape; ``classes`` in the order of `TISSUES`."""
    total = int(classes.sum())
    return {
        name: {
            "voxels": int(count),
            "fraction": int(count) / total if total else 0.0,
            "volume_mm3": None if voxel_um3 is None else int(count) * voxel_um3 * 1e-9,
        }
        for name, count in zip(TISSUES, classes, strict=True)
    }


def orientation_summary(sums: npt.NDArray[np.float64], voxels: int) -> dict[str, Any]:
    """Summarise the mean orientation tensor.

    Parameters
    ----------
    sums : ndarray of float64, shape (6,)
        Sums of zz, yy, xx, zy, zx, yx products of unit vectors.
    voxels : int
        How many voxels were summed.

    Returns
    -------
    dict
        mean_tensor (3x3, trace 1, z,y,x order), eigenvalues (descending), eigenvectors (rows, same order), dominant_zyx
        (the first of them, z >= 0), azimuth_deg (in the plane, from x towards y), elevation_deg (out of the plane,
        towards z) and order_parameter: (3 lambda1 - 1) / 2, 0 for no preferred direction, 1 for perfect alignment
        (nematic order parameter; de Gennes & Prost, The Physics of Liquid Crystals, 1993).
    """
    tensor = np.zeros((3, 3))
    for (i, j), value in zip(TENSOR_PAIRS, sums, strict=True):
        tensor[i, j] = tensor[j, i] = value
    trace = float(np.trace(tensor))
    if voxels == 0 or trace <= 0.0:
        keys = ("mean_tensor", "eigenvalues", "eigenvectors", "dominant_zyx", "azimuth_deg", "elevation_deg")
        return {"voxels": voxels, **dict.fromkeys(keys), "order_parameter": None}
    tensor /= trace
    values, vectors = np.linalg.eigh(tensor)
    rows = [_upward(vectors[:, k]) for k in (2, 1, 0)]
    z, y, x = rows[0]
    return {
        "voxels": voxels,
        "mean_tensor": [[round(float(v), 9) for v in row] for row in tensor],
        "eigenvalues": [round(float(v), 9) for v in values[::-1]],
        "eigenvectors": rows,
        "dominant_zyx": rows[0],
        "azimuth_deg": round(float(np.degrees(np.arctan2(y, x))), 4),
        "elevation_deg": round(float(np.degrees(np.arcsin(min(z, 1.0)))), 4),
        "order_parameter": round(float((3.0 * values[2] - 1.0) / 2.0), 9),
    }


def _upward(vector: npt.NDArray[np.float64]) -> list[float]:
    # rounding first: a component of 1e-17 must not decide the sign
    rounded = np.round(vector, 9) + 0.0
    first = rounded[np.flatnonzero(rounded)[0]]
    return [float(v) + 0.0 for v in (rounded if first > 0 else -rounded)]


def cell_directions(grid: int = ORIENTATION_GRID) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where the cells of the orientation grid point, and how large they are.

    Returns
    -------
    directions : ndarray of float64, shape (grid, grid, 3)
        Unit vectors (z, y, x) of the cell centres, z >= 0.
    solid_angles : ndarray of float64, shape (grid, grid)
        Area of each cell on the unit sphere [sr]; they add up to that of the hemisphere, 2 pi.
    """
    fine = 8
    centre = (np.arange(grid * fine) + 0.5) / (grid * fine) * 2.0 - 1.0
    row, column = np.meshgrid(centre, centre, indexing="ij")
    y, x = (row + column) / 2.0, (row - column) / 2.0
    z = np.maximum(1.0 - np.abs(y) - np.abs(x), 0.0)
    # A flat area element dA of the octahedron at distance r from the centre covers dA / (sqrt(3) r^3) of the sphere.
    density = (z * z + y * y + x * x) ** -1.5
    angles = density.reshape(grid, fine, grid, fine).sum(axis=(1, 3))
    middle = np.stack([z, y, x], axis=-1).reshape(grid, fine, grid, fine, 3).mean(axis=(1, 3))
    directions = middle / np.linalg.norm(middle, axis=-1, keepdims=True)
    return directions, angles * (2.0 * np.pi / angles.sum())
