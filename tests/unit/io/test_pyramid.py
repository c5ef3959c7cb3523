"""Levels against dense references: exact values, no seams, no drift, right geometry."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from linumpy_lib.errors import ParameterError
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.layout import depth_first, plan_levels
from linumpy_lib.io.reduce import area_mean, halve_mean, halve_mode


def dense_halves(block: np.ndarray, factors) -> np.ndarray:
    """Every voxel of every output voxel along a new last axis; edges repeat, which weighs existing voxels equally."""
    pad = [(0, (-n) % f) for n, f in zip(block.shape, factors, strict=True)]
    full = np.pad(block, pad, mode="edge")
    parts = [
        full[tuple(slice(k, None, f) for k, f in zip(at, factors, strict=True))]
        for at in itertools.product(*map(range, factors))
    ]
    return np.stack(parts, -1)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
@pytest.mark.parametrize("factors", [(2, 2, 2), (1, 2, 2), (2, 1, 1), (1, 1, 1)])
def test_integer_means_are_exact_and_round_half_to_even(dtype, factors):
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    block = rng.integers(info.min, info.max, (7, 9, 12), dtype=dtype, endpoint=True)
    block[:2, :2, :2] = info.max
    out = np.empty([-(-n // f) for n, f in zip(block.shape, factors, strict=True)], dtype)
    halve_mean(block, factors, out)
    total = dense_halves(block, factors).astype(object).sum(-1)
    count = int(np.prod(factors))

    def half_even(value: int) -> int:
        quotient, rest = divmod(value, count)
        return quotient + (2 * rest > count or (2 * rest == count and quotient % 2 == 1))

    assert np.array_equal(out.astype(object), np.vectorize(half_even, otypes=[object])(total))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_float_means_skip_nan(dtype):
    rng = np.random.default_rng(1)
    block = rng.normal(size=(6, 7, 8)).astype(dtype)
    block[:2, :2, :2] = np.nan
    block[3, 3, 3] = np.nan
    out = np.empty((3, 4, 4), dtype)
    halve_mean(block, (2, 2, 2), out)
    parts = dense_halves(block, (2, 2, 2)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        expected = np.nansum(parts, -1) / np.isfinite(parts).sum(-1)
    assert np.isnan(out[0, 0, 0])
    assert np.allclose(
        out, expected, rtol=2e-3 if dtype == "f2" else 1e-6, atol=1e-3 if dtype == "f2" else 1e-6, equal_nan=True
    )


def test_float16_does_not_overflow():
    out = np.empty((1, 1, 1), np.float16)
    halve_mean(np.full((2, 2, 2), 60000, np.float16), (2, 2, 2), out)
    assert out[0, 0, 0] == np.float16(60000)


@pytest.mark.parametrize("factors", [(2, 2, 2), (1, 2, 2), (1, 1, 1)])
def test_mode_takes_the_smallest_of_equals(factors):
    rng = np.random.default_rng(2)
    block = rng.integers(0, 4, (7, 8, 9), dtype=np.uint16)
    out = np.empty([-(-n // f) for n, f in zip(block.shape, factors, strict=True)], np.uint16)
    halve_mode(block, factors, out)
    expected = np.apply_along_axis(lambda v: np.bincount(v).argmax(), -1, dense_halves(block, factors))
    assert np.array_equal(out, expected)


def overlap(n: int, factor: float) -> np.ndarray:
    """Share of each input voxel in each output voxel, rows sum to one."""
    count = int(np.ceil(n / factor - 1e-6))
    low, high = np.arange(count)[:, None] * factor, np.minimum((np.arange(count) + 1) * factor, n)[:, None]
    at = np.arange(n)
    weight = np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, None)
    return weight / weight.sum(1, keepdims=True)


@pytest.mark.parametrize("factors", [(2.5, 2.5, 2.5), (1.0, 3.7, 1.25), (3.0, 2.0, 1.0)])
def test_area_mean_equals_the_dense_product(factors):
    rng = np.random.default_rng(3)
    block = rng.normal(size=(21, 22, 23))
    matrices = [overlap(n, f) for n, f in zip(block.shape, factors, strict=True)]
    expected = np.einsum("zyx,az,by,cx->abc", block, *matrices)
    region = [slice(0, n) for n in expected.shape]
    found = area_mean(block, (0, 0, 0), region, factors, block.shape)
    assert np.allclose(found, expected, atol=1e-12)


def test_no_drift_over_five_levels(tmp_path, volume):
    written = write_volume(
        tmp_path / "a.ome.zarr", volume[:64, :128, :96], spacing_um=(1, 1, 1), levels=5, chunks=16, shards=32
    )
    assert len(written.levels) == 5
    exact = volume[:64, :128, :96].astype(np.float64)
    for level in range(1, 5):
        exact = exact.reshape(exact.shape[0] // 2, 2, exact.shape[1] // 2, 2, exact.shape[2] // 2, 2).mean((1, 3, 5))
        values = written.level(level).read()
        assert abs((values - exact).mean()) < 0.02 if values.size > 3000 else abs((values - exact).mean()) < 0.15
        assert np.abs(values - exact).max() < 0.5 + 0.5 * level


@pytest.mark.parametrize("pyramid", ["powers", (3.0, 7.5, 15.0)])
@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_blocks_leave_no_trace(tmp_path, volume, pyramid, dtype):
    """Any chunk and shard size gives the same voxels, so there are no seams."""
    found = []
    for chunks, shards in ((16, 32), ((8, 16, 64), (24, 48, 64)), (128, 128)):
        path = tmp_path / f"{len(found)}.ome.zarr"
        written = write_volume(
            path, volume.astype(dtype), spacing_um=(2, 2, 2), pyramid=pyramid, chunks=chunks, shards=shards, levels=4
        )
        found.append([written.level(k).read() for k in range(4)])
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_micrometre_levels(tmp_path, volume):
    written = write_volume(tmp_path / "a.ome.zarr", volume, spacing_um=(20, 4, 4), pyramid="um", origin_um=(5, 6, 7))
    assert [level.scale for level in written.levels] == [
        (20.0, 4.0, 4.0), (20.0, 10.0, 10.0), (25.0, 25.0, 25.0), (50.0, 50.0, 50.0), (100.0, 100.0, 100.0)
    ]  # fmt: skip
    for k, level in enumerate(written.levels):
        opened = written.level(k)
        extent = np.array(opened.shape) * opened.spacing_um
        assert np.all(extent >= np.array(volume.shape) * (20, 4, 4) - 1e-6)
        assert np.all(extent - np.array(volume.shape) * (20, 4, 4) < np.array(level.scale))
        first_edge = np.array(opened.origin_um) - np.array(level.scale) / 2
        assert np.allclose(first_edge, (-5, 4, 5))
    matrices = [overlap(n, f) for n, f in zip(volume.shape, (1.25, 6.25, 6.25), strict=True)]
    dense = np.einsum("zyx,az,by,cx->abc", volume.astype(float), *matrices, optimize=True)
    assert np.abs(written.level(2).read() - dense).max() <= 0.5 + 1e-9


def test_labels(tmp_path, volume):
    labels = (volume > 3000).astype(np.uint8) * 7
    halved = write_volume(tmp_path / "a.ome.zarr", labels, spacing_um=(1, 1, 1), kind="labels", chunks=32, shards=32)
    mode = np.apply_along_axis(lambda v: np.bincount(v).argmax(), -1, dense_halves(labels, (2, 2, 2)))
    assert np.array_equal(halved.level(1).read(), mode)
    odd = write_volume(
        tmp_path / "b.ome.zarr", labels, spacing_um=(4, 4, 4), kind="labels", pyramid="um", chunks=32, shards=32
    )
    at = np.ix_(
        *(
            np.minimum(((np.arange(m) + 0.5) * 2.5).astype(int), n - 1)
            for m, n in zip(odd.level(1).shape, labels.shape, strict=True)
        )
    )
    assert np.array_equal(odd.level(1).read(), labels[at])


def test_thick_slices_are_halved_last():
    plans = plan_levels((200, 4096, 4096), (100, 5, 5), "powers", None, 64, 256)
    assert [plan.spacing_um for plan in plans][:7] == [
        (100, 5, 5), (100, 10, 10), (100, 20, 20), (100, 40, 40), (100, 80, 80), (200, 160, 160), (400, 320, 320)
    ]  # fmt: skip
    assert all(n <= 64 for n in plans[-1].shape)


def test_depth_first_visits_every_shard_once():
    plans = plan_levels((700, 300, 1100), (2, 1, 1), "powers", None, 32, 64)
    order = list(depth_first(plans))
    assert len(order) == len(set(order)) == int(np.prod(plans[0].grid))
    first = order[:4]
    assert {index[0] for index in first} == {0}
    assert {index[1:] for index in first} == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"chunks": 0}, {"chunks": (4, 4)}, {"shards": 100}, {"levels": 0}, {"pyramid": "foo"}, {"pyramid": (1.0, -1.0)},
        {"codec": "jpeg"}, {"kind": "photo"}, {"channel_names": ["a", "b"]}, {"provenance": {"x": object()}},
        {"provenance": {"x": float("nan")}}, {"kind": "labels", "dtype": "f4"},
    ],
)  # fmt: skip
def test_wrong_parameters_are_named(tmp_path, volume, wrong):
    wrong = dict(wrong)
    values = volume.astype(wrong.pop("dtype", "u2"))
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        write_volume(tmp_path / "a.ome.zarr", values, spacing_um=(1, 1, 1), **wrong)
    assert list(tmp_path.iterdir()) == []


def test_any_order_of_regions_gives_the_same_store(tmp_path, volume):
    from linumpy_lib.io import VolumeWriter, content_digest

    digests = set()
    for name, turn in (("a", False), ("b", True)):
        path = tmp_path / name / "x.ome.zarr"
        with VolumeWriter(path, shape=volume.shape, dtype="u2", spacing_um=(1, 1, 1), chunks=16, shards=32) as writer:
            regions = list(writer.regions())
            for region in regions[::-1] if turn else regions:
                writer.write(region, volume[region])
        digests.add(content_digest(path))
    assert len(digests) == 1
    assert open_volume(tmp_path / "a" / "x.ome.zarr").shape == volume.shape
