"""Parameters: every field's type, range and text is checked, and errors name the parameter and what is allowed."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from linumpy_lib.errors import ParameterError
from linumpy_lib.params import (
    NotNegativePerAxis,
    Parameters,
    PositivePerAxis,
    as_json,
    flags,
    optional_spacing,
    suggest,
    to_text,
    value_range,
)


class Example(Parameters):
    sigma: PositivePerAxis = (1.0,)
    rho: NotNegativePerAxis = (2.0,)
    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.5
    mode: Literal["fast", "exact"] = "exact"
    keep: bool = False


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (1, (1.0,)),
        ("1", (1.0,)),
        ("1,2,3", (1.0, 2.0, 3.0)),
        ([1, 2, 3], (1.0, 2.0, 3.0)),
        ("[1, 2.5, 3]", (1.0, 2.5, 3.0)),
    ],
)
def test_per_axis_accepts_what_users_type(typed, expected):
    assert Example.parse({"sigma": typed}).sigma == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sigma": "0"}, ["sigma", "'0'", "positive"]),
        ({"sigma": "1,2"}, ["sigma", "three"]),
        ({"sigma": "nan"}, ["sigma", "finite"]),
        ({"sigma": True}, ["sigma", "number"]),
        ({"rho": "-1"}, ["rho", "zero or more"]),
        ({"threshold": "1"}, ["threshold", "less than 1"]),
        ({"threshold": "nan"}, ["threshold", "finite"]),
        ({"mode": "quick"}, ["mode", "'fast' or 'exact'"]),
        ({"sgma": 1}, ["sgma", "did you mean 'sigma'?"]),
        ({"sigma": "x", "mode": "y"}, ["sigma", "mode"]),
    ],
)
def test_errors_name_parameter_value_and_remedy(values, words):
    with pytest.raises(ParameterError) as error:
        Example.parse(values)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_zero_and_false_are_not_lost():
    parameters = Example.parse({"rho": 0, "threshold": "0", "keep": "false"})
    assert flags(parameters) == [
        *("--keep", "false", "--mode", "exact", "--rho", "0"),
        *("--sigma", "1", "--threshold", "0"),
    ]
    assert (
        Example.parse(dict(zip(*[iter(word.lstrip("-") for word in flags(parameters))] * 2, strict=True))) == parameters
    )


def test_parameters_are_frozen_and_plain():
    parameters = Example()
    with pytest.raises(ValueError, match="frozen"):
        parameters.keep = True
    assert as_json(parameters) == {"keep": False, "mode": "exact", "rho": [2.0], "sigma": [1.0], "threshold": 0.5}


def test_text_of_values():
    assert [to_text(v) for v in (True, 2.0, 0.1, (1.0, 2.5), "a b")] == ["true", "2", "0.1", "1,2.5", "a b"]


def test_value_range_and_spacing():
    assert value_range("auto") == "auto"
    assert value_range("0, 4095") == "0,4095"
    assert optional_spacing("") == ""
    assert optional_spacing("2") == "2"
    assert optional_spacing([3, 1, 1]) == "3,1,1"
    for bad in ("3,1", "1", "a,b", "0,inf"):
        with pytest.raises(ValueError, match=r"low|auto"):
            value_range(bad)


def test_suggestion_is_silent_when_nothing_is_close():
    assert suggest("zzz", ["sigma"]) == ""
