"""Fused CPU kernels of the anisotropy maps (Numba). Importing this package does not import Numba."""
