"""Stores as other programs see them: validators, and the readers that users have."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr

from linumpy_lib.io import open_volume, write_volume

CHECK = Path(__file__).resolve().parents[4] / "shared" / "checks" / "validate_ngff.py"
SPACING = (4.0, 2.0, 2.0)
CASES = ["uint16", "float16", "float32", "uint8", "labels", "channels", "tiny", "flat", "thick", "zeros"]


@pytest.fixture(scope="module")
def stores(tmp_path_factory, volume):
    """One store per kind of volume; chunk and shard are small, so that there are many."""
    folder = tmp_path_factory.mktemp("stores")
    z, y, x = np.ogrid[: volume.shape[0], : volume.shape[1], : volume.shape[2]]
    labels = ((z - 40) ** 2 + (y - 60) ** 2 + (x - 50) ** 2 < 35**2).astype(np.uint8) + 3 * (y > 90).astype(np.uint8)
    arrays = {
        "uint16": volume,
        "float16": volume.astype(np.float16),
        "float32": volume.astype(np.float32),
        "uint8": (volume >> 4).astype(np.uint8),
        "labels": labels,
        "channels": np.stack([volume, volume[::-1], volume // 2]).astype(np.float16),
        "tiny": volume[:3, :5, :4],
        "flat": volume[:1],
        "thick": volume[:10],
        "zeros": np.zeros((40, 40, 40), np.uint16),
    }
    made = {}
    for name, values in arrays.items():
        path = folder / f"{name}.ome.zarr"
        options = {"kind": "labels"} if name == "labels" else {}
        spacing = (40.0, 2.0, 2.0) if name == "thick" else SPACING
        write_volume(path, values, spacing_um=spacing, chunks=32, shards=64, **options)
        made[name] = (path, values, spacing)
    return made


def validate(path: Path, *options: str) -> None:
    command = [sys.executable, str(CHECK), str(path), "--deep", "--strict", *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(not CHECK.is_file(), reason="shared/checks/validate_ngff.py is not beside the repository")
@pytest.mark.parametrize("name", [name for name in CASES if name != "zeros"])
def test_validator(stores, name):
    validate(stores[name][0])


@pytest.mark.skipif(not CHECK.is_file(), reason="shared/checks/validate_ngff.py is not beside the repository")
def test_validator_on_micrometre_levels(tmp_path, volume):
    write_volume(
        tmp_path / "a.ome.zarr", volume, spacing_um=(5, 5, 5), pyramid=(10.0, 20.0, 100.0), chunks=32, shards=64
    )
    validate(tmp_path / "a.ome.zarr")
    # Its picture check rounds the factor between two levels, so 10 to 25 um cannot match; the voxels are compared with
    # a dense product in test_pyramid.
    write_volume(tmp_path / "b.ome.zarr", volume, spacing_um=(5, 5, 5), pyramid="um", chunks=32, shards=64)
    validate(tmp_path / "b.ome.zarr", "--corr", "-1")


@pytest.mark.parametrize("name", CASES)
def test_yaozarrs(stores, name):
    yaozarrs = pytest.importorskip("yaozarrs", reason="yaozarrs is not installed")
    path, _, spacing = stores[name]
    yaozarrs.validate_zarr_store(str(path))
    image = yaozarrs.open_group(str(path)).ome_metadata()
    first = image.multiscales[0]
    assert [axis.unit for axis in first.axes if axis.type == "space"] == ["micrometer"] * 3
    assert tuple(first.datasets[0].scale_transform.scale[-3:]) == spacing


@pytest.mark.parametrize("name", CASES)
def test_ome_zarr(stores, name):
    pytest.importorskip("ome_zarr", reason="ome-zarr is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ome_zarr.io import parse_url
        from ome_zarr.reader import Reader
    path, values, spacing = stores[name]
    node = next(iter(Reader(parse_url(str(path)))()))
    assert np.array_equal(np.asarray(node.data[0]), values)
    first = node.metadata["coordinateTransformations"][0]
    assert tuple(first[0]["scale"][-3:]) == spacing
    assert [axis.get("unit") for axis in node.metadata["axes"]][-3:] == ["micrometer"] * 3
    assert len(node.data) == len(open_volume(path).levels)


@pytest.mark.parametrize("name", CASES)
def test_ngff_zarr(stores, name):
    ngff_zarr = pytest.importorskip("ngff_zarr", reason="ngff-zarr is not installed")
    path, values, spacing = stores[name]
    multiscales = ngff_zarr.from_ngff_zarr(str(path), validate=True)
    image = multiscales.images[0]
    assert np.array_equal(np.asarray(image.data), values)
    assert tuple(image.scale[axis] for axis in "zyx") == spacing
    assert {image.axes_units[axis] for axis in "zyx"} == {"micrometer"}
    if len(multiscales.images) > 1:
        coarse = multiscales.images[1]
        shift = tuple((coarse.scale[axis] - image.scale[axis]) / 2 for axis in "zyx")
        assert tuple(coarse.translation[axis] for axis in "zyx") == pytest.approx(shift)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("codec", ["zstd-bitshuffle", "lz4-bitshuffle", "lz4", "zstd", "none"])
def test_arrays_are_bit_exact_everywhere(stores, tmp_path, name, codec):
    tensorstore = pytest.importorskip("tensorstore", reason="tensorstore is not installed")
    pytest.importorskip("zarrs", reason="zarrs is not installed")
    _, values, spacing = stores[name]
    path = tmp_path / "a.ome.zarr"
    write_volume(path, values, spacing_um=spacing, levels=1, chunks=(8, 16, 16), shards=(16, 32, 64), codec=codec)
    array = path / "0"
    with zarr.config.set({"codec_pipeline.path": "zarr.core.codec_pipeline.BatchedCodecPipeline"}):
        assert np.array_equal(zarr.open_array(array, mode="r")[:], values)
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        assert np.array_equal(zarr.open_array(array, mode="r")[:], values)
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(array)}}
    assert np.array_equal(np.asarray(tensorstore.open(spec).result().read().result()), values)
    assert np.array_equal(open_volume(path).read(), values)


def test_display_window(stores):
    opened = open_volume(stores["channels"][0])
    values = stores["channels"][1]
    assert len(opened.window) == 3
    for k, window in enumerate(opened.window):
        assert window["min"] == values[k].min()
        assert window["min"] <= window["start"] < window["end"] <= window["max"]
        assert window["start"] < np.median(values[k]) < window["end"]
