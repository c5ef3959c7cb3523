import numpy as np
import pytest

from linumpy_lib.alignment.orientation import Orientation, every_orientation, reorient, rotation_matrix
from linumpy_lib.errors import ParameterError


def test_there_are_48_and_each_comes_back():
    codes = every_orientation()
    assert len({o.code for o in codes}) == 48
    letters = np.array(list("SAR"))
    opposite = dict(zip("SARIPL", "IPLSAR", strict=True))
    volume = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)  # in RAS
    for orientation in codes:
        # take the RAS volume to the orientation by the letters alone, then let the library bring it back
        order = [next(i for i, s in enumerate(letters) if letter in (s, opposite[s])) for letter in orientation.code]
        flip = [letter not in letters for letter in orientation.code]
        stored = np.transpose(volume, order)[tuple(slice(None, None, -1 if f else 1) for f in flip)]
        np.testing.assert_array_equal(reorient(stored, orientation), volume)


@pytest.mark.parametrize("code", ["", "SA", "SARL", "SIR", "RRA", "XYZ", "S R"])
def test_wrong_codes_are_refused(code):
    with pytest.raises(ParameterError, match="where the axes z, y, x point to"):
        Orientation.parse(code)


def test_coronal_sections_cut_from_front_to_back():
    stored = np.zeros((5, 6, 7), np.float32)
    stored[0, 0, 6] = 1  # most anterior, superior, right in PIR
    ras = reorient(stored, Orientation.parse("pir"))
    assert ras.shape == (6, 5, 7)
    assert ras[5, 4, 6] == 1


def test_rotations_are_right_handed():
    up, front, right = np.eye(3)
    np.testing.assert_allclose(rotation_matrix((0, 0, 90)) @ right, front, atol=1e-12)
    np.testing.assert_allclose(rotation_matrix((90, 0, 0)) @ front, up, atol=1e-12)
    np.testing.assert_allclose(rotation_matrix((0, 90, 0)) @ up, right, atol=1e-12)


def test_half_a_turn_flips_two_letters():
    assert Orientation("SAR").turned(rotation_matrix((0, 0, 180))).code == "SPL"
    assert Orientation("PIR").turned(rotation_matrix((180, 0, 0))).code == "ASR"
