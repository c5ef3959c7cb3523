"""KLB: the library's own file bit for bit, every type and codec, regions, threads, damaged and hostile files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.io import open_volume
from linumpy_lib.io.klb import COMPRESSIONS, DTYPES, HEADER, KlbSource, read_klb_header
from linumpy_lib.io.klb_writing import default_block, write_klb

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "klb_testdata"


def sample(dtype: np.dtype, shape: tuple[int, ...] = (9, 30, 41)) -> np.ndarray:
    rng = np.random.default_rng(3)
    if dtype.kind == "f":
        values = rng.standard_normal(shape).astype(dtype)
        values.flat[:3] = np.nan, np.inf, -0.0
        return values
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


@pytest.mark.skipif(not REAL.is_dir(), reason="the KLB library's test image is not here")
def test_the_image_of_the_klb_library_is_read_bit_for_bit() -> None:
    import tifffile

    volume = open_volume(REAL / "img.klb", ndim=3, threads=2)
    truth = tifffile.imread(REAL / "img.tif")
    assert volume.dtype == np.uint16
    np.testing.assert_array_equal(volume.read(), truth)
    np.testing.assert_array_equal(volume.read().ravel(), np.fromfile(REAL / "img.raw", "<u2"))
    np.testing.assert_array_equal(volume.array[5:9, 90:110, 3], truth[5:9, 90:110, 3])


@pytest.mark.skipif(not REAL.is_dir(), reason="the KLB library's test image is not here")
def test_written_as_the_klb_library_writes(tmp_path: Path) -> None:
    """Voxels, codec, blocks and their compressed bytes are those of the library's file."""
    header, bounds = read_klb_header(REAL / "img.klb")
    whole = open_volume(REAL / "img.klb").read()
    write_klb(tmp_path / "own.klb", whole, compression=header.compression, block=header.block, threads=2)
    own, own_bounds = read_klb_header(tmp_path / "own.klb")
    assert (own.shape, own.block, own.dtype, own.compression) == (
        header.shape,
        header.block,
        header.dtype,
        header.compression,
    )
    np.testing.assert_array_equal(own_bounds, bounds)
    assert (tmp_path / "own.klb").read_bytes()[int(bounds[0]) :] == (REAL / "img.klb").read_bytes()[int(bounds[0]) :]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type_and_codec_comes_back(tmp_path: Path, dtype: np.dtype, compression: str) -> None:
    values = sample(dtype)
    path = tmp_path / "volume.klb"
    write_klb(path, values, compression=compression, block=(4, 16, 16), spacing_um=(2.0, 0.5, 0.25), threads=2)
    volume = open_volume(path, threads=2)
    assert volume.axes == "zyx"
    assert volume.spacing_um == (2.0, 0.5, 0.25)
    assert volume.dtype == dtype.newbyteorder("=")
    assert volume.read().tobytes() == values.tobytes()


def test_blocks_threads_and_lazy_sources_do_not_change_the_file(tmp_path: Path) -> None:
    values = sample(np.dtype("<u2"), (13, 50, 47))
    write_klb(tmp_path / "one.klb", values, threads=1, metadata="µm")
    write_klb(tmp_path / "two.klb", open_volume(tmp_path / "one.klb").array, threads=2, metadata="µm")
    assert (tmp_path / "one.klb").read_bytes() == (tmp_path / "two.klb").read_bytes()
    header, _ = read_klb_header(tmp_path / "one.klb")
    assert header.metadata == "µm"
    assert header.block == (1, 1, 8, 50, 47)
    assert default_block(np.dtype("u1")) == (1, 1, 16, 192, 192)
    assert default_block(np.dtype("f4")) == (1, 1, 4, 48, 48)


def test_bzip2_level_follows_the_block(tmp_path: Path) -> None:
    values = np.zeros((8, 96, 96), np.uint16)
    write_klb(tmp_path / "volume.klb", values)
    _, bounds = read_klb_header(tmp_path / "volume.klb")
    assert (tmp_path / "volume.klb").read_bytes()[int(bounds[0]) :][:4] == b"BZh2"


def test_channels_and_time_points(tmp_path: Path) -> None:
    values = sample(np.dtype("<i2"), (2, 3, 5, 7, 6))
    write_klb(tmp_path / "volume.klb", values, block=(1, 2, 2, 4, 4))
    volume = open_volume(tmp_path / "volume.klb")
    assert volume.axes == "tczyx"
    np.testing.assert_array_equal(volume.read(), values)
    np.testing.assert_array_equal(volume.pick(t=1).channel(2).read(), values[1, 2])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_region_is_that_of_numpy(tmp_path: Path, data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 14)] * 3))
    block = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    values = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)
    path = tmp_path / "volume.klb"
    write_klb(path, values, compression=data.draw(st.sampled_from(COMPRESSIONS)), block=block, threads=1)
    box = []
    for n in shape:
        low = data.draw(st.integers(0, n - 1))
        box.append(slice(low, data.draw(st.integers(low + 1, n))))
    np.testing.assert_array_equal(open_volume(path, threads=2).array[tuple(box)], values[tuple(box)])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    compression=st.sampled_from(COMPRESSIONS),
    edits=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6),
    length=st.integers(0, 3000),
)
def test_damaged_files_are_refused_or_read_never_more(
    tmp_path: Path, compression: str, edits: list[tuple[int, int]], length: int
) -> None:
    """Whatever bytes change: an InputError that names the file, or voxels; no other exception, no huge allocation."""
    good = tmp_path / f"{compression}.klb"
    if not good.exists():
        write_klb(
            good, (np.arange(600) % 17).astype(np.uint16).reshape(6, 10, 10), compression=compression, block=(2, 5, 5)
        )
    content = bytearray(good.read_bytes()[: length or None])
    for place, value in edits:
        if place < len(content):
            content[place] = value
    path = tmp_path / "damaged.klb"
    path.write_bytes(bytes(content))
    message = "damaged.klb"
    try:
        volume = open_volume(path, threads=1)
        if volume.array.nbytes < 10_000_000:
            volume.read()
    except InputError as error:
        message = str(error)
    assert "damaged.klb" in message


def changed(path: Path, offset: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(bytes(content))


def test_refusals_say_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a volume.klb"

    def fresh() -> None:
        write_klb(path, sample(np.dtype("<u2")), block=(4, 16, 16))

    fresh()
    changed(path, 42, b"\x07")
    with pytest.raises(InputError, match=r"a volume\.klb: KLB codec 7 is unknown"):
        open_volume(path)
    fresh()
    changed(path, 41, b"\x0a")
    with pytest.raises(InputError, match="data type 10 is unknown"):
        open_volume(path)
    fresh()
    changed(path, 0, b"\x09")
    with pytest.raises(InputError, match="unknown version"):
        open_volume(path)
    fresh()
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="truncated"):
        open_volume(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="no KLB file"):
        open_volume(path)
    fresh()
    _, bounds = read_klb_header(path)
    changed(path, int(bounds[3]) + 30, b"\0\0\0\0\0\0\0\0")
    source = KlbSource(path, 2)
    with pytest.raises(InputError, match="block 3 at byte"):
        source.read(tuple(slice(0, n) for n in source.shape))


def test_a_block_that_would_grow_without_end_is_refused(tmp_path: Path) -> None:
    import zlib

    path = tmp_path / "bomb.klb"
    write_klb(path, np.zeros((2, 4, 4), np.uint8), compression="zlib")
    content = bytearray(path.read_bytes()[: HEADER.size + 8])
    bomb = zlib.compress(bytes(50_000_000), 9)
    content[HEADER.size :] = len(bomb).to_bytes(8, "little")
    path.write_bytes(bytes(content) + bomb)
    with pytest.raises(InputError, match="holds more"):
        open_volume(path).read()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "volume.klb"
    with pytest.raises(InputError, match="cannot hold"):
        write_klb(path, np.zeros((2, 2, 2), np.float16))
    with pytest.raises(ParameterError, match="compression"):
        write_klb(path, np.zeros((2, 2, 2), np.uint8), compression="lz4")
    with pytest.raises(ParameterError, match="compression_level"):
        write_klb(path, np.zeros((2, 2, 2), np.uint8), level=12)
    with pytest.raises(ParameterError, match="metadata"):
        write_klb(path, np.zeros((2, 2, 2), np.uint8), metadata="x" * 300)
    with pytest.raises(ParameterError, match="block"):
        write_klb(path, np.zeros((2, 2, 2), np.uint8), block=(0, 1, 1))
    assert not list(tmp_path.iterdir())
