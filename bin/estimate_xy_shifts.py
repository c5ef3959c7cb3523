#!/usr/bin/env python3
"""Shifts between slices, from stage positions."""

from linumpy_lib.acquisition.steps.estimate_xy_shifts import STEP
from linumpy_lib.cli import run

run(STEP)
