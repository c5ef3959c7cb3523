"""The preview picture: right planes, right colours, same bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image as images

from linumpy_lib.errors import ParameterError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.quality.anisotropy_preview import anisotropy_preview, direction_colours, length_text, round_length_um
from linumpy_lib.quality.planes import Geometry, read_plane, same_size

SHAPE = (10, 24, 30)


def maps(shape: tuple[int, int, int] = SHAPE) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    measures = rng.random((6, *shape)).astype(np.float16)
    vectors = rng.standard_normal((2, 3, *shape)).astype(np.float16)
    return [rng.integers(0, 255, shape, np.uint8), measures, vectors[0], vectors[1], np.ones(shape, np.uint8)]


class Recorder:
    """An array that remembers how much was read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.largest = array, array.shape, 0

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self.array[key]
        self.largest = max(self.largest, part.size)
        return part


def test_equal_maps_give_equal_bytes_without_dates() -> None:
    first, second = (anisotropy_preview(*maps(), (2.0, 1.0, 1.0), name="a", dpi=40) for _ in range(2))
    assert first == second
    assert b"Software" not in first
    assert b"Date" not in first
    assert images.imread(io.BytesIO(first)).shape[1] > 400


def test_planes_only_are_read() -> None:
    recorders = [Recorder(m) for m in maps()]
    anisotropy_preview(*recorders, (1.0, 1.0, 1.0), dpi=30)
    for recorder in recorders:
        channels = recorder.shape[0] if len(recorder.shape) == 4 else 1
        assert 0 < recorder.largest <= 24 * 30 * channels


@pytest.mark.parametrize("missing", [True, False])
def test_the_original_may_be_absent(missing: bool) -> None:
    original, *others = maps()
    wide = images.imread(io.BytesIO(anisotropy_preview(original, *others, (1.0, 1.0, 1.0), dpi=30)))
    shown = images.imread(
        io.BytesIO(anisotropy_preview(None if missing else original, *others, (1.0, 1.0, 1.0), dpi=30))
    )
    assert (shown.shape[1] < wide.shape[1]) == missing


def test_extreme_shapes_and_empty_masks_are_drawn() -> None:
    for shape in ((1, 40, 400), (300, 5, 5), (1, 1, 1)):
        original, measures, first, last, mask = maps(shape)
        measures[:, 0] = np.nan
        picture = anisotropy_preview(original, measures, first, last, mask * 0, (0.001, 3000.0, 3000.0), dpi=30)
        assert max(images.imread(io.BytesIO(picture)).shape) < 2000


def test_each_axis_has_its_colour() -> None:
    vectors = np.eye(3)[:, :, None] * np.array([-3.0, 1.0, 0.5])[None, :, None]
    np.testing.assert_allclose(direction_colours(vectors, np.ones((3, 1)))[:, 0], [[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    assert not direction_colours(vectors, np.zeros((3, 1))).any()
    assert np.isfinite(direction_colours(np.full((3, 1, 1), np.nan), np.full((1, 1), np.nan))).all()


def test_the_named_voxel_is_cut() -> None:
    volume = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    geometry = Geometry.of(volume, (1.0, 1.0, 1.0), (3, 20, 29))
    np.testing.assert_array_equal(read_plane(volume, geometry, 0, 99), volume[3])
    np.testing.assert_array_equal(read_plane(volume, geometry, 1, 99), volume[:, 20])
    np.testing.assert_array_equal(read_plane(volume, geometry, 2, 99), volume[:, :, 29])
    assert read_plane(volume, geometry, 0, 12).shape == (12, 10)
    with pytest.raises(ParameterError, match="cut"):
        Geometry.of(volume, (1.0, 1.0, 1.0), (10, 0, 0))


def test_a_level_is_chosen_that_fits(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (32, 64, 64), np.uint8)
    write_volume(tmp_path / "v.ome.zarr", values, spacing_um=(1.0, 1.0, 1.0), levels=3)
    volume = open_volume(tmp_path / "v.ome.zarr")
    geometry = Geometry.of(volume, (1.0, 1.0, 1.0))
    assert read_plane(volume, geometry, 0, 64).shape == (64, 64)
    np.testing.assert_array_equal(read_plane(volume, geometry, 0, 40), volume.level(1).read()[8])
    assert read_plane(volume, geometry, 1, 10).shape == (8, 8)


def test_pictures_of_other_sizes_are_matched() -> None:
    small = np.array([[1, 2], [3, 4]])
    np.testing.assert_array_equal(same_size(small, np.zeros((4, 4)))[::2, ::2], small)
    np.testing.assert_array_equal(same_size(np.arange(6)[None], np.zeros((5, 1, 3))), [[1, 3, 5]])


@pytest.mark.parametrize(("width_um", "length"), [(128.0, 20.0), (9000.0, 2000.0), (2.0, 0.5), (0.9, 0.2)])
def test_scale_bars_have_round_lengths(width_um: float, length: float) -> None:
    assert round_length_um(width_um) == pytest.approx(length)


def test_lengths_are_written_in_a_fitting_unit() -> None:
    assert [length_text(v) for v in (2000.0, 20.0, 0.5)] == ["2 mm", "20 µm", "500 nm"]
