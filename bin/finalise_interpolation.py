#!/usr/bin/env python3
"""The final table of slices."""

from linumpy_lib.alignment.steps.finalise_interpolation import STEP
from linumpy_lib.cli import run

run(STEP)
