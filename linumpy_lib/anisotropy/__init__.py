"""Structure tensor, its eigen system and the anisotropy measures. Importing this package loads nothing heavy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linumpy_lib.anisotropy.block import AnisotropyBlock, allocate_block, anisotropy_block
    from linumpy_lib.anisotropy.compute import Anisotropy, compute_anisotropy
    from linumpy_lib.anisotropy.eigen import EigenSystem, eigen_decompose
    from linumpy_lib.anisotropy.filters import CoarseScaleWarning
    from linumpy_lib.anisotropy.measures import AnisotropyMeasures, anisotropy_measures
    from linumpy_lib.anisotropy.plan import MEASURES, AnisotropyPlan
    from linumpy_lib.anisotropy.tensor import structure_tensor

_HOMES = {
    "Anisotropy": "compute",
    "AnisotropyBlock": "block",
    "AnisotropyMeasures": "measures",
    "AnisotropyPlan": "plan",
    "CoarseScaleWarning": "filters",
    "EigenSystem": "eigen",
    "MEASURES": "plan",
    "allocate_block": "block",
    "anisotropy_block": "block",
    "anisotropy_measures": "measures",
    "compute_anisotropy": "compute",
    "eigen_decompose": "eigen",
    "structure_tensor": "tensor",
}

__all__ = [
    "MEASURES",
    "Anisotropy",
    "AnisotropyBlock",
    "AnisotropyMeasures",
    "AnisotropyPlan",
    "CoarseScaleWarning",
    "EigenSystem",
    "allocate_block",
    "anisotropy_block",
    "anisotropy_measures",
    "compute_anisotropy",
    "eigen_decompose",
    "structure_tensor",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
