#!/usr/bin/env python3
"""Registration of neighbouring slices."""

from linumpy_lib.alignment.steps.register_pair import STEP
from linumpy_lib.cli import run

run(STEP)
