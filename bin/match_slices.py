#!/usr/bin/env python3
"""Brightness of slices against one another."""

from linumpy_lib.cli import run
from linumpy_lib.intensity.steps.match_slices import STEP

run(STEP)
