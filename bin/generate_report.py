#!/usr/bin/env python3
"""Quality report of a run."""

from linumpy_lib.cli import run
from linumpy_lib.quality.steps.generate_report import STEP

run(STEP)
