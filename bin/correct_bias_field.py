#!/usr/bin/env python3
"""Correct slow intensity changes of a stacked volume."""

from linumpy_lib.cli import run
from linumpy_lib.intensity.steps.correct_bias_field import STEP

run(STEP)
