"""Damaged and hostile files of every format: a result or one clear refusal, soon, in little memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import resource
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pytest
import tifffile

from linumpy_lib.anisotropy.statistics import AnisotropyStatistics
from linumpy_lib.anisotropy.steps.results import read_json as read_result
from linumpy_lib.errors import PipelineError
from linumpy_lib.fusion.pair_views import read_record
from linumpy_lib.fusion.raw_view import read_view_file
from linumpy_lib.fusion.xml_metadata import read_xml_metadata
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.archive import zip_store
from linumpy_lib.io.klb_writing import write_klb
from linumpy_lib.quality.thresholds import DEFAULT_FILE, read_thresholds
from linumpy_lib.simulation.truth import SliceTruth, TileTruth, Truth, read_optics, read_truth, write_truth

CASES = int(os.environ.get("FUZZ_CASES", "100"))
"""Of each of the readers below; always the same ones. `make fuzz CASES=20000` asks for more."""

SHAPE = (6, 9, 11)
VALUES = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
SECONDS = 5


@pytest.fixture(scope="module", autouse=True)
def _little_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000, "kB more than before"


def read_volume(path: Path) -> Any:
    volume = open_volume(path)
    assert int(np.prod(volume.shape)) < 10**6 or volume.corner(8).read() is not None
    return volume.read() if int(np.prod(volume.shape)) < 10**6 else None


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Change, cut, repeat or insert bytes; numbers of text become absurd ones."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data)) if data else 0
        way = rng.randrange(7)
        if way == 0 and data:
            data[at] = rng.randrange(256)
        elif way == 1:
            del data[at:]
        elif way == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 40))
        elif way == 3:
            data[at : at + rng.randint(1, 16)] = rng.choice([b"\xff", b"\x00", b"\x7f"]) * rng.randint(1, 16)
        elif way == 4:
            del data[at : at + rng.randint(1, 30)]
        elif way == 5:
            digits = [k for k in range(min(len(data), 4000)) if chr(data[k]).isdigit()]
            if digits:
                k = rng.choice(digits)
                data[k : k + 1] = rng.choice(
                    [b"99999999999999999999", b"-1", b"0", b"1e308", b"NaN", b"null", b"[]", b'"x"']
                )
        else:
            data += data[: rng.randint(0, 200)]
    return bytes(data)


def klb(folder: Path) -> Path:
    write_klb(folder / "a.klb", VALUES, compression="bzip2", block=(2, 5, 5), threads=1)
    return folder / "a.klb"


def tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.ome.tif", VALUES, ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 2.0})
    return folder / "a.ome.tif"


def squeezed_tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", VALUES, compression="zlib")
    return folder / "a.tif"


def raw_nrrd(folder: Path) -> Path:
    nrrd.write(str(folder / "a.nrrd"), VALUES, {"encoding": "raw", "spacings": [1, 2, 3]}, index_order="C")
    return folder / "a.nrrd"


def squeezed_nrrd(folder: Path) -> Path:
    nrrd.write(str(folder / "a.nrrd"), VALUES, {"encoding": "gzip"}, index_order="C")
    return folder / "a.nrrd"


def nifti(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(VALUES.astype(np.int16), np.eye(4)), folder / "a.nii")
    return folder / "a.nii"


def squeezed_nifti(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(VALUES.astype(np.int16), np.eye(4)), folder / "a.nii.gz")
    return folder / "a.nii.gz"


def store(folder: Path) -> Path:
    write_volume(folder / "a.ome.zarr", VALUES, spacing_um=(1, 2, 3), threads=1)
    return folder / "a.ome.zarr"


def archive(folder: Path) -> Path:
    return zip_store(store(folder), folder / "a.ome.zarr.zip")


def statistics(folder: Path) -> Path:
    AnisotropyStatistics().save(folder / "a.npz")
    return folder / "a.npz"


def optics(folder: Path) -> Path:
    np.savez(folder / "optics.npz", flat_field=np.ones((4, 5), np.float32))
    return folder / "optics.npz"


def xml(folder: Path) -> Path:
    (folder / "ch0.xml").write_text(
        '<push_config><info data_header="x"/><info dimensions="12x14x8" z_step="2.0" camera_index="0, 1" '
        'detection_objective="16x/0.8" exposure_time="10"/></push_config>'
    )
    return folder / "ch0.xml"


def text_file(name: str, document: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(json.dumps(document))
        return folder / name

    return make


VIEW = {
    **dict.fromkeys(("specimen", "timepoint", "camera", "channel", "width", "height", "xml_depth"), 1),
    **{"second": False, "stack": "a.stack", "background": None, "metadata": {"z_step": 2.0}},
}
RECORD = {
    **{"format": "linumpy-registration", "name": "a", "timepoint": 0, "mode": "camera", "factor": 1.0},
    **{"transform": {}, "backgrounds": [1, 2], "flips": [False, True], "figures": {}, "refused": "", "source": "x"},
}


def truth(folder: Path) -> Path:
    pair, three = (1.0, 2.0), (1.0, 2.0, 3.0)
    tile = TileTruth(0, 0, False, pair, pair, three)
    one = SliceTruth(0, True, 1.0, 1, 1, 0, 0, pair, pair, pair, pair, 0.5, pair, 0, 0, 1.0, False, (tile,))
    scan = (pair, pair)
    found = Truth({}, three, (4, 5, 6), 1.0, 100.0, scan, pair, scan, pair, True, {"name": "brain"}, (three,), (one,))
    write_truth(folder, found, {})
    return folder / "truth.json"


READERS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    "KLB": (klb, read_volume),
    "OME-TIFF": (tiff, read_volume),
    "TIFF, zlib": (squeezed_tiff, read_volume),
    "NRRD": (raw_nrrd, read_volume),
    "NRRD, gzip": (squeezed_nrrd, read_volume),
    "NIfTI": (nifti, read_volume),
    "NIfTI, gzip": (squeezed_nifti, read_volume),
    "OME-Zarr": (store, read_volume),
    "OME-Zarr, zip": (archive, read_volume),
    "npz of statistics": (statistics, AnisotropyStatistics.load),
    "npz of optics": (optics, lambda path: read_optics(path.parent)),
    "XML of a .stack": (xml, read_xml_metadata),
    "view record": (text_file("v.json", VIEW), lambda path: read_view_file(path, path.parent)),
    "pair record": (text_file("p.json", RECORD), read_record),
    "truth": (truth, read_truth),
    "step's JSON": (text_file("s.json", {"metrics": {"a": {"value": 1}}}), read_result),
    "thresholds": (text_file("t.json", json.loads(DEFAULT_FILE.read_text())), read_thresholds),
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    make, read = READERS[kind]
    rng = random.Random(kind)
    whole = make(tmp_path)
    files = sorted(path for path in whole.rglob("*") if path.is_file()) if whole.is_dir() else [whole]
    contents = {path: path.read_bytes() for path in files}
    ends = {"read": 0, "refused": 0}
    for _ in range(CASES):
        victim = rng.choice(files)
        victim.write_bytes(damaged(contents[victim], rng))
        start, complaint = time.process_time(), ""
        try:
            read(whole)
            ends["read"] += 1
        except PipelineError as error:
            ends["refused"] += 1
            complaint = str(error)
        assert len(complaint) < 5000
        assert time.process_time() - start < SECONDS
        victim.write_bytes(contents[victim])
    assert sum(ends.values()) == CASES
    assert ends["refused"] > CASES // 20
    read(whole)  # sound itself, so what was refused is refused for the damage


BOMB = 1 << 28


def zeros() -> bytes:
    return gzip.compress(bytes(BOMB), 9)


def test_archives_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (BOMB,)})
    for name, read in (("a.npz", AnisotropyStatistics.load), ("optics.npz", lambda path: read_optics(path.parent))):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as bomb:
            bomb.writestr("counts.npy", member.getvalue() + bytes(BOMB))
        with pytest.raises(PipelineError, match=name):
            read(tmp_path / name)


def test_an_object_in_an_archive_is_not_unpickled(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "PWNED",))

    np.savez(tmp_path / "optics.npz", flat_field=np.array([Runs()], dtype=object))
    with pytest.raises(PipelineError, match="optics"):
        read_optics(tmp_path)
    np.savez(tmp_path / "a.npz", format=np.array([Runs()], dtype=object))
    with pytest.raises(PipelineError, match=r"a\.npz"):
        AnisotropyStatistics.load(tmp_path / "a.npz")
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("sizes", ["9 9 9", "4000 4000 4000", "999999999999 2 2"])
def test_a_squeezed_nrrd_grows_no_further_than_its_header_says(tmp_path: Path, sizes: str) -> None:
    header = f"NRRD0005\ntype: uint8\ndimension: 3\nsizes: {sizes}\nencoding: gzip\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + zeros())
    with pytest.raises(PipelineError, match=r"a\.nrrd"):
        open_volume(tmp_path / "a.nrrd").read()


def test_a_squeezed_nifti_grows_no_further_than_its_header_says(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    image.header.set_data_shape((30000, 30000, 30000))
    head = bytearray(image.header.binaryblock)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(head) + bytes(4)) + zlib.compress(b""))
    with pytest.raises(PipelineError, match=r"a\.nii\.gz"):
        open_volume(tmp_path / "a.nii.gz").corner(8).read()


@pytest.mark.parametrize(
    "read", [read_result, read_record, read_thresholds, read_truth], ids=lambda read: read.__name__
)
def test_brackets_without_end_are_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    path = tmp_path / "truth.json"
    path.write_text("[" * 200_000)
    with pytest.raises(PipelineError, match=r"truth\.json"):
        read(path)
