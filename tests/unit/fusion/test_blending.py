"""blend_views in its five modes: what a peer does, what it must not do, and how near to the truth it comes."""

from pathlib import Path

import numpy as np
import pytest
from support.opposing_views import figures, opposing_views

from linumpy_lib.fusion import apply_registration, blend_views, estimate_registration, pad_mask_to_center
from linumpy_lib.fusion.blending import METHODS, transition_weights
from linumpy_lib.fusion.quality_model import estimate_noise, estimate_quality
from linumpy_lib.fusion.quality_weighting import blend_quality
from linumpy_lib.fusion.topology import MaskChoices, combine_slice_masks, find_topology, without_anomalies

PEER = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "isoview_parity.npz"


@pytest.fixture(scope="module")
def peer():
    if not PEER.exists():
        pytest.skip("the peer's results are not here")
    with np.load(PEER, allow_pickle=True) as data:
        return dict(data)


def test_weights_over_four_planes():
    weights = transition_weights(np.arange(12), np.array(6), 4)
    assert weights == pytest.approx([1, 1, 1, 5 / 6, 2 / 3, 0.5, 0.5, 1 / 3, 1 / 6, 0, 0, 0])


@pytest.mark.parametrize("reach", [0, 1])
def test_narrow_transition_is_a_cut(reach):
    assert transition_weights(np.arange(4), np.array(2), reach).tolist() == [1, 1, 0, 0]


def test_blends_of_peer(peer):
    views = peer["bgsub_v0"], peer["corrected_v1"]
    mask = peer["average_mask_union_clean_b4"].astype(int)
    # The peer counts planes from 0, with 0 for none; it cuts counts where this rounds.
    topology = np.where(mask > 0, mask + 1, 0)
    ours = {
        "blend_average": blend_views(views, None, "average"),
        "blend_adaptive_f1": blend_views(views, topology, "adaptive_blending", 4),
        "blend_adaptive_f2": blend_views(views, topology, "adaptive_blending", 4, front_flag=2),
        "blend_geometric": blend_views(views, None, "geometric", 4, transition_plane=13),
    }
    for name, fused in ours.items():
        assert np.abs(fused.astype(int) - peer[name]).max() <= 1, name


@pytest.mark.parametrize("method", METHODS)
def test_no_mode_leaves_the_range_of_its_inputs(method):
    rng = np.random.default_rng(3)
    views = [np.where(rng.random((32, 40, 41)) < 0.02, 60000, 5).astype(np.uint16) for _ in range(2)]
    fused = blend_views(views, None, method, 4)
    assert fused.dtype == np.uint16
    assert fused.shape == views[0].shape
    assert fused.min() >= 5
    assert fused.max() <= 60000


def test_average_does_not_saturate():
    views = [np.full((4, 4, 4), 60000, np.uint16)] * 2
    assert (blend_views(views, None, "average") == 60000).all()


def test_front_flag_and_columns_without_topology():
    near, far = np.full((12, 2, 2), 10, np.uint16), np.full((12, 2, 2), 30, np.uint16)
    topology = np.array([[6, 6], [6, 0]])
    fused = blend_views((near, far), topology, "adaptive_blending", 3)
    swapped = blend_views((near, far), topology, "adaptive_blending", 3, front_flag=2)
    assert fused[0, 0, 0] == 10
    assert swapped[0, 0, 0] == 30
    assert (fused[:, 1, 1] == 30).all()


def test_light_sheets_meet_along_x():
    left, right = np.full((2, 2, 12), 10, np.uint16), np.full((2, 2, 12), 30, np.uint16)
    fused = blend_views((left, right), None, "geometric", 2, transition_plane=4, mode="channel")
    assert fused[0, 0].tolist() == [10, 10, 10, 20, 20, 30, 30, 30, 30, 30, 30, 30]


def test_two_views_are_needed():
    with pytest.raises(ValueError, match="two of one shape"):
        blend_views((np.zeros((2, 2, 2)), np.zeros((2, 2, 3))))
    with pytest.raises(ValueError, match="unknown"):
        blend_views((np.zeros((2, 2, 2)),) * 2, None, "best")


def test_topologies_of_two_views():
    first, second = np.array([[4, 0, 8, 0]], np.int32), np.array([[7, 5, 0, 0]], np.int32)
    assert combine_slice_masks(first, second, 1).tolist() == [[6, 5, 8, 0]]
    assert combine_slice_masks(first, second, 0).tolist() == [[6, 0, 0, 0]]
    assert without_anomalies(np.array([2, 3, 7, 8], np.int32), 3, 10).tolist() == [0, 3, 7, 0]


def test_average_topology_of_peer(peer):
    first, second = peer["slice_mask_v0"].astype(np.int32), peer["slice_mask_v1"].astype(np.int32)
    ours = combine_slice_masks(first, second, 1)
    assert np.abs(ours - peer["average_mask_union"].astype(int)).max() <= 1


def test_padding():
    topology = np.zeros((30, 30), np.int32)
    topology[15, 15] = 4
    assert not pad_mask_to_center(topology, 20, 0)[0, 0]
    assert pad_mask_to_center(topology, 20, 1)[0, 0] == 10
    smooth = pad_mask_to_center(topology, 20, 2, 10)
    assert smooth[15, 15] == 4
    assert smooth[0, 0] == 10
    assert np.abs(np.diff(smooth[15])).max() <= 1
    assert not np.array_equal(smooth, pad_mask_to_center(topology, 20, 2, 3))


def test_small_objects_do_not_make_a_topology():
    volume = np.zeros((20, 60, 60), np.float32)
    volume[4:14, 10:30, 10:30] = 1000
    volume[15:18, 50:53, 50:53] = 1e5
    with_dirt = find_topology(volume, volume, "camera", MaskChoices())
    without = find_topology(volume, volume, "camera", MaskChoices(min_object_size=0.05))
    assert with_dirt[51, 51] > 0
    assert without[51, 51] == 0


def test_quality_weighting_beats_every_other_mode():
    scene = opposing_views((128, 128, 128), fill=0.011, counts=1000)
    found = estimate_registration(scene.reference, scene.moving)
    moved = apply_registration(scene.moving, found.transform)
    first = scene.reference.astype(np.float32) - 100
    second = np.where(moved == 0, 0, moved - 100)
    noise = estimate_noise(first), estimate_noise(scene.moving.astype(np.float32) - 100)
    quality = estimate_quality(first, second, noise=noise)
    assert quality.blur_slope == pytest.approx(3.0 / 127, rel=0.25)
    assert quality.noise[0][1] == pytest.approx(1.0, rel=0.35)
    ours = figures(blend_quality(first, second, quality), scene.truth)
    assert ours[0] > 0.97
    assert ours[1] > 37
    assert ours[2] > 0.95
    others = [np.maximum(first, 0), np.maximum(second, 0) / 0.8]
    for method in ("adaptive_blending", "geometric", "average", "wavelet"):
        theirs = figures(blend_views(others, None, method, 4), scene.truth)
        assert all(a > b for a, b in zip(ours, theirs, strict=True)), method


def test_quality_weighting_of_parts_is_that_of_the_whole():
    scene = opposing_views((48, 64, 64), fill=0.03)
    first, second = (v.astype(np.float32) - 100 for v in (scene.reference, scene.moving))
    quality = estimate_quality(first, second)
    whole = blend_quality(first, second, quality)
    part = blend_quality(first[16:], second[16:], quality, start=(16, 0, 0))
    assert np.abs(part[16:] - whole[32:]).max() < 1e-2 * whole.max()
