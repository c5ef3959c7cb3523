"""Streaming statistics: exact, independent of the order, right about directions."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.anisotropy.counting import orientation_cell
from linumpy_lib.anisotropy.statistics import MEASURES, AnisotropyStatistics
from linumpy_lib.anisotropy.summary import cell_directions
from linumpy_lib.errors import InputError

Maps = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def random_maps(shape: tuple[int, int, int] = (9, 17, 23), seed: int = 0) -> Maps:
    rng = np.random.default_rng(seed)
    measures = rng.random((6, *shape)).astype(np.float16)
    measures[5] = 1.0 / np.maximum(measures[5].astype(np.float32), 1e-4)
    vectors = rng.standard_normal((2, 3, *shape))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return (
        measures,
        vectors[0].astype(np.float16),
        vectors[1].astype(np.float16),
        (rng.random(shape) > 0.3).astype(np.uint8),
    )


def of(*maps: np.ndarray) -> AnisotropyStatistics:
    statistics = AnisotropyStatistics()
    statistics.add(*maps)
    return statistics


def test_numbers_agree_with_numpy() -> None:
    measures, first, last, mask = random_maps()
    result = of(measures, first, last, mask).to_json(spacing_um=(2.0, 1.0, 1.0))
    inside = mask.astype(bool)
    assert result["voxels"]["inside_mask"] == inside.sum()
    assert result["voxels"]["inside_mask_fraction"] == inside.mean()
    for name, values in zip(MEASURES, measures, strict=True):
        exact = values[inside].astype(np.float64)
        found = result["measures"][name]
        assert found["mean"] == pytest.approx(exact.mean(), rel=1e-12)
        assert found["standard_deviation"] == pytest.approx(exact.std(), rel=1e-9)
        for percentile, value in found["percentiles"].items():
            assert value == np.percentile(exact, int(percentile), method="inverted_cdf")
        expected, _ = np.histogram(
            np.clip(exact, *np.array(found["histogram"]["edges"])[[0, -1]]), found["histogram"]["edges"]
        )
        assert found["histogram"]["counts"] == expected.tolist()
    names = np.array(["sheet", "fibre", "blob"])[measures[1:4][:, inside].argmax(axis=0)]
    for tissue in ("sheet", "fibre", "blob"):
        assert result["tissue"][tissue]["voxels"] == (names == tissue).sum()
        assert result["tissue"][tissue]["volume_mm3"] == pytest.approx(2e-9 * (names == tissue).sum())
    axes = last.astype(np.float64)[:, inside][:, names == "fibre"]
    tensor = axes @ axes.T
    np.testing.assert_allclose(
        result["orientation"]["fibre_dir"]["fibres"]["mean_tensor"], tensor / np.trace(tensor), atol=2e-5
    )
    everywhere = first.astype(np.float64)[:, inside]
    np.testing.assert_allclose(
        result["orientation"]["principal_dir"]["all"]["mean_tensor"],
        everywhere @ everywhere.T / inside.sum(),
        atol=2e-4,
    )


@pytest.mark.parametrize("cuts", [[0, 9], [0, 1, 2, 9], [0, 4, 9], list(range(10))])
def test_every_way_of_cutting_gives_the_same_text(cuts: list[int]) -> None:
    maps = random_maps()
    whole = json.dumps(of(*maps).to_json())
    blocks = [tuple(m[..., a:b, :, :] for m in maps) for a, b in pairwise(cuts)]
    partial = [of(*block) for block in blocks]
    backwards = AnisotropyStatistics()
    for one in reversed(partial):
        backwards.merge(one)
    assert json.dumps(backwards.to_json()) == whole
    together = AnisotropyStatistics()
    threads = [threading.Thread(target=together.add, args=block) for block in blocks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert json.dumps(together.to_json()) == whole


def test_partial_results_survive_the_disk(tmp_path: Path) -> None:
    one = of(*random_maps())
    one.save(tmp_path / "part.npz")
    assert AnisotropyStatistics.load(tmp_path / "part.npz").to_json() == one.to_json()
    (tmp_path / "other.npz").write_bytes(b"not an archive")
    with pytest.raises(InputError, match=r"other\.npz"):
        AnisotropyStatistics.load(tmp_path / "other.npz")
    np.savez(tmp_path / "old.npz", format=np.int64(0))
    with pytest.raises(InputError, match="another version"):
        AnisotropyStatistics.load(tmp_path / "old.npz")


def test_the_counters_do_not_overflow_when_they_are_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linumpy_lib.anisotropy.statistics._FLUSH_AT", 5000)
    statistics = AnisotropyStatistics()
    for _ in range(3):
        statistics.add(*random_maps())
    assert statistics.to_json()["measures"]["fa"]["count"] == 3 * int(random_maps()[3].sum())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_direction_everywhere_is_found(axis: int) -> None:
    measures, _, _, _ = random_maps((4, 8, 300))
    measures[1:4] = np.array([0.1, 0.8, 0.1], np.float16)[:, None, None, None]
    direction = np.zeros((3, 4, 8, 300), np.float16)
    direction[axis] = -1.0
    result = of(measures, direction, direction, np.ones((4, 8, 300), np.uint8)).to_json()["orientation"]
    fibres = result["fibre_dir"]["fibres"]
    assert fibres["dominant_zyx"] == [float(a == axis) for a in range(3)]
    assert fibres["order_parameter"] == 1.0
    assert result["principal_dir"]["sheets"]["dominant_zyx"] is None
    cells = np.array(result["distribution"]["fibre_axes"])
    assert cells.sum() == cells.max() == 4 * 8 * 300


def test_directions_fall_into_the_cell_that_points_there() -> None:
    measures, _, last, _ = random_maps((6, 20, 40), seed=4)
    measures[1:4] = np.array([0.1, 0.8, 0.1], np.float16)[:, None, None, None]
    result = of(measures, last, last, np.ones((6, 20, 40), np.uint8)).to_json()["orientation"]["distribution"]
    cells = np.array(result["fibre_axes"])
    expected = np.zeros_like(cells)
    for vector in np.round(last.reshape(3, -1).T.astype(np.float64) * 2048):
        expected[orientation_cell(*vector)] += 1
    assert np.abs(cells - expected).sum() <= 0.005 * cells.sum()  # a few lie on a border between two cells
    directions, angles = cell_directions()
    assert angles.sum() == pytest.approx(2 * np.pi)
    for row, column in ((0, 0), (3, 30), (16, 16), (31, 5)):
        assert orientation_cell(*directions[row, column]) == (row, column)
    assert cells.sum() == 6 * 20 * 40
    assert (cells / angles).std() / (cells / angles).mean() < 0.7  # random directions: only counting noise


def test_opposite_vectors_are_one_direction() -> None:
    measures, first, last, mask = random_maps()
    assert of(measures, first, last, mask).to_json() == of(measures, -first, -last, mask).to_json()


def test_nothing_inside_and_bad_values_are_reported() -> None:
    measures, first, last, mask = random_maps()
    empty = of(measures, first, last, np.zeros_like(mask)).to_json()
    assert empty["measures"]["fa"]["mean"] is None
    assert empty["voxels"]["inside_mask"] == 0
    json.dumps(empty, allow_nan=False)
    json.dumps(AnisotropyStatistics().to_json(), allow_nan=False)
    measures[0, 0, 0, :3] = [np.nan, np.inf, -np.inf]
    mask[0, 0, :3] = 1
    statistics = AnisotropyStatistics()
    statistics.add(measures, first, last, mask, nonfinite_input=7)
    result = statistics.to_json()
    assert result["measures"]["fa"]["nonfinite"] == 3
    assert result["voxels"]["nonfinite_input"] == 7
    json.dumps(result, allow_nan=False)


def test_voxels_without_structure_are_not_called_tissue() -> None:
    measures, first, last, mask = random_maps()
    measures[:] = 0
    first[:] = last[:] = 0
    tissue = of(measures, first, last, mask).to_json()["tissue"]
    assert tissue["featureless"]["fraction"] == 1.0


def test_wrong_arrays_are_named() -> None:
    measures, first, last, mask = random_maps()
    with pytest.raises(InputError, match="measures"):
        of(measures.astype(np.float32), first, last, mask)
    with pytest.raises(InputError, match="fibre_dir"):
        of(measures, first, last[:, 1:], mask)
    with pytest.raises(InputError, match="mask"):
        of(measures, first, last, mask.astype(np.int16))
