"""What a recording holds: XML, stacks, names, and everything that can be wrong with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.fusion.discovery import discover, view_stem
from linumpy_lib.fusion.parameters.selection import SelectionParameters
from linumpy_lib.fusion.raw_stack import open_stack
from linumpy_lib.fusion.recording_plan import plan_recording
from linumpy_lib.fusion.steps.discover_views import STEP
from linumpy_lib.fusion.xml_metadata import merge_metadata, of_camera, read_xml_metadata
from linumpy_lib.simulation import simulate_multiview

XML = """<?xml version="1.0" encoding="utf-8"?>
<push_config>
  <info data_header="mosquito" camera_index="2,3" z_step="2.0"/>
  <info version="1.1" dimensions="768x1848x38, 760x1848x40" exposure_time="20" time_point="12"/>
  <info detection_objective="SpecialOptics 16x/0.70, SpecialOptics 16x/0.70"/>
</push_config>
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two time points, four cameras, two channels, in a folder with a blank in its name."""
    folder = tmp_path_factory.mktemp("recordings") / "mosquito larva"
    simulate_multiview(output=folder, shape=(8, 14, 12), timepoints=2, channels=2, fill=0.1)
    return folder / "raw"


@pytest.fixture
def copy(recording: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recording, tmp_path / "copy of it"))


def write(folder: Path, text: str) -> Path:
    path = folder / "ch0.xml"
    path.write_text(text)
    return path


def test_attributes_of_all_info_elements(tmp_path: Path) -> None:
    found = read_xml_metadata(write(tmp_path, XML))
    assert found["data_header"] == "mosquito"
    assert found["camera_index"] == [2, 3]
    assert found["dimensions"] == [(768, 1848, 38), (760, 1848, 40)]
    assert (found["z_step"], found["time_point"], found["zplanes"]) == (2.0, 12, 38)
    assert (found["fps"], found["vps"]) == (50.0, 50 / 38)
    assert (found["objective_mag"], found["camera_pixel_size_um"], found["pixel_resolution_um"]) == (16, 6.5, 0.40625)
    assert of_camera(found, 3) == (760, 1848, 40)
    with pytest.raises(InputError, match="camera 0"):
        of_camera(found, 0)


def test_files_are_merged_by_the_number_of_the_camera(tmp_path: Path) -> None:
    two = read_xml_metadata(write(tmp_path, XML))
    one = read_xml_metadata(write(tmp_path, XML.replace('"2,3"', '"0,1"').replace("20", "40")))
    common, per_camera = merge_metadata([two, one])
    assert common["z_step"] == 2.0
    assert "exposure_time" not in common
    assert {camera: entry["exposure_time"] for camera, entry in per_camera.items()} == {0: 40, 1: 40, 2: 20, 3: 20}


ENTITIES = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (XML.replace("<push_config>", ENTITIES + "<push_config>").replace("mosquito", "&y;"), "do not trust"),
        (XML.replace("<push_config>", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><push_config>'), "do not trust"),
        (XML[:-20], "no valid XML"),
        ("", "no valid XML"),
        ("<a/>", "no 'info'"),
        (XML.replace("768x", "wide x"), "not width x height"),
        (XML.replace("768x", "0x"), "cannot be"),
        (XML.replace('"2.0"', '"two"'), "z_step is 'two'"),
        (XML.replace('"2.0"', '"inf"'), "z_step is 'inf'"),
        (XML + "<!-- " + "x" * 4_000_000 + " -->", "larger than"),
    ],
)
def test_hostile_and_damaged_xml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_xml_metadata(write(tmp_path, text))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    attributes=st.dictionaries(
        st.sampled_from(["dimensions", "z_step", "camera_index", "detection_objective", "exposure_time", "angle"]),
        st.text(st.characters(exclude_characters='<&"', exclude_categories=["Cs", "Cc"]), max_size=30)
        | st.from_regex(r"[0-9x, .]{0,20}", fullmatch=True),
    ),
    edits=st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3)), max_size=3),
)
@example(attributes={"dimensions": "1x1x1", "exposure_time": "1e-320"}, edits=[])
@example(attributes={"camera_index": "9" * 5000}, edits=[])
@example(attributes={"detection_objective": "0x"}, edits=[])
def test_any_xml_is_read_or_refused(tmp_path: Path, attributes: dict[str, str], edits: list[tuple[int, bytes]]) -> None:
    words = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    content = f'<push_config><info a="1" {words}/></push_config>'.encode()
    for place, data in edits:
        content = content[:place] + data + content[place:]
    path = tmp_path / "ch0.xml"
    path.write_bytes(content)
    message = str(path)
    try:
        read_xml_metadata(path)
    except InputError as error:
        message = str(error)
    assert str(path) in message


def test_views_wiring_and_backgrounds_come_from_the_names(recording: Path) -> None:
    views = discover(recording, SelectionParameters())
    assert [(v.timepoint, v.camera, v.channel) for v in views] == [
        (t, camera, channel) for t in range(2) for camera in range(4) for channel in range(2)
    ]
    assert views[0].stem == "SPM00_TM000000_CM00_CHN00"
    assert [v.second for v in views[:8:2]] == [False, True, False, True]
    for view in views:
        assert view.background is not None
        assert view.background.name == f"Background_{view.camera}.tif"
        stack = open_stack(view.stack, view.width, view.height)
        assert stack.shape == ((8, 14, 12) if view.camera < 2 else (14, 8, 12))
        assert stack.shape[0] == view.xml_depth
    chosen = discover(
        recording, SelectionParameters(timepoints="1", cameras="0-1", channels="0,1", camera_channel_map="0:1,1:0")
    )
    assert [(v.timepoint, v.camera, v.channel) for v in chosen] == [(1, 0, 1), (1, 1, 0)]


def test_all_files_in_one_folder(copy: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in copy.rglob("*"):
        if path.suffix in (".stack", ".tif"):
            path.rename(flat / path.name)
        elif path.suffix == ".xml":
            path.rename(flat / f"ch0{path.stem[-1]}_spec00.xml")
    views = discover(flat, SelectionParameters(timepoints=[0]))
    assert len(views) == 8
    assert all(view.background and view.width == 12 for view in views)


def test_refusals_name_what_is_there(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no stack"):
        discover(_empty(tmp_path), SelectionParameters())
    with pytest.raises(InputError, match=r"cameras \[7\] were not recorded; there are \[0, 1, 2, 3\]"):
        discover(copy, SelectionParameters(cameras="0,7"))
    with pytest.raises(InputError, match=r"timepoints \[5\]"):
        discover(copy, SelectionParameters(timepoints="0,5"))
    with pytest.raises(InputError, match="specimen 3"):
        discover(copy, SelectionParameters(specimen=3))
    with pytest.raises(InputError, match="no view is left"):
        discover(copy, SelectionParameters(channels="0", camera_channel_map="0:1,1:1,2:1,3:1"))
    (copy / "SPM00" / "TM00000" / "ch1.xml").unlink()
    assert len(discover(copy, SelectionParameters())) == 16, "the other channel's XML names the camera"
    (copy / "SPM00" / "TM00000" / "ch0.xml").unlink()
    with pytest.raises(InputError, match=r"no XML file for it; put ch0\.xml"):
        discover(copy, SelectionParameters())


def _empty(folder: Path) -> Path:
    path = folder / "empty"
    path.mkdir()
    return path


def test_truncated_stacks_and_other_sizes_are_refused(copy: Path) -> None:
    view = discover(copy, SelectionParameters())[0]
    whole = view.stack.read_bytes()
    view.stack.write_bytes(whole[: 2 * 14 * 12 * 3])
    assert open_stack(view.stack, view.width, view.height).shape == (3, 14, 12)
    view.stack.write_bytes(whole[:-7])
    with pytest.raises(InputError, match=r"7\.9\d planes of 12 x 14 pixels; the file is truncated"):
        open_stack(view.stack, view.width, view.height)
    view.stack.write_bytes(b"")
    with pytest.raises(InputError, match=r"0\.00 planes"):
        open_stack(view.stack, view.width, view.height)
    with pytest.raises(InputError, match="cannot be read"):
        open_stack(copy / "none.stack", 4, 4)


def test_two_files_of_one_view_are_refused(copy: Path) -> None:
    folder = copy / "SPM00" / "TM00000" / "ANG000"
    name = "SPC00_TM00000_ANG000_CM0_CHN00_PH{}.stack"
    shutil.copy(folder / name.format(0), folder / name.format(1))
    with pytest.raises(InputError, match="is the same view as"):
        discover(copy, SelectionParameters())


def test_pairs_and_groups(recording: Path) -> None:
    views = discover(recording, SelectionParameters())

    def plan(**choices: object) -> dict[str, object]:
        return plan_recording(views, SelectionParameters(**choices)).as_json(recording)

    plain = plan()
    assert plain["camera_pairs"] == [[0, 1], [2, 3]]
    assert plan(camera_pairs="0-1,4-5")["camera_pairs"] == [[0, 1]]
    assert plan(fusion_camera_pairs="0-3")["camera_pairs"] == [[0, 3]]
    assert plan(fusion_channel_pairs="0-1")["channel_pairs"] == [[0, 1]]
    assert plan()["global_masks"] == {
        **{"0": "global_CM00_CM01", "1": "global_CM00_CM01"},
        **{"2": "global_CM02_CM03", "3": "global_CM02_CM03"},
    }
    assert set(plan(camera_pairs="0-1,1-2,2-3")["global_masks"].values()) == {"global"}
    assert plan(camera_pairs="0-1", fusion_camera_pairs="2-0")["global_masks"]["2"] == "global_CM00_CM01_CM02"
    assert plan(fusion_enable=False)["fuse"] is False
    assert plan(fusion_4view_only=True)["keep_pairs"] is False
    groups = plan(reference_channels="0", dependent_channels="1")["mask_groups"]
    assert groups == [{"reference": [0], "dependent": [1]}]
    with pytest.raises(InputError, match=r"cameras \[4\] were not recorded"):
        plan(fusion_camera_pairs="0-4")
    with pytest.raises(InputError, match=r"channels \[2\] were not recorded"):
        plan(fusion_channel_pairs="0-2")
    with pytest.raises(InputError, match=r"channels \[5\]"):
        plan(reference_channels="5")
    with pytest.raises(ParameterError, match="need reference_channels"):
        plan(dependent_channels="1")
    with pytest.raises(ParameterError, match="once"):
        plan(reference_channels="0-1", dependent_channels="1")


def test_discover_views_step(copy: Path, tmp_path: Path) -> None:
    (copy / "SPM00" / "Background_2.tif").unlink()
    (copy / "SPM00" / "TM00001" / "ANG000" / "SPC00_TM00001_ANG000_CM3_CHN01_PH0.stack").unlink()
    execute(STEP, ["--recording", str(copy), "--output", str(tmp_path / "out"), "--name", "larva", "--quiet"])
    plan = json.loads((tmp_path / "out" / "larva_recording.json").read_text())
    assert plan["missing"] == [[1, 3, 1]]
    assert len(plan["views"]) == 15
    view = json.loads((tmp_path / "out" / "larva_views" / f"{view_stem(0, 1, 2, 0)}.json").read_text())
    assert view["stack"] == "SPM00/TM00001/ANG000/SPC00_TM00001_ANG000_CM2_CHN00_PH0.stack"
    assert view["background"] is None
    metrics = json.loads((tmp_path / "out" / "larva_discover_views_metrics.json").read_text())
    assert metrics["metrics"]["missing_views"]["value"] == 1
    assert any("Background_2.tif" in note for note in metrics["notes"])
    assert np.array_equal(plan["timepoints"], [0, 1])
