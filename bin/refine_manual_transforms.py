#!/usr/bin/env python3
"""Transforms made by hand, refined."""

from linumpy_lib.alignment.steps.refine_manual_transforms import STEP
from linumpy_lib.cli import run

run(STEP)
