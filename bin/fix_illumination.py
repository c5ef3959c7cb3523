#!/usr/bin/env python3
"""A mosaic without the shading that its tiles share."""

from linumpy_lib.cli import run
from linumpy_lib.illumination.steps.fix_illumination import STEP

run(STEP)
