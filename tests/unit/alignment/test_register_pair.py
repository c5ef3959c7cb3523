"""The step register_pair: accuracy against exact truth, bounds, gaps in the ids, its folder, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.alignment.pair import PairSettings, register
from linumpy_lib.alignment.pair_folder import read_pair
from linumpy_lib.alignment.planar import content_box, smooth_inside
from linumpy_lib.alignment.rigid import Rigid, read_tfm, write_tfm
from linumpy_lib.alignment.steps.register_pair import STEP
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.slice_frame import SliceFrame
from tests.support.virtual_slices import Sectioning, VirtualSlices, brain, section


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> VirtualSlices:
    folder = tmp_path_factory.mktemp("slices")
    return section(brain(90), folder, Sectioning(slices=5, missing=(2,), jitter=1, seed=11))


def true_motion(cut: VirtualSlices, fixed: int, moving: int) -> Rigid:
    return cut.poses[moving].after(cut.poses[fixed].inverse())


def errors(found: Rigid, true: Rigid, cut: VirtualSlices) -> tuple[float, float]:
    centre = np.array(true.centre)
    return float(np.linalg.norm(found.apply(centre) - true.apply(centre))), abs(found.angle_deg - true.angle_deg)


@pytest.mark.parametrize(("fixed", "moving"), [(0, 1), (1, 3), (3, 4)])
def test_finds_depth_rotation_and_translation(cut: VirtualSlices, fixed: int, moving: int) -> None:
    result = register(open_volume(cut.paths[fixed]), open_volume(cut.paths[moving]), PairSettings(drift_um=50))
    shift, angle = errors(result.motion, true_motion(cut, fixed, moving), cut)
    # across the gap only six planes show the same tissue
    assert shift < (0.4 if moving == 3 else 0.2)
    assert angle < (0.25 if moving == 3 else 0.12)
    assert result.offset == cut.tops[moving] - cut.tops[fixed]
    assert result.expected == pytest.approx(cut.plan.interval * (moving - fixed))
    assert result.correlation >= result.start_correlation - 1e-3


def test_never_scores_worse_than_its_start(cut: VirtualSlices) -> None:
    fixed, moving = open_volume(cut.paths[0]), open_volume(cut.paths[1])
    tight = register(fixed, moving, PairSettings(max_translation_px=0.5, max_rotation_deg=0.05))
    assert tight.correlation >= tight.start_correlation - 1e-3
    assert math.hypot(*tight.correction.shift) <= 0.5 + 1e-6 or tight.start == "identity"
    free = register(fixed, moving, PairSettings())
    assert free.correlation > tight.correlation


def test_translation_only(cut: VirtualSlices) -> None:
    result = register(open_volume(cut.paths[0]), open_volume(cut.paths[1]), PairSettings(rotate=False))
    assert result.correction.angle_rad == 0


def run(cut: VirtualSlices, out: Path, fixed: int, moving: int, *words: str) -> Path:
    execute(
        STEP,
        [
            *("--fixed", str(cut.paths[fixed]), "--moving", str(cut.paths[moving])),
            *("--output", str(out), "--name", f"z{moving:02d}", "--quiet", *words),
        ],
    )
    return out / f"slice_z{moving:02d}_pairwise_registration"


def test_folder_holds_what_other_programs_read(cut: VirtualSlices, tmp_path: Path) -> None:
    folder = run(cut, tmp_path, 0, 1)
    record = read_pair(folder)
    assert (record.fixed_id, record.moving_id) == (0, 1)
    assert record.fixed_plane - record.moving_plane == cut.tops[1] - cut.tops[0]
    shift, angle = errors(read_tfm(folder / "transform.tfm"), true_motion(cut, 0, 1), cut)
    assert shift < 0.2
    assert angle < 0.12
    figures = json.loads((folder / "pairwise_registration_metrics.json").read_text())
    assert figures["overall_status"] == "ok"
    wanted = {"translation_x", "translation_y", "translation_magnitude", "rotation", "z_drift", "z_correlation"}
    wanted |= {"registration_confidence", "registration_error", "best_z_offset"}
    assert wanted <= set(figures["metrics"])
    assert (tmp_path / "z01_register_pair_preview.png").stat().st_size > 1000


def test_stub_leaves_a_readable_folder(cut: VirtualSlices, tmp_path: Path) -> None:
    assert read_pair(run(cut, tmp_path, 0, 1, "--stub")).moving_id == 1


def test_interpolated_slices_are_not_believed(cut: VirtualSlices, tmp_path: Path) -> None:
    volume = open_volume(cut.paths[1])
    frame = SliceFrame(1, (0, 0, 0), None, 100.0, interpolated=True)
    made = tmp_path / "slice_z01_interpolated.ome.zarr"
    write_volume(made, volume.read(), spacing_um=volume.spacing_um, levels=1, provenance={"slice": frame.as_json()})
    words = ["--fixed", str(cut.paths[0]), "--moving", str(made), "--output", str(tmp_path), "--name", "z01"]
    execute(STEP, [*words, "--quiet"])
    record = read_pair(tmp_path / "slice_z01_pairwise_registration")
    assert record.status == "error"
    assert record.confidence == 0


def test_refuses_slices_that_do_not_fit(cut: VirtualSlices, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not come after"):
        run(cut, tmp_path, 1, 0)
    plain = tmp_path / "slice_z07_common.ome.zarr"
    frame = SliceFrame(7, interval_um=100.0)
    write_volume(plain, np.ones((5, 9, 9), np.float32), spacing_um=(10, 10, 10), provenance={"slice": frame.as_json()})
    with pytest.raises(InputError, match="one canvas"):
        execute(STEP, ["--fixed", str(cut.paths[0]), "--moving", str(plain), "--output", str(tmp_path)])


def test_transform_files_round_trip(tmp_path: Path) -> None:
    motion = Rigid(0.01, (3.5, -2.25), (50.0, 60.0))
    write_tfm(tmp_path / "a.tfm", motion)
    assert read_tfm(tmp_path / "a.tfm") == motion
    itk = pytest.importorskip("SimpleITK")
    # ITK speaks of x, y, z; its point must land where ours does
    y, x = motion.apply((10.0, 20.0))
    assert itk.ReadTransform(str(tmp_path / "a.tfm")).TransformPoint((20.0, 10.0, 0.0)) == pytest.approx((x, y, 0))


def test_across_a_gap_the_slant_of_the_tissue_is_taken_out(tmp_path: Path) -> None:
    """Four planes of tissue are nowhere to be seen, and so the pair is trusted less."""
    made = section(brain(90), tmp_path, Sectioning(slices=3, missing=(1,), depth=20, seed=5))
    result = register(open_volume(made.paths[0]), open_volume(made.paths[2]), PairSettings())
    shift, angle = errors(result.motion, true_motion(made, 0, 2), made)
    assert not result.overlaps
    assert shift < 0.2  # measured: 0.01, and 1.27 without
    assert angle < 0.45
    (tmp_path / "near").mkdir()
    near = section(brain(90), tmp_path / "near", Sectioning(slices=2, missing=(), depth=20, seed=5))
    beside = register(open_volume(near.paths[0]), open_volume(near.paths[1]), PairSettings())
    assert result.confidence < beside.confidence


def test_the_jagged_rim_of_a_mosaic_is_no_content() -> None:
    image = np.ones((100, 120), np.float32)
    image[:3, :60] = 0
    image[:, 117:] = 0
    image[40:, 115:] = 0
    assert content_box(image) == (slice(3, 100), slice(0, 115))
    background = np.zeros((100, 120), np.float32)
    background[30:70, 40:80] = 1
    background[10, 10] = background[90, 110] = 1
    assert content_box(background) == (slice(10, 91), slice(10, 111))


def test_smoothing_inside_a_mask_leaves_its_border_as_bright() -> None:
    image = np.zeros((40, 40), np.float32)
    image[10:30, 5:] = 7
    smooth = smooth_inside(image, image > 0, 2.0)
    np.testing.assert_allclose(smooth[10:30, 5:], 7, rtol=1e-5)
    assert not smooth[:10].any()
