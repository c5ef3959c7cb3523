#!/usr/bin/env python3
"""One intensity scale for all slices."""

from linumpy_lib.cli import run
from linumpy_lib.intensity.steps.normalize_slice import STEP

run(STEP)
