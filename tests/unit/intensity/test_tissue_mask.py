import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.intensity import tissue_mask
from linumpy_lib.intensity.bias_field import compute_tissue_mask
from linumpy_lib.intensity.tissue_mask import clean_plane, close_along_z, otsu_threshold


def _disc(level: float, hole: bool = False) -> np.ndarray:
    y, x = np.mgrid[:60, :64]
    r = np.hypot(y - 30, x - 30)
    plane = np.where(r < 20, level, 0.1 * level)
    if hole:
        plane[r < 5] = 0.1 * level
    return plane.astype(np.float32)


def test_otsu_separates_two_peaks() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(1, 0.1, 4000), rng.normal(3, 0.2, 2000)])
    counts, edges = np.histogram(values, 256)
    assert 1.3 < otsu_threshold(counts, edges[0], edges[-1]) < 2.5


def test_otsu_agrees_with_scikit_image() -> None:
    filters = pytest.importorskip("skimage.filters", reason="scikit-image is the peer of this test")
    values = np.random.default_rng(1).gamma(2, 3, 5000).astype(np.float32)
    counts, _ = np.histogram(values, 256, (values.min(), values.max()))
    assert otsu_threshold(counts, values.min(), values.max()) == pytest.approx(filters.threshold_otsu(values), rel=1e-5)


def test_tissue_is_found_and_its_holes_are_filled() -> None:
    vol = np.repeat(_disc(100, hole=True)[None], 6, axis=0)
    mask = compute_tissue_mask(vol)
    truth = np.repeat((_disc(100) > 50)[None], 6, axis=0)
    assert mask.dtype == bool
    assert (mask != truth).mean() < 0.01
    assert mask[:, 30, 30].all()


def test_sections_do_not_leak_into_each_other() -> None:
    """A dim section beside a bright one keeps its own threshold, whatever the neighbour is."""
    dim, bright = np.repeat(_disc(10)[None], 5, axis=0), np.repeat(_disc(1000)[None], 5, axis=0)
    alone = compute_tissue_mask(dim)
    both = compute_tissue_mask(np.concatenate([dim, bright]), n_serial_slices=2, z_closing_sections=0)
    assert_array_equal(both[:5], alone)
    real = compute_tissue_mask(
        np.concatenate([dim, bright[:2]]), section_boundaries=[0, 5], n_serial_slices=2, z_closing_sections=0
    )
    assert_array_equal(real[:5], alone)


def test_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vol = np.random.default_rng(2).gamma(2, 3, (30, 40, 44)).astype(np.float32)
    whole = compute_tissue_mask(vol, n_serial_slices=2)
    monkeypatch.setattr(tissue_mask, "SLAB_BYTES", 16 * 40 * 44 * 12)
    out = np.zeros(vol.shape, bool)
    assert compute_tissue_mask(vol, n_serial_slices=2, out=out) is out
    assert_array_equal(out, whole)


def test_filling_is_that_of_scipy() -> None:
    plane = np.random.default_rng(3).random((50, 60)) > 0.35
    assert_array_equal(clean_plane(plane, 0), ndimage.binary_fill_holes(plane))


def test_closing_keeps_tissue_at_the_edges() -> None:
    plane = np.zeros((30, 30), bool)
    plane[:, :10] = True
    assert_array_equal(clean_plane(plane, 3), plane)


@pytest.mark.parametrize("slab", [1, 3, 7, 100])
def test_closing_along_z_in_slabs(slab: int) -> None:
    mask = np.random.default_rng(4).random((23, 5, 6)) > 0.6
    pad = np.pad(mask, ((8, 8), (0, 0), (0, 0)), mode="edge")
    expected = ndimage.binary_closing(pad, np.ones((5, 1, 1), bool))[8:-8]
    close_along_z(mask, 2, slab)
    inside = slice(4, -4)
    assert_array_equal(mask[inside], expected[inside])


def test_closing_along_z_removes_nothing() -> None:
    mask = np.random.default_rng(5).random((12, 4, 4)) > 0.5
    before = mask.copy()
    close_along_z(mask, 2)
    assert (mask >= before).all()


def test_a_section_without_contrast_is_all_tissue() -> None:
    assert compute_tissue_mask(np.full((4, 20, 20), 7.0)).all()
    assert compute_tissue_mask(np.zeros((4, 20, 20))).all()


def test_nan_counts_as_background() -> None:
    vol = np.repeat(_disc(100)[None], 4, axis=0)
    vol[:, :, 55:] = np.nan
    mask = compute_tissue_mask(vol)
    assert not mask[:, :, 56:].any()
    assert mask[:, 30, 30].all()


def test_bad_input() -> None:
    with pytest.raises(InputError, match="three axes"):
        compute_tissue_mask(np.zeros((4, 5)))
    with pytest.raises(ParameterError, match="n_serial_slices"):
        compute_tissue_mask(np.zeros((4, 5, 6)), n_serial_slices=5)
