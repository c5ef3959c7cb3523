"""Dead pixels, background, segmentation, masks and turns of arrays: against the peer's results and by definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.fusion.bands import bands, counts_of
from linumpy_lib.fusion.dead_pixels import PixelMoments, correct_dead_pixels, find_dead_pixels, knee
from linumpy_lib.fusion.masks import apply_bwareaopen, combine_masks
from linumpy_lib.fusion.percentiles import estimate_background, percentile, percentile_of_counts
from linumpy_lib.fusion.segmentation import create_coordinate_masks, fuse_masks, segment_foreground
from linumpy_lib.fusion.view_geometry import crop_of_camera, crop_volume, flip_volume, rotate_volume

PEER = Path(__file__).resolve().parents[4] / "shared" / "data" / "isoview_parity.npz"
needs_peer = pytest.mark.skipif(not PEER.is_file(), reason="the peer's results are not here")


@pytest.fixture(scope="module")
def peer() -> dict[str, np.ndarray]:
    with np.load(PEER) as data:
        return dict(data)


@needs_peer
def test_dead_pixels_are_the_peers(peer: dict[str, np.ndarray]) -> None:
    corrected = correct_dead_pixels(peer["in_view0"], 81, threads=2)
    np.testing.assert_array_equal(corrected, peer["dead_pixel_corrected_v0"])
    np.testing.assert_array_equal(correct_dead_pixels(peer["in_view1"], 81, threads=1), peer["dead_pixel_corrected_v1"])
    assert knee(np.std(peer["in_view0"].astype(np.float32), axis=0)) == peer["knee_threshold_of_sorted_std"]


@needs_peer
@pytest.mark.parametrize("background", [60, 81, 95, 100, 105, 130])
def test_hot_pixels_are_found_whatever_the_dark_level(peer: dict[str, np.ndarray], background: float) -> None:
    """The peer misses one of three where the dark level is that of the floor (100)."""
    corrected = correct_dead_pixels(peer["in_view0"], background, threads=1)
    for y, x in peer["in_hot_yx"]:
        assert corrected[:, y, x].max() < 1500
    assert peer["dead_pixel_corrected_v0_bg100"].max() == 4000


@needs_peer
def test_segmentation_and_masks_are_the_peers(peer: dict[str, np.ndarray]) -> None:
    views = [peer["dead_pixel_corrected_v0"], peer["dead_pixel_corrected_v1"]]
    for splitting in (1, 2, 4, 10):
        for k, view in enumerate(views):
            mask = segment_foreground(view, scaling=2.0, splitting=splitting, threads=2)
            np.testing.assert_array_equal(mask, peer[f"segment_v{k}"])
    masks = [peer["segment_v0"], peer["segment_v1"]]
    np.testing.assert_array_equal(fuse_masks(masks), peer["mask_or"])
    np.testing.assert_array_equal(combine_masks(*masks, 1), peer["combine_union"])
    xz, xy = create_coordinate_masks(peer["segment_v0"], 7, threads=2)
    for own, theirs, lost in ((xz, peer["coord_masks_v0_0"], 2), (xy, peer["coord_masks_v0_1"], 0)):
        assert own.dtype == np.uint16
        present = peer["segment_v0"].any(axis=lost)
        present = present.T if lost == 2 else present
        np.testing.assert_array_equal(own > 0, present)
        # places count from 1 here and from 0 there
        np.testing.assert_array_equal(own[present].astype(int) - 1, theirs[present])


@needs_peer
def test_turns_and_percentiles_are_the_peers(peer: dict[str, np.ndarray]) -> None:
    view = peer["in_view0"]
    np.testing.assert_array_equal(rotate_volume(view, 1), peer["rot90cw_v0"])
    np.testing.assert_array_equal(rotate_volume(rotate_volume(view, 1), -1), view)
    np.testing.assert_array_equal(flip_volume(view, horizontal=True), peer["flip_h_v0"])
    assert estimate_background(view) == peer["background_single"]
    np.testing.assert_array_equal(apply_bwareaopen(peer["segment_v0"], 1e-3), peer["bwareaopen_1e-3"])


def test_percentile_of_a_histogram_is_that_of_its_values() -> None:
    rng = np.random.default_rng(5)
    for size in (1, 2, 7, 1000):
        values = rng.integers(0, 40, size)
        table = np.bincount(values, minlength=64)
        for percent in (0, 1, 3, 33.3, 50, 97, 100):
            assert percentile_of_counts(table, percent) == pytest.approx(percentile(values, percent), abs=1e-12)
    assert percentile_of_counts(np.zeros(8, np.int64), 5) == 0
    assert percentile(np.array([]), 5) == 0


def test_deviation_is_numpys() -> None:
    planes = np.random.default_rng(1).integers(0, 65536, (9, 40, 33)).astype(np.uint16)
    moments = PixelMoments.of_shape(40, 33)
    with bands(2) as rows:
        moments.add(planes[:4], rows)
        moments.add(planes[4:], rows)
    np.testing.assert_allclose(moments.deviation(), planes.astype(float).std(0), rtol=1e-12)
    np.testing.assert_allclose(moments.mean(), planes.astype(float).mean(0), rtol=1e-14)


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (7, 7), (9, 7), (1, 99), (99, 99)])
def test_replaced_by_scipys_median(kernel: tuple[int, int]) -> None:
    from scipy import ndimage

    from linumpy_lib.fusion.dead_pixels import replace_dead_pixels

    rng = np.random.default_rng(2)
    planes = rng.integers(0, 65536, (2, 40, 33)).astype(np.uint16)
    bad = rng.random((40, 33)) < 0.1
    expected = np.where(bad, ndimage.median_filter(planes, (1, *kernel), mode="reflect"), planes)
    with bands(2) as rows:
        replace_dead_pixels(planes, bad, kernel, rows)
    np.testing.assert_array_equal(planes, expected)


def test_smoothing_is_scipys_bit_for_bit() -> None:
    from scipy import ndimage

    from linumpy_lib.fusion.segmentation import Smoothing, smooth_planes

    planes = np.random.default_rng(1).integers(0, 65536, (9, 70, 45)).astype(np.uint16)
    for size, sigma, scaling in ((5, 2.0, 1.0), (5, 2.0, 2.0), (9, 3.0, 4.9), (1, 0.7, 1.0), (101, 20.0, 1.0)):
        smoothing = Smoothing.choose(size, sigma, scaling)
        expected = planes.astype(float)
        for axis, taps in ((0, smoothing.axial), (1, smoothing.lateral), (2, smoothing.lateral)):
            expected = ndimage.convolve1d(expected, taps, axis=axis, mode="nearest")
        for threads in (1, 2):
            with bands(threads) as rows:
                np.testing.assert_array_equal(smooth_planes(planes, 0, 0, smoothing, rows), np.round(expected))


def test_a_clean_view_keeps_its_single_planes_and_constants() -> None:
    flat = np.full((5, 40, 40), 100, np.uint16)
    np.testing.assert_array_equal(correct_dead_pixels(flat, 90), flat)
    assert not segment_foreground(flat).any()
    single = np.random.default_rng(0).poisson(100, (1, 40, 40)).astype(np.uint16)
    single[0, 3, 3] = 9000
    assert correct_dead_pixels(single, 90)[0, 3, 3] < 200
    assert not create_coordinate_masks(np.zeros((3, 4, 5)))[0].any()


def test_known_hot_pixels_on_a_phantom() -> None:
    """Ten bad pixels in a scene with structure: all are found and replaced by plausible values."""
    rng = np.random.default_rng(7)
    z, y, x = np.mgrid[:30, :128, :128]
    truth = 120 + 600 * np.exp(-((z - 15) ** 2 / 80 + (y - 60) ** 2 / 900 + (x - 70) ** 2 / 900))
    view = rng.poisson(truth).astype(np.uint16)
    places = rng.integers(0, 128, (10, 2))
    for k, (row, column) in enumerate(places):
        view[:, row, column] = 20 if k % 3 == 0 else 6000 + 40 * rng.standard_normal(30)
    corrected = correct_dead_pixels(view, 95)
    for row, column in places:
        off = corrected[:, row, column] - truth[:, row, column]
        assert np.abs(off).max() < 6 * np.sqrt(truth[:, row, column].max())
    moments = PixelMoments.of_shape(128, 128)
    with bands(1) as rows:
        moments.add(view, rows)
    bad = find_dead_pixels(moments, 95)
    assert bad[tuple(places.T)].all()
    assert bad.mean() < 0.06


def test_crops() -> None:
    volume = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    np.testing.assert_array_equal(crop_volume(volume, 1, 2, 3, 0, 1, 2), volume[1:3, 1:4, 2:])
    with pytest.raises(ParameterError, match="crop_left = 2, crop_width = 5: the view has 6 columns"):
        crop_volume(volume, left=2, width=5)
    lists = {"crop_left": (3,), "crop_top": (1, 2), "crop_depth": ()}
    crop = crop_of_camera(1, lists)
    assert (crop.left, crop.top, crop.depth) == (3, 2, 0)
    with pytest.raises(ParameterError, match=r"crop_top = \[1, 2\]: has no number for camera 2"):
        crop_of_camera(2, lists)
    with pytest.raises(ParameterError, match="must not be negative"):
        crop_of_camera(0, {"crop_left": (-1,)})


def test_masks() -> None:
    first, second = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1])
    assert combine_masks(first, second, 0).tolist() == [0, 0, 1, 0]
    with pytest.raises(ParameterError, match="mode = 3"):
        combine_masks(first, second, 3)
    with pytest.raises(InputError, match="differ"):
        combine_masks(first, second[:3])
    with pytest.raises(InputError, match="no mask"):
        fuse_masks([])
    with pytest.raises(InputError, match="different shapes"):
        fuse_masks([first, second[:2]])
    assert apply_bwareaopen(np.ones((2, 3, 3)), 0).sum() == 18


def test_what_is_no_count_is_refused() -> None:
    assert counts_of(np.array([[[1.0, 2.0]]])).dtype == np.uint16
    for values in (np.array([-1.0]), np.array([0.5]), np.array([70000]), np.array([np.nan])):
        with np.errstate(invalid="ignore"), pytest.raises(InputError, match="no counts of 0 to 65535"):
            counts_of(values)
    with pytest.raises(ParameterError, match="median_kernel"):
        correct_dead_pixels(np.ones((2, 3, 3), np.uint16), 0, (2, 3))
    with pytest.raises(ParameterError, match="rotation"):
        rotate_volume(np.ones((2, 3, 3)), 2)
