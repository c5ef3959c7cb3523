"""The fused CPU kernel: same bits for every partition and thread count, every type, masks, odd sizes."""

from __future__ import annotations

import numpy as np
import pytest
from support.anisotropy_truth import oracle_measures, oracle_tensor

from linumpy_lib.anisotropy import AnisotropyPlan, allocate_block, anisotropy_block, compute_anisotropy
from linumpy_lib.errors import InputError, ParameterError

ALL = frozenset({"measures", "principal_dir", "fibre_dir", "eigenvalues"})
WHOLE = (slice(None),) * 3
ARRAYS = ("measures", "principal_dir", "fibre_dir", "eigenvalues")


def cut(volume, lo, size, halo):
    """Block with as much halo as the volume has, and the inner slices."""
    first = [max(0, a - h) for a, h in zip(lo, halo, strict=True)]
    last = [min(n, a + s + h) for n, a, s, h in zip(volume.shape, lo, size, halo, strict=True)]
    block = volume[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    return block, tuple(slice(a - f, a - f + s) for a, f, s in zip(lo, first, size, strict=True))


def same(a, b, region=WHOLE):
    for name in ARRAYS:
        x, y = getattr(a, name), getattr(b, name)
        if x is not None:
            assert x.tobytes() == np.ascontiguousarray(y[(slice(None), *region)]).tobytes(), name
    assert np.array_equal(a.mask, b.mask[region])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("options", [{}, {"sigma": (1, 0.8, 1.7), "rho": (0.5, 3, 1.1), "spacing_um": (2, 1, 1)}])
def test_every_partition_gives_the_same_bits(dtype, options):
    volume = np.random.default_rng(1).random((29, 75, 301), dtype=np.float32)
    plan = AnisotropyPlan(outputs=ALL, dtype=dtype, **options)
    whole = anisotropy_block(volume, WHOLE, plan)
    same(anisotropy_block(volume, WHOLE, plan, threads=2), whole)
    same(anisotropy_block(volume, WHOLE, plan, threads=7), whole)
    rng = np.random.default_rng(2)
    for _ in range(12):
        lo = [int(rng.integers(0, n)) for n in volume.shape]
        size = [int(rng.integers(1, n - a + 1)) for n, a in zip(volume.shape, lo, strict=True)]
        block, inner = cut(volume, lo, size, plan.halo)
        region = tuple(slice(a, a + s) for a, s in zip(lo, size, strict=True))
        same(anisotropy_block(block, inner, plan, threads=2), whole, region)


def test_against_lapack_in_float64():
    volume = np.random.default_rng(1).random((40, 37, 50), dtype=np.float32)
    maps = compute_anisotropy(volume, device="cpu")
    truth = oracle_measures(oracle_tensor(volume, 1, 2))
    for name in ("fa", "cl", "cp", "cs"):
        assert np.abs(getattr(maps, name) - truth[name]).max() < 1e-6, name
    assert np.abs(maps.cp_norm - truth["cp_norm"]).max() < 1e-5  # a quotient of differences
    assert np.abs(maps.lambda2_ratio / truth["lambda2_ratio"] - 1).max() < 5e-6
    assert (np.abs(maps.eigenvalues - truth["eigenvalues"]) / truth["eigenvalues"][0]).max() < 1e-6
    assert (1 - np.abs((maps.principal_dir * truth["e1"]).sum(-1))).max() < 1e-6
    assert (1 - np.abs((maps.fibre_dir * truth["e3"]).sum(-1))).max() < 1e-6
    assert (maps.eigenvalues[0] >= maps.eigenvalues[1]).all()
    assert (maps.eigenvalues[1] >= maps.eigenvalues[2]).all()


@pytest.mark.parametrize("normalization", ["lambda1", "trace", "seed"])
def test_normalizations_are_those_of_the_array_function(normalization):
    from linumpy_lib.anisotropy import anisotropy_measures

    volume = np.random.default_rng(4).random((12, 14, 16))
    maps = compute_anisotropy(volume, normalization=normalization, device="cpu")
    other = anisotropy_measures(maps.eigenvalues.astype(np.float64), normalization)
    for name in ("fa", "cl", "cp", "cs"):
        assert np.abs(getattr(maps, name) - getattr(other, name)).max() < 1e-6, name


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float16", "float32", "float64", ">u2", "int32", "int8"])
def test_every_input_type(dtype):
    base = np.random.default_rng(2).integers(0, 120, (9, 20, 33)).astype(np.float32)
    expected = compute_anisotropy(base, device="cpu")
    given = base.astype(dtype)
    given.flags.writeable = False
    maps = compute_anisotropy(given, device="cpu")
    assert maps.fa.dtype == np.float32
    assert maps.fa.tobytes() == expected.fa.tobytes()
    assert maps.eigenvalues.tobytes() == expected.eigenvalues.tobytes()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 20, 20), (2, 3, 40), (5, 1, 17), (20, 33, 1), (3, 2, 5)])
def test_short_axes(shape):
    volume = np.random.default_rng(0).random(shape)
    maps = compute_anisotropy(volume, device="cpu")
    tensor = oracle_tensor(volume.astype(np.float32), 1, 2)
    truth = np.linalg.eigvalsh(
        np.stack([np.stack([tensor[i] for i in r], -1) for r in ((0, 3, 4), (3, 1, 5), (4, 5, 2))], -2)
    )
    assert np.abs(maps.eigenvalues[0] - truth[..., 2]).max() <= 1e-6 * max(truth.max(), 1e-300)
    assert all(np.isfinite(v).all() for v in (maps.fa, maps.cs, maps.lambda2_ratio, maps.fibre_dir))
    if shape == (1, 1, 1):
        assert not maps.mask.any()


def test_constant_is_zero_everywhere():
    for value in (0, 7, 0.1, 1e6):
        maps = compute_anisotropy(np.full((9, 10, 40), value, np.float32), device="cpu")
        for name in ("fa", "cl", "cp", "cs", "cp_norm", "lambda2_ratio", "eigenvalues", "principal_dir", "fibre_dir"):
            assert not getattr(maps, name).any(), name
        assert not maps.mask.any()


@pytest.mark.parametrize("gain", [1e-3, 1e3, 1e-20, 1e20, 1e-200, 1e200])
def test_gain_invariance(gain):
    volume = np.random.default_rng(6).random((10, 12, 40))
    a, b = compute_anisotropy(volume, device="cpu"), compute_anisotropy(volume * gain, device="cpu")
    for name in ("fa", "cl", "cp", "cs"):
        assert np.abs(getattr(a, name) - getattr(b, name)).max() < 3e-6, name
    assert b.mask.all()


def test_mask_zeroes_and_makes_no_edges():
    volume = np.random.default_rng(8).random((16, 40, 70))
    free = compute_anisotropy(volume, device="cpu")
    chosen = np.zeros(volume.shape, bool)
    chosen[4:9, 10:30, 20:61] = True
    maps = compute_anisotropy(volume, mask=chosen, device="cpu")
    assert np.array_equal(maps.mask, chosen)
    for name in ("fa", "cs", "lambda2_ratio", "principal_dir"):
        values, expected = getattr(maps, name), getattr(free, name)
        assert np.array_equal(values[chosen], expected[chosen]), name
        assert not values[~chosen].any(), name
    with pytest.raises(InputError, match="mask"):
        compute_anisotropy(volume, mask=chosen[1:], device="cpu")


def test_threshold_and_counts():
    volume = np.random.default_rng(9).integers(0, 256, (8, 20, 40), dtype=np.uint8)
    block = anisotropy_block(volume, WHOLE, AnisotropyPlan(mask_threshold=100))
    assert np.array_equal(block.mask, volume >= 100)
    assert block.masked == int((volume < 100).sum())
    assert block.nonfinite == 0
    assert not block.measures[:, volume < 100].any()


def test_nonfinite_voxels_are_counted_and_masked():
    volume = np.random.default_rng(9).random((8, 20, 40)).astype(np.float32)
    bad = [(0, 0, 0), (3, 5, 20), (7, 19, 39)]
    for index, value in zip(bad, (np.nan, np.inf, -np.inf), strict=True):
        volume[index] = value
    maps = compute_anisotropy(volume, device="cpu")
    assert maps.nonfinite == 3
    assert sorted(map(tuple, np.argwhere(~maps.mask).tolist())) == bad
    clean = compute_anisotropy(np.nan_to_num(volume, posinf=0, neginf=0), device="cpu")
    assert np.array_equal(maps.fa[maps.mask], clean.fa[maps.mask])
    assert np.isfinite(maps.fa).all()


def test_float16_is_the_rounded_float32():
    volume = np.random.default_rng(1).random((9, 20, 50), dtype=np.float32)
    half = anisotropy_block(volume, WHOLE, AnisotropyPlan(outputs=ALL, dtype="float16"))
    single = anisotropy_block(volume, WHOLE, AnisotropyPlan(outputs=ALL, dtype="float32"))
    for name in ("measures", "principal_dir", "fibre_dir"):
        assert getattr(half, name).dtype == np.float16
        assert np.array_equal(getattr(half, name), getattr(single, name).astype(np.float16))
    assert half.eigenvalues.dtype == np.float32
    assert np.array_equal(half.eigenvalues, single.eigenvalues)


def test_outputs_are_chosen_and_reused():
    volume = np.random.default_rng(1).random((9, 20, 50), dtype=np.float32)
    plan = AnisotropyPlan(outputs=frozenset({"fibre_dir"}))
    first = anisotropy_block(volume, WHOLE, plan)
    assert first.measures is None
    assert first.principal_dir is None
    assert first.eigenvalues is None
    out = allocate_block(volume.shape, plan)
    out.fibre_dir[...] = np.nan
    out.mask[...] = 9
    again = anisotropy_block(volume, WHOLE, plan, out=out)
    assert again.fibre_dir is out.fibre_dir
    same(again, first)
    assert again.mask.max() == 1


def test_dense_layout():
    block = anisotropy_block(np.random.default_rng(1).random((9, 20, 50)), (slice(1, 8),) * 3, AnisotropyPlan())
    assert block.measures.shape == (6, 7, 7, 7)
    assert block.measures.flags.c_contiguous
    assert block.principal_dir.flags.c_contiguous


def test_bad_blocks():
    volume = np.zeros((4, 5, 6), np.float32)
    plan = AnisotropyPlan()
    for inner in ((slice(None),) * 2, (slice(None, None, 2),) * 3, (slice(3, 3),) * 3):
        with pytest.raises(InputError, match="inner"):
            anisotropy_block(volume, inner, plan)
    with pytest.raises(InputError, match="mask"):
        anisotropy_block(volume, WHOLE, plan, mask=np.ones((1, 1, 1)))
    with pytest.raises(InputError, match=r"out\.measures"):
        anisotropy_block(volume, WHOLE, plan, out=allocate_block((4, 5, 5), plan))
    with pytest.raises(InputError, match=r"out\.eigenvalues"):
        anisotropy_block(volume, WHOLE, AnisotropyPlan(outputs=ALL), out=allocate_block((4, 5, 6), plan))
    for options in ({"outputs": {"fa"}}, {"dtype": "float64"}, {"mask_threshold": np.nan}, {"normalization": "l1"}):
        with pytest.raises(ParameterError, match=next(iter(options))):
            AnisotropyPlan(**options)
