"""Registration of a brain to a template: what the size of the brain must not change."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from linumpy_lib.alignment.atlas_registration import Brain, register_to_template


def test_a_small_brain_full_of_speckle_stays_where_it_is() -> None:
    """Steps are of the brain's size: those of a millimetre throw one of half a millimetre out of the template."""
    random = np.random.default_rng(0)
    shape = (54, 64, 68)
    _, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    tissue = ndimage.gaussian_filter(random.standard_normal(shape), 2)
    body = (((y - 32) / 34) ** 2 + ((x - 34) / 36) ** 2 < 1) * (0.4 + 0.12 * tissue / tissue.std())
    speckled = (body * (1 + 0.4 * random.standard_normal(shape))).clip(0).astype(np.float32)
    brain = Brain.of(speckled, (0.01, 0.01, 0.01), "brain")
    fit = register_to_template(brain, brain, metric="MI")
    assert fit.overlap > 0.95
    assert np.abs(fit.pose.offset).max() < 0.002
    assert fit.pose.angle_deg() < 0.1
