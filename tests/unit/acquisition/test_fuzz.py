"""Whatever stands in the files of an acquisition: a result or one clear refusal, soon, and in little memory."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from linumpy_lib.acquisition.check import check_acquisition
from linumpy_lib.acquisition.discovery import find_tiles
from linumpy_lib.acquisition.slice_rows import read_records
from linumpy_lib.acquisition.tile_info import TileInfo, read_tile_info
from linumpy_lib.alignment.interpolation_manifest import read_manifests
from linumpy_lib.alignment.rigid import read_tfm
from linumpy_lib.errors import InputError
from linumpy_lib.io.shift_table import COLUMNS, read_shifts
from linumpy_lib.io.slice_config import read_slice_config, write_slice_config
from linumpy_lib.io.slice_factors import read_factors
from linumpy_lib.io.text_file import read_text
from linumpy_lib.io.tiff import _ome_spacing

CASES = int(os.environ.get("FUZZ_CASES", "400"))
"""Of each of the 14 tests below, besides the named examples; `make fuzz CASES=20000` asks for more.

No case may take longer than five seconds.
"""

fuzz = settings(max_examples=CASES, deadline=5000, derandomize=True, suppress_health_check=list(HealthCheck))

NUMBERS = st.one_of(
    st.integers(-3, 200).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(
        ["", "1e308", "-1e308", "1e-320", "9" * 400, "0x10", "1_0", "١٢", "nan", "inf", "1,5", "∞", "-0", "+3"]
    ),
)
WORDS = st.one_of(NUMBERS, st.text(max_size=20))
KEYS = ("nx", "ny", "n_repeat", "n_extra", "width", "height", "top_z", "bottom_z", "stage_x_pos_mm", "stage_y_pos_mm")
INFO = st.dictionaries(st.sampled_from(KEYS), WORDS, max_size=10)
SOUND = dict(zip(KEYS, ("8", "6", "1", "2", "24", "18", "0", "4", "1.5", "-2"), strict=True))


@pytest.fixture(scope="module", autouse=True)
def _little_memory() -> Any:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000, "kB more than before"


def refused_or_read(read: Callable[[Path], Any], path: Path) -> Any:
    found, complaint = None, path.name
    try:
        found = read(path)
    except InputError as error:
        complaint = str(error)
    assert path.name in complaint
    assert len(complaint) < 5000
    return found


@fuzz
@given(changes=INFO, junk=st.text(max_size=40), absent=st.sets(st.sampled_from(KEYS), max_size=2))
@example(changes={"nx": "1e308"}, junk="", absent=set())
@example(changes={"top_z": "-999999", "bottom_z": "999999", "nx": "999999"}, junk="", absent=set())
def test_info_txt(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, str], junk: str, absent: set[str]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "info" / "tile_x00_y00_z00"
    folder.mkdir(parents=True, exist_ok=True)
    values = {key: value for key, value in {**SOUND, **changes}.items() if key not in absent}
    text = junk + "\n" + "".join(f"{key}: {value}\n" for key, value in values.items())
    (folder / "info.txt").write_text(text, encoding="utf-8", errors="surrogatepass")
    info = refused_or_read(read_tile_info, folder)
    if isinstance(info, TileInfo):
        assert min(info.nx, info.ny, info.nz, info.n_repeat) >= 1
        assert all(0 < p < 1e10 for p in info.pixel_um)
    (folder / "image_0.bin").write_bytes(b"\0" * 960)
    lines, problems, _ = check_acquisition(folder.parent, {})
    assert lines or problems


@fuzz
@given(data=st.binary(max_size=200))
def test_bytes_for_info_txt(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "bytes" / "tile_x00_y00_z00"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "info.txt").write_bytes(data)
    refused_or_read(read_tile_info, folder)


TABLES: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "shifts_xy.csv": (read_shifts, COLUMNS),
    "slice_config.csv": (read_slice_config, ("slice_id", "use", "exclude_reason", "notes")),
    "manifest.csv": (
        lambda path: read_manifests([path]),
        ("slice_id", "method", "method_used", "fallback_reason", "interpolation_failed", "output_path"),
    ),
    "slice_factors.csv": (
        read_factors,
        ("slice_id", "tissue_voxels", "reference", "smoothed", "factor", "level"),
    ),
}


@pytest.mark.parametrize("name", TABLES)
@fuzz
@given(data=st.data())
def test_tables(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    read, columns = TABLES[name]
    path = tmp_path_factory.getbasetemp() / name
    header = data.draw(st.one_of(st.just(list(columns)), st.permutations(columns), st.lists(WORDS, max_size=8)))
    rows = data.draw(st.lists(st.lists(WORDS, min_size=len(header), max_size=len(header) + 1), max_size=5))
    text = "\n".join(",".join(row) for row in [header, *rows])
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    table = refused_or_read(read, path)
    if isinstance(table, dict):
        assert all(0 <= slice_id <= 999_999 for slice_id in table)


@pytest.mark.parametrize("name", TABLES)
@fuzz
@given(text=st.binary(max_size=300))
@example(text=b'slice_id,use\n"1' + b"a" * 200_000)
@example(text=b"\0\0\0")
@example(text=b'"')
@example(text=b"\r\r\n\n\r")
def test_bytes_for_tables(tmp_path_factory: pytest.TempPathFactory, name: str, text: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(text)
    refused_or_read(TABLES[name][0], path)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(10**30), 10**30) | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["slice_id", "galvo", "method", "confidence", "shift_px", "x"]), children, max_size=4
        )
    ),
    max_leaves=12,
)


@fuzz
@given(record=JSON)
@example(record={"slice_id": 1, "galvo": {"method": "band", "confidence": float("inf"), "shift_px": float("inf")}})
@example(record={"slice_id": 10**30, "galvo": {}})
def test_records(tmp_path_factory: pytest.TempPathFactory, record: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "mosaic_grid_3d_z01.json"
    path.write_text(json.dumps(record))
    refused_or_read(lambda path: read_records([path]), path)


def test_records_nested_beyond_measure(tmp_path: Path) -> None:
    path = tmp_path / "mosaic_grid_3d_z01.json"
    for text in ("[" * 200_000, '{"a":' * 100_000, "9" * 10_000, ""):
        path.write_text(text)
        with pytest.raises(InputError, match="mosaic_grid_3d_z01"):
            read_records([path])


@fuzz
@given(
    kind=st.sampled_from(["Euler3DTransform_double_3_3", "TranslationTransform_double_2_2", "x", ""]),
    numbers=st.lists(WORDS, max_size=7),
)
def test_transforms(tmp_path_factory: pytest.TempPathFactory, kind: str, numbers: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "transform.tfm"
    text = (
        f"#Insight Transform File V1.0\nTransform: {kind}\nParameters: {' '.join(numbers)}\nFixedParameters: 1 2 0 0\n"
    )
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    refused_or_read(read_tfm, path)


@fuzz
@given(size=WORDS, unit=st.text(max_size=5), text=st.text(max_size=60))
@example(size="1", unit="m", text='<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><OME>&b;</OME>')
def test_ome_metadata(size: str, unit: str, text: str) -> None:
    from xml.sax.saxutils import quoteattr

    attributes = "".join(
        f" PhysicalSize{axis}={quoteattr(size)} PhysicalSize{axis}Unit={quoteattr(unit)}" for axis in "XYZ"
    )
    for document in (text, f"<OME><Image><Pixels{attributes}/></Image></OME>"):
        spacing = refused_or_read(partial(_ome_spacing, text=document), Path("a.ome.tif"))
        assert spacing is None or all(0 < s < float("inf") for s in spacing)


def test_entities_that_grow_are_refused() -> None:
    entities = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10}">' for k in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "aaaaaaaaaa">{entities}]><OME>&e11;</OME>'
    with pytest.raises(InputError, match="do not trust"):
        _ome_spacing(Path("a.ome.tif"), bomb)


@fuzz
@given(
    names=st.lists(
        st.one_of(st.from_regex(r"\Atile_x[0-9]{1,9}_y[0-9]{1,3}_z[0-9]{1,9}\Z"), st.text(max_size=12)), max_size=6
    )
)
@example(names=["tile_x٣_y00_z00", "tile_x00_y00_z00\n"])
def test_names_of_folders(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    root = tmp_path_factory.mktemp("names")
    for name in names:
        try:
            (root / name).mkdir(exist_ok=True)
        except (OSError, ValueError):
            continue
    found, complaint = 0, ""
    try:
        found = len(find_tiles(root).tiles)
    except InputError as error:
        complaint = str(error)
    assert found <= len(names)
    assert len(complaint) < 5000


@pytest.mark.parametrize("name", ["info.txt", "shifts_xy.csv"])
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "tile_x00_y00_z00"
    folder.mkdir()
    os.mkfifo(folder / name)
    with pytest.raises(InputError, match="no regular file"):
        read_tile_info(folder) if name == "info.txt" else read_shifts(folder / name)
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(InputError, match="no regular file"):
        read_tile_info(folder) if name == "info.txt" else read_shifts(folder / name)


def test_a_file_beyond_measure_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "info.txt"
    with path.open("wb") as handle:
        handle.truncate(1 << 40)
    with pytest.raises(InputError, match=r"info\.txt: cannot be read, it is larger than 1048576 bytes"):
        read_tile_info(tmp_path)
    with pytest.raises(InputError, match="larger than"):
        read_text(path, "x", most=10)


def test_text_of_tables_survives(tmp_path: Path) -> None:
    notes = 'a "quoted", text\nof two lines; = + @ é 切片'
    write_slice_config(tmp_path / "slice_config.csv", {3: {"use": True, "notes": notes}})
    assert read_slice_config(tmp_path / "slice_config.csv")[3]["notes"] == notes
