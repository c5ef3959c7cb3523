#!/usr/bin/env python3
"""Preview and report of a volume's anisotropy results."""

from linumpy_lib.anisotropy.steps.report_anisotropy import STEP
from linumpy_lib.cli import run

run(STEP)
