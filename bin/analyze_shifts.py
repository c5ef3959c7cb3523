#!/usr/bin/env python3
"""Drift of the slices."""

from linumpy_lib.alignment.steps.analyze_shifts import STEP
from linumpy_lib.cli import run

run(STEP)
