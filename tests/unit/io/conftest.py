from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter


@pytest.fixture(scope="session")
def volume() -> np.ndarray:
    """Smooth texture with shot noise, odd extents, uint16."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(75, 131, 99)), 4)
    smooth = (smooth / smooth.std() * 400 + 3000).clip(0)
    return rng.poisson(smooth).astype(np.uint16)
