#!/usr/bin/env python3
"""The tiles of a slice where the motor says they lie."""

from linumpy_lib.cli import run
from linumpy_lib.stitching.steps.stitch_motor_only import STEP

run(STEP)
