from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr

from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume, write_volume, zip_store

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "ome_zarr"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not beside the repository")


@pytest.fixture
def store(tmp_path, volume):
    write_volume(tmp_path / "a.ome.zarr", volume, spacing_um=(2, 2, 2), shards=64, chunks=32, provenance={"seed": 1})
    return tmp_path / "a.ome.zarr"


def edit(path: Path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def multiscale(document):
    return document["attributes"]["ome"]["multiscales"][0]


def test_metadata_of_own_store(store, volume):
    opened = open_volume(store)
    assert (opened.shape, opened.dtype, opened.axes) == (volume.shape, volume.dtype, "zyx")
    assert opened.spacing_um == (2.0, 2.0, 2.0)
    assert opened.origin_um == (0.0, 0.0, 0.0)
    assert opened.provenance == {"seed": 1}
    assert opened.window[0]["min"] == volume.min()
    assert opened.level(1).spacing_um == (4.0, 4.0, 4.0)
    assert opened.level(1).origin_um == (1.0, 1.0, 1.0)
    assert opened.level(-1).shape == open_volume(store, level=len(opened.levels) - 1).shape


@pytest.mark.parametrize(
    "key",
    [
        3,
        -1,
        (slice(None), 4),
        (..., 2),
        (slice(5, 60, 7), slice(90, 10, -3), slice(-5, None)),
        slice(9, 9),
        np.int64(2),
    ],
)
def test_indexing_like_numpy(store, volume, key):
    assert np.array_equal(open_volume(store).array[key], volume[key])


@pytest.mark.parametrize("key", [75, (0, 0, 0, 0), (..., ...), "a", 1.5])
def test_bad_indices(store, key):
    with pytest.raises(IndexError):
        open_volume(store).array[key]


def test_level_path_finds_its_metadata(store):
    assert open_volume(store / "1").spacing_um == (4.0, 4.0, 4.0)


def test_levels_that_do_not_exist(store):
    with pytest.raises(InputError, match="has levels 0 to 3, not 7"):
        open_volume(store, level=7)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("micrometer", 1), ("um", 1), ("µm", 1), ("μm", 1), ("micron", 1), ("micrometre", 1), ("Micrometers", 1),
        ("millimeter", 1000), ("mm", 1000), ("nanometer", 1e-3), ("nm", 1e-3), ("angstrom", 1e-4), ("meter", 1e6),
    ],
)  # fmt: skip
def test_unit_spellings(store, unit, factor):
    def change(document):
        for axis in multiscale(document)["axes"]:
            axis["unit"] = unit

    edit(store / "zarr.json", change)
    assert open_volume(store).spacing_um == pytest.approx((2 * factor,) * 3)


@pytest.mark.parametrize("unit", [None, "pixel", "second", ""])
def test_unknown_units_are_not_guessed(store, unit):
    def change(document):
        for axis in multiscale(document)["axes"]:
            axis.pop("unit")
            if unit is not None:
                axis["unit"] = unit

    edit(store / "zarr.json", change)
    opened = open_volume(store)
    assert opened.spacing_um is None
    with pytest.raises(InputError, match="give the spacing in micrometres"):
        opened.require_spacing()


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "a", None])
def test_nonsense_scales(store, value):
    def change(document):
        multiscale(document)["datasets"][0]["coordinateTransformations"][0]["scale"][0] = value

    edit(store / "zarr.json", change)
    with pytest.raises(InputError, match=r"a\.ome\.zarr"):
        open_volume(store)


def test_shared_transformation_multiplies(store):
    def change(document):
        multiscale(document)["coordinateTransformations"] = [{"type": "scale", "scale": [1, 1, 3]}]

    edit(store / "zarr.json", change)
    assert open_volume(store, level=1).spacing_um == (4.0, 4.0, 12.0)
    assert open_volume(store, level=1).origin_um == (1.0, 1.0, 3.0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda store: (store / "zarr.json").write_text("{"),
        lambda store: (store / "zarr.json").write_text("[]"),
        lambda store: (store / "zarr.json").write_text("{}"),
        lambda store: (store / "zarr.json").write_bytes(b"\xff\xfe"),
        lambda store: (store / "0" / "zarr.json").write_text("{"),
        lambda store: (store / "0" / "zarr.json").unlink(),
        lambda store: shutil.rmtree(store / "0"),
        lambda store: edit(store / "0" / "zarr.json", lambda d: d.pop("codecs")),
        lambda store: edit(store / "0" / "zarr.json", lambda d: d.update(data_type="int7")),
        lambda store: edit(store / "0" / "zarr.json", lambda d: d.update(shape=[0, 4, 4])),
        lambda store: edit(store / "zarr.json", lambda d: d["attributes"]["ome"].pop("multiscales")),
        lambda store: edit(store / "zarr.json", lambda d: d["attributes"]["ome"].update(multiscales=[])),
        lambda store: edit(store / "zarr.json", lambda d: d["attributes"]["ome"].update(version="0.6")),
        lambda store: edit(store / "zarr.json", lambda d: multiscale(d).update(datasets=[])),
        lambda store: edit(store / "zarr.json", lambda d: multiscale(d).pop("axes")),
        lambda store: edit(store / "zarr.json", lambda d: multiscale(d)["axes"].pop()),
        lambda store: edit(store / "zarr.json", lambda d: multiscale(d)["axes"][0].update(name="y")),
        lambda store: edit(store / "zarr.json", lambda d: multiscale(d)["axes"][0].update(name="lambda")),
    ],
)
def test_damaged_metadata_is_one_clear_line(store, damage):
    damage(store)
    with pytest.raises(InputError) as caught:
        open_volume(store)
    text = str(caught.value)
    assert "a.ome.zarr" in text
    assert "\n" not in text
    assert ";" in text, "no remedy"


def test_missing_chunk_of_a_complete_store(store):
    (store / "0" / "c" / "1" / "0" / "1").unlink()
    opened = open_volume(store)
    assert opened.read((slice(0, 64), slice(0, 64), slice(0, 64))).size
    with pytest.raises(InputError, match=r"level '0': missing chunk c/1/0/1"):
        opened.read()
    assert open_volume(store, strict=False).read((70, 3, 80)) == 0


def test_corrupt_chunk_names_level_and_chunk(store):
    file = store / "1" / "c" / "0" / "0" / "0"
    data = bytearray(file.read_bytes())
    data[100:120] = bytes(20)
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"level '1': corrupt chunk \(0, 0, 0\)"):
        open_volume(store, level=1).read()


@pytest.mark.parametrize("length", [0, 10, -40])
def test_truncated_shard(store, length):
    file = store / "0" / "c" / "0" / "0" / "1"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(InputError, match=r"level '0': corrupt chunk"):
        open_volume(store).read()


def test_absent_chunks_of_others_hold_the_fill_value(tmp_path, caplog):
    array = zarr.create_array(tmp_path / "b.zarr", shape=(8, 8, 8), chunks=(4, 4, 4), dtype="u2", fill_value=7)
    array[:4] = 3
    opened = open_volume(tmp_path / "b.zarr")
    with caplog.at_level(logging.WARNING):
        assert opened.read()[6, 6, 6] == 7
    assert "is not stored" in caplog.text
    with pytest.raises(InputError, match="missing chunk"):
        open_volume(tmp_path / "b.zarr", strict=True).read()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("dtype", ["u1", ">u2", "<i4", "f2", "f4", ">f8"])
def test_plain_arrays(tmp_path, zarr_format, dtype):
    values = np.arange(6 * 5 * 4).reshape(6, 5, 4).astype(dtype)
    if zarr_format == 3:
        values = values.astype(values.dtype.newbyteorder("="))
    array = zarr.create_array(
        tmp_path / "p.zarr", shape=values.shape, chunks=(3, 3, 3), dtype=values.dtype, zarr_format=zarr_format
    )
    array[:] = values
    opened = open_volume(tmp_path / "p.zarr")
    assert opened.axes == "zyx"
    assert opened.spacing_um is None
    assert opened.dtype.isnative
    assert np.array_equal(opened.read(), values)


@pytest.mark.parametrize("codec", [numcodecs.GZip(), numcodecs.LZ4(), numcodecs.Zlib(), numcodecs.BZ2(), None])
def test_compressors_of_zarr_2(tmp_path, codec):
    values = np.arange(6 * 5 * 4, dtype="u2").reshape(6, 5, 4)
    array = zarr.create_array(
        tmp_path / "p.zarr", shape=values.shape, chunks=(3, 5, 4), dtype="u2", zarr_format=2, compressors=codec
    )
    array[:] = values
    assert np.array_equal(open_volume(tmp_path / "p.zarr").read(), values)


@pytest.mark.parametrize("dtype", ["?", "c8", "S3"])
def test_types_that_are_no_intensities(tmp_path, dtype):
    zarr.create_array(tmp_path / "p.zarr", shape=(4, 4, 4), dtype=dtype, zarr_format=2)
    with pytest.raises(InputError, match=r"data type .* is not supported; convert"):
        open_volume(tmp_path / "p.zarr")


@pytest.mark.parametrize("shape", [(5,), (5, 4), (1,) * 6])
def test_arrays_that_are_no_volume(tmp_path, shape):
    zarr.create_array(tmp_path / "p.zarr", shape=shape, dtype="u1")
    with pytest.raises(InputError, match="is no volume"):
        open_volume(tmp_path / "p.zarr")


def test_group_without_image_lists_its_members(tmp_path, volume):
    zarr.open_group(tmp_path / "g.zarr", mode="w", zarr_format=3)
    write_volume(tmp_path / "g.zarr" / "raw", volume, spacing_um=(1, 1, 1))
    with pytest.raises(InputError, match="open one of its members instead: raw"):
        open_volume(tmp_path / "g.zarr")
    assert open_volume(tmp_path / "g.zarr" / "raw").shape == volume.shape


def test_axes_are_brought_into_order(tmp_path, volume):
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=3)
    small = volume[:5, :6, :7]
    group.create_array("0", data=np.ascontiguousarray(small.transpose(2, 1, 0)), dimension_names=["x", "y", "z"])
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": n, "type": "space", "unit": "micrometer"} for n in "xyz"],
                "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 2, 3]}]}],
            }
        ],
    }
    opened = open_volume(tmp_path / "x.zarr")
    assert opened.axes == "zyx"
    assert opened.spacing_um == (3.0, 2.0, 1.0)
    assert np.array_equal(opened.array[1:3, :, 2], small[1:3, :, 2])


def test_channels(tmp_path, volume):
    both = np.stack([volume, volume[::-1]])
    written = write_volume(tmp_path / "c.ome.zarr", both, spacing_um=(1, 1, 1), channel_names=["raw", "flipped"])
    assert written.axes == "czyx"
    assert written.channel_names == ("raw", "flipped")
    assert np.array_equal(open_volume(tmp_path / "c.ome.zarr", channel="flipped").read(), both[1])
    one = open_volume(tmp_path / "c.ome.zarr", level=1, channel=1)
    assert one.axes == "zyx"
    assert one.level(0).shape == volume.shape
    for bad in (2, "green"):
        with pytest.raises(InputError):
            open_volume(tmp_path / "c.ome.zarr", channel=bad)
    with pytest.raises(InputError, match=r"has 2 channels \(raw, flipped\)"):
        open_volume(tmp_path / "c.ome.zarr", ndim=3)
    assert open_volume(tmp_path / "c.ome.zarr", channel=0, ndim=3).shape == volume.shape


def test_zip_is_stored_sorted_and_repeatable(tmp_path, store, volume):
    import zipfile

    first = zip_store(store, tmp_path / "a.ome.zarr.zip")
    second = zip_store(store, tmp_path / "b.ome.zarr.zip")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        assert names[0] == "zarr.json"
        assert all(item.compress_type == zipfile.ZIP_STORED for item in archive.infolist())
        assert archive.testzip() is None
    opened = open_volume(first)
    assert opened.spacing_um == (2.0, 2.0, 2.0)
    assert np.array_equal(opened.read(), volume)
    assert np.array_equal(opened.level(1).read(), open_volume(store, level=1).read())
    assert np.array_equal(zarr.open_array(zarr.storage.ZipStore(first, mode="r"), path="0")[:], volume)


def test_zip_with_a_top_folder(tmp_path, store, volume):
    made = shutil.make_archive(str(tmp_path / "x.ome.zarr"), "zip", root_dir=tmp_path, base_dir="a.ome.zarr")
    assert np.array_equal(open_volume(made).array[3], volume[3])


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "C:/evil", "a\\..\\evil"])
def test_zip_with_escaping_names(tmp_path, name):
    import zipfile

    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("zarr.json", "{}")
        archive.writestr(name, "x")
    with pytest.raises(InputError, match="points outside"):
        open_volume(tmp_path / "e.zip")


def test_zip_bomb_and_garbage(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("zarr.json", b" " * (1 << 26))
    (tmp_path / "garbage.zip").write_bytes(b"PK\x03\x04 not a zip")
    for name in ("bomb.zip", "garbage.zip"):
        with pytest.raises(InputError, match=name):
            open_volume(tmp_path / name)


@needs_data
@pytest.mark.parametrize("kind", ["xyz", "xyc", "xyt"])
def test_stores_of_other_programs_agree(kind):
    old = open_volume(DATA / "3d_testing" / kind / "3d_dataset_v4.ome.zarr")
    new = open_volume(DATA / "3d_testing" / kind / "3d_dataset_v5.ome.zarr")
    assert old.axes == new.axes == {"xyz": "zyx", "xyc": "cyx", "xyt": "tyx"}[kind]
    assert old.spacing_um is None
    assert np.array_equal(old.read(), new.read())
    assert old.level(1).shape == new.level(1).shape == (8 if kind == "xyz" else old.shape[0], 32, 32)
    if kind != "xyz":
        with pytest.raises(InputError):
            open_volume(old.path, ndim=3)


@needs_data
def test_store_in_pixels():
    opened = open_volume(DATA / "mri-stack.ome.zarr", strict=True)
    assert opened.spacing_um is None
    assert [level.path for level in opened.levels] == ["s0", "s1"]
    assert opened.read().mean() == pytest.approx(35.93, abs=0.01)
    assert open_volume(DATA / "mri-stack.ome.zarr" / "s1").shape == opened.level(1).shape


def test_import_stays_light():
    heavy = {"tifffile", "nibabel", "nrrd", "numba", "matplotlib", "scipy", "zarr"}
    code = "import sys, linumpy_lib.io; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert heavy.isdisjoint(output.split())
