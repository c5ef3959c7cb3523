"""Pictures of panels show what they were given, at one scale and of bounded size."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from linumpy_lib.quality.slice_preview import LARGEST_SIDE_PX, write_panels

TOP, LEFT, LINE = 10, 10, 18


def pixels(path):
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image)


def test_panels_lie_side_by_side_in_one_grey_scale(tmp_path):
    ramp = np.tile(np.linspace(0, 100, 200, dtype=np.float32), (200, 1))
    write_panels(tmp_path / "p.png", [("before", ramp), ("after", ramp / 2)])
    picture = pixels(tmp_path / "p.png")
    before = picture[TOP + LINE : TOP + LINE + 200, LEFT : LEFT + 200]
    after = picture[TOP + LINE : TOP + LINE + 200, 2 * LEFT + 200 : 2 * LEFT + 400]
    assert before[:, 1].max() <= 2
    assert before[:, -1].min() == 255
    assert abs(int(after[100, -1]) - int(before[100, 100])) <= 2
    write_panels(tmp_path / "own.png", [("before", ramp), ("after", ramp / 2)], shared_range=False)
    assert pixels(tmp_path / "own.png")[TOP + LINE + 100, 2 * LEFT + 399] == 255


def test_large_planes_are_averaged_and_the_aspect_is_physical(tmp_path):
    plane = np.zeros((500, 3000), np.uint16)
    plane[:, ::2] = 1000
    write_panels(tmp_path / "p.png", [("x", plane), ("half", np.full((500, 3000), 500))], spacing_um=(6.0, 2.0))
    picture = pixels(tmp_path / "p.png")
    assert picture.shape[1] <= 2 * (LARGEST_SIDE_PX + LEFT) + LEFT
    assert picture.shape[0] < LARGEST_SIDE_PX
    # 3000 um high, 6000 um wide; stripes of one pixel average to their mean
    inside = picture[TOP + LINE + 2 : TOP + LINE + 318, LEFT + 2 : LEFT + 638]
    assert inside.shape == (316, 636)
    write_panels(tmp_path / "flat.png", [("x", plane)], spacing_um=(6.0, 2.0))
    with Image.open(tmp_path / "flat.png") as image:
        assert image.width == LARGEST_SIDE_PX + 2 * LEFT


@pytest.mark.parametrize(
    "plane",
    [
        np.full((50, 60), np.nan),
        np.full((50, 60), 3.0),
        np.zeros((0, 7)),
        np.zeros((1, 1), bool),
        np.array([[np.inf, -np.inf], [np.nan, 1.0]]),
        np.full((4, 5), np.iinfo(np.uint64).max),
        np.arange(12, dtype=np.float16).reshape(3, 4),
        np.zeros((3, 20000), np.int32),
    ],
    ids=["nan", "constant", "empty", "bool", "infinite", "uint64", "float16", "thin"],
)
def test_any_plane_makes_a_picture(tmp_path, plane):
    write_panels(tmp_path / "p.png", [("a", plane), ("b", np.eye(8))], spacing_um=[(1.0, 1.0), (2.0, 3.0)])
    assert pixels(tmp_path / "p.png").size > 0


def test_absent_pixels_are_hatched(tmp_path):
    plane = np.full((200, 200), 5.0)
    plane[:, 100:] = np.nan
    plane[:10, :10] = 0.0
    write_panels(tmp_path / "p.png", [("", plane)])
    absent = pixels(tmp_path / "p.png")[TOP + LINE : TOP + LINE + 200, LEFT + 100 : LEFT + 200]
    assert set(np.unique(absent)) == {34, 62}


def test_names_may_hold_anything_and_equal_input_gives_equal_bytes(tmp_path):
    names = ["<script>\n\x00", "µ" * 500, "\ud800", "日本語", ""]
    panels = [(name, np.arange(6.0).reshape(2, 3)) for name in names]
    for file in ("a.png", "b.png"):
        write_panels(tmp_path / file, panels, spacing_um=(10.0, 10.0), title="\u202e" + "long " * 200)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        write_panels(tmp_path / "p.png", [])
    with pytest.raises(ValueError, match="rows, columns"):
        write_panels(tmp_path / "p.png", [("x", np.zeros((2, 2, 2)))])
    with pytest.raises(ValueError, match="pixel size"):
        write_panels(tmp_path / "p.png", [("x", np.zeros((2, 2)))], spacing_um=(0.0, 1.0))


def test_starts_without_plotting(tmp_path):
    code = (
        "import sys, numpy; from pathlib import Path; from linumpy_lib.quality.slice_preview import write_panels; "
        f"write_panels(Path({str(tmp_path / 'p.png')!r}), [('a', numpy.eye(9))]); print('matplotlib' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
