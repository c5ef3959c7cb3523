#!/usr/bin/env python3
"""A mosaic at the voxel size to work on."""

from linumpy_lib.acquisition.steps.resample_mosaic_grid import STEP
from linumpy_lib.cli import run

run(STEP)
