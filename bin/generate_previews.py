#!/usr/bin/env python3
"""Centre planes of a mosaic."""

from linumpy_lib.acquisition.steps.generate_previews import STEP
from linumpy_lib.cli import run

run(STEP)
