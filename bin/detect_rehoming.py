#!/usr/bin/env python3
"""Encoder glitches and re-homings among the shifts."""

from linumpy_lib.alignment.steps.detect_rehoming import STEP
from linumpy_lib.cli import run

run(STEP)
