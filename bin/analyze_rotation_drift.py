#!/usr/bin/env python3
"""Rotations along the stack."""

from linumpy_lib.alignment.steps.analyze_rotation_drift import STEP
from linumpy_lib.cli import run

run(STEP)
