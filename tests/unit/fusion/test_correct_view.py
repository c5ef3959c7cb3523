"""The step correct_view: equal to its parts whatever the slabs, every parameter alive, stores valid, all mask modes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.fusion import view_correction
from linumpy_lib.fusion.dead_pixels import correct_dead_pixels
from linumpy_lib.fusion.discovery import discover
from linumpy_lib.fusion.parameters.selection import SelectionParameters
from linumpy_lib.fusion.percentiles import estimate_background
from linumpy_lib.fusion.raw_stack import open_stack
from linumpy_lib.fusion.raw_view import dark_level
from linumpy_lib.fusion.segmentation import create_coordinate_masks, segment_foreground
from linumpy_lib.fusion.steps.correct_view import STEP
from linumpy_lib.fusion.steps.join_masks import STEP as JOIN
from linumpy_lib.fusion.view_files import read_volume
from linumpy_lib.fusion.view_store import open_mask, read_plane
from linumpy_lib.io import open_volume
from linumpy_lib.simulation import simulate_multiview

STEM = "SPM00_TM000000_CM01_CHN00"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two time points and cameras in a folder with a blank in its name."""
    folder = tmp_path_factory.mktemp("recordings") / "mosquito larva"
    simulate_multiview(output=folder, shape=(20, 72, 56), timepoints=2, cameras="0,1", channels=1)
    raw = folder / "raw"
    for view in discover(raw, SelectionParameters()):
        (folder / f"{view.stem}.json").write_text(json.dumps(view.as_json(raw)))
    return folder


def words(recording: Path, output: Path, stem: str = STEM, **options: Any) -> list[str]:
    given = ["--view", str(recording / f"{stem}.json"), "--recording", str(recording / "raw"), "--output", str(output)]
    for name, value in options.items():
        given += [f"--{name}", *([str(v) for v in value] if isinstance(value, list) else [str(value)])]
    return [*given, "--quiet", "--processes", "2"]


def raw(recording: Path, stem: str = STEM) -> tuple[np.ndarray, float]:
    view = next(v for v in discover(recording / "raw", SelectionParameters()) if v.stem == stem)
    assert view.background is not None
    return np.asarray(open_stack(view.stack, view.width, view.height)), dark_level(view.background)


def test_the_step_is_its_parts(recording: Path, tmp_path: Path) -> None:
    execute(STEP, words(recording, tmp_path))
    store = tmp_path / f"{STEM}.ome.zarr"
    volume, dark = raw(recording)
    clean = correct_dead_pixels(volume, dark)
    mask = segment_foreground(clean)
    written = open_volume(store)
    np.testing.assert_array_equal(written.read(), clean * mask)
    assert written.spacing_um == (0.40625, 0.40625, 0.40625)
    np.testing.assert_array_equal(open_mask(store).read(), mask)
    xz, xy = create_coordinate_masks(mask)
    np.testing.assert_array_equal(read_plane(store, "labels", "xz_coords"), xz)
    np.testing.assert_array_equal(read_plane(store, "labels", "xy_coords"), xy)
    for axis, name in enumerate(("xy", "xz", "yz")):
        np.testing.assert_array_equal(read_plane(store, "projections", name), (clean * mask).max(axis))
    dead = read_plane(store, "labels", "dead_pixels") == 1
    assert dead.any()
    assert not (clean != volume).any(0)[~dead].any()
    view = written.provenance["view"]
    assert view["min_intensity"][1] == estimate_background(clean)
    assert view["background_value"] == dark
    assert (view["camera"], view["timepoint"]) == (1, 0)
    labels = json.loads((store / "labels" / "zarr.json").read_text())["attributes"]["ome"]["labels"]
    assert labels == ["segmentation", "xy_coords", "xz_coords", "dead_pixels"]
    assert (tmp_path / f"{STEM}_correct_view_preview.png").stat().st_size > 1000
    with pytest.raises(InputError, match="has no labels/cells; there are dead_pixels"):
        read_plane(store, "labels", "cells")


@pytest.mark.parametrize(("slab", "keep", "splitting"), [(1, 0, 1), (1 << 27, 0, 3), (1 << 14, 1 << 28, 10)])
def test_slabs_threads_and_memory_do_not_change_a_byte(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slab: int, keep: int, splitting: int
) -> None:
    execute(STEP, words(recording, tmp_path / "a"))
    monkeypatch.setattr(view_correction, "SLAB_BYTES", slab)
    monkeypatch.setattr(view_correction, "KEEP_BYTES", keep)
    execute(STEP, [*words(recording, tmp_path / "b", splitting=splitting), "--processes", "1"])
    stores = [tmp_path / k / f"{STEM}.ome.zarr" for k in "ab"]
    files = [sorted(p.relative_to(s) for p in s.rglob("*") if p.is_file() and p.name != "zarr.json") for s in stores]
    assert files[0] == files[1]
    for name in files[0]:
        assert (stores[0] / name).read_bytes() == (stores[1] / name).read_bytes(), name


def test_crop_turn_and_mirror(recording: Path, tmp_path: Path) -> None:
    volume, _ = raw(recording)
    options = {"crop_left": "0,3", "crop_width": 50, "crop_top": 2, "crop_front": 1, "crop_depth": 12}
    off = {"median_kernel": 0, "segment_mode": 0}
    execute(STEP, words(recording, tmp_path, rotation=1, flip_horizontal=True, **options, **off))
    written = open_volume(tmp_path / f"{STEM}.ome.zarr").read()
    expected = np.rot90(volume[1:13, 2:, 3:53], -1, (1, 2))[:, :, ::-1]
    np.testing.assert_array_equal(written, expected)
    # the first camera of a pair is not mirrored
    first = STEM.replace("CM01", "CM00")
    execute(STEP, words(recording, tmp_path, first, flip_horizontal=True, flip_vertical=True, **off))
    np.testing.assert_array_equal(open_volume(tmp_path / f"{first}.ome.zarr").read(), raw(recording, first)[0])


def _digest(folder: Path) -> tuple[Any, ...]:
    view = open_volume(folder / f"{STEM}.ome.zarr")
    document = view.provenance["view"]
    array = json.loads((folder / f"{STEM}.ome.zarr" / "0" / "zarr.json").read_text())
    extra = sorted(p.name for p in folder.iterdir() if p.suffix in (".klb", ".tif"))
    masked = (folder / f"{STEM}.ome.zarr" / "labels" / "segmentation").is_dir()
    return view.read().tobytes(), view.spacing_um, str(document["min_intensity"]), str(array), masked, *extra


CHANGES = {
    "crop_left": 1,
    "crop_top": 1,
    "crop_width": 40,
    "crop_height": 40,
    "crop_front": 1,
    "crop_depth": 9,
    "rotation": -1,
    "flip_horizontal": True,
    "flip_vertical": True,
    "median_kernel": "5,5",
    "background_percentile": 50,
    "mask_percentile": 60,
    "subsample_factor": 7,
    "segment_mode": 0,
    "gauss_kernel": 1,
    "gauss_sigma": 0.5,
    "segment_threshold": 0.9,
    "pixel_spacing_z": 2.0,
    "detection_objective_mag": 8,
    "pixel_spacing_camera": 5.0,
    "output_format": "klb",
    "zarr_compression": "blosc-lz4",
    "zarr_chunks": 32,
    "zarr_shards": 64,
}


def test_every_parameter_changes_the_result(recording: Path, tmp_path: Path) -> None:
    """`splitting` alone does not: it bounds the memory."""
    assert set(CHANGES) | {"splitting"} == set(STEP.parameters.model_fields)
    execute(STEP, words(recording, tmp_path / "base"))
    base = _digest(tmp_path / "base")
    for name, value in CHANGES.items():
        execute(STEP, words(recording, tmp_path / name, **{name: value}))
        assert _digest(tmp_path / name) != base, name


def test_global_mask(recording: Path, tmp_path: Path) -> None:
    stems = [f"SPM00_TM00000{t}_CM0{c}_CHN00" for t in range(2) for c in range(2)]
    for stem in stems:
        execute(STEP, words(recording, tmp_path, stem, segment_mode=3 if stem.endswith("CM00_CHN00") else 2))
        assert not (tmp_path / f"{stem}.ome.zarr").exists()
    masks = [tmp_path / f"{stem}_mask.ome.zarr" for stem in stems]
    joined = np.any([open_volume(path).read() for path in masks], axis=0)
    execute(JOIN, ["--masks", *map(str, masks), "--output", str(tmp_path), "--name", "global", "--quiet"])
    store = tmp_path / "global_mask.ome.zarr"
    np.testing.assert_array_equal(open_volume(store).read(), joined)
    np.testing.assert_array_equal(read_plane(store, "labels", "xy_coords"), create_coordinate_masks(joined)[1])
    execute(STEP, words(recording, tmp_path / "b", segment_mode=3, mask=[store]))
    volume, dark = raw(recording)
    written = open_volume(tmp_path / "b" / f"{STEM}.ome.zarr")
    np.testing.assert_array_equal(written.read(), correct_dead_pixels(volume, dark) * joined)
    # several masks, given singly, are joined too, as a channel that depends on others needs it
    execute(STEP, words(recording, tmp_path / "c", mask=masks))
    np.testing.assert_array_equal(open_volume(tmp_path / "c" / f"{STEM}.ome.zarr").read(), written.read())
    with pytest.raises(InputError, match="segment_mode 1 or 3"):
        execute(STEP, words(recording, tmp_path / "d", segment_mode=2, mask=[store]))
    with pytest.raises(InputError, match="cropped and turned alike"):
        execute(STEP, words(recording, tmp_path / "d", segment_mode=3, crop_depth=9, mask=[store]))


def test_copies_in_other_formats(recording: Path, tmp_path: Path) -> None:
    for kind, name in (("klb", f"{STEM}.klb"), ("tiff", f"{STEM}.ome.tif")):
        execute(STEP, words(recording, tmp_path, output_format=kind))
        copy = open_volume(tmp_path / name)
        np.testing.assert_array_equal(copy.read(), open_volume(tmp_path / f"{STEM}.ome.zarr").read())
        assert copy.spacing_um == (0.40625, 0.40625, 0.40625)


def test_bad_recordings(recording: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(recording, tmp_path / "copy of it"))
    (other / "raw" / "SPM00" / "Background_1.tif").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"Background_1\.tif: not a readable TIFF .*; or take the file away"):
        execute(STEP, words(other, tmp_path / "out"))
    view = json.loads((other / f"{STEM}.json").read_text())
    view["background"] = None
    view["xml_depth"] = 99
    (other / f"{STEM}.json").write_text(json.dumps(view))
    execute(STEP, words(other, tmp_path / "out"))
    metrics = json.loads((tmp_path / "out" / f"{STEM}_correct_view_metrics.json").read_text())
    assert any("holds 20 planes, its XML tells 99" in note for note in metrics["notes"])
    assert any("no dark frame" in note for note in metrics["notes"])
    stack = other / "raw" / view["stack"]
    stack.write_bytes(stack.read_bytes()[:-100])
    with pytest.raises(InputError, match="truncated"):
        execute(STEP, words(other, tmp_path / "out"))
    shutil.copy(recording / "raw" / view["stack"], stack)
    for change, message in (
        ({"stack": "../../etc/passwd"}, "no path inside the recording"),
        ({"camera": "x"}, "camera is 'x'"),
        ({"metadata": 3}, "no table"),
        ({"metadata": {}}, r"pixel_spacing_z\) and the magnification"),
    ):
        (other / f"{STEM}.json").write_text(json.dumps(view | change))
        with pytest.raises(InputError, match=message):
            execute(STEP, words(other, tmp_path / "out"))
    (other / f"{STEM}.json").write_text("[1]")
    with pytest.raises(InputError, match="holds no JSON object"):
        execute(STEP, words(other, tmp_path / "out"))


def test_stub(recording: Path, tmp_path: Path) -> None:
    execute(STEP, [*words(recording, tmp_path), "--stub"])
    assert open_volume(tmp_path / f"{STEM}.ome.zarr").shape == (16, 16, 16)


def test_read_volume_of_a_stack(recording: Path) -> None:
    volume, _ = raw(recording)
    view = json.loads((recording / f"{STEM}.json").read_text())
    path = recording / "raw" / view["stack"]
    np.testing.assert_array_equal(read_volume(path), volume)
    np.testing.assert_array_equal(read_volume(path, (view["width"], view["height"])), volume)


def test_an_empty_mask_is_marked(recording: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(recording, tmp_path / "dark"))
    stack = other / "raw" / json.loads((other / f"{STEM}.json").read_text())["stack"]
    np.full(stack.stat().st_size // 2, 100, "<u2").tofile(stack)
    execute(STEP, words(other, tmp_path / "out"))
    metrics = json.loads((tmp_path / "out" / f"{STEM}_correct_view_metrics.json").read_text())
    assert metrics["metrics"]["foreground_share"]["status"] == "error"
    assert any("the mask is empty" in note for note in metrics["notes"])
    assert not open_mask(tmp_path / "out" / f"{STEM}.ome.zarr").read().any()
