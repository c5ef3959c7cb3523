#!/usr/bin/env python3
"""Register a volume to the Allen mouse template."""

from linumpy_lib.alignment.steps.align_to_ras import STEP
from linumpy_lib.cli import run

run(STEP)
