#!/usr/bin/env python3
"""The tiles of a slice in one picture."""

from linumpy_lib.cli import run
from linumpy_lib.stitching.steps.stitch_slice import STEP

run(STEP)
