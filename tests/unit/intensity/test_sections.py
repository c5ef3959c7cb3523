import pytest

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.intensity.sections import section_bounds


def test_equal_thickness() -> None:
    assert section_bounds(10, 3) == [(0, 3), (3, 7), (7, 10)]
    assert section_bounds(5, 5) == [(i, i + 1) for i in range(5)]


def test_real_boundaries() -> None:
    assert section_bounds(10, 1, [0, 6]) == [(0, 6), (6, 10)]
    assert section_bounds(10, 1, [0, 6, 10]) == [(0, 6), (6, 10)]


@pytest.mark.parametrize("count", [0, -1, 11])
def test_wrong_number_of_sections(count: int) -> None:
    with pytest.raises(ParameterError, match="the volume has 10 planes"):
        section_bounds(10, count)


@pytest.mark.parametrize("boundaries", [[], [1, 5], [0, 5, 5], [0, 12], [0, 7, 3]])
def test_wrong_boundaries(boundaries: list[int]) -> None:
    with pytest.raises(InputError, match="must ascend from 0"):
        section_bounds(10, 1, boundaries)
