"""Multi-view light-sheet fusion: readers, corrections, segmentation, registration, blending, time.

Names are loaded when they are used, because a step script must start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linumpy_lib.fusion.config import ProcessingConfig

# public name -> module below this package that defines it
_HOMES = {
    "ProcessingConfig": "config",
}

__all__ = ["ProcessingConfig"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
