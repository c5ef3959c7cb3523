#!/usr/bin/env python3
"""Background and brightness of slices."""

from linumpy_lib.cli import run
from linumpy_lib.intensity.steps.measure_slice import STEP

run(STEP)
