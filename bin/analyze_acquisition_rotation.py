#!/usr/bin/env python3
"""Turning of the stage's path."""

from linumpy_lib.alignment.steps.analyze_acquisition_rotation import STEP
from linumpy_lib.cli import run

run(STEP)
