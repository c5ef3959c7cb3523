"""The viewer: layers described without napari, and a real viewer where it is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.io import write_volume
from linumpy_lib.quality import viewer
from linumpy_lib.quality.anisotropy_layers import anisotropy_layers, find_results

SHAPE = (24, 40, 48)
SPACING = (3.0, 1.0, 0.5)
CHANNELS = ("fa", "cl", "cp", "cs", "cp_norm", "lambda2_ratio")
FIBRE = np.array([1.0, 2.0, -2.0]) / 3.0


def write_results(folder: Path, name: str = "scan", shape: tuple[int, int, int] = SHAPE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    measures = np.zeros((6, *shape), np.float16)
    measures[:] = np.linspace(0.1, 0.6, 6)[:, None, None, None]
    measures[2, :, :, : shape[2] // 2] = 0.9
    vectors = np.broadcast_to(FIBRE.astype(np.float16)[:, None, None, None], (3, *shape))
    mask = np.ones(shape, np.uint8)
    mask[: shape[0] // 2] = 0
    zyx: dict[str, Any] = {"spacing_um": SPACING, "levels": 2}
    czyx: dict[str, Any] = zyx | {"axes": "czyx"}
    write_volume(folder / f"{name}_measures.ome.zarr", measures, channel_names=CHANNELS, **czyx)
    write_volume(folder / f"{name}_principal_dir.ome.zarr", np.ascontiguousarray(vectors), channel_names="zyx", **czyx)
    write_volume(folder / f"{name}_fibre_dir.ome.zarr", np.ascontiguousarray(vectors), channel_names="zyx", **czyx)
    write_volume(folder / f"{name}_mask.ome.zarr", mask, kind="labels", **zyx)
    return folder


def write_original(folder: Path, name: str = "scan", shape: tuple[int, int, int] = SHAPE) -> Path:
    path = folder / f"{name}.ome.zarr"
    write_volume(path, np.random.default_rng(0).integers(0, 200, shape, np.uint8), spacing_um=SPACING, levels=2)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("output")
    write_original(top)
    return write_results(top / "anisotropy")


@pytest.mark.parametrize(
    "place", [".", "..", "scan_measures.ome.zarr", "scan_fibre_dir.ome.zarr", "scan_mask.ome.zarr"]
)
def test_results_are_found_from_any_of_their_places(folder: Path, place: str) -> None:
    found = find_results((folder / place).resolve())
    assert found.name == "scan"
    assert found.measures.channel_names == CHANNELS
    assert found.original is not None


def test_missing_and_ambiguous_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        find_results(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"measures\.ome\.zarr"):
        find_results(tmp_path)
    write_results(tmp_path, "one", (4, 8, 8))
    write_results(tmp_path, "two", (4, 8, 8))
    with pytest.raises(ParameterError, match="one, two"):
        find_results(tmp_path)
    assert find_results(tmp_path, name="two").name == "two"
    with pytest.raises(InputError, match="three"):
        find_results(tmp_path, name="three")
    other = write_original(tmp_path, "other", (5, 8, 8))
    with pytest.raises(InputError, match="other"):
        find_results(tmp_path, name="one", original=other)
    write_original(tmp_path, "one", (5, 8, 8))
    assert find_results(tmp_path, name="one").original is None  # found by name, yet another volume


def test_layers_have_the_colours_and_the_scale_of_the_contract(folder: Path) -> None:
    layers = anisotropy_layers(find_results(folder))
    names = [str(layer.options["name"]).split(" ")[0] for layer in layers]
    assert names == ["Original", "Fractional", "Linear", "Planar", "Spherical", "Principal", "Fibre"]
    images = [layer for layer in layers if layer.kind == "image"]
    assert [i.options["colormap"] for i in images] == ["gray", "inferno", "magma", "cividis", "viridis"]
    for image in images:
        assert image.data[0].shape == SHAPE
        assert image.options["multiscale"]
        assert len(image.data) == 2
    assert all(layer.options["scale"] == SPACING for layer in layers)
    assert [layer.options["visible"] for layer in layers if layer.kind == "vectors"] == [False, True]


def test_images_are_not_read_until_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from linumpy_lib.io.lazy import LazyArray

    shapes: list[tuple[int, ...]] = []
    read = LazyArray.__getitem__

    def watched(self: LazyArray, key: Any) -> Any:
        part = read(self, key)
        shapes.append(part.shape)
        return part

    monkeypatch.setattr(LazyArray, "__getitem__", watched)
    anisotropy_layers(find_results(folder))
    assert max(int(np.prod(s)) for s in shapes) < np.prod(SHAPE) / 2


@pytest.mark.parametrize("every_px", [1, 4, 8])
def test_vectors_point_in_physical_space_and_lie_in_the_mask(folder: Path, every_px: int) -> None:
    layer = anisotropy_layers(find_results(folder), every_px=every_px, threshold=0.5)[-1]
    start, extent = layer.data[:, 0], layer.data[:, 1]
    assert len(start) > 10
    physical = extent * SPACING
    np.testing.assert_allclose(
        physical / np.linalg.norm(physical, axis=1, keepdims=True), np.broadcast_to(FIBRE, physical.shape), atol=2e-3
    )
    length = np.linalg.norm(physical, axis=1)
    np.testing.assert_allclose(length, 0.9 * every_px * min(SPACING), rtol=0.5)
    assert start[:, 0].min() >= SHAPE[0] // 2 - 1
    assert start[:, 2].max() <= SHAPE[2] // 2
    gaps = np.diff(np.unique(start[:, 2]))
    assert gaps.size == 0 or gaps.min() >= every_px * 0.99


def test_the_number_of_vectors_is_bounded(folder: Path) -> None:
    results = find_results(folder)
    layers = anisotropy_layers(results, every_px=1, threshold=0.0, most=200)
    assert 0 < len(layers[-1].data) <= 200
    none = anisotropy_layers(results, threshold=1.0)[-1].data
    assert none.shape == (0, 2, 3)


@pytest.mark.parametrize("wrong", [{"every_px": 0}, {"threshold": 1.5}, {"threshold": -0.1}])
def test_bad_numbers_are_named(folder: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong)).removesuffix("_px")):
        anisotropy_layers(find_results(folder), **wrong)


def test_the_command_says_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="1"):
        viewer.main([str(folder)])
    assert capsys.readouterr().err == "error: napari is not installed; add it with: make setup EXTRAS=viewer\n"
    with pytest.raises(SystemExit, match="1"):
        viewer.main([str(folder / "absent")])
    assert "absent: no such file or folder" in capsys.readouterr().err


def test_help_needs_no_napari() -> None:
    code = "import sys; sys.modules['napari'] = None\nfrom linumpy_lib.quality.viewer import main\nmain(['--help'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--threshold" in shown.stdout


# napari and the packages below it warn of their own affairs
@pytest.mark.filterwarnings("ignore")
def test_napari_takes_the_layers(folder: Path) -> None:
    components = pytest.importorskip("napari.components", reason="the viewer extra (napari) is not installed")
    model = components.ViewerModel()
    viewer.add_layers(model, find_results(folder), every_px=4)
    assert [layer.name.split(" ")[0] for layer in model.layers][::6] == ["Original", "Fibre"]
    for layer in model.layers:
        np.testing.assert_allclose(layer.scale, SPACING)
    fibres = model.layers["Fibre direction"]
    for plane in range(14, SHAPE[0] - 2):
        model.dims.set_point(0, plane * SPACING[0])
        assert len(fibres._view_indices) > 0
    model.dims.set_point(0, 2 * SPACING[0])
    assert len(fibres._view_indices) == 0  # outside the mask
    planar = model.layers["Planar (CP): fibres"]
    planar.visible = True
    model.dims.set_point(0, 18 * SPACING[0])
    level_and_value = planar.get_value((54.0, 10.0, 5.0), world=True)
    assert level_and_value[1] == pytest.approx(0.9, abs=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_a_window_opens(folder: Path) -> None:
    pytest.importorskip("napari", reason="the viewer extra (napari) is not installed")
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        pytest.skip("no display for a window with OpenGL; xvfb-run gives one")
    window = viewer.view_anisotropy(find_results(folder), every_px=4)
    try:
        picture = window.screenshot(canvas_only=True)
        assert picture[..., :3].std() > 5.0
    finally:
        window.close()
