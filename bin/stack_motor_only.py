#!/usr/bin/env python3
"""The stack by the stage alone."""

from linumpy_lib.alignment.steps.stack_motor_only import STEP
from linumpy_lib.cli import run

run(STEP)
