from __future__ import annotations

import numpy as np
import pytest

from linumpy_lib.errors import OutputError
from linumpy_lib.io import VolumeWriter, content_digest, gather_slabs, open_volume, write_volume


@pytest.mark.parametrize("codec", ["zstd-bitshuffle", "lz4-bitshuffle", "lz4", "zstd", "none"])
def test_voxels_and_spacing_survive(tmp_path, volume, codec):
    written = write_volume(tmp_path / "a.ome.zarr", volume, spacing_um=(5, 2, 2), shards=64, chunks=32, codec=codec)
    assert np.array_equal(written.read(), volume)
    assert written.spacing_um == (5.0, 2.0, 2.0)
    assert [level.scale for level in written.levels[:3]] == [(5.0, 2.0, 2.0), (5.0, 4.0, 4.0), (10.0, 8.0, 8.0)]


def test_bytes_do_not_depend_on_threads(tmp_path, volume):
    digests = set()
    for threads in (1, 2, 5):
        path = tmp_path / str(threads) / "a.ome.zarr"
        write_volume(path, volume, spacing_um=(2, 2, 2), shards=64, chunks=32, threads=threads)
        digests.add(content_digest(path))
    assert len(digests) == 1


@pytest.mark.parametrize("pyramid", ["powers", (7.0, 10.0, 20.0)])
def test_gathered_slabs_equal_one_task(tmp_path, volume, pyramid):
    layout = {
        "shape": volume.shape,
        "dtype": volume.dtype,
        "spacing_um": (2, 2, 2),
        "chunks": 16,
        "shards": 32,
        "pyramid": pyramid,
    }
    slabs = []
    for z0, z1 in ((0, 32), (32, 75)):
        slabs.append(tmp_path / f"slab_{z0}.zarr")
        with VolumeWriter(slabs[-1], slab=(z0, z1), **layout) as writer:
            for region in writer.regions():
                writer.write(region, volume[region])
    gather_slabs(tmp_path / "many" / "a.ome.zarr", slabs[::-1])
    with VolumeWriter(tmp_path / "one" / "a.ome.zarr", **layout) as writer:
        for region in writer.regions():
            writer.write(region, volume[region])
    assert content_digest(tmp_path / "many" / "a.ome.zarr") == content_digest(tmp_path / "one" / "a.ome.zarr")
    assert np.array_equal(open_volume(tmp_path / "many" / "a.ome.zarr").read(), volume)


def test_nothing_is_left_after_an_error(tmp_path, volume):
    def interrupted() -> None:
        path = tmp_path / "a.ome.zarr"
        with VolumeWriter(path, shape=volume.shape, dtype="u2", spacing_um=(1, 1, 1), shards=64) as writer:
            region = next(writer.regions())
            writer.write(region, volume[region])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_existing_output_is_refused(tmp_path, volume):
    write_volume(tmp_path / "a.ome.zarr", volume, spacing_um=(1, 1, 1))
    with pytest.raises(OutputError, match="exists already"):
        write_volume(tmp_path / "a.ome.zarr", volume, spacing_um=(1, 1, 1))
    assert write_volume(tmp_path / "a.ome.zarr", volume[:40], spacing_um=(1, 1, 1), overwrite=True).shape[0] == 40
    assert [item.name for item in tmp_path.iterdir()] == ["a.ome.zarr"]
