"""Dead pixels of simulated cameras: all that are there are found, and few sound ones are taken for them."""

from __future__ import annotations

import numpy as np
import pytest

from linumpy_lib.fusion import correct_dead_pixels
from linumpy_lib.simulation import simulate_multiview


@pytest.mark.parametrize(
    ("fill", "counts", "most_false"), [(0.012, 200.0, 0.004), (0.2, 200.0, 0.004), (0.2, 2000.0, 0.025)]
)
def test_dead_pixels_are_found_and_sound_ones_left(fill: float, counts: float, most_false: float) -> None:
    scene = simulate_multiview(shape=(48, 128, 128), cameras="0,1", fill=fill, counts=counts, dead_pixels=0.002, seed=3)
    for camera in (0, 1):
        view = scene.view(0, camera).volume
        stuck = np.zeros(view.shape[1:], bool)
        stuck[tuple(np.transpose(scene.sensor(camera).stuck()))] = True
        replaced = (correct_dead_pixels(view, 100.0) != view).any(axis=0)
        assert stuck.sum() == 33
        assert replaced[stuck].all()
        assert (replaced & ~stuck).mean() <= most_false
