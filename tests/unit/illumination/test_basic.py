"""The fit of flat and dark fields: known fields found again, whatever is wrong with some tiles, on any device."""

from __future__ import annotations

import numpy as np
import pytest

from linumpy_lib.illumination.basic import BasicFit, fit_basic
from linumpy_lib.illumination.cosines import cosine_basis, evaluate
from linumpy_lib.simulation.shaded_tiles import ShadedTiles, shaded_tiles


def reduced(tiles: ShadedTiles, edge: int = 64) -> np.ndarray:
    n = tiles.images.shape[1] // edge
    return tiles.images.reshape(-1, edge, n, edge, n).mean(axis=(2, 4))


def error(fit: BasicFit, tiles: ShadedTiles) -> float:
    flat = evaluate(fit.flat, fit.grid, tiles.flat_field.shape)
    return float(np.sqrt(np.mean((flat - tiles.flat_field) ** 2)))


@pytest.mark.parametrize(("content", "limit"), [("cells", 0.015), ("tissue", 0.02)])
def test_flat_field_within_two_percent_with_dark_field(content: str, limit: float) -> None:
    tiles = shaded_tiles(200, content=content)  # type: ignore[arg-type]
    images = reduced(tiles)
    darkest = np.percentile(images, 10, axis=0).astype(np.float32)
    fit = fit_basic(images, darkfield=True, darkest=darkest)
    assert fit.converged
    assert error(fit, tiles) < limit
    # a dark field is told from the flat field by its shape alone: D + cF with b - c explains the images as well
    assert error(fit, tiles) < error(fit_basic(images), tiles)
    dark = evaluate(fit.dark, fit.grid, (256, 256))
    assert abs(dark.mean() - tiles.dark_field.mean()) < 0.7 * tiles.dark_field.mean()
    assert (dark >= -3).all()


@pytest.mark.parametrize(("content", "limit"), [("cells", 0.01), ("tissue", 0.018)])
def test_flat_field_within_two_percent_without(content: str, limit: float) -> None:
    tiles = shaded_tiles(200, (128, 128), content=content, dark=0)  # type: ignore[arg-type]
    fit = fit_basic(reduced(tiles))
    assert fit.converged
    assert error(fit, tiles) < limit


def test_few_tiles_are_smoothed_more_than_they_are_believed() -> None:
    tiles = shaded_tiles(12, (64, 64), content="tissue", dark=0)
    assert error(fit_basic(tiles.images), tiles) < error(fit_basic(tiles.images, smoothness=0), tiles)


def test_unknown_pixels_and_absurd_tiles_do_not_matter() -> None:
    tiles = shaded_tiles(80, (64, 64), dark=0)
    images, weights = tiles.images.copy(), np.ones(tiles.images.shape, np.float32)
    images[:8], weights[:8] = 0, 0
    images[10, :30], weights[10, :30] = 1e6, 0
    images[20:24, 20:40, 20:40] *= 30
    fit = fit_basic(images, weights=weights)
    assert np.isfinite(fit.flat).all()
    assert error(fit, tiles) < error(fit_basic(tiles.images), tiles) + 0.005


def test_the_device_agrees() -> None:
    pytest.importorskip("torch", reason="the torch extra is not installed")
    from linumpy_lib.device import Device

    tiles = shaded_tiles(60, (64, 64))
    for dark in (False, True):
        here = fit_basic(tiles.images, darkfield=dark)
        there = fit_basic(tiles.images, darkfield=dark, device=Device.torch())
        fields = [evaluate(f.flat, f.grid, (64, 64)) for f in (here, there)]
        assert np.abs(fields[0] - fields[1]).max() < 1e-3


def test_cosines_are_orthonormal_and_reach_other_grids() -> None:
    basis = cosine_basis(32, 12)
    np.testing.assert_allclose(basis @ basis.T, np.eye(12), atol=1e-12)
    coefficients = cosine_basis(32, 3) @ np.ones((32, 32)) @ cosine_basis(32, 3).T
    np.testing.assert_allclose(evaluate(coefficients, (32, 32), (50, 7)), 1, atol=1e-12)


def test_nothing_to_fit() -> None:
    with pytest.raises(ValueError, match="no images"):
        fit_basic(np.zeros((0, 8, 8), np.float32))
