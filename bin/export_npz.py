#!/usr/bin/env python3
"""The anisotropy maps of one volume as one NumPy archive."""

from linumpy_lib.anisotropy.steps.export_npz import STEP
from linumpy_lib.cli import run

run(STEP)
