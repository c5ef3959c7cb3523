"""A real mouse brain, moved by 30 degrees and 20 voxels, finds back to itself within half a degree and one voxel."""

import numpy as np
import pytest
from support.asymmetric_brain import moved, pose_errors
from support.mouse_brain import ORIENTATION, SPACING_MM, averaged, mouse_brain

from linumpy_lib.alignment.atlas_registration import Brain, register_to_template
from linumpy_lib.alignment.orientation import Orientation, reorient

FACTOR = 4


@pytest.fixture(scope="module")
def template():
    volume = mouse_brain()
    if volume is None:
        pytest.skip("the real mouse brain is not part of the project and absent here")
    image = averaged(np.asarray(reorient(volume.astype(np.float32), Orientation(ORIENTATION))), FACTOR)
    z, y, x = (SPACING_MM[axis] * FACTOR for axis in Orientation(ORIENTATION).transpose())
    return image, (z, y, x)


@pytest.mark.parametrize("seed", range(3))
def test_random_starts_are_recovered(template, seed):
    image, spacing_mm = template
    voxels = 20 / FACTOR * 1.0  # 20 voxels of the stored volume
    truth = moved(image, spacing_mm, degrees=30, voxels=voxels, seed=seed, noise=20, gain=0.7)
    fixed = Brain.of(image, spacing_mm, "template")
    fit = register_to_template(fixed, Brain.of(truth.image, spacing_mm, "subject"), metric="MI")
    stored_mm = tuple(s / FACTOR for s in spacing_mm)
    angle, shift = pose_errors(fit.pose.matrix, fit.pose.offset, truth, fixed.centroid_mm, stored_mm)
    assert angle < 0.5
    assert shift < 1.0
    assert fit.overlap > 0.9
    assert min(fit.flipped_metric.values()) > fit.metric
