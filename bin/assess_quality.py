#!/usr/bin/env python3
"""Quality of every slice."""

from linumpy_lib.alignment.steps.assess_quality import STEP
from linumpy_lib.cli import run

run(STEP)
