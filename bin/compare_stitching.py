#!/usr/bin/env python3
"""Seams of a slice stitched by its overlaps and by the motor."""

from linumpy_lib.cli import run
from linumpy_lib.stitching.steps.compare_stitching import STEP

run(STEP)
