#!/usr/bin/env python3
"""How the second view of a pair lies against the first."""

from linumpy_lib.cli import run
from linumpy_lib.fusion.steps.register_views import STEP

run(STEP)
