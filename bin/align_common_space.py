#!/usr/bin/env python3
"""Slices on one canvas."""

from linumpy_lib.alignment.steps.align_common_space import STEP
from linumpy_lib.cli import run

run(STEP)
