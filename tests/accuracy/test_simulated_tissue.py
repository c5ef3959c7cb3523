"""The workflow's measures on the simulated tissue block: right directions, right shapes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from linumpy_lib.anisotropy import compute_anisotropy
from linumpy_lib.simulation import TissueClass, simulate_fibres


@pytest.mark.parametrize(
    ("shape", "spacing_um", "sigma", "rho"),
    [((96, 128, 128), (1.0, 1.0, 1.0), 1.0, 2.0), ((64, 128, 128), (1.5, 1.0, 1.0), (0.8, 1.2, 1.2), (1.6, 2.4, 2.4))],
    ids=["cubic", "anisotropic"],
)
def test_directions_and_shapes_of_simulated_tissue(
    shape: tuple[int, int, int],
    spacing_um: tuple[float, float, float],
    sigma: float | tuple[float, float, float],
    rho: float | tuple[float, float, float],
) -> None:
    phantom = simulate_fibres(shape, spacing_um=spacing_um, fibre_radius_um=2.2)
    maps = compute_anisotropy(phantom.volume, sigma, rho, spacing_um=spacing_um)
    core = {c: ndimage.binary_erosion(phantom.labels == c, iterations=3) for c in TissueClass}

    def median_angle_deg(vectors: np.ndarray, tissue: TissueClass) -> float:
        cosine = np.abs((vectors.astype(np.float32) * phantom.direction).sum(axis=-1))[core[tissue]]
        return float(np.degrees(np.median(np.arccos(np.clip(cosine, 0.0, 1.0)))))

    assert median_angle_deg(maps.fibre_dir, TissueClass.FIBRE) < 2.5
    assert median_angle_deg(maps.principal_dir, TissueClass.SHEET) < 1.0
    for tissue, highest in ((TissueClass.FIBRE, "cp"), (TissueClass.SHEET, "cl"), (TissueClass.GRANULAR, "cs")):
        medians = {name: float(np.median(getattr(maps, name)[core[tissue]])) for name in ("cl", "cp", "cs")}
        assert max(medians, key=lambda name: medians[name]) == highest, (tissue.name, medians)
