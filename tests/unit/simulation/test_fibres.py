"""The fibre phantom: truth, determinism and parameter checks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from linumpy_lib.errors import ParameterError
from linumpy_lib.simulation import FibrePhantom, TissueClass, simulate_fibres
from linumpy_lib.simulation.tissue_regions import CrossingBundles, FibreLattice, StraightBundle, unit


@pytest.fixture(scope="module")
def phantom() -> FibrePhantom:
    return simulate_fibres()


def gradient_tensor_vectors(phantom: FibrePhantom) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors (both ascending) of the structure tensor, by scipy and LAPACK."""
    image = phantom.volume.astype(np.float32)
    spacing = phantom.spacing_um
    gradient = [
        ndimage.gaussian_filter(image, 1.0 / np.asarray(spacing), order=[int(i == axis) for i in range(3)])
        / spacing[axis]
        for axis in range(3)
    ]
    tensor = np.empty((*image.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(3):
            tensor[..., i, j] = ndimage.gaussian_filter(gradient[i] * gradient[j], 2.0 / np.asarray(spacing))
    return np.linalg.eigh(tensor)


def angles_deg(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(np.abs((found * truth).sum(axis=-1)), 0.0, 1.0)))


def test_the_truth_agrees_with_the_gradients_of_the_image(phantom: FibrePhantom) -> None:
    _, vectors = gradient_tensor_vectors(phantom)
    fibres = ndimage.binary_erosion(phantom.labels == TissueClass.FIBRE, iterations=3)
    sheets = ndimage.binary_erosion(phantom.labels == TissueClass.SHEET, iterations=3)
    assert np.median(angles_deg(vectors[fibres][:, :, 0], phantom.direction[fibres])) < 2.0
    assert np.median(angles_deg(vectors[sheets][:, :, 2], phantom.direction[sheets])) < 1.0


def test_shape_of_the_tensor_names_the_tissue(phantom: FibrePhantom) -> None:
    values, _ = gradient_tensor_vectors(phantom)
    largest = values[..., 2]
    shapes = {
        TissueClass.SHEET: (largest - values[..., 1]) / largest,
        TissueClass.FIBRE: (values[..., 1] - values[..., 0]) / largest,
        TissueClass.GRANULAR: values[..., 0] / largest,
    }
    for tissue in shapes:
        core = ndimage.binary_erosion(phantom.labels == tissue, iterations=3)
        medians = {name: float(np.median(values[core])) for name, values in shapes.items()}
        assert max(medians, key=lambda name: medians[name]) == tissue


def test_every_class_is_present_and_the_background_is_dark(phantom: FibrePhantom) -> None:
    assert set(np.unique(phantom.labels)) == {int(c) for c in TissueClass}
    assert phantom.volume[ndimage.binary_erosion(~phantom.mask, iterations=2)].max() < 10
    assert phantom.volume[phantom.labels == TissueClass.MATRIX].mean() > 12


def test_directions_are_unit_vectors_where_there_is_one(phantom: FibrePhantom) -> None:
    length = np.linalg.norm(phantom.direction, axis=-1)
    directed = np.isin(phantom.labels, [TissueClass.FIBRE, TissueClass.CROSSING, TissueClass.SHEET])
    np.testing.assert_allclose(length[directed], 1.0, atol=1e-5)
    assert not length[~directed].any()
    assert phantom.direction.dtype == np.float32


def test_equal_seeds_give_equal_volumes() -> None:
    first, again, other = (simulate_fibres((20, 40, 44), seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(first.volume, again.volume)
    np.testing.assert_array_equal(first.direction, again.direction)
    assert (first.volume != other.volume).mean() > 0.3


def test_coarser_planes_sample_the_same_tissue() -> None:
    fine = simulate_fibres((48, 64, 64), fibre_radius_um=2.0, noise=0.0)
    coarse = simulate_fibres((24, 64, 64), spacing_um=(2.0, 1.0, 1.0), fibre_radius_um=2.0, noise=0.0)
    agree = coarse.labels == fine.labels[::2]
    assert agree.mean() > 0.93
    both = agree & (coarse.labels == TissueClass.FIBRE)
    assert np.median(angles_deg(coarse.direction[both], fine.direction[::2][both])) < 1.5


def test_sixteen_bit_volumes_hold_the_same_image() -> None:
    narrow, wide = (simulate_fibres((8, 32, 32), noise=0.0, dtype=d) for d in ("uint8", "uint16"))
    assert wide.volume.dtype == np.uint16
    np.testing.assert_allclose(wide.volume / 257.0, narrow.volume, atol=0.51)


@pytest.mark.parametrize("name", ["noise", "blur_um", "fibre_radius_um"])
def test_each_parameter_changes_the_image(name: str) -> None:
    plain = simulate_fibres((8, 32, 32))
    changed = simulate_fibres((8, 32, 32), **{name: 1.3})  # type: ignore[arg-type]
    assert (plain.volume != changed.volume).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": (0, 8, 8)},
        {"shape": (8, 8)},
        {"spacing_um": (1.0, -1.0, 1.0)},
        {"noise": -0.1},
        {"blur_um": float("nan")},
        {"fibre_radius_um": 0.0},
        {"dtype": np.float32},
    ],
)
def test_bad_parameters_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        simulate_fibres(**{"shape": (8, 8, 8), **wrong})  # type: ignore[arg-type]


def test_crossing_bundles_share_their_region_in_alternating_rows() -> None:
    widths = (20.0, 20.0)
    one, two = (
        StraightBundle(
            (0.0, 0.0, 0.0), unit(a), FibreLattice(6.0, 2.0, widths, np.random.default_rng(1)), widths, 0.0, 50.0
        )
        for a in ((0, 0, 1), (0, 1, 0))
    )
    rng = np.random.default_rng(0)
    points = rng.uniform(-6, 6, (4000, 3)).astype(np.float32)
    painted = CrossingBundles(one, two).paint(points)
    assert (painted.tissue == TissueClass.CROSSING).all()
    bright = painted.brightness > 0.5
    along_x = np.abs(painted.direction[:, 2]) > 0.9
    along_y = np.abs(painted.direction[:, 1]) > 0.9
    assert (along_x | along_y).all()
    assert 0.2 < along_x[bright].mean() < 0.8
