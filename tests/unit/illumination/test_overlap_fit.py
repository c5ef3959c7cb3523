"""The flat field fitted to overlaps: few tiles of few tissues suffice, because no tissue is averaged out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from linumpy_lib.illumination.cosines import evaluate
from linumpy_lib.illumination.overlap_fit import fit_overlaps
from linumpy_lib.illumination.shading import ShadingChoices, fit_shading, fit_shading_to_overlaps, usable
from linumpy_lib.illumination.tile_pool import TilePool

EDGE, STEP = 64, 51.2
OVERLAP = (1 - STEP / EDGE, 1 - STEP / EDGE)


def flat_field() -> np.ndarray:
    y, x = np.meshgrid(np.linspace(-1, 1, EDGE), np.linspace(-1, 1, EDGE), indexing="ij")
    flat = np.exp(-0.4 * ((x - 0.15) ** 2 + 0.8 * (y + 0.2) ** 2)) + 0.06 * np.sin(2.2 * x + 1) * y
    return flat / flat.mean()


def pool_of(rows: int, columns: int, *, seed: int = 0, jitter_px: float = 0.7, noise: float = 0.03) -> TilePool:
    """One piece of tissue, brighter in its middle than at its rim, seen by tiles that lie beside their places."""
    generator = np.random.default_rng(seed)
    shape = (int(rows * STEP + EDGE), int(columns * STEP + EDGE))
    u, v = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    coarse, fine = (gaussian_filter(generator.standard_normal(shape), sigma) for sigma in (20, 3))
    tissue = 400 * (1.4 - 0.7 * (u**2 + v**2)) * np.exp(0.25 * coarse / coarse.std() + 0.1 * fine / fine.std())
    places = [(row, column) for row in range(rows) for column in range(columns)]
    flat, images = flat_field(), []
    for row, column in places:
        dy, dx = generator.normal(0, jitter_px, 2)
        y, x = np.arange(EDGE) + 4 + row * STEP + dy, np.arange(EDGE) + 4 + column * STEP + dx
        seen = map_coordinates(tissue, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")
        images.append(seen * flat * (1 + noise * generator.standard_normal(seen.shape)))
    pictures = np.array(images, np.float32)[:, None]
    return TilePool(pictures, np.ones_like(pictures), tuple(places), np.zeros(1), 0, 0, 0)


def error(flat: np.ndarray) -> float:
    truth = flat_field()
    return float(np.sqrt(np.mean((flat / flat.mean() - truth) ** 2)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sixteen_tiles_tell_the_flat_field_within_two_percent(seed: int) -> None:
    pool = pool_of(4, 4, seed=seed)
    shading, reason = fit_shading_to_overlaps(pool, ShadingChoices(), OVERLAP)
    assert shading is not None, reason
    assert shading.converged
    found = error(shading.fields((EDGE, EDGE))[0][0])
    assert found <= 0.02
    averaged, reason = fit_shading(pool, ShadingChoices())
    assert averaged is not None, reason
    assert found < 0.5 * error(averaged.fields((EDGE, EDGE))[0][0])


def test_a_tile_that_shows_something_else_has_little_say() -> None:
    pool = pool_of(4, 4)
    pool.images[5] *= np.linspace(0.3, 2, EDGE, dtype=np.float32)
    fit, reason = fit_overlaps(pool, usable(pool), OVERLAP)
    assert fit is not None, reason
    assert error(evaluate(fit.flat, fit.grid, (EDGE, EDGE))) <= 0.03


def test_pixels_that_are_unknown_are_left_out() -> None:
    pool = pool_of(4, 4)
    pool.weights[:, :, 20:30, :8] = 0
    pool.images[:, :, 20:30, :8] = 1e9
    fit, reason = fit_overlaps(pool, usable(pool), OVERLAP)
    assert fit is not None, reason
    assert error(evaluate(fit.flat, fit.grid, (EDGE, EDGE))) <= 0.03


def beside_a_parabola(**choices: float) -> float:
    """Root mean square of what a polynomial of second degree leaves of ln F."""
    pool = pool_of(4, 4)
    fit, reason = fit_overlaps(pool, usable(pool), OVERLAP, **choices)  # type: ignore[arg-type]
    assert fit is not None, reason
    flat = np.log(evaluate(fit.flat, fit.grid, (EDGE, EDGE))).ravel()
    y, x = (one.ravel() for one in np.meshgrid(np.linspace(-1, 1, EDGE), np.linspace(-1, 1, EDGE), indexing="ij"))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    return float(np.std(flat - terms @ np.linalg.lstsq(terms, flat)[0]))


def test_smoothness_holds_down_all_but_a_parabola() -> None:
    plain = beside_a_parabola()
    assert beside_a_parabola(smoothness=5) < 0.1 * plain
    assert beside_a_parabola(smoothness=0) > 1.2 * plain


def test_iterations_end_where_they_should() -> None:
    pool = pool_of(4, 4)
    fit, _ = fit_overlaps(pool, usable(pool), OVERLAP, max_iterations=1)
    assert fit is not None
    assert (fit.iterations, fit.converged) == (1, False)


@pytest.mark.parametrize(
    ("rows", "columns", "overlap", "words"),
    [
        (4, 4, None, "unknown"),
        (1, 4, OVERLAP, "3 tiles overlap"),
        (4, 4, (0.0, 0.0), "0 tiles overlap"),
        (4, 4, (1.0, 1.0), "0 tiles overlap"),
    ],
)
def test_too_few_overlaps_are_told(rows: int, columns: int, overlap: tuple[float, float] | None, words: str) -> None:
    fit, reason = fit_overlaps(pool_of(rows, columns), np.ones((rows * columns, 1), bool), overlap)
    assert fit is None
    assert words in reason
