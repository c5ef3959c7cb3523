#!/usr/bin/env python3
"""Mosaics of raw tiles."""

from linumpy_lib.acquisition.steps.create_mosaic_grid import STEP
from linumpy_lib.cli import run

run(STEP)
