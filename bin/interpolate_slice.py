#!/usr/bin/env python3
"""Missing slices from their neighbours."""

from linumpy_lib.alignment.steps.interpolate_slice import STEP
from linumpy_lib.cli import run

run(STEP)
