"""The anisotropy report and its pictures of directions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from linumpy_lib.anisotropy.counting import ORIENTATION_GRID, orientation_cell
from linumpy_lib.anisotropy.orientation_plot import hemisphere_density, in_plane_rose, orientation_figure
from linumpy_lib.anisotropy.report import anisotropy_report, methods_text
from linumpy_lib.anisotropy.statistics import AnisotropyStatistics
from linumpy_lib.anisotropy.summary import cell_directions

PARAMETERS = {
    "anisotropy_sigma": [1.0],
    "anisotropy_rho": [2.0, 3.0, 3.0],
    "anisotropy_units": "um",
    "anisotropy_gradient": "gaussian",
    "anisotropy_normalization": "lambda1",
    "anisotropy_mask_threshold": 0.0196,
}


def statistics(nonfinite: int = 0) -> dict[str, object]:
    rng = np.random.default_rng(0)
    measures = rng.random((6, 4, 20, 20)).astype(np.float16)
    vectors = np.zeros((3, 4, 20, 20), np.float16)
    vectors[0] = 1
    counted = AnisotropyStatistics()
    counted.add(measures, vectors, vectors, np.ones((4, 20, 20), np.uint8), nonfinite_input=nonfinite)
    return json.loads(json.dumps(counted.to_json(spacing_um=(2.0, 1.0, 1.0))))


def test_the_page_tells_what_was_found_and_how() -> None:
    page = anisotropy_report(
        statistics(3),
        name="<b>x</b>",
        provenance={"software": "s", "version": "1", "parameters": PARAMETERS},
        notes=["n&n"],
    )
    for text in (
        "Anisotropy of &lt;b&gt;x",
        "look at this",
        "n&amp;n",
        "1 parallel",
        "pancake",
        "Westin et al. 2002",
    ):
        assert text in page
    assert "<b>x" not in page
    assert "2, 3, 3 µm (z, y, x)" in page
    assert page == anisotropy_report(
        statistics(3),
        name="<b>x</b>",
        provenance={"software": "s", "version": "1", "parameters": PARAMETERS},
        notes=["n&n"],
    )


def test_empty_statistics_make_a_page_too() -> None:
    page = anisotropy_report(AnisotropyStatistics().to_json(), name="nothing")
    assert "out of range" in page
    assert "no record of the parameters" in page


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("anisotropy_sigma", [1.7], "1.7 µm"),
        ("anisotropy_rho", [4.0], "4 µm"),
        ("anisotropy_units", "voxel", "1 voxel"),
        ("anisotropy_gradient", "sobel", "Sobel"),
        ("anisotropy_normalization", "trace", "1997"),
        ("anisotropy_normalization", "seed", "do not add up"),
        ("anisotropy_mask_threshold", 0.25, "0.25 of the value range"),
    ],
)
def test_the_methods_text_follows_the_parameters(key: str, value: object, text: str) -> None:
    assert text not in methods_text(PARAMETERS, (1.0, 1.0, 1.0))
    assert text in methods_text({**PARAMETERS, key: value}, (1.0, 1.0, 1.0))


def test_evenly_spread_directions_have_density_one() -> None:
    _, angles = cell_directions()
    disc = hemisphere_density(angles * 1e6)
    np.testing.assert_allclose(disc[np.isfinite(disc)], 1.0)
    rose = in_plane_rose(angles * 1e6)
    np.testing.assert_allclose(rose / rose.mean(), 1.0, atol=0.06)


@pytest.mark.parametrize(
    ("zyx", "row", "column"),
    [((1, 0, 0), 50, 50), ((0.02, 0.99, 0.05), 99, 52), ((0.05, -0.02, 0.99), 49, 97), ((0.7071, 0, 0.7071), 50, 77)],
)
def test_a_direction_is_drawn_where_it_points(zyx: tuple[float, float, float], row: int, column: int) -> None:
    cells = np.zeros((ORIENTATION_GRID, ORIENTATION_GRID), np.int64)
    cells[orientation_cell(*zyx)] = 1
    disc = hemisphere_density(cells, side=101)
    found = np.unravel_index(np.nanargmax(disc), disc.shape)
    assert abs(found[0] - row) <= 4
    assert abs(found[1] - column) <= 4


def test_the_rose_points_along_the_fibres() -> None:
    cells = np.zeros((ORIENTATION_GRID, ORIENTATION_GRID), np.int64)
    angle = np.radians(62.5)
    cells[orientation_cell(0.03, np.sin(angle), np.cos(angle))] = 100
    assert abs(in_plane_rose(cells).argmax() * 5 + 2.5 - 62.5) <= 5
    cells[:] = 0
    cells[orientation_cell(1.0, 0.0, 0.0)] = 100
    assert in_plane_rose(cells).sum() < 1.0


def test_the_figure_is_a_png_with_or_without_directions() -> None:
    for counted in (statistics(), AnisotropyStatistics().to_json()):
        orientation = counted["orientation"]
        picture = orientation_figure(orientation["distribution"], orientation, dpi=40)  # type: ignore[index]
        assert picture.startswith(b"\x89PNG")
