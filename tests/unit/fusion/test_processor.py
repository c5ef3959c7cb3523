"""The corrections from Python: IsoviewProcessor, process_dataset, and IsoviewArray over what they wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.fusion import (
    IsoviewArray,
    IsoviewProcessor,
    ProcessingConfig,
    create_coordinate_masks,
    process_dataset,
)
from linumpy_lib.fusion.steps import join_masks
from linumpy_lib.fusion.view_files import write_volume
from linumpy_lib.io import open_volume
from linumpy_lib.simulation import simulate_multiview

STEM = "SPM00_TM00000{}_CM0{}_CHN0{}"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embryo number 1")
    simulate_multiview(output=folder, shape=(12, 20, 18), timepoints=2, cameras="0,1", channels=2, fill=0.1)
    return folder / "raw"


@pytest.fixture(scope="module")
def corrected(recording: Path) -> tuple[ProcessingConfig, list[Path]]:
    config = ProcessingConfig(input_dir=recording)
    return config, process_dataset(config, threads=1)


def test_a_whole_recording(recording: Path, corrected: tuple[ProcessingConfig, list[Path]]) -> None:
    config, stores = corrected
    out = recording.with_name("raw.corrected")
    assert config.output_dir == out
    expected = [
        out / f"TM00000{t}" / f"{STEM.format(t, camera, channel)}.ome.zarr"
        for t in range(2)
        for camera in range(2)
        for channel in range(2)
    ]
    assert stores == expected
    projections = sorted((recording.with_name("raw.projections") / "TM000001").iterdir())
    assert len(projections) == 12
    assert projections[0].name == "SPM00_TM000001_CM00_CHN00.xyProjection.tif"
    assert IsoviewProcessor(config).metadata["z_step"] == 0.40625
    with pytest.raises(InputError, match=r"no time point 7; there are \[0, 1\]"):
        IsoviewProcessor(config).process_timepoint(7)


def test_masks_of_channel_groups(
    recording: Path, tmp_path: Path, corrected: tuple[ProcessingConfig, list[Path]]
) -> None:
    own = [open_volume(path / "labels" / "segmentation").read() for path in corrected[1][:2]]
    common = {"input_dir": recording, "timepoints": [0], "cameras": [0]}
    config = ProcessingConfig(
        output_dir=tmp_path / "a", reference_channels=[[0]], dependent_channels=[[1]], projection_dir=tmp_path, **common
    )
    stores = process_dataset(config, threads=1)
    for store in stores:
        np.testing.assert_array_equal(open_volume(store / "labels" / "segmentation").read(), own[0])
    config = ProcessingConfig(output_dir=tmp_path / "b", reference_channels=[[0, 1]], projection_dir=tmp_path, **common)
    for store in process_dataset(config, threads=1):
        np.testing.assert_array_equal(open_volume(store / "labels" / "segmentation").read(), own[0] | own[1])
    assert not list(tmp_path.glob("*/TM*/single"))


def test_global_mask(recording: Path, tmp_path: Path, corrected: tuple[ProcessingConfig, list[Path]]) -> None:
    places = {"output_dir": tmp_path / "out", "projection_dir": tmp_path / "p", "global_mask_dir": tmp_path / "mask"}
    joined = np.any([open_volume(path / "labels" / "segmentation").read() for path in corrected[1]], axis=0)
    masks = process_dataset(ProcessingConfig(input_dir=recording, segment_mode=2, **places), threads=1)
    assert masks == [tmp_path / "mask" / "global_mask.ome.zarr"]
    np.testing.assert_array_equal(open_volume(masks[0]).read(), joined)
    config = ProcessingConfig(input_dir=recording, segment_mode=3, **places)
    stores = process_dataset(config, threads=1)
    np.testing.assert_array_equal(open_volume(stores[-1] / "labels" / "segmentation").read(), joined)
    with pytest.raises(InputError, match="make_global_mask"):
        IsoviewProcessor(
            ProcessingConfig(input_dir=recording, segment_mode=3, global_mask_dir=tmp_path / "none")
        ).process_timepoint(0)


def test_orthogonal_cameras_have_global_masks_of_their_own(tmp_path: Path) -> None:
    """Their views differ in shape, and in what a voxel is; turned by 90 degrees they still do."""
    simulate_multiview(output=tmp_path / "larva", shape=(12, 20, 18), timepoints=2, wiring="pairs", fill=0.1)
    config = ProcessingConfig(input_dir=tmp_path / "larva" / "raw", segment_mode=3, rotation=-1)
    stores = process_dataset(config, threads=1)
    assert sorted(path.name for path in config.global_mask_dir.iterdir() if path.suffix == ".zarr") == [
        f"global_{pair}_mask.ome.zarr" for pair in ("CM00_CM01", "CM02_CM03")
    ]
    shapes = {0: (12, 18, 20), 1: (12, 18, 20), 2: (20, 18, 12), 3: (20, 18, 12)}
    for store in stores:
        camera = int(store.name[17:19])
        mask = open_volume(
            config.global_mask_dir / f"global_CM0{camera // 2 * 2}_CM0{camera // 2 * 2 + 1}_mask.ome.zarr"
        )
        assert mask.shape == open_volume(store).shape == shapes[camera]
        np.testing.assert_array_equal(open_volume(store / "labels" / "segmentation").read(), mask.read())
    assert len(stores) == 8


def test_a_mask_of_everything_is_told(tmp_path: Path) -> None:
    """In a view of noise alone all is about as bright as the mean, which lies above the level."""
    rng = np.random.default_rng(0)
    for k in range(3):
        write_volume((rng.random((8, 20, 20)) < 0.99).astype(np.uint8), tmp_path / f"{k}.ome.zarr", (1, 1, 1))
    words = ["--masks", *(str(tmp_path / f"{k}.ome.zarr") for k in range(3)), "--output", str(tmp_path), "--quiet"]
    execute(join_masks.STEP, [*words, "--name", "global"])
    assert not (open_volume(tmp_path / "global_mask.ome.zarr").read() == 0).mean() > 0.001
    notes = json.loads((tmp_path / "global_join_masks_metrics.json").read_text())["notes"]
    assert "removes nothing" in notes[0]


def test_array_of_several_time_points(corrected: tuple[ProcessingConfig, list[Path]]) -> None:
    config, stores = corrected
    array = IsoviewArray(config.output_dir)
    assert array.shape == (2, 12, 4, 20, 18)
    assert array.dims == ("t", "z", "cm", "Y", "X")
    assert array.views == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert array.filenames == stores
    assert (array.dtype, array.ndim, array.size, len(array)) == (np.uint16, 5, 2 * 12 * 4 * 20 * 18, 2)
    whole = np.stack([np.stack([open_volume(stores[4 * t + v]).read() for v in range(4)], axis=1) for t in range(2)])
    np.testing.assert_array_equal(np.asarray(array), whole)
    for key in (
        0,
        (1, 3),
        (0, slice(2, 9, 3), 1),
        (..., 5),
        (slice(None), -1, [3, 0], slice(4, None), slice(None, None, -2)),
        (1, np.int64(2), np.array([True, False, True, False])),
        (0, slice(5, 5)),
        (1, [0, 4, 4, 2]),
    ):
        expected = whole[key]
        np.testing.assert_array_equal(array[key], expected)
    assert (array.min, array.max) == (whole.min(), whole.max())
    assert array.view_index(1, 0) == 2
    for key in ((0, 12), (0, 0, 0, 0, 0, 0), (..., ...), 0.5, (0, "z")):
        with pytest.raises(IndexError):
            array[key]
    with pytest.raises(InputError, match="camera 3"):
        array.view_index(3, 0)


def test_array_of_one_time_point(corrected: tuple[ProcessingConfig, list[Path]]) -> None:
    config, stores = corrected
    with IsoviewArray(config.output_dir / "TM000001") as array:
        assert array.shape == (12, 4, 20, 18)
        assert array.dims == ("z", "cm", "Y", "X")
        np.testing.assert_array_equal(array[4, 0], open_volume(stores[4]).read()[4])
        np.testing.assert_array_equal(array[:, 0], open_volume(stores[4]).read())
        mask = array.get_labels(timepoint=0, camera=0, label_type="segmentation")
        np.testing.assert_array_equal(mask, open_volume(stores[4] / "labels" / "segmentation").read())
        xz, xy = create_coordinate_masks(mask)
        np.testing.assert_array_equal(array.get_labels(0, 0, "xz_coords"), xz)
        np.testing.assert_array_equal(array.get_labels(0, 0, "xy_coords"), xy)
        assert array.get_labels(0, 0, "dead_pixels").shape == (20, 18)
        view = array[:, 3]
        for axis, name in enumerate(("xy", "xz", "yz")):
            np.testing.assert_array_equal(array.get_projection(0, 1, name, channel=1), view.max(axis))
        for call in (
            lambda: array.get_labels(1, 0),
            lambda: array.get_labels(0, 5),
            lambda: array.get_labels(0, 0, "cells"),
            lambda: array.get_projection(0, 0, "zz"),
        ):
            with pytest.raises(InputError):
                call()
        metadata = array.metadata
        assert metadata["views"] == array.views
        assert (metadata["dz"], metadata["dx"], metadata["num_planes"], metadata["nframes"]) == (
            0.40625,
            0.40625,
            12,
            1,
        )
        assert metadata["z_step"] == 0.40625
        assert array.camera_metadata[1]["min_intensity"]
        array.metadata = {**metadata, "note": "mine"}
        assert array.metadata["note"] == "mine"
        assert "views=[(0, 0)" in repr(array)


def test_array_of_a_raw_recording(recording: Path) -> None:
    array = IsoviewArray(recording)
    assert (array.structure, array.shape) == ("raw", (2, 12, 4, 20, 18))
    one = IsoviewArray(recording / "SPM00" / "TM00001")
    assert one.shape == (12, 4, 20, 18)
    np.testing.assert_array_equal(one[3, 2], array[1, 3, 2])
    assert one.metadata["dz"] == 0.40625
    with pytest.raises(InputError, match="only OME-Zarr stores"):
        one.get_labels(0, 0)


def test_views_of_different_size(tmp_path: Path) -> None:
    shapes = {0: (6, 8, 9), 1: (5, 8, 9), 2: (8, 6, 9)}
    for camera, shape in shapes.items():
        write_volume(np.full(shape, camera, np.uint16), tmp_path / f"{STEM.format(0, camera, 0)}.klb", (1, 1, 1))
    with pytest.raises(InputError, match=r"different size .*choose some with views"):
        IsoviewArray(tmp_path)
    array = IsoviewArray(tmp_path, views=[(1, 0), (0, 0)])
    assert array.shape == (5, 2, 8, 9)
    assert array[4, :, 0, 0].tolist() == [1, 0]
    assert array.metadata["planes"] == [5, 6]
    with pytest.raises(InputError, match="has no views"):
        IsoviewArray(tmp_path, views=[(7, 0)])
    with pytest.raises(InputError, match="is no folder"):
        IsoviewArray(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither corrected views"):
        IsoviewArray(tmp_path / "empty")
    write_volume(np.zeros((6, 8, 9), np.uint16), tmp_path / f"{STEM.format(1, 0, 0)}.klb", (1, 1, 1))
    array = IsoviewArray(tmp_path, views=[(0, 0), (1, 0)])
    assert array[1, 0, 0].shape == (8, 9)
    with pytest.raises(InputError, match="time point 1 has no view of camera 1"):
        array[1]


def test_read_without_reading_everything(corrected: tuple[ProcessingConfig, list[Path]]) -> None:
    """Only the views that an index touches are opened beyond the first time point's."""
    array = IsoviewArray(corrected[0].output_dir)
    opened = len(array._open)
    array[0, 0, 0]
    assert len(array._open) == opened == 4
    array[1, 0, 2]
    assert len(array._open) == 5


@pytest.mark.parametrize("name", ["view.ome.zarr", "view.klb", "view.tif"])
def test_files_come_back(tmp_path: Path, name: str) -> None:
    from linumpy_lib.errors import ParameterError
    from linumpy_lib.fusion import read_volume

    volume = np.random.default_rng(0).integers(0, 65536, (5, 9, 8)).astype(np.uint16)
    write_volume(volume, tmp_path / name, (2.0, 0.5, 0.5), metadata={"specimen": "x"})
    np.testing.assert_array_equal(read_volume(tmp_path / name), volume)
    assert open_volume(tmp_path / name).spacing_um == (2.0, 0.5, 0.5)
    with pytest.raises(ParameterError, match="choose"):
        write_volume(volume, tmp_path / name, (2.0, 0.5, 0.5), compression="zip")
    with pytest.raises(ParameterError, match="name it"):
        write_volume(volume, tmp_path / "view.png", (2.0, 0.5, 0.5))
    with pytest.raises(InputError, match="no such file"):
        read_volume(tmp_path / "none.stack")


def test_metadata_are_plain(corrected: tuple[ProcessingConfig, list[Path]]) -> None:
    json.dumps(IsoviewArray(corrected[0].output_dir).metadata)
