"""The step align_common_space: what it refuses, what each parameter does, how slices are chosen and replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from linumpy_lib.alignment.common_space import plan_canvas
from linumpy_lib.alignment.placement import SliceFacts, image_axes, without_excluded
from linumpy_lib.alignment.slice_selection import select_slices
from linumpy_lib.alignment.steps.align_common_space import STEP
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.csv_file import read_rows
from linumpy_lib.io.shift_table import Shift, write_shifts
from linumpy_lib.io.slice_config import slice_numbers, write_slice_config
from linumpy_lib.io.slice_frame import SliceFrame, slice_frame

PLACES = {k: (0.03 * k, -0.02 * k) for k in range(6)}
PLACES[3] = (0.15, -0.2)


def shift_rows(places: dict[int, tuple[float, float]], unreliable: tuple[int, ...] = ()) -> list[Shift]:
    ids = sorted(places)
    rows = []
    for k in range(len(ids) - 1):
        (fx, fy), (mx, my) = places[ids[k]], places[ids[k + 1]]
        x, y = fx - mx, fy - my
        rows.append(Shift(ids[k], ids[k + 1], x * 100, y * 100, x, y, ids[k + 1] not in unreliable))
    return rows


class Case:
    """Six slices of one tissue, each at its place, and the tables about them."""

    def __init__(self, folder: Path, **changes: dict) -> None:
        self.folder = folder
        rng = np.random.default_rng(0)
        self.scene = ndimage.gaussian_filter(rng.random((200, 200)), 1.5).astype(np.float32)
        self.scene = (self.scene - self.scene.min()) / np.ptp(self.scene)
        self.stores = {k: self.write(k) for k in PLACES}
        write_shifts(folder / "shifts_xy.csv", shift_rows(PLACES, unreliable=(4,)))

    def write(self, k: int, um: float = 10.0, shape: tuple[int, int, int] = (6, 90, 80), **frame: object) -> Path:
        y, x = (round(1000 * v / 10) + 60 for v in PLACES[k][::-1])
        plane = self.scene[y : y + shape[1], x : x + shape[2]]
        path = self.folder / f"slice_z{k:02d}_normalize.ome.zarr"
        write_volume(
            path,
            np.repeat(plane[np.newaxis], shape[0], axis=0),
            spacing_um=(um, um, um),
            levels=1,
            provenance={"slice": SliceFrame(k, (0.0, 2.5, -1.25), **frame).as_json()},
            overwrite=True,
        )
        return path

    def run(
        self, *words: str, config: dict | None = None, slices: list[Path] | None = None
    ) -> dict[int, dict[str, str]]:
        given = ["--slices", *map(str, slices or self.stores.values()), "--shifts", str(self.folder / "shifts_xy.csv")]
        if config is not None:
            write_slice_config(self.folder / "slice_config.csv", config)
            given += ["--slice_config", str(self.folder / "slice_config.csv")]
        execute(STEP, [*given, "--output", str(self.folder / "out"), "--name", "all", "--quiet", *words])
        return {int(r["slice_id"]): r for r in read_rows(self.folder / "out" / "common_space.csv", ["slice_id"])}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def places(rows: dict[int, dict[str, str]]) -> dict[int, tuple[float, float]]:
    used = {k: (float(r["x_um"]), float(r["y_um"])) for k, r in rows.items() if r["status"] == "used"}
    first = used[min(used)]
    return {k: (round(x - first[0], 3), round(y - first[1], 3)) for k, (x, y) in used.items()}


def test_slices_lie_where_the_table_says(case: Case) -> None:
    rows = case.run("--common_space_refine_unreliable", "false", "--common_space_preview", "true")
    for k, (x, y) in places(rows).items():
        assert (x, y) == pytest.approx((1000 * PLACES[k][0], 1000 * PLACES[k][1]), abs=0.01)
    volume = open_volume(case.folder / "out" / "slice_z04_common.ome.zarr")
    frame = slice_frame(volume)
    assert frame.interval_um == pytest.approx(200)
    assert max(map(abs, frame.origin_um[1:])) <= 5
    # the fraction of the stitching's origin is neither lost nor resampled
    y, x = (float(rows[4][f"{a}_um"]) for a in "yx")
    assert (y, x) == pytest.approx(
        (int(rows[4]["y_px"]) * 10 + frame.origin_um[1], int(rows[4]["x_px"]) * 10 + frame.origin_um[2])
    )
    assert (case.folder / "out" / "slice_z04_common_preview.png").exists()
    assert case.run("--registration_slicing_interval_mm", "0.1")
    assert slice_frame(open_volume(case.folder / "out" / "slice_z04_common.ome.zarr")).interval_um == pytest.approx(100)


def test_images_decide_where_the_table_is_in_doubt(case: Case) -> None:
    wrong = shift_rows({**PLACES, **{k: (p[0] + 0.2, p[1]) for k, p in PLACES.items() if k >= 4}}, unreliable=(4,))
    write_shifts(case.folder / "shifts_xy.csv", wrong)
    rows = case.run()
    assert rows[4]["step_source"] == "image"
    assert places(rows)[4] == pytest.approx((120, -80), abs=1)
    for words in (
        ("--common_space_refine_max_discrepancy_px", "5"),
        ("--common_space_refine_min_correlation", "1"),
        ("--common_space_refine_unreliable", "false"),
    ):
        rows = case.run(*words)
        assert rows[4]["step_source"] == "stage"
        assert places(rows)[4] == pytest.approx((320, -80), abs=0.01)


@pytest.mark.parametrize(
    ("mode", "window", "expected"),
    [("keep", 2, (120, -80)), ("zero", 2, (60, -40)), ("median", 2, (120, -80)), ("local_median", 1, (120, -80))],
)
def test_excluded_slices(case: Case, mode: str, window: int, expected: tuple[float, float]) -> None:
    config = {k: {"use": k != 3, "exclude_reason": "torn" if k == 3 else ""} for k in PLACES}
    rows = case.run(
        *("--common_space_excluded_slice_mode", mode, "--common_space_excluded_slice_window", str(window)),
        *("--common_space_refine_unreliable", "false"),
        config=config,
    )
    assert rows[3]["status"] == "excluded"
    assert rows[3]["reason"] == "torn"
    assert places(rows)[4] == pytest.approx(expected, abs=0.01)
    assert not (case.folder / "out" / "slice_z03_common.ome.zarr").exists()
    # the images know better than any replacement
    assert places(case.run("--common_space_excluded_slice_mode", mode))[4] == pytest.approx((120, -80), abs=1)


def test_the_window_matters() -> None:
    rows = shift_rows({k: (0.001 * k**2, 0.0) for k in range(12)})
    near, _ = without_excluded(rows, {6}, "local_median", 2)
    far, touched = without_excluded(rows, {6}, "local_median", 5)
    assert touched == {5, 6}
    assert near[6].x_mm != far[6].x_mm
    assert not near[6].reliable


def test_debug_slices_overrule_the_table(case: Case) -> None:
    config = {k: {"use": k != 2} for k in PLACES}
    rows = case.run("--debug_slices", "1-2, 5", config=config)
    assert [k for k, r in rows.items() if r["status"] == "used"] == [1, 2, 5]
    assert slice_numbers("25,27-29", "debug_slices") == {25, 27, 28, 29}
    with pytest.raises(InputError, match=r"slices \[9\]"):
        case.run("--debug_slices", "1,9")
    with pytest.raises(ParameterError, match="backwards"):
        case.run("--debug_slices", "5-2")
    with pytest.raises(ParameterError, match="debug_slices"):
        case.run("--debug_slices", "a")


def test_what_contradicts_is_refused(case: Case) -> None:
    with pytest.raises(InputError, match="excludes all 6 slices"):
        case.run(config={k: {"use": False} for k in PLACES})
    with pytest.raises(InputError, match="no such file"):
        execute(STEP, ["--slices", str(case.stores[0]), "--shifts", str(case.folder / "none.csv"), "--name", "x"])
    with pytest.raises(InputError, match="there twice"):
        case.run(slices=[case.stores[1], case.stores[1]])
    write_shifts(case.folder / "shifts_xy.csv", shift_rows({k: PLACES[k] for k in (0, 1, 2, 3, 4)}))
    with pytest.raises(InputError, match="names no slice 5"):
        case.run()
    write_shifts(case.folder / "shifts_xy.csv", [s for s in shift_rows(PLACES) if s.fixed_id != 2])
    with pytest.raises(InputError, match="add the row 2,3"):
        case.run()
    case.write(2, um=12.5)
    write_shifts(case.folder / "shifts_xy.csv", shift_rows(PLACES))
    with pytest.raises(InputError, match=r"voxels of 12.5 x 12.5 x 12.5 um"):
        case.run()


def test_one_slice_needs_no_shift(case: Case) -> None:
    (case.folder / "shifts_xy.csv").write_text("fixed_id,moving_id,x_shift,y_shift,x_shift_mm,y_shift_mm\n")
    rows = case.run(slices=[case.stores[2]])
    assert [k for k, r in rows.items() if r["status"] == "used"] == [2]


def test_slices_of_different_shape_share_the_canvas(case: Case) -> None:
    case.write(2, shape=(4, 70, 95))
    case.run("--common_space_refine_unreliable", "false")
    shapes = {k: open_volume(case.folder / "out" / f"slice_z{k:02d}_common.ome.zarr").shape for k in PLACES}
    assert len({s[1:] for s in shapes.values()}) == 1
    assert shapes[2][0] == 4


def test_a_stub_writes_tiny_stores(case: Case) -> None:
    case.run("--stub")
    assert open_volume(case.folder / "out" / "slice_z05_common.ome.zarr").shape[0] == 6


def test_quality_leaves_slices_out_and_registration_does_not() -> None:
    rows = {
        0: {"use": "true", "auto_excluded": "true", "auto_exclude_reason": "low_quality"},
        1: {"use": "true", "auto_excluded": "true", "auto_exclude_reason": "cluster"},
        2: {"use": "true"},
        7: {"use": "true"},
    }
    selection = select_slices([0, 1, 2, 5], rows, Path("c.csv"), "")
    assert selection.used == (1, 2, 5)
    assert selection.excluded == {0: "low_quality"}
    assert len(selection.notes) == 2


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_the_table_s_axes_are_found(swap: bool, signs: tuple[int, int]) -> None:
    facts = {
        k: SliceFacts((6, 90, 80), (10.0, 10.0, 10.0), SliceFrame(k, stage_origin_mm=(p[1] + 3, p[0] + 7)))
        for k, p in PLACES.items()
    }
    image = shift_rows(PLACES)
    stage = []
    for s in image:
        a, b = signs[0] * s.x_mm, signs[1] * s.y_mm
        x, y = (b, a) if swap else (a, b)
        stage.append(Shift(s.fixed_id, s.moving_id, x, y, x, y))
    turned, note = image_axes(stage, facts)
    for one, expected in zip(turned, image, strict=True):
        assert (one.x_mm, one.y_mm) == pytest.approx((expected.x_mm, expected.y_mm))
    assert bool(note) == (swap or signs != (1, 1))


def test_the_remainder_is_at_most_half_a_pixel() -> None:
    rng = np.random.default_rng(0)
    facts = {k: SliceFacts((5, 20, 30), (5.0, 8.0, 8.0), SliceFrame(k, (0.0, *rng.normal(size=2)))) for k in range(40)}
    where = {k: tuple(rng.normal(scale=100, size=2)) for k in range(40)}
    canvas = plan_canvas(where, facts)
    for k, (y, x) in where.items():
        rest = np.array(canvas.remainder_um[k])
        assert np.abs(rest).max() <= 4.0 + 1e-9
        offset = np.array(canvas.corner[k]) * 8 + rest - (np.array([y, x]) + facts[k].frame.origin_um[1:])
        if k == 0:
            first = offset
        np.testing.assert_allclose(offset, first, atol=1e-9)
        assert all(0 <= c <= n - m for c, n, m in zip(canvas.corner[k], canvas.shape, (20, 30), strict=True))
