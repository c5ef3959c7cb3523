"""Figures are judged in the right direction and with their sign."""

import json

import pytest

from linumpy_lib.errors import InputError
from linumpy_lib.quality.thresholds import judge, read_thresholds


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("rotation_degrees", 0.5, "ok"),
        ("rotation_degrees", -1.5, "warning"),
        ("rotation_degrees", -2.5, "error"),
        ("z_correlation", 0.9, "ok"),
        ("z_correlation", 0.6, "warning"),
        ("z_correlation", -0.9, "error"),
        ("empty_fraction", 0.6, "warning"),
        ("empty_fraction", float("nan"), "error"),
        ("empty_fraction", None, "info"),
        ("no_such_figure", 1e9, "info"),
    ],
)
def test_status(name, value, status):
    assert judge(name, value)["status"] == status


@pytest.mark.parametrize(
    "entry",
    [
        {"bad": "upwards", "warning": 1, "error": 2},
        {"bad": "above", "warning": 1},
        {"bad": "above", "warning": 2, "error": 1},
        {"bad": "below", "warning": 1, "error": 2},
        {"bad": "above", "warning": True, "error": 2},
        [],
    ],
)
def test_a_malformed_file_is_refused_by_name(tmp_path, entry):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"seam": entry}))
    with pytest.raises(InputError, match=r"mine\.json.*seam"):
        read_thresholds(path)
