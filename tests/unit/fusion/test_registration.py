"""estimate_registration and apply_registration: shifts to a tenth of a pixel, angles, refusal."""

import numpy as np
import pytest
from scipy import ndimage
from support.opposing_views import opposing_views

from linumpy_lib.fusion import apply_registration, estimate_registration
from linumpy_lib.fusion.refinement import Sampler
from linumpy_lib.fusion.registration import Preparation
from linumpy_lib.fusion.transform import Transform


@pytest.fixture(scope="module")
def scene():
    return opposing_views((64, 128, 128), rotation_deg=0.4, fill=0.03)


@pytest.mark.parametrize("method", ["gradient_descent", "nelder_mead", "bfgs"])
def test_shift_and_rotation_of_opposing_views(scene, method):
    found = estimate_registration(scene.reference, scene.moving, method=method)
    truth = Transform(0, 0, 0, rotation=scene.rotation_deg)
    expected = -np.linalg.inv(truth.matrix()) @ scene.shift_zyx
    assert not found.refused
    assert np.abs(found.transform.offset - expected).max() < 0.1
    assert abs(found.transform.rotation + scene.rotation_deg) < 0.05
    assert found.confidence > 0.8
    assert found.correlation_after > found.correlation_before + 0.3


def test_a_straight_view_is_not_turned():
    scene = opposing_views((64, 96, 96), fill=0.03, counts=300)
    found = estimate_registration(scene.reference, scene.moving)
    assert abs(found.transform.rotation) < 0.03
    assert np.abs(found.transform.offset + scene.shift_zyx).max() < 0.1


def test_views_of_different_samples_are_refused(scene):
    other = opposing_views((64, 128, 128), fill=0.03, seed=99)
    found = estimate_registration(scene.reference, other.moving)
    assert found.refused
    assert found.confidence == 0
    assert not found.transform.offset.any()


def test_empty_view_is_refused(scene):
    assert "empty" in estimate_registration(scene.reference, np.zeros_like(scene.moving)).refused


def test_search_is_bounded(scene):
    found = estimate_registration(scene.reference, scene.moving, search_x=(10, 50, 10))
    assert found.refused or abs(found.transform.x_offset - 10) < 3


def test_preparation_and_slab_change_the_estimate(scene):
    base = estimate_registration(scene.reference, scene.moving)
    changed = [
        estimate_registration(scene.reference, scene.moving, slab_size=9),
        estimate_registration(scene.reference, scene.moving, preparation=Preparation(median_range=20)),
        estimate_registration(scene.reference, scene.moving, preparation=Preparation(gauss_sigma=2.0)),
        estimate_registration(scene.reference, scene.moving, preparation=Preparation(precise=False)),
        estimate_registration(scene.reference, scene.moving, preparation=Preparation(gauss_kernel=0)),
    ]
    for other in changed:
        assert other.transform != base.transform
        assert np.abs(other.transform.offset - base.transform.offset).max() < 0.15


def test_apply_registration_undoes_a_motion(scene):
    found = estimate_registration(scene.reference, scene.moving)
    moved = apply_registration(scene.moving, found.transform)
    inner = (slice(20, 44), slice(20, -20), slice(20, -20))
    assert np.corrcoef(moved[inner].ravel(), scene.reference[inner].ravel())[0, 1] > 0.9
    assert moved.min() >= 0
    assert moved.max() <= scene.moving.max()


def test_parts_of_a_transformed_view_are_the_whole():
    from linumpy_lib.fusion.transform import sampled

    view = np.random.default_rng(0).uniform(0, 1000, (40, 60, 50)).astype(np.float32)
    transform = Transform(2.3, -4.7, 5.1, rotation=1.5)
    whole, valid = sampled(lambda box: view[box], view.shape, transform, (slice(0, 40), slice(0, 60), slice(0, 50)))
    box = (slice(10, 30), slice(25, 60), slice(5, 30))
    part, part_valid = sampled(lambda b: view[b], view.shape, transform, box)
    assert np.abs(part - whole[box]).max() < 1e-2
    assert np.array_equal(part_valid, valid[box])


@pytest.mark.parametrize("shape", [(40, 50, 60), (2, 50, 60), (1, 5, 3)])
def test_compiled_sampling_is_scipys(shape):
    rng = np.random.default_rng(0)
    volume = rng.random(shape).astype(np.float32)
    sampler = Sampler(volume, volume)
    places = np.stack([rng.uniform(-0.4, n - 0.6, 2000) for n in shape])

    def expected(at):
        return ndimage.map_coordinates(sampler.spline, at, order=3, prefilter=False, mode="mirror", output=np.float32)

    values, slopes = sampler.sample(places, slopes=True)
    np.testing.assert_allclose(values, expected(places), rtol=0, atol=1e-6)
    for axis, half in enumerate(0.5 * np.eye(3)[:, :, None]):
        np.testing.assert_allclose(slopes[axis], expected(places + half) - expected(places - half), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(sampler.sample(places)[0], values)
