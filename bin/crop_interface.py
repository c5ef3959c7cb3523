#!/usr/bin/env python3
"""Cut slices at their face."""

from linumpy_lib.cli import run
from linumpy_lib.intensity.steps.crop_interface import STEP

run(STEP)
