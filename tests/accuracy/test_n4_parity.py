"""N4 against SimpleITK on phantoms and real volumes: the same field, and no worse against the truth."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.bias_phantoms import bias_phantom
from support.mouse_brain import mouse_brain

from linumpy_lib.intensity.bias_field import compute_tissue_mask, fit_bias_field
from linumpy_lib.intensity.bspline import contract, cubic_axis
from linumpy_lib.intensity.fitting import take_nodes
from linumpy_lib.intensity.n4_engines import array_engine
from linumpy_lib.intensity.n4_fit import fit_log_bias

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is the peer of these tests; install the extra dev")

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def itk_on_grid(volume, mask, points, iterations, shrink):
    """Log bias, volume and mask on the grid of SimpleITK's shrink filter; points are (z, y, x)."""
    image = sitk.Shrink(sitk.GetImageFromArray(volume.astype(np.float32)), [shrink] * 3)
    label = sitk.Shrink(sitk.GetImageFromArray(mask.astype(np.uint8)), [shrink] * 3)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations(list(iterations))
    n4.SetNumberOfControlPoints([int(n) for n in points[::-1]])
    n4.Execute(image, label)
    log_bias = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image))
    return log_bias, sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(label) > 0


def compare(volume, mask, points, iterations, shrink):
    """Fit both on the same grid; return correlation, rms difference over the field's range, and both fields."""
    spacing = tuple(10.0 * k / n for k, n in zip(points, volume.shape, strict=True))
    ours = fit_bias_field(
        volume,
        mask,
        shrink_factor=shrink,
        n_iterations=iterations,
        spline_distance_mm=10.0,
        voxel_size_mm=spacing,
        max_control_points=None,
        threads=2,
    )
    assert ours.control_points == points
    theirs, small, inside = itk_on_grid(volume, mask, points, iterations, shrink)
    assert theirs.shape == ours.grid.nodes
    at_nodes = contract(
        ours.lattice, [cubic_axis(k, n).dense().T for k, n in zip(ours.lattice.shape, theirs.shape, strict=True)]
    )
    inside &= small > 0
    a, b = at_nodes[inside].astype(np.float64), theirs[inside].astype(np.float64)
    correlation = float(np.corrcoef(a, b)[0, 1])
    rms = float(np.sqrt(np.mean((a - b) ** 2)) / np.ptp(b))
    return correlation, rms, ours, theirs, inside


PHANTOMS = [
    # shape, control points (z, y, x), shrink, iterations, seed, waves
    pytest.param((41, 67, 90), (4, 4, 4), 2, [30, 20], 0, (1.0, 1.5, 1.2), id="plain"),
    pytest.param((24, 70, 131), (4, 5, 8), 3, [20, 20], 1, (0.5, 1.5, 2.5), id="anisotropic"),
    pytest.param((61, 45, 50), (8, 4, 5), 2, [30, 10], 2, (2.0, 0.5, 1.0), id="many along z"),
    pytest.param((17, 83, 86), (4, 6, 6), 3, [20, 10, 10], 3, (0.5, 2.0, 2.0), id="thin"),
    pytest.param((35, 58, 61), (6, 12, 9), 2, [10, 10], 4, (1.0, 1.5, 1.5), id="12 points"),
    pytest.param((44, 47, 95), (4, 4, 20), 2, [20], 5, (0.5, 0.5, 3.0), id="20 points"),
    pytest.param((40, 40, 44), (4, 4, 4), 1, [10], 6, (1.0, 1.0, 1.0), id="not shrunk"),
]


@pytest.mark.parametrize(("shape", "points", "shrink", "iterations", "seed", "waves"), PHANTOMS)
def test_phantoms(shape, points, shrink, iterations, seed, waves):
    phantom = bias_phantom(shape, seed, waves=waves)
    correlation, rms, ours, theirs, _ = compare(phantom.volume, phantom.mask, points, iterations, shrink)
    assert correlation >= 0.9999
    assert rms <= 0.005

    # against the truth, on the grid that both were fitted on
    truth, inside = take_nodes(phantom.bias, ours.grid), take_nodes(phantom.mask, ours.grid)
    at_nodes = take_nodes(ours.log(), ours.grid)

    def spread(log_bias):
        left = truth[inside] / np.exp(log_bias[inside])
        return left.std() / left.mean()

    assert spread(at_nodes) <= 1.01 * spread(theirs) + 1e-4


def test_dense_lattice():
    """More control points than nodes: whole regions of the lattice rest on a voxel or none."""
    phantom = bias_phantom((30, 75, 80), 7)
    correlation, *_ = compare(phantom.volume, phantom.mask, (8, 19, 20), [8, 6, 4], 2)
    assert correlation >= 0.998


def test_array_body_as_it_runs_on_a_gpu():
    phantom = bias_phantom((30, 41, 44), 8)
    theirs, small, inside = itk_on_grid(phantom.volume, phantom.mask, (4, 5, 6), [15, 10], 2)
    logs = np.where(inside, np.log(np.maximum(small, 1e-6)), 0).astype(np.float32)
    lattice, _ = fit_log_bias(array_engine(logs, inside), inside.shape, (4, 5, 6), [15, 10])
    ours = contract(lattice, [cubic_axis(k, n).dense().T for k, n in zip(lattice.shape, inside.shape, strict=True)])
    assert np.corrcoef(ours[inside], theirs[inside])[0, 1] >= 0.9999


def test_itk_backend_is_simpleitk_in_the_right_axes():
    phantom = bias_phantom((24, 40, 71), 9, waves=(0.5, 1.0, 3.0))
    options = {"spline_distance_mm": 10.0, "voxel_size_mm": (1.6, 1.0, 1.13), "n_iterations": [15], "shrink_factor": 2}
    field = fit_bias_field(phantom.volume, phantom.mask, backend="itk", **options)
    assert field.control_points == (4, 4, 8)
    theirs, _, inside = itk_on_grid(phantom.volume, phantom.mask, (4, 4, 8), [15], 2)
    at_nodes = take_nodes(field.log(), field.grid)
    assert_allclose(at_nodes[inside], theirs[inside], atol=2e-4)
    ours = fit_bias_field(phantom.volume, phantom.mask, **options)
    assert_allclose(np.exp(field.log()), np.exp(ours.log()), rtol=5e-3)


def real_mouse_brain():
    volume = mouse_brain()
    if volume is None:
        pytest.skip("the mouse brain is not beside this checkout (../shared/data)")
    return volume


def fly_brain():
    tifffile = pytest.importorskip("tifffile", reason="reads the real volumes")
    if not (DATA / "spimagine" / "flybrain.tif").is_file():
        pytest.skip("the fly brain is not beside this checkout (../shared/data)")
    return tifffile.imread(DATA / "spimagine" / "flybrain.tif")


@pytest.mark.parametrize(
    ("load", "points", "shrink", "iterations"),
    [
        pytest.param(real_mouse_brain, (6, 4, 5), 7, [15, 10], id="mouse brain"),
        pytest.param(fly_brain, (4, 5, 5), 4, [15, 10], id="fly brain"),
        pytest.param(real_mouse_brain, (6, 4, 5), 4, [50] * 4, id="mouse brain, full", marks=pytest.mark.slow),
        pytest.param(fly_brain, (4, 5, 5), 3, [50] * 4, id="fly brain, full", marks=pytest.mark.slow),
        pytest.param(real_mouse_brain, (13, 10, 13), 5, [20] * 3, id="mouse brain, dense", marks=pytest.mark.slow),
    ],
)
def test_real_volumes(load, points, shrink, iterations, record_property):
    volume = load()
    mask = compute_tissue_mask(volume)
    assert 0.05 < mask.mean() < 0.95
    correlation, rms, *_ = compare(volume, mask, points, iterations, shrink)
    record_property("correlation", correlation)
    record_property("rms", rms)
    if max(points) > 10:
        assert correlation >= 0.998
    else:
        assert correlation >= 0.9999
        assert rms <= 0.005
