"""The A-line kernel of the OCT simulator, compiled by Numba on first use and cached on disk."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def _render(
    region: Float32,
    to_region: Float64,
    lines: Float64,
    frames: Float64,
    curvature_px: Float32,
    surface_px: Float32,
    brightness: Float32,
    beam: Float32,
    agarose: float,
    water: float,
    attenuation_per_px: float,
    out: Float32,
) -> None:
    """Fill B-scans with the light that comes back, before speckle and noise.

    Parameters
    ----------
    region : float32 array (z, y, x)
        Reflectivity around the tile.
    to_region : float64 array (3, 4)
        Rows z, y, x: position in `region` = row . (depth index - curvature, A-line, B-scan, 1).
    lines, frames : float64 arrays
        Position of each recorded A-line and B-scan in the tile.
    curvature_px, surface_px, brightness : float32 arrays (B-scan, A-line)
        Depth offset, depth index of the surface, and factor of each A-line.
    beam : float32 array (z,)
        Axial sensitivity.
    agarose, water : float
        Reflectivity around and above the tissue.
    attenuation_per_px : float
        Attenuation of one depth sample at reflectivity 1.
    out : float32 array (B-scan, A-line, z)
        The result.
    """
    size_z, size_y, size_x = region.shape
    step_z, step_y, step_x = to_region[0, 0], to_region[1, 0], to_region[2, 0]
    for f in range(out.shape[0]):
        for line in range(out.shape[1]):
            a, b, offset = lines[line], frames[f], curvature_px[f, line]
            at_z = to_region[0, 1] * a + to_region[0, 2] * b + to_region[0, 3] - step_z * offset
            at_y = to_region[1, 1] * a + to_region[1, 2] * b + to_region[1, 3] - step_y * offset
            at_x = to_region[2, 1] * a + to_region[2, 2] * b + to_region[2, 3] - step_x * offset
            surface, factor = surface_px[f, line], brightness[f, line]
            path = 0.0
            for z in range(out.shape[2]):
                # share of the sample that lies below the surface: a soft edge puts it at a fraction of a sample
                below = min(max(z + 0.5 - surface, 0.0), 1.0)
                light = water
                if below > 0.0:
                    pz, py, px = at_z + step_z * z, at_y + step_y * z, at_x + step_x * z
                    value = agarose
                    if 0.0 <= pz <= size_z - 1 and 0.0 <= py <= size_y - 1 and 0.0 <= px <= size_x - 1:
                        k, j, i = min(int(pz), size_z - 2), min(int(py), size_y - 2), min(int(px), size_x - 2)
                        dz, dy, dx = pz - k, py - j, px - i
                        near = (region[k, j, i] * (1 - dx) + region[k, j, i + 1] * dx) * (1 - dy) + (
                            region[k, j + 1, i] * (1 - dx) + region[k, j + 1, i + 1] * dx
                        ) * dy
                        far = (region[k + 1, j, i] * (1 - dx) + region[k + 1, j, i + 1] * dx) * (1 - dy) + (
                            region[k + 1, j + 1, i] * (1 - dx) + region[k + 1, j + 1, i + 1] * dx
                        ) * dy
                        value = max(near * (1 - dz) + far * dz, agarose)
                    loss = value * attenuation_per_px * below
                    light = below * value * math.exp(-2.0 * path - loss) + (1.0 - below) * water
                    path += loss
                out[f, line, z] = np.float32(light * factor * beam[z])


@functools.lru_cache(maxsize=1)
def render_kernel() -> Any:
    """Return the compiled kernel."""
    from linumpy_lib.compiled import lazy_kernel

    return lazy_kernel(_render)
