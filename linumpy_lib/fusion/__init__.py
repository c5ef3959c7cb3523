"""Multi-view light-sheet fusion: readers, corrections, segmentation, registration, blending, time.

Names are loaded when they are used, because a step script must start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linumpy_lib.fusion.blending import blend_views
    from linumpy_lib.fusion.config import ProcessingConfig
    from linumpy_lib.fusion.filters import apply_gauss_filter, apply_median_filter
    from linumpy_lib.fusion.registration import estimate_registration
    from linumpy_lib.fusion.topology import pad_mask_to_center
    from linumpy_lib.fusion.transform import apply_registration

# public name -> module below this package that defines it
_HOMES = {
    "ProcessingConfig": "config",
    "apply_gauss_filter": "filters",
    "apply_median_filter": "filters",
    "apply_registration": "transform",
    "blend_views": "blending",
    "estimate_registration": "registration",
    "pad_mask_to_center": "topology",
}

__all__ = [
    "ProcessingConfig",
    "apply_gauss_filter",
    "apply_median_filter",
    "apply_registration",
    "blend_views",
    "estimate_registration",
    "pad_mask_to_center",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
