#!/usr/bin/env python3
"""All slices as one volume."""

from linumpy_lib.alignment.steps.stack_slices import STEP
from linumpy_lib.cli import run

run(STEP)
