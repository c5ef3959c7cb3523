"""ProcessingConfig: one declaration per parameter, values as users write them in Python and on a command line."""

from pathlib import Path

import pytest

from linumpy_lib.errors import ParameterError
from linumpy_lib.fusion import ProcessingConfig
from linumpy_lib.fusion.parameters.blending import BlendingParameters
from linumpy_lib.fusion.parameters.correction import CorrectionParameters
from linumpy_lib.fusion.parameters.registration import RegistrationParameters
from linumpy_lib.fusion.parameters.selection import SelectionParameters
from linumpy_lib.fusion.parameters.temporal import TemporalParameters
from linumpy_lib.params import flags

PARTS = (
    SelectionParameters,
    CorrectionParameters,
    RegistrationParameters,
    TemporalParameters,
    BlendingParameters,
)


def test_python_values_and_texts_mean_the_same():
    config = ProcessingConfig(
        input_dir=Path("a recording"),
        timepoints=[0, 1, 2, 7],
        crop_left=None,
        median_kernel=None,
        camera_channel_map={0: 1, 1: 1},
        fusion_blending_range=20,
        fusion_mask_min_object_size=1e-5,
        output_dir=None,
    )
    assert config.output_dir == Path("a recording.corrected")
    assert config.diagnostics_dir == Path("a recording.corrected/diagnostics")
    assert config.crop_left == ()
    assert config.fusion_blending_range == (20, 20)
    for part in PARTS:
        words = iter(flags(config.part(part)))
        typed = {name.removeprefix("--"): value for name, value in zip(words, words, strict=True)}
        assert part.parse(typed) == config.part(part)
    assert SelectionParameters.parse({"timepoints": "0-2,7"}).timepoints == config.timepoints
    assert SelectionParameters.parse({"camera_channel_map": "0:1,1:1"}).camera_channel_map == ((0, 1), (1, 1))


def test_every_field_has_one_owner():
    names = [name for part in PARTS for name in part.model_fields]
    assert len(names) == len(set(names))
    folders = {"input_dir", "output_dir", "projection_dir", "global_mask_dir", "diagnostics_dir"}
    assert set(ProcessingConfig.model_fields) == set(names) | folders


@pytest.mark.parametrize(
    ("part", "name", "value", "word"),
    [
        (SelectionParameters, "timepoints", "4-0", "backwards"),
        (SelectionParameters, "timepoints", "-1", "indices"),
        (SelectionParameters, "fusion_camera_pairs", "0,1", "pairs"),
        (SelectionParameters, "reference_channels", "0-a", "groups"),
        (CorrectionParameters, "median_kernel", "2", "odd"),
        (CorrectionParameters, "crop_left", "x", "whole"),
        (RegistrationParameters, "fusion_search_offsets_x", "50,-50,10", "lowest"),
        (BlendingParameters, "fusion_blending_range", "-1", "whole"),
        (BlendingParameters, "fusion_left_flags", "1,3", "two flags"),
        (TemporalParameters, "fusion_smoothing_window", "1", "3"),
    ],
)
def test_errors_name_what_is_allowed(part, name, value, word):
    with pytest.raises(ParameterError, match=word) as error:
        part.parse({name: value})
    assert name in str(error.value)
