"""Every name that users of the peer know is there, with documentation; and a recording goes all the way from Python."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest

import linumpy_lib.fusion as fusion
from linumpy_lib.errors import InputError
from linumpy_lib.fusion.config import ProcessingConfig
from linumpy_lib.fusion.fusion_run import plan_pairs
from linumpy_lib.io import open_volume
from linumpy_lib.simulation import simulate_multiview

MODULE_OVERVIEW = (
    *("IsoviewProcessor", "process_dataset", "ProcessingConfig", "read_volume", "write_volume", "read_xml_metadata"),
    *("IsoviewArray", "correct_dead_pixels", "estimate_background", "segment_foreground", "fuse_masks"),
    *("create_coordinate_masks", "rotate_volume", "flip_volume", "crop_volume", "estimate_registration"),
    *("apply_registration", "fuse", "blend_views", "smooth_parameters_rloess", "apply_temporal_averaging"),
    *("create_lookup_table", "combine_masks", "pad_mask_to_center", "apply_bwareaopen", "apply_median_filter"),
    *("apply_gauss_filter", "plot_projections", "plot_registration_result", "plot_fusion_result"),
    "plot_volume_overview",
)


@pytest.mark.parametrize("name", [*MODULE_OVERVIEW, "interpolate_missing_timepoints", "benchmark_compression"])
def test_name_is_public(name: str) -> None:
    thing = getattr(fusion, name)
    assert name in fusion.__all__
    assert name in dir(fusion)
    assert inspect.getdoc(thing)
    assert inspect.isclass(thing) or not set(inspect.signature(thing).parameters) & {"args", "kwargs"}


def test_submodules_are_public() -> None:
    for name in ("temporal", "viz"):
        assert importlib.import_module(f"linumpy_lib.fusion.{name}").__doc__
        assert getattr(fusion, name).__name__.endswith(name)
    with pytest.raises(AttributeError, match="no attribute 'deconvolve'"):
        fusion.deconvolve  # noqa: B018


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ProcessingConfig:
    folder = tmp_path_factory.mktemp("whole embryo")
    simulate_multiview(output=folder, shape=(40, 96, 80), timepoints=2, cameras="0,1", channels=1, fill=0.1)
    config = ProcessingConfig(input_dir=folder / "raw", segment_mode=0, fusion_blending_range=(4, 4))
    fusion.process_dataset(config, threads=1)
    return config


def test_a_recording_from_python(config: ProcessingConfig) -> None:
    stores = fusion.fuse(config, threads=1)
    names = [f"SPM00_TM00000{t}_CM00_CM01_CHN00.ome.zarr" for t in range(2)]
    assert [path.name for path in stores] == names
    assert stores[0].parent == config.output_dir / "fused"
    assert open_volume(stores[0]).shape == (40, 96, 80)
    assert (config.output_dir / "parameters.csv").is_file()
    pictures = sorted(path.name for path in (config.diagnostics_dir / "TM000001" / "cam0_1").iterdir())
    assert pictures == [
        "blending_weights.png",
        "fused_overview.png",
        "fusion_result.png",
        "intensity_correction.png",
        "quality_over_depth.png",
        "registration.png",
    ]
    first = open_volume(stores[0]).read()
    before = (stores[0] / "zarr.json").stat().st_mtime_ns
    average = config.model_copy(update={"fusion_type": "average"})
    assert fusion.fuse(average, estimate_params=False, threads=1) == stores
    assert (stores[0] / "zarr.json").stat().st_mtime_ns == before
    fusion.fuse(average, estimate_params=False, overwrite=True, threads=1)
    assert not np.array_equal(open_volume(stores[0]).read(), first)
    assert fusion.fuse(config, estimate_params=False, apply_fusion=False, threads=1) == []


def test_fuse_refuses_what_is_not_there(config: ProcessingConfig, tmp_path: Path) -> None:
    empty = ProcessingConfig(input_dir=tmp_path, output_dir=tmp_path / "none")
    with pytest.raises(InputError, match="run process_dataset"):
        fusion.fuse(empty)
    with pytest.raises(InputError, match=r"fusion_camera_pairs: \[3\] were not recorded; there are \[0, 1\]"):
        fusion.fuse(config.model_copy(update={"fusion_camera_pairs": ((0, 3),)}))
    with pytest.raises(InputError, match="no two views belong together"):
        fusion.fuse(config.model_copy(update={"camera_pairs": ()}))
    elsewhere = config.model_copy(update={"output_dir": tmp_path / "o", "input_dir": config.output_dir})
    with pytest.raises(InputError, match="estimate_params=True first"):
        fusion.fuse(elsewhere, estimate_params=False)


def test_pairs_and_four_views() -> None:
    present = {(0, camera, channel) for camera in range(4) for channel in range(2)}
    config = ProcessingConfig(input_dir=Path("x"), fusion_channel_pairs=[(0, 1)])
    pairs, fours = plan_pairs(config, present)
    assert [pair.name for pair in pairs] == [f"SPM00_TM000000_CM0{c}_CHN00_CHN01" for c in range(4)]
    assert fours[0].name == "SPM00_TM000000_CM00_CM01_CHN00_CHN01"
    assert (fours[0].first, fours[0].folder) == (pairs[0].name, "TM000000/cam0_1_chn0_1")
    pairs, fours = plan_pairs(ProcessingConfig(input_dir=Path("x")), present - {(0, 3, 1)})
    assert [pair.name[-14:] for pair in pairs] == [
        "CM00_CM01_CHN00"[-14:],
        "CM00_CM01_CHN01"[-14:],
        "CM02_CM03_CHN00"[-14:],
    ]
    assert fours == []
