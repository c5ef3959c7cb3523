import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.bias_phantoms import bias_phantom

from linumpy_lib.intensity.bspline import cubic_axis
from linumpy_lib.intensity.n4_engines import Engine, array_engine, compiled_engine
from linumpy_lib.intensity.n4_fit import fit_log_bias
from linumpy_lib.intensity.sharpening import expected_log_intensity


def _logs(shape: tuple[int, int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    phantom = bias_phantom(shape, seed)
    logs = np.zeros(shape, np.float32)
    np.log(phantom.volume, out=logs, where=phantom.mask)
    return logs, phantom.mask


def _engines(logs: np.ndarray, mask: np.ndarray) -> list[Engine]:
    return [compiled_engine(logs.copy(), mask), compiled_engine(logs.copy(), mask, 3), array_engine(logs.copy(), mask)]


def test_sharpening_pulls_intensities_to_their_peaks() -> None:
    bins = 200
    positions = np.linspace(6.0, 8.0, bins)
    histogram = sum(np.exp(-0.5 * ((positions - centre) / 0.08) ** 2) for centre in (6.6, 7.4))
    expected = expected_log_intensity(histogram, 6.0, positions[1] - positions[0])
    near = np.abs(positions - 6.6) < 0.15
    assert np.ptp(expected[near]) < 0.6 * np.ptp(positions[near])
    assert_allclose(expected[np.argmin(np.abs(positions - 6.6))], 6.6, atol=0.01)


def test_engines_agree_on_every_operation() -> None:
    logs, mask = _logs((9, 17, 22))
    low, high = float(logs[mask].min()), float(logs[mask].max())
    width = (high - low) / 199
    table = np.sort(np.random.default_rng(1).normal(7, 0.3, 200))
    reference = None
    for engine in _engines(logs, mask):
        assert engine.extremes() == (low, high)
        histogram = engine.histogram(low, width, 200)
        assert histogram.sum() == pytest.approx(mask.sum())
        engine.start_level(tuple(cubic_axis(k, n) for k, n in zip((4, 5, 7), mask.shape, strict=True)))
        count, total, square = engine.step(low, width, table)
        found = (histogram, engine.lattice(), np.array([count, total, square]), engine.moments(), engine.extremes())
        engine.close()
        if reference is None:
            reference = found
        for value, wanted in zip(found, reference, strict=True):
            assert_allclose(value, wanted, rtol=2e-5, atol=2e-4)


def test_engine_fits_the_scattered_data_formula() -> None:
    """The lattice of one step equals the published sum over voxels, written out voxel by voxel."""
    logs, mask = _logs((5, 6, 7))
    axes = tuple(cubic_axis(4, n) for n in mask.shape)
    low, high = float(logs[mask].min()), float(logs[mask].max())
    width = (high - low) / 199
    table = np.full(200, 6.5)
    numerator, denominator = np.zeros((4, 4, 4)), np.zeros((4, 4, 4))
    bases = [axis.dense().astype(np.float64) for axis in axes]
    for z, y, x in np.argwhere(mask):
        weights = np.einsum("i,j,k->ijk", bases[0][:, z], bases[1][:, y], bases[2][:, x])
        numerator += weights**3 * (logs[z, y, x] - 6.5) / (weights**2).sum()
        denominator += weights**2
    wanted = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    for engine in _engines(logs, mask):
        engine.start_level(axes)
        engine.step(low, width, table)
        assert_allclose(engine.lattice(), wanted, rtol=2e-4, atol=2e-5)
        engine.close()


@pytest.mark.parametrize("shape", [(12, 25, 30), (1, 20, 24), (2, 9, 5)])
def test_fit_is_the_same_with_every_engine_and_any_number_of_threads(shape: tuple[int, int, int]) -> None:
    logs, mask = _logs(shape, 3)
    mask = mask if mask.any() else np.ones(shape, bool)
    logs = np.where(mask & (logs == 0), 6.9, logs).astype(np.float32)
    one, three, arrays = [fit_log_bias(e, shape, (4, 4, 5), (20, 10)) for e in _engines(logs, mask)]
    assert_array_equal(one[0], three[0])
    assert_allclose(arrays[0], one[0], atol=1e-4)
    assert one[0].shape == (5, 5, 7)
    assert [level.control_points for level in one[1]] == [(4, 4, 5), (5, 5, 7)]
    assert np.isfinite(one[0]).all()


def test_levels_stop_when_they_have_converged() -> None:
    logs, mask = _logs((12, 25, 30))
    seen: list[tuple[int, int]] = []
    _, levels = fit_log_bias(
        compiled_engine(logs, mask), mask.shape, (4, 4, 4), (50, 50), progress=lambda a, b: seen.append((a, b))
    )
    for level in levels:
        assert level.iterations < 50
        assert level.convergence <= 1e-3
    assert len(seen) == sum(level.iterations for level in levels)


def test_a_constant_image_has_no_bias() -> None:
    for engine in _engines(np.full((6, 8, 8), 5.0, np.float32), np.ones((6, 8, 8), bool)):
        lattice, levels = fit_log_bias(engine, (6, 8, 8), (4, 4, 4), (5,))
        assert not lattice.any()
        assert levels[0].iterations == 0
