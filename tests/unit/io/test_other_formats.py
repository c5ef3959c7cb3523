from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
import tifffile

from linumpy_lib.errors import InputError
from linumpy_lib.io import open_volume

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
# pynrrd writes the date into the headers of the test files by a call that Python 3.12 and later dislike.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="shared/data is not beside the repository")
ROTATED = [[0.0, 0.5, 0], [0.6, 0, 0], [0, 0, 2.0]]
UNDESCRIBED: dict = {"compression": "zlib", "metadata": None}
BOX = (slice(2, 9), slice(10, 61), slice(33, 70))


@pytest.fixture
def stack(volume) -> np.ndarray:
    return np.ascontiguousarray(volume[:12, :70, :90])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True, "rowsperstrip": 16},
        {"compression": "zlib", "tile": (32, 48)},
        {"tile": (32, 48)},
        {"contiguous": False, "metadata": None},
        {"photometric": "minisblack", "rowsperstrip": 7, "contiguous": False, "metadata": None},
    ],
)
def test_tiff_layouts(tmp_path, stack, options):
    options = dict(options)
    contiguous = options.pop("contiguous", True)
    with tifffile.TiffWriter(
        tmp_path / "a.tif", bigtiff=options.pop("bigtiff", False), byteorder=options.pop("byteorder", "<")
    ) as tif:
        if contiguous:
            tif.write(stack, **options)
        else:
            for plane in stack:
                tif.write(plane, contiguous=False, **options)
    opened = open_volume(tmp_path / "a.tif")
    assert (opened.axes, opened.shape, opened.dtype, opened.spacing_um) == ("zyx", stack.shape, np.dtype("u2"), None)
    assert np.array_equal(opened.array[BOX], stack[BOX])
    assert np.array_equal(opened.read(), stack)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_tiff_types(tmp_path, stack, dtype):
    tifffile.imwrite(tmp_path / "a.tif", stack.astype(dtype))
    assert np.array_equal(open_volume(tmp_path / "a.tif").read(), stack.astype(dtype))


def test_plain_tiff_is_memory_mapped(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack)
    inner = open_volume(tmp_path / "a.tif").array.source
    assert isinstance(inner._array, np.memmap)


@pytest.mark.parametrize(
    ("unit", "factor"), [("um", 1), ("micron", 1), ("\\u00B5m", 1), ("mm", 1000), ("pixel", None)]
)  # fmt: skip
def test_imagej_spacing(tmp_path, stack, unit, factor):
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack,
        imagej=True,
        resolution=(1 / 0.5, 1 / 0.6),
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": unit},
    )
    found = open_volume(tmp_path / "a.tif").spacing_um
    assert found == (None if factor is None else pytest.approx((2 * factor, 0.6 * factor, 0.5 * factor), rel=1e-5))


def test_ome_tiff_spacing_and_channels(tmp_path, stack):
    both = np.stack([stack, stack[::-1]])
    metadata = {
        "axes": "CZYX",
        "PhysicalSizeX": 500,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.6,
        "PhysicalSizeZ": 0.002,
        "PhysicalSizeZUnit": "mm",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", both, metadata=metadata, compression="zlib")
    opened = open_volume(tmp_path / "a.ome.tif")
    assert opened.axes == "czyx"
    assert opened.spacing_um == pytest.approx((2.0, 0.6, 0.5))
    assert np.array_equal(opened.channel(1).array[BOX], both[1][BOX])
    with pytest.raises(InputError, match="has 2 channels"):
        open_volume(tmp_path / "a.ome.tif", ndim=3)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_ome_tiff_nonsense_spacing(tmp_path, stack, value):
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        stack,
        metadata={"axes": "ZYX", "PhysicalSizeX": value, "PhysicalSizeY": 1, "PhysicalSizeZ": 1},
    )
    with pytest.raises(InputError, match="positive numbers of micrometres"):
        open_volume(tmp_path / "a.ome.tif")


def test_rgb_tiff_has_channels_first(tmp_path, stack):
    colour = np.stack([stack, stack + 1, stack + 2], -1).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", colour, photometric="rgb")
    opened = open_volume(tmp_path / "a.tif")
    assert opened.axes == "czyx"
    assert np.array_equal(opened.array[(1, *BOX)], colour[(*BOX, 1)])
    tifffile.imwrite(tmp_path / "b.tif", colour, photometric="rgb", compression="zlib")
    assert np.array_equal(open_volume(tmp_path / "b.tif").array[(1, *BOX)], colour[(*BOX, 1)])


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, UNDESCRIBED, {"imagej": True}, {"bigtiff": True}])
@pytest.mark.parametrize("keep", [20, 0.3, 0.5, 0.9, -60])
def test_truncated_tiff(tmp_path, stack, options, keep):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, **options)
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(InputError, match=r"a\.tif.*truncated"):
        open_volume(path)


def test_damaged_strip(tmp_path, stack):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages[3].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + 8] = bytes(8)
    path.write_bytes(data)
    with pytest.raises(InputError, match="plane 3 is damaged"):
        open_volume(path).read()


@pytest.mark.parametrize("values", [np.zeros((4, 5), "u1"), np.zeros((3, 4, 5), "c8"), np.zeros((3, 4, 5), bool)])
def test_tiff_that_is_no_volume(tmp_path, values):
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    with pytest.raises(InputError, match=r"a\.tif"):
        open_volume(tmp_path / "a.tif")


def write_planes(folder: Path, stack: np.ndarray, names) -> None:
    folder.mkdir()
    for name, plane in zip(names, stack, strict=True):
        tifffile.imwrite(folder / name, plane)


@pytest.mark.parametrize("pattern", ["p{}.tif", "run2_z{:03d}_c1.tiff", "{}.TIF"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_plane_folder_in_natural_order(tmp_path, stack, pattern, compression):
    folder = tmp_path / "planes"
    folder.mkdir()
    for k, plane in enumerate(stack):
        tifffile.imwrite(folder / pattern.format(k), plane, compression=compression)
    (folder / "notes.txt").write_text("not a plane")
    opened = open_volume(folder)
    assert opened.spacing_um is None
    assert np.array_equal(opened.array[BOX], stack[BOX])


def test_plane_folder_faults(tmp_path, stack):
    write_planes(tmp_path / "gap", stack[:3], ["z1.tif", "z2.tif", "z4.tif"])
    with pytest.raises(InputError, match=r"z4\.tif: does not follow z2\.tif"):
        open_volume(tmp_path / "gap")
    write_planes(tmp_path / "size", stack[:3], ["z1.tif", "z2.tif", "z3.tif"])
    tifffile.imwrite(tmp_path / "size" / "z2.tif", stack[0, :30])
    with pytest.raises(InputError, match=r"z2\.tif: is \(30, 90\) uint16, but z1\.tif is"):
        open_volume(tmp_path / "size")
    write_planes(tmp_path / "stack", stack[:2], ["z1.tif", "z2.tif"])
    tifffile.imwrite(tmp_path / "stack" / "z2.tif", stack)
    with pytest.raises(InputError, match=r"z2\.tif: has shape"):
        open_volume(tmp_path / "stack")
    write_planes(tmp_path / "cut", stack[:2], ["z1.tif", "z2.tif"])
    (tmp_path / "cut" / "z2.tif").write_bytes((tmp_path / "cut" / "z2.tif").read_bytes()[:500])
    with pytest.raises(InputError, match=r"z2\.tif.*truncated"):
        open_volume(tmp_path / "cut")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither a Zarr store nor a folder"):
        open_volume(tmp_path / "empty")


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("detached", [False, True])
def test_nrrd(tmp_path, stack, encoding, detached):
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag([0.5, 0.6, 2.0]),
        "space units": ["um"] * 3,
        "encoding": encoding,
    }
    path = tmp_path / ("a.nhdr" if detached else "a.nrrd")
    nrrd.write(str(path), stack, header, index_order="C", detached_header=detached)
    opened = open_volume(path)
    assert opened.axes == "zyx"
    assert opened.spacing_um == pytest.approx((2.0, 0.6, 0.5))
    assert np.array_equal(opened.array[BOX], stack[BOX])


@pytest.mark.parametrize(
    ("header", "spacing"),
    [
        ({}, None),
        ({"spacings": [0.5, 0.6, 2.0]}, None),
        ({"spacings": [0.5, 0.6, 2.0], "units": ["mm", "mm", "mm"]}, (2000.0, 600.0, 500.0)),
        ({"space dimension": 3, "space directions": ROTATED}, None),
        ({"space dimension": 3, "space directions": ROTATED, "space units": ["mm"] * 3}, (2000.0, 600.0, 500.0)),
    ],
)  # fmt: skip
def test_nrrd_spacing(tmp_path, stack, header, spacing):
    nrrd.write(str(tmp_path / "a.nrrd"), stack, header, index_order="C")
    assert open_volume(tmp_path / "a.nrrd").spacing_um == (None if spacing is None else pytest.approx(spacing))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", ">u2", "i4", "u4", "i8", "u8", "f4", ">f8"])
def test_nrrd_types(tmp_path, stack, dtype):
    values = (stack % 100).astype(dtype)
    nrrd.write(str(tmp_path / "a.nrrd"), values, {"encoding": "raw"}, index_order="C")
    opened = open_volume(tmp_path / "a.nrrd")
    assert opened.dtype == values.dtype.newbyteorder("=")
    assert np.array_equal(opened.read(), values)


def test_nrrd_channels(tmp_path, stack):
    both = np.stack([stack, stack[::-1]])
    nrrd.write(str(tmp_path / "a.nrrd"), both, {"kinds": ["domain", "domain", "domain", "list"]}, index_order="C")
    assert open_volume(tmp_path / "a.nrrd").axes == "czyx"
    assert np.array_equal(open_volume(tmp_path / "a.nrrd", channel=1).read(), both[1])
    last = np.ascontiguousarray(np.moveaxis(both, 0, -1))
    nrrd.write(str(tmp_path / "b.nrrd"), last, {"kinds": ["vector", "domain", "domain", "domain"]}, index_order="C")
    assert np.array_equal(open_volume(tmp_path / "b.nrrd", channel=1).read(), both[1])


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_truncated_nrrd(tmp_path, stack, encoding):
    path = tmp_path / "a.nrrd"
    nrrd.write(str(path), stack, {"encoding": encoding}, index_order="C")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"a\.nrrd"):
        open_volume(path).read()
    path.write_bytes(b"NRRD0004\ntype: banana\n\n")
    with pytest.raises(InputError, match="header is corrupt"):
        open_volume(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("unit", "factor"), [("mm", 1000), ("micron", 1), ("unknown", None)])
def test_nifti(tmp_path, stack, suffix, unit, factor):
    image = nibabel.Nifti1Image(stack.T, np.diag([0.5, 0.6, 2.0, 1.0]))
    image.header.set_xyzt_units(unit)
    path = tmp_path / f"a{suffix}"
    nibabel.save(image, path)
    opened = open_volume(path)
    assert (opened.axes, opened.dtype) == ("zyx", np.dtype("u2"))
    assert opened.spacing_um == (None if factor is None else pytest.approx((2 * factor, 0.6 * factor, 0.5 * factor)))
    assert np.array_equal(opened.array[BOX], stack[BOX])


def test_scaled_nifti_is_float32(tmp_path, stack):
    image = nibabel.Nifti1Image(stack.T.astype(np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, 3)
    nibabel.save(image, tmp_path / "a.nii")
    values = nibabel.load(tmp_path / "a.nii").get_fdata().T
    opened = open_volume(tmp_path / "a.nii")
    assert opened.dtype == np.float32
    assert np.allclose(opened.array[BOX], values[BOX])


def test_truncated_nifti(tmp_path, stack):
    nibabel.save(nibabel.Nifti1Image(stack.T, np.eye(4)), tmp_path / "a.nii")
    whole = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii").write_bytes(whole[:-100])
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(whole)[:-2000])
    (tmp_path / "d.nii").write_bytes(b"not a header")
    for name in ("b.nii", "c.nii.gz", "d.nii"):
        with pytest.raises(InputError, match=name):
            open_volume(tmp_path / name).read()


def test_what_is_no_volume(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(10))
    (tmp_path / "a.xyz").write_bytes(bytes(10))
    (tmp_path / "a.tif").write_bytes(b"")
    for name, reason in (
        ("a.raw", "headerless"),
        ("a.xyz", "unknown format"),
        ("a.tif", "empty"),
        ("b.tif", "no such file"),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            open_volume(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


@needs_data
@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("spimagine/flybrain.tif", (57, 256, 256), "u1"),
        ("qim3d/NT_128x128x128.tif", (128, 128, 128), "u1"),
        ("klb_testdata/img.tif", (29, 151, 101), "u2"),
    ],
)
def test_public_tiffs(name, shape, dtype):
    opened = open_volume(SHARED / name, ndim=3)
    assert (opened.shape, opened.dtype) == (shape, np.dtype(dtype))
    assert np.array_equal(opened.read(), tifffile.imread(SHARED / name).reshape(shape))


@needs_data
def test_public_planes(tmp_path):
    with zipfile.ZipFile(SHARED / "brainreg_mouse_brain.zip") as archive:
        archive.extractall(tmp_path)
    folder = next(item.parent for item in tmp_path.rglob("*.tif"))
    opened = open_volume(folder)
    assert opened.shape == (270, 193, 271)
    assert opened.array[100].max() > 0
