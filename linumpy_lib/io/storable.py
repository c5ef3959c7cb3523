"""What a store can hold: refused before a file is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.io.volume import CANONICAL_AXES

KINDS = ("intensity", "labels", "directions", "mask")


def check_array(where: str, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str, kind: str) -> None:
    """Refuse shapes, types, axes and kinds that cannot be stored.

    Raises
    ------
    InputError, ParameterError
    """
    if axes not in ("zyx", "czyx", "tzyx", "tczyx") or len(axes) != len(shape):
        raise InputError(
            f"{where}: axes '{axes}' do not describe a volume of shape {shape}; use zyx, czyx, tzyx or {CANONICAL_AXES}"
        )
    if min(shape) < 1:
        raise InputError(f"{where}: the volume is empty, shape {shape}; there is nothing to write")
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise InputError(
            f"{where}: data type {dtype} cannot be stored; convert it to integers or floats (masks to uint8)"
        )
    if kind not in KINDS:
        raise ParameterError(f"kind = {kind!r}: choose one of {', '.join(KINDS)}")
    if kind == "labels" and dtype.kind == "f":
        raise ParameterError(f"kind = 'labels': labels are integers, not {dtype}")


def channel_labels(names: Sequence[str] | None, count: int, fallback: str) -> tuple[str, ...]:
    """Return one name per channel; `fallback` names a single one.

    Raises
    ------
    ParameterError
        If the number of names is wrong.
    """
    if names is None:
        return (fallback,) if count == 1 else tuple(f"channel {k}" for k in range(count))
    if len(names) != count:
        raise ParameterError(f"channel_names = {list(names)}: the volume has {count} channels")
    return tuple(str(name) for name in names)
