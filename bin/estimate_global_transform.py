#!/usr/bin/env python3
"""One linear map of the tile grid for all slices."""

from linumpy_lib.cli import run
from linumpy_lib.stitching.steps.estimate_global_transform import STEP

run(STEP)
