"""Results that cannot be written, and digests."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.errors import InputError, OutputError
from linumpy_lib.io import (
    VolumeWriter,
    check_output,
    content_digest,
    fingerprint,
    gather_slabs,
    open_volume,
    write_volume,
    writer,
    zip_store,
)
from linumpy_lib.io import destination as destination_module

SIZE = (40, 40, 40)


@pytest.fixture
def small() -> np.ndarray:
    return np.arange(np.prod(SIZE), dtype=np.uint16).reshape(SIZE)


def one_line(caught) -> str:
    text = str(caught.value)
    assert "\n" not in text
    assert ";" in text, "no remedy"
    return text


def test_full_disk_says_how_much_is_needed(tmp_path, small, monkeypatch):
    real, calls = writer.write_shard, []

    def full(*args, **options):
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **options)

    monkeypatch.setattr(writer, "write_shard", full)
    with pytest.raises(OutputError, match=r"disk is full; about .* GB are needed and .* GB are free") as caught:
        write_volume(tmp_path / "a.ome.zarr", small, spacing_um=(1, 1, 1), chunks=8, shards=16)
    assert str(tmp_path / "a.ome.zarr") in one_line(caught)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_places(tmp_path, small):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is not a folder"):
        write_volume(tmp_path / "file" / "a.ome.zarr", small, spacing_um=(1, 1, 1))
    with pytest.raises(OutputError, match="exists and is no Zarr store"):
        write_volume(tmp_path / "file", small, spacing_um=(1, 1, 1), overwrite=True)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="exists and is no Zarr store"):
        write_volume(tmp_path / "folder", small, spacing_um=(1, 1, 1), overwrite=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path, small):
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(OutputError, match="is not writable"):
        write_volume(tmp_path / "locked" / "a.ome.zarr", small, spacing_um=(1, 1, 1))


def test_output_must_not_touch_its_input(tmp_path, small, monkeypatch):
    volume = write_volume(tmp_path / "a.ome.zarr", small, spacing_um=(1, 1, 1))
    for place, reason in (
        (tmp_path / "a.ome.zarr", "is the input"),
        (tmp_path / "a.ome.zarr" / "b", "overlaps"),
        (tmp_path, "overlaps"),
    ):
        with pytest.raises(OutputError, match=reason):
            write_volume(place, volume, overwrite=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.ome.zarr").symlink_to(tmp_path / "a.ome.zarr")
    with pytest.raises(OutputError, match="is the input"):
        check_output("link.ome.zarr", [Path("a.ome.zarr")])
    assert np.array_equal(open_volume(tmp_path / "a.ome.zarr").read(), small)


@pytest.mark.parametrize(
    "spacing", [(0, 1, 1), (-1, 1, 1), (float("nan"), 1, 1), (1, 1), "abc", None, (1, 1, float("inf"))]
)
def test_spacing_that_is_nonsense(tmp_path, small, spacing):
    with pytest.raises(InputError, match=r"a\.ome\.zarr.*spacing|a\.ome\.zarr.*voxel size") as caught:
        write_volume(tmp_path / "a.ome.zarr", small, spacing_um=spacing)
    one_line(caught)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((4, 4)),
        np.zeros((0, 4, 4)),
        np.zeros((4, 4, 4), bool),
        np.zeros((4, 4, 4), complex),
        np.zeros((1,) * 6),
    ],
)
def test_arrays_that_are_no_volume(tmp_path, values):
    with pytest.raises(InputError, match=r"a\.ome\.zarr") as caught:
        write_volume(tmp_path / "a.ome.zarr", values, spacing_um=(1, 1, 1))
    one_line(caught)
    assert list(tmp_path.iterdir()) == []


def test_writer_refuses_what_does_not_fit(tmp_path, small):
    with VolumeWriter(
        tmp_path / "a.ome.zarr", shape=SIZE, dtype="u2", spacing_um=(1, 1, 1), chunks=8, shards=16
    ) as store:
        regions = list(store.regions())
        with pytest.raises(ValueError, match="block of shape"):
            store.write(regions[0], small[:3])
        with pytest.raises(ValueError, match="is not a region"):
            store.write((slice(0, 8),) * 3, small[:8, :8, :8])
        with pytest.raises(TypeError, match="Cannot cast"):
            store.write(regions[0], small[regions[0]].astype(np.int64))
        store.write(regions[0], small[regions[0]])
        with pytest.raises(ValueError, match="still to be written"):
            store.write(regions[0], small[regions[0]])
        for region in regions[1:]:
            store.write(region, small[region])
    assert np.array_equal(open_volume(tmp_path / "a.ome.zarr").read(), small)


def test_forgotten_regions_are_an_error(tmp_path, small):
    store = VolumeWriter(tmp_path / "a.ome.zarr", shape=SIZE, dtype="u2", spacing_um=(1, 1, 1))
    with pytest.raises(ValueError, match=r"1 regions .* were not written"):
        store.close()
    assert list(tmp_path.iterdir()) == []


def slab(path: Path, values: np.ndarray, z0: int, z1: int, **options) -> Path:
    layout = {"shape": SIZE, "dtype": "u2", "spacing_um": (1, 1, 1), "chunks": 8, "shards": 16, **options}
    with VolumeWriter(path, slab=(z0, z1), **layout) as store:
        for region in store.regions():
            store.write(region, values[region])
    return path


def test_gather_names_the_slab_at_fault(tmp_path, small):
    low = slab(tmp_path / "low.zarr", small, 0, 16)
    high = slab(tmp_path / "high.zarr", small, 16, 40)
    other = slab(tmp_path / "other.zarr", small, 16, 40, spacing_um=(2, 2, 2))
    whole = write_volume(tmp_path / "whole.ome.zarr", small, spacing_um=(1, 1, 1)).path
    cases = [
        ([low], "no slab holds planes 16 to 40"),
        ([high], r"high\.zarr.*leaves planes 0 to 16 unwritten"),
        ([low, high, high], r"high\.zarr.*overlaps"),
        ([low, other], r"other\.zarr: differs from .* in spacing_um"),
        ([low, whole], r"whole\.ome\.zarr: is no slab"),
        ([low, tmp_path / "absent"], "absent: is no slab"),
        ([], "no slabs"),
    ]
    for slabs, reason in cases:
        with pytest.raises(InputError, match=reason) as caught:
            gather_slabs(tmp_path / "all.ome.zarr", slabs)
        one_line(caught)
    assert not (tmp_path / "all.ome.zarr").exists()
    with pytest.raises(InputError):
        open_volume(low)


def test_gather_links_shards_and_copies_where_it_cannot(tmp_path, small, monkeypatch):
    slabs = [slab(tmp_path / "low.zarr", small, 0, 16), slab(tmp_path / "high.zarr", small, 16, 40)]
    gather_slabs(tmp_path / "linked.ome.zarr", slabs)
    shard = Path("0", "c", "0", "0", "0")
    assert (tmp_path / "linked.ome.zarr" / shard).stat().st_ino == (slabs[0] / shard).stat().st_ino

    def refuse(*_):
        raise OSError(errno.EXDEV, "cross-device link")

    monkeypatch.setattr(destination_module.os, "link", refuse)
    gather_slabs(tmp_path / "x" / "linked.ome.zarr", slabs)
    assert content_digest(tmp_path / "x" / "linked.ome.zarr") == content_digest(tmp_path / "linked.ome.zarr")


def test_gather_notices_a_damaged_slab(tmp_path, small):
    slabs = [slab(tmp_path / "low.zarr", small, 0, 16), slab(tmp_path / "high.zarr", small, 16, 40)]
    shard = slabs[1] / "0" / "c" / "1" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"high\.zarr: level '0': corrupt chunk"):
        gather_slabs(tmp_path / "all.ome.zarr", slabs)
    assert not (tmp_path / "all.ome.zarr").exists()


@pytest.mark.parametrize("slab_planes", [(0, 8), (4, 40), (0, 41), (16, 16), (-16, 16)])
def test_slabs_are_whole_shards(tmp_path, slab_planes):
    from linumpy_lib.errors import ParameterError

    with pytest.raises(ParameterError, match="multiples of 16 planes"):
        VolumeWriter(
            tmp_path / "a", shape=SIZE, dtype="u2", spacing_um=(1, 1, 1), chunks=8, shards=16, slab=slab_planes
        )


def test_zip_output(tmp_path, small):
    write_volume(tmp_path / "a.ome.zarr", small, spacing_um=(1, 1, 1))
    zip_store(tmp_path / "a.ome.zarr", tmp_path / "a.zip")
    with pytest.raises(OutputError, match="exists already"):
        zip_store(tmp_path / "a.ome.zarr", tmp_path / "a.zip")
    zip_store(tmp_path / "a.ome.zarr", tmp_path / "a.zip", overwrite=True)
    with pytest.raises(OutputError, match="overlaps"):
        zip_store(tmp_path / "a.ome.zarr", tmp_path / "a.ome.zarr" / "a.zip")
    with pytest.raises(InputError, match="is no Zarr store"):
        zip_store(tmp_path, tmp_path / "b.zip")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.ome.zarr", "a.zip"]


def test_digests(tmp_path, small):
    path = tmp_path / "a.ome.zarr"
    write_volume(path, small, spacing_um=(1, 1, 1))
    before = fingerprint(path), content_digest(path)
    assert before == (fingerprint(path), content_digest(path))
    chunk = path / "0" / "c" / "0" / "0" / "0"
    os.utime(chunk, ns=(1, 1))
    assert fingerprint(path) != before[0]
    assert content_digest(path) == before[1]
    data = bytearray(chunk.read_bytes())
    data[5] ^= 1
    chunk.write_bytes(data)
    assert content_digest(path) != before[1]
    assert content_digest(chunk) == content_digest(chunk)
    for digest in (fingerprint, content_digest):
        with pytest.raises(InputError, match="no such file"):
            digest(tmp_path / "absent")
