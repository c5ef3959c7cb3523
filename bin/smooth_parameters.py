#!/usr/bin/env python3
"""Parameters of all time points, raw and smoothed."""

from linumpy_lib.cli import run
from linumpy_lib.fusion.steps.smooth_parameters import STEP

run(STEP)
