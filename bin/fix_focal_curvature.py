#!/usr/bin/env python3
"""A mosaic whose tiles are no longer bent by the focal surface."""

from linumpy_lib.cli import run
from linumpy_lib.illumination.steps.fix_focal_curvature import STEP

run(STEP)
