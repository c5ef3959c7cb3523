"""Length units and voxel spacings: every spelling that files use, turned into micrometres or refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

from linumpy_lib.errors import InputError

# Spellings of the length units of NGFF, OME-XML, ImageJ, NRRD and NIfTI, in micrometres. Case matters for symbols only
# ("Mm" is a megametre), so names are compared in lower case after the symbols.
_SYMBOLS = {
    "m": 1e6,
    "dm": 1e5,
    "cm": 1e4,
    "mm": 1e3,
    "um": 1.0,
    "µm": 1.0,  # micro sign
    "μm": 1.0,  # Greek mu
    "nm": 1e-3,
    "pm": 1e-6,
    "\u00c5": 1e-4,  # A with ring
    "\u212b": 1e-4,  # angstrom sign
    "in": 25400.0,
}
_NAMES = {
    "meter": 1e6,
    "decimeter": 1e5,
    "centimeter": 1e4,
    "millimeter": 1e3,
    "micrometer": 1.0,
    "micron": 1.0,
    "nanometer": 1e-3,
    "picometer": 1e-6,
    "angstrom": 1e-4,
    "inch": 25400.0,
}


def micrometres_per(unit: str | None) -> float | None:
    """Length of one `unit` in micrometres.

    Parameters
    ----------
    unit : str or None
        Any spelling found in files: ``"micrometer"``, ``"microns"``, ``"um"``, ``"µm"``, ``"millimetre"``, ...

    Returns
    -------
    float or None
        None for a missing unit and for words that are no length (``"pixel"``): the size is then unknown, never guessed.

    Examples
    --------
    >>> micrometres_per("millimetres"), micrometres_per("pixel")
    (1000.0, None)
    """
    if not unit:
        return None
    text = unit.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    if text in _SYMBOLS:
        return _SYMBOLS[text]
    name = text.lower().replace("metre", "meter")
    for candidate in (name, name.removesuffix("s"), name.removesuffix("es")):
        if candidate in _NAMES:
            return _NAMES[candidate]
    return None


def check_spacing(spacing_um: Sequence[float], where: str, count: int = 3) -> tuple[float, ...]:
    """Return `spacing_um` as floats, or refuse values that cannot be a voxel size.

    Parameters
    ----------
    spacing_um : sequence of float
        Voxel size per spatial axis, micrometres, z first.
    where : str
        File or parameter that the message names.
    count : int
        Number of spatial axes.

    Raises
    ------
    InputError
        If the number of values is wrong or a value is not a positive finite number.
    """
    try:
        values = tuple(float(value) for value in spacing_um)
    except (TypeError, ValueError):
        values = ()
    if len(values) != count or not all(math.isfinite(value) and value > 0 for value in values):
        raise InputError(
            f"{where}: voxel spacing {spacing_um!r} is not {count} positive numbers of micrometres; "
            "correct the metadata or give the spacing yourself"
        )
    return values


def known_spacing(scale: Sequence[float], units: Sequence[str | None], where: str) -> tuple[float, ...] | None:
    """Spacing in micrometres from raw `scale` numbers and their units, None where a unit is no length.

    Raises
    ------
    InputError
        If a scale is zero, negative, infinite or NaN.
    """
    check_spacing(scale, where, len(scale))
    factors = [micrometres_per(unit) for unit in units]
    if any(factor is None for factor in factors):
        return None
    return tuple(float(step) * factor for step, factor in zip(scale, factors, strict=True) if factor is not None)
