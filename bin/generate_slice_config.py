#!/usr/bin/env python3
"""Table of the slices to use."""

from linumpy_lib.acquisition.steps.generate_slice_config import STEP
from linumpy_lib.cli import run

run(STEP)
