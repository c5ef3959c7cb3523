#!/usr/bin/env python3
"""Pictures and transforms to align by hand."""

from linumpy_lib.alignment.steps.export_manual_align import STEP
from linumpy_lib.cli import run

run(STEP)
