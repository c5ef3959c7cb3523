#!/usr/bin/env python3
"""Depth-averaged picture of a mosaic."""

from linumpy_lib.acquisition.steps.generate_aips import STEP
from linumpy_lib.cli import run

run(STEP)
