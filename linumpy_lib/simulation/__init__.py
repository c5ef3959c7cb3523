"""Phantom acquisitions with exactly known truth."""

from linumpy_lib.simulation.fibres import FibrePhantom, simulate_fibres
from linumpy_lib.simulation.multiview import MultiviewScene, SimulatedView, simulate_multiview
from linumpy_lib.simulation.oct import simulate_oct
from linumpy_lib.simulation.tissue_regions import TissueClass

__all__ = [
    "FibrePhantom",
    "MultiviewScene",
    "SimulatedView",
    "TissueClass",
    "simulate_fibres",
    "simulate_multiview",
    "simulate_oct",
]
